import type { SettingValue } from './setting.ts';
import { SETTING_NAMES, SETTING_SPECS, type ServerConfig } from './settings.ts';

/** One setting in words, for `system.settings`. */
export interface DescribedSetting {
  readonly name: string;
  readonly value: string;
  readonly description: string;
}

/**
 * Names that programs written for the original look for in `system.settings`, with what is true of them here. Setting them
 * has no effect.
 */
const FIXED: readonly DescribedSetting[] = [
  { name: 'server.workers', value: '1', description: 'Threads that serve requests; the server has one.' },
  { name: 'server.api_version', value: 'v1', description: 'Version of the interface, as in the paths of its routes.' },
  { name: 'flush.default_row_limit', value: '0', description: 'Rows after which a table is flushed; 0: all rows stay in the hot tier.' },
  { name: 'flush.default_time_interval', value: '0', description: 'Seconds between two flushes of a table; 0: none.' },
  { name: 'cluster.cluster_id', value: 'standalone', description: 'Name of the cluster; the server stands alone.' },
];

/** Every setting in force, in the order of the table. A secret only says whether it is set. */
export function describeSettings(config: ServerConfig): readonly DescribedSetting[] {
  const own = SETTING_NAMES.map((name) => {
    const { secret, description } = SETTING_SPECS[name];
    const shown = textOf(config[name]);
    return { name, value: secret === true && shown !== '' ? '***' : shown, description };
  });
  return [...own, ...FIXED];
}

function textOf(value: SettingValue): string {
  return typeof value === 'object' ? value.join(',') : String(value);
}
