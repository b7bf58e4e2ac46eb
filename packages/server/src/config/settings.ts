import { AUTH_SETTINGS } from './sections/auth.ts';
import { COMPACTION_SETTINGS } from './sections/compaction.ts';
import { EXECUTION_SETTINGS } from './sections/execution.ts';
import { FLUSH_SETTINGS } from './sections/flush.ts';
import { JOBS_SETTINGS } from './sections/jobs.ts';
import { LIMITS_SETTINGS } from './sections/limits.ts';
import { LOGGING_SETTINGS } from './sections/logging.ts';
import { METRICS_SETTINGS } from './sections/metrics.ts';
import { PERFORMANCE_SETTINGS } from './sections/performance.ts';
import { RATE_LIMIT_SETTINGS } from './sections/rate-limit.ts';
import { SECURITY_SETTINGS } from './sections/security.ts';
import { SERVER_SETTINGS } from './sections/server.ts';
import { STORAGE_SETTINGS } from './sections/storage.ts';
import { WEBSOCKET_SETTINGS } from './sections/websocket.ts';
import type { SettingSpec } from './setting.ts';

/** Every row of the table by its name. */
type Sections = typeof SERVER_SETTINGS &
  typeof STORAGE_SETTINGS &
  typeof LIMITS_SETTINGS &
  typeof RATE_LIMIT_SETTINGS &
  typeof WEBSOCKET_SETTINGS &
  typeof SECURITY_SETTINGS &
  typeof AUTH_SETTINGS &
  typeof LOGGING_SETTINGS &
  typeof PERFORMANCE_SETTINGS &
  typeof EXECUTION_SETTINGS &
  typeof FLUSH_SETTINGS &
  typeof COMPACTION_SETTINGS &
  typeof JOBS_SETTINGS &
  typeof METRICS_SETTINGS;

/**
 * Every setting of the server: the one definition from which the file's schema, the environment, the flags, the checks
 * and the documentation come. Names are those of KalamDB 0.4.3 where it has the setting. `0` in a limit means "none"
 * only where the description says so.
 */
export const SETTINGS: Sections = {
  ...SERVER_SETTINGS,
  ...STORAGE_SETTINGS,
  ...LIMITS_SETTINGS,
  ...RATE_LIMIT_SETTINGS,
  ...WEBSOCKET_SETTINGS,
  ...SECURITY_SETTINGS,
  ...AUTH_SETTINGS,
  ...LOGGING_SETTINGS,
  ...PERFORMANCE_SETTINGS,
  ...EXECUTION_SETTINGS,
  ...FLUSH_SETTINGS,
  ...COMPACTION_SETTINGS,
  ...JOBS_SETTINGS,
  ...METRICS_SETTINGS,
};

/** The dotted name of a setting, as in `[section] key` of the file. */
export type SettingName = keyof Sections;

type ValueOf<S> = S extends { readonly kind: 'integer' }
  ? number
  : S extends { readonly kind: 'boolean' }
    ? boolean
    : S extends { readonly kind: 'choice'; readonly choices: readonly (infer C)[] }
      ? C
      : S extends { readonly kind: 'list' }
        ? readonly string[]
        : string;

/** Every setting with its value, by dotted name. Immutable. */
export type ServerConfig = { readonly [N in SettingName]: ValueOf<Sections[N]> };

/** The table, seen as what every row of it is. */
export const SETTING_SPECS: Readonly<Record<SettingName, SettingSpec>> = SETTINGS;

/** All names, in the order of the table. */
export const SETTING_NAMES: readonly SettingName[] = Object.keys(SETTINGS) as SettingName[];
