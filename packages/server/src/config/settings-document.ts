import { bySection, placeOf, tomlOf } from './print-config.ts';
import { type SettingSpec, settingDemand } from './setting.ts';
import { SETTING_SPECS } from './settings.ts';

const HEAD = `# Settings

Every setting has three names: its key in the TOML file, an environment variable, and \`--set section.key=value\` on the command
line. What comes later wins: default, file, environment, command line. \`kalamdb --check\` says everything that is wrong with the
settings, \`kalamdb --print-config\` prints those in force and where each comes from. Keys that nobody knows are warned about.

This file is made from the table of settings in \`packages/server/src/config/sections\`.
`;

/** The text of docs/settings.md. */
export function settingsDocument(): string {
  const lines: string[] = [HEAD];
  let section: string | undefined;
  for (const name of bySection()) {
    const { section: own, key } = placeOf(name);
    if (own !== section) {
      const title = own === '' ? 'Above the first section' : `\`[${own}]\``;
      lines.push(
        ...(section === undefined ? [] : ['']),
        `## ${title}`,
        '',
        '| key | default | value | variable | meaning |',
        '|---|---|---|---|---|',
      );
    }
    section = own;
    lines.push(row(key, SETTING_SPECS[name]));
  }
  return `${lines.join('\n')}\n`;
}

function row(key: string, spec: SettingSpec): string {
  const flag = spec.flag === undefined ? '' : ` \`${spec.flag.split(' ')[0]}\``;
  const value = tomlOf(spec.default);
  const cells = [`\`${key}\``, `\`${value}\``, demand(spec), `\`${spec.env}\`${flag}`, spec.description];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function demand(spec: SettingSpec): string {
  if (spec.kind === 'list') return 'texts';
  return settingDemand(spec).replace(/^an? /, '');
}
