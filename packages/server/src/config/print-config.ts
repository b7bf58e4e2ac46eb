import type { ReadConfig } from './load-config.ts';
import type { SettingSpec, SettingValue } from './setting.ts';
import { SETTING_NAMES, SETTING_SPECS, type SettingName } from './settings.ts';

/**
 * The settings in force as a file that gives the same settings, each with the place it came from. A secret is a comment
 * that says whether it is set.
 */
export function printConfig({ config, origins }: ReadConfig): string {
  const lines: string[] = [];
  let section = '';
  for (const name of bySection()) {
    const { section: own, key } = placeOf(name);
    if (own !== section) lines.push('', `[${own}]`);
    section = own;
    const origin = origins.get(name);
    lines.push(line(key, config[name], SETTING_SPECS[name], origin ?? 'default'));
  }
  return `${lines.join('\n').trimStart()}\n`;
}

/** Where a setting stands in a file. */
export function placeOf(name: SettingName): { readonly section: string; readonly key: string } {
  const dot = name.lastIndexOf('.');
  return { section: name.slice(0, Math.max(0, dot)), key: name.slice(dot + 1) };
}

/** All names in the order of a file: those without a section first, then each section in one piece. */
export function bySection(): readonly SettingName[] {
  const sections = new Map<string, SettingName[]>([['', []]]);
  for (const name of SETTING_NAMES) {
    const { section } = placeOf(name);
    const names = sections.get(section);
    if (names === undefined) sections.set(section, [name]);
    else names.push(name);
  }
  return [...sections.values()].flat();
}

/** A value as TOML. */
export function tomlOf(value: SettingValue): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return typeof value === 'object' ? `[${value.map((item) => JSON.stringify(item)).join(', ')}]` : String(value);
}

function line(key: string, value: SettingValue, spec: SettingSpec, origin: string): string {
  if (spec.secret !== true) return `${key} = ${tomlOf(value)} # ${origin}`;
  return `# ${key}: ${value === '' ? 'not set' : `set, ${origin}`}`;
}
