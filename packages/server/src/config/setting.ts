interface SettingBase {
  /** One or two sentences for people; units are named. */
  readonly description: string;
  /** The environment variable that sets it. */
  readonly env: string;
  /** The command line flag, in the notation of `commander`; absent: only `--set name=value`. */
  readonly flag?: string;
  /** Never printed, neither by errors nor by the start-up output. */
  readonly secret?: true;
}

/** One setting: its type with bounds, its default, and every name it goes by. */
export type SettingSpec = SettingBase &
  (
    | { readonly kind: 'integer'; readonly default: number; readonly minimum: number; readonly maximum: number }
    | { readonly kind: 'boolean'; readonly default: boolean }
    | { readonly kind: 'text'; readonly default: string }
    | { readonly kind: 'choice'; readonly default: string; readonly choices: readonly string[] }
    | { readonly kind: 'list'; readonly default: readonly string[] }
  );

/** What a setting holds. */
export type SettingValue = number | boolean | string | readonly string[];

/** Whether a value is one that the setting can hold. */
export function fitsSetting(spec: SettingSpec, value: unknown): value is SettingValue {
  switch (spec.kind) {
    case 'integer':
      return typeof value === 'number' && Number.isInteger(value) && value >= spec.minimum && value <= spec.maximum;
    case 'boolean':
      return typeof value === 'boolean';
    case 'text':
      return typeof value === 'string';
    case 'choice':
      return typeof value === 'string' && spec.choices.includes(value);
    case 'list':
      return Array.isArray(value) && value.every((item) => typeof item === 'string');
    default:
      return spec satisfies never;
  }
}

/** What a value must be, for the error text. */
export function settingDemand(spec: SettingSpec): string {
  switch (spec.kind) {
    case 'integer':
      return `an integer from ${spec.minimum} to ${spec.maximum}`;
    case 'boolean':
      return 'true or false';
    case 'text':
      return 'a text';
    case 'choice':
      return `one of ${spec.choices.join(', ')}`;
    case 'list':
      return 'a list of texts (in the environment: separated by commas)';
    default:
      return spec satisfies never;
  }
}

const TRUE: ReadonlySet<string> = new Set(['true', '1', 'yes', 'on']);
const FALSE: ReadonlySet<string> = new Set(['false', '0', 'no', 'off']);

/**
 * Reads the text of a flag or an environment variable. Gives the text itself when it cannot be read as the setting's
 * kind, so that {@link fitsSetting} refuses it.
 */
export function settingFromText(spec: SettingSpec, text: string): SettingValue {
  const trimmed = text.trim();
  if (spec.kind === 'integer') return /^[+-]?\d{1,15}$/.test(trimmed) ? Number(trimmed) : text;
  if (spec.kind === 'boolean') return TRUE.has(trimmed.toLowerCase()) ? true : FALSE.has(trimmed.toLowerCase()) ? false : text;
  if (spec.kind === 'choice') return trimmed.toLowerCase();
  if (spec.kind === 'list') {
    return trimmed
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
  }
  return text;
}
