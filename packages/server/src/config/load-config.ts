import { kalamError } from '@kalamdb/protocol';
import { parse, TomlError } from 'smol-toml';
import { isLoopback } from '../auth/client-address.ts';
import { nearestKey } from './nearest-key.ts';
import { fitsSetting, type SettingSpec, type SettingValue, settingDemand, settingFromText } from './setting.ts';
import { ACCEPTED_WITHOUT_EFFECT, SETTING_NAMES, SETTING_SPECS, type ServerConfig, type SettingName } from './settings.ts';

/** Shortest secret that signs tokens on a server that others can reach. */
const JWT_SECRET_CHARACTERS_MIN = 32;

/** Settings that exist but that nothing obeys yet; 0 is what happens anyway. */
const WITHOUT_EFFECT_YET = ['limits.default_query_limit', 'limits.max_query_limit'] as const;

/** Where settings come from. Later ones win: defaults, file, environment, flags, overrides. */
export interface ConfigSources {
  /** The text of the TOML file, and its path for error texts. */
  readonly file?: { readonly path: string; readonly text: string } | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  /** Texts of the command line by setting name. */
  readonly flags?: Readonly<Record<string, string>> | undefined;
  /** Values given by a program that embeds the server. */
  readonly overrides?: Partial<ServerConfig> | undefined;
}

/** The settings and what a person should be told about them. */
export interface LoadedConfig {
  readonly config: ServerConfig;
  readonly warnings: readonly string[];
}

/**
 * Merges the sources and checks every value. Throws CONFIG_INVALID with the setting, the place it came from and what it
 * must be; the value of a secret never appears. Unknown keys of the file are warnings, so that a typing error is seen and
 * a newer file still starts an older server.
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const values = new Map<SettingName, SettingValue>(SETTING_NAMES.map((name) => [name, SETTING_SPECS[name].default]));
  const warnings: string[] = [];
  const set = (name: SettingName, value: unknown, origin: string): void => {
    values.set(name, checked(name, value, origin));
  };
  if (sources.file !== undefined) {
    for (const [key, value] of flatten(parseToml(sources.file))) {
      const name = key.replace(/^authentication\./, 'auth.');
      if (isSetting(name)) set(name, value, sources.file.path);
      else if (!isAccepted(name)) warnings.push(unknownKey(key, name, sources.file.path));
    }
  }
  for (const name of SETTING_NAMES) {
    const text = sources.environment?.[SETTING_SPECS[name].env];
    if (text !== undefined) set(name, settingFromText(SETTING_SPECS[name], text), SETTING_SPECS[name].env);
  }
  for (const [name, text] of Object.entries(sources.flags ?? {})) {
    if (!isSetting(name)) throw invalid(unknownKey(name, name, 'the command line'));
    set(name, settingFromText(SETTING_SPECS[name], text), 'the command line');
  }
  for (const [name, value] of Object.entries(sources.overrides ?? {})) {
    if (isSetting(name)) set(name, value, 'the caller');
  }
  const config = Object.freeze(Object.fromEntries(values)) as unknown as ServerConfig;
  checkSecret(config);
  for (const name of WITHOUT_EFFECT_YET) {
    if (config[name] !== 0) warnings.push(`${name} is not applied yet: results are always complete`);
  }
  return { config, warnings };
}

function checked(name: SettingName, value: unknown, origin: string): SettingValue {
  const spec = SETTING_SPECS[name];
  if (!fitsSetting(spec, value)) throw invalid(`${name} (from ${origin}) must be ${settingDemand(spec)}${shown(spec, value)}`);
  return value;
}

function shown(spec: SettingSpec, value: unknown): string {
  return spec.secret === true ? '' : `, not '${String(value).slice(0, 100)}'`;
}

function checkSecret(config: ServerConfig): void {
  const secret = config['auth.jwt_secret'];
  if (secret === '' || [...secret].length >= JWT_SECRET_CHARACTERS_MIN || isLoopback(config['server.host'])) return;
  throw invalid(
    `auth.jwt_secret is shorter than ${JWT_SECRET_CHARACTERS_MIN} characters, which is only accepted on a loopback address (server.host is '${config['server.host']}')`,
  );
}

function parseToml(file: { readonly path: string; readonly text: string }): Record<string, unknown> {
  try {
    return parse(file.text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // Only the first line: the ones after it quote the file, which may hold secrets.
    const what = error.message.split('\n')[0] ?? '';
    throw invalid(`${file.path}:${error.line}:${error.column}: ${what}`);
  }
}

function* flatten(table: Readonly<Record<string, unknown>>, prefix = ''): Generator<[string, unknown]> {
  for (const [key, value] of Object.entries(table)) {
    const name = prefix + key;
    if (typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)) {
      yield* flatten(value as Readonly<Record<string, unknown>>, `${name}.`);
    } else yield [name, value];
  }
}

function isSetting(name: string): name is SettingName {
  return Object.hasOwn(SETTING_SPECS, name);
}

function isAccepted(name: string): boolean {
  return ACCEPTED_WITHOUT_EFFECT.some((known) => (known.endsWith('.') ? name.startsWith(known) : name === known));
}

function unknownKey(key: string, name: string, origin: string): string {
  const nearest = nearestKey(name, SETTING_NAMES);
  return `unknown setting '${key}' in ${origin}${nearest === undefined ? '' : `; did you mean '${nearest}'?`}`;
}

function invalid(reason: string): Error {
  return kalamError('CONFIG_INVALID', { reason });
}
