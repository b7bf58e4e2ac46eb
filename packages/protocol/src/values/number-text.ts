const integerText = /^[+-]?\d+$/;
const numberText = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;
const nonFiniteText = /^[+-]?(?:nan|inf|infinity)$/i;

/** What became of reading a number: its value, or why there is none. */
export type ParsedNumber<T> =
  | { readonly kind: 'value'; readonly value: T }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'out-of-range' };

const malformed = { kind: 'malformed' } as const;
const outOfRange = { kind: 'out-of-range' } as const;
const int64DigitsMax = 19;

/** A decimal integer with optional sign and surrounding spaces, in the signed 64-bit range. */
export function parseInt64(text: string): ParsedNumber<bigint> {
  const trimmed = text.trim();
  if (!integerText.test(trimmed)) return malformed;
  const digits = trimmed.replace(/^[+-]?0*/, '');
  if (digits.length > int64DigitsMax) return outOfRange;
  const value = trimmed.startsWith('-') ? -BigInt(digits) : BigInt(digits);
  return BigInt.asIntN(64, value) === value ? { kind: 'value', value } : outOfRange;
}

/** A decimal number with optional fraction and exponent as the nearest double; NaN, infinities and overflow are out of range. */
export function parseDouble(text: string): ParsedNumber<number> {
  const trimmed = text.trim();
  if (nonFiniteText.test(trimmed)) return outOfRange;
  const match = numberText.exec(trimmed);
  if (match === null || !hasDigit(match)) return malformed;
  const value = Number(trimmed);
  return Number.isFinite(value) ? { kind: 'value', value } : outOfRange;
}

/**
 * A decimal number as an integer count of 10^-scale, rounded half away from zero; out of range when it then has more than
 * `precision` digits. Exact: no double in between. `'2.345'` with (5, 2) is 235n.
 */
export function parseDecimal(text: string, precision: number, scale: number): ParsedNumber<bigint> {
  const match = numberText.exec(text.trim());
  if (match === null || !hasDigit(match)) return malformed;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  if (digits === '') return { kind: 'value', value: 0n };
  const shift = Number(exponent) - fraction.length + scale;
  const kept = digits.length + shift;
  if (kept > precision) return outOfRange;
  const magnitude = shift >= 0 ? BigInt(digits + '0'.repeat(shift)) : roundedPrefix(digits, kept);
  if (magnitude >= 10n ** BigInt(precision)) return outOfRange;
  return { kind: 'value', value: sign === '-' ? -magnitude : magnitude };
}

function hasDigit(match: RegExpExecArray): boolean {
  return (match[2] ?? '') !== '' || (match[3] ?? '') !== '';
}

function roundedPrefix(digits: string, kept: number): bigint {
  if (kept < 0) return 0n;
  const prefix = kept === 0 ? 0n : BigInt(digits.slice(0, kept));
  return (digits[kept] ?? '0') >= '5' ? prefix + 1n : prefix;
}

/** A count of 10^-scale with exactly `scale` fraction digits: (1230n, 2) is `12.30`, (-5n, 2) is `-0.05`. */
export function formatDecimal(value: bigint, scale: number): string {
  if (scale === 0) return value.toString();
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, '0');
  return `${value < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** The shortest text that reads back as the double, in PostgreSQL's form: `1`, `0.1`, `1e+15`, `1e-05`, `-0`. */
export function formatDouble(value: number): string {
  return formatShortest(value, value.toExponential(), 15);
}

/** The shortest text that reads back as the 32-bit float, in PostgreSQL's form: `0.1`, `1e+06`. */
export function formatFloat(value: number): string {
  for (let digits = 0; digits < 8; digits++) {
    const text = value.toExponential(digits);
    if (Math.fround(Number(text)) === value) return formatShortest(value, text, 6);
  }
  return formatShortest(value, value.toExponential(8), 6);
}

function formatShortest(value: number, exponential: string, wholeDigitsMax: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const [mantissa = '', exponentText = '0'] = exponential.split('e');
  const exponent = Number(exponentText);
  const sign = value < 0 ? '-' : '';
  const digits = mantissa.replace(/[-.]/g, '');
  if (exponent < -4 || exponent >= wholeDigitsMax) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
    return `${sign}${digits[0] ?? '0'}${fraction}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  if (digits.length <= exponent + 1) return `${sign}${digits.padEnd(exponent + 1, '0')}`;
  return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}
