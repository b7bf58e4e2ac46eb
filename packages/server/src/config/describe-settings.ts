import { SETTING_NAMES, SETTING_SPECS, type ServerConfig } from './settings.ts';

/** One setting in words, for `system.settings`. */
export interface DescribedSetting {
  readonly name: string;
  readonly value: string;
  readonly description: string;
}

/** Every setting in force, in the order of the table. A secret only says whether it is set. */
export function describeSettings(config: ServerConfig): readonly DescribedSetting[] {
  return SETTING_NAMES.map((name) => {
    const { secret, description } = SETTING_SPECS[name];
    const value = config[name];
    const shown = typeof value === 'object' ? value.join(',') : String(value);
    return { name, value: secret === true && shown !== '' ? '***' : shown, description };
  });
}
