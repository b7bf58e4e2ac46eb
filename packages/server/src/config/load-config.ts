import { kalamError } from '@kalamdb/protocol';
import { parse, TomlError } from 'smol-toml';
import { ACCEPTED_VARIABLES, ACCEPTED_WITHOUT_EFFECT, isListed, OTHER_NAMES } from './accepted-names.ts';
import { contradictions, oddities } from './config-rules.ts';
import { nearestKey } from './nearest-key.ts';
import { fitsSetting, type SettingSpec, type SettingValue, settingDemand, settingFromText } from './setting.ts';
import { SETTING_NAMES, SETTING_SPECS, type ServerConfig, type SettingName } from './settings.ts';

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

/** What the sources say, whether it can be used or not. */
export interface ReadConfig extends LoadedConfig {
  /** What keeps the server from starting; each names the setting, the place it came from and what it must be. */
  readonly problems: readonly string[];
  /** For each setting that is not at its default, the place that it came from. */
  readonly origins: ReadonlyMap<SettingName, string>;
}

/**
 * Merges the sources and checks every value. Throws CONFIG_INVALID with every problem there is; the value of a secret
 * never appears. Unknown keys of the file and unknown variables are warnings, so that a typing error is seen and a newer
 * file still starts an older server.
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const { config, warnings, problems } = readConfig(sources);
  if (problems.length > 0) throw kalamError('CONFIG_INVALID', { reason: problems.join('\n') });
  return { config, warnings };
}

/** {@link loadConfig} that says what is wrong instead of throwing it. A setting with a wrong value keeps the one it had. */
export function readConfig(sources: ConfigSources): ReadConfig {
  const reading = new Reading();
  const { file, environment = {}, flags = {}, overrides = {} } = sources;
  if (file !== undefined) readFile(reading, file);
  for (const name of SETTING_NAMES) {
    const { env } = SETTING_SPECS[name];
    const text = environment[env];
    if (text !== undefined) reading.set(name, settingFromText(SETTING_SPECS[name], text), env);
  }
  reading.warnings.push(...unknownVariables(environment));
  for (const [name, text] of Object.entries(flags)) {
    if (isSetting(name)) reading.set(name, settingFromText(SETTING_SPECS[name], text), 'the command line');
    else reading.problems.push(unknownKey(name, name, 'the command line'));
  }
  for (const [name, value] of Object.entries(overrides)) {
    if (isSetting(name) && value !== undefined) reading.set(name, value, 'the caller');
  }
  const config = Object.freeze(Object.fromEntries(reading.values)) as unknown as ServerConfig;
  reading.problems.push(...contradictions(config));
  reading.warnings.push(...oddities(config, (name) => reading.origins.has(name)));
  return { config, warnings: reading.warnings, problems: reading.problems, origins: reading.origins };
}

/** What has been read so far. */
class Reading {
  readonly values = new Map<SettingName, SettingValue>(SETTING_NAMES.map((name) => [name, SETTING_SPECS[name].default]));
  readonly origins = new Map<SettingName, string>();
  readonly warnings: string[] = [];
  readonly problems: string[] = [];

  set(name: SettingName, value: unknown, origin: string): void {
    const spec = SETTING_SPECS[name];
    if (fitsSetting(spec, value)) {
      this.values.set(name, value);
      this.origins.set(name, origin);
    } else this.problems.push(`${name} (from ${origin}) must be ${settingDemand(spec)}${shown(spec, value)}`);
  }
}

function readFile(reading: Reading, file: { readonly path: string; readonly text: string }): void {
  let table: Readonly<Record<string, unknown>>;
  try {
    table = parse(file.text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // Only the first line: the ones after it quote the file, which may hold secrets.
    const what = error.message.split('\n')[0] ?? '';
    reading.problems.push(`${file.path}:${error.line}:${error.column}: ${what}`);
    return;
  }
  for (const [key, value] of flatten(table)) {
    const own = key.replace(/^authentication\./, 'auth.');
    const name = OTHER_NAMES[own] ?? own;
    if (isSetting(name)) reading.set(name, listOf(name, value), file.path);
    else if (!isListed(name, ACCEPTED_WITHOUT_EFFECT)) reading.warnings.push(unknownKey(key, name, file.path));
  }
}

/** The original writes some lists as one text with commas. */
function listOf(name: SettingName, value: unknown): unknown {
  const spec = SETTING_SPECS[name];
  return spec.kind === 'list' && typeof value === 'string' ? settingFromText(spec, value) : value;
}

function shown(spec: SettingSpec, value: unknown): string {
  return spec.secret === true ? '' : `, not '${String(value).slice(0, 100)}'`;
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

function unknownKey(key: string, name: string, origin: string): string {
  return `unknown setting '${key}' in ${origin}${suggestion(nearestKey(name, SETTING_NAMES))}`;
}

function unknownVariables(environment: Readonly<Record<string, string | undefined>>): readonly string[] {
  const known = SETTING_NAMES.map((name) => SETTING_SPECS[name].env);
  const names = Object.keys(environment).filter((name) => name.startsWith('KALAMDB_') && environment[name] !== undefined);
  return names
    .filter((name) => !known.includes(name) && !isListed(name, ACCEPTED_VARIABLES))
    .map((name) => `unknown environment variable ${name}${suggestion(nearestKey(name, known))}`);
}

function suggestion(nearest: string | undefined): string {
  return nearest === undefined ? '' : `; did you mean '${nearest}'?`;
}
