import { cellToText, type DataType, kalamError, sqlTypeName } from '@kalamdb/protocol';

/** The bounds of BIGINT. */
export const INT64_MIN: bigint = -(2n ** 63n);
/** See {@link INT64_MIN}. */
export const INT64_MAX: bigint = 2n ** 63n - 1n;

/** Largest exponent, in magnitude, that the text of an exact number may have. */
const EXPONENT_MAX = 400;

/** Digits of the widest decimal. */
const DECIMAL_PRECISION_MAX = 38;

/** An exact number: `unscaled` times 10 to the power of `-scale`. */
export interface ExactNumber {
  readonly unscaled: bigint;
  readonly scale: number;
}

/** How a number that does not fit a scale is brought to it. `exact` gives `undefined` instead. */
export type Rounding = 'half-away' | 'truncate' | 'floor' | 'ceil' | 'exact';

const POWERS: bigint[] = [1n];

/** 10 to the power of `exponent` (0 or more). */
export function powerOfTen(exponent: number): bigint {
  for (let next = POWERS.length; next <= exponent; next += 1) POWERS.push((POWERS[next - 1] ?? 1n) * 10n);
  return POWERS[exponent] ?? 1n;
}

/** Reads `12`, `-1.50`, `.5`, `1e3`; `undefined` when the text is not a number (or an absurdly large one). */
export function parseExact(text: string): ExactNumber | undefined {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/.exec(text);
  if (match === null) return undefined;
  const [, sign = '', whole = '', fraction = '', exponentText = '0'] = match;
  if (whole === '' && fraction === '') return undefined;
  const exponent = Number(exponentText);
  if (Math.abs(exponent) > EXPONENT_MAX) return undefined;
  const digits = BigInt(`${whole}${fraction}`);
  const unscaled = sign === '-' ? -digits : digits;
  const scale = fraction.length - exponent;
  return scale >= 0 ? { unscaled, scale } : { unscaled: unscaled * powerOfTen(-scale), scale: 0 };
}

/** Brings an unscaled integer from one scale to another. */
export function rescale(number: ExactNumber, scale: number, rounding: Rounding): bigint | undefined {
  if (scale >= number.scale) return number.unscaled * powerOfTen(scale - number.scale);
  const divisor = powerOfTen(number.scale - scale);
  const quotient = number.unscaled / divisor;
  const remainder = number.unscaled % divisor;
  if (remainder === 0n) return quotient;
  const negative = number.unscaled < 0n;
  switch (rounding) {
    case 'exact':
      return undefined;
    case 'truncate':
      return quotient;
    case 'floor':
      return negative ? quotient - 1n : quotient;
    case 'ceil':
      return negative ? quotient : quotient + 1n;
    case 'half-away': {
      const twice = (negative ? -remainder : remainder) * 2n;
      if (twice < divisor) return quotient;
      return negative ? quotient - 1n : quotient + 1n;
    }
    default:
      return rounding satisfies never;
  }
}

/** The value of a decimal cell as a double. */
export function decimalToDouble(unscaled: bigint, scale: number): number {
  if (scale === 0) return Number(unscaled);
  const magnitude = unscaled < 0n ? -unscaled : unscaled;
  if (magnitude <= 9007199254740992n && scale <= 22) return Number(unscaled) / 10 ** scale;
  return Number(`${unscaled}e-${scale}`);
}

/** Passes a BIGINT result on or throws VALUE_OUT_OF_RANGE. */
export function int64(value: bigint): bigint {
  if (value > INT64_MAX || value < INT64_MIN) throw kalamError('VALUE_OUT_OF_RANGE', { value, type: 'BIGINT' });
  return value;
}

/** Passes the microseconds of a CAST to TIMESTAMP on or throws VALUE_OUT_OF_RANGE: the ends of the range would be infinities. */
export function castInstant(micros: bigint): bigint {
  if (micros >= INT64_MAX || micros <= -INT64_MAX) throw kalamError('VALUE_OUT_OF_RANGE', { value: micros, type: 'TIMESTAMP' });
  return micros;
}

/** Passes a DOUBLE result on or throws VALUE_OUT_OF_RANGE when it is not finite. */
export function finite(value: number): number {
  if (!Number.isFinite(value)) throw kalamError('VALUE_OUT_OF_RANGE', { value: String(value), type: 'DOUBLE' });
  return value;
}

/** Rounds to 32 bits or throws VALUE_OUT_OF_RANGE. */
export function float32(value: number): number {
  const rounded = Math.fround(value);
  if (!Number.isFinite(rounded)) throw kalamError('VALUE_OUT_OF_RANGE', { value: String(value), type: 'FLOAT' });
  return rounded;
}

/** Passes an integer on if it fits SMALLINT or INT, or throws VALUE_OUT_OF_RANGE. */
export function smallInteger(value: number, kind: 'smallint' | 'int'): number {
  const limit = kind === 'smallint' ? 0x8000 : 0x80000000;
  if (value >= limit || value < -limit) throw kalamError('VALUE_OUT_OF_RANGE', { value: String(value), type: kind.toUpperCase() });
  return value;
}

/** Passes an unscaled decimal on if it has no more digits than `precision`, or throws VALUE_OUT_OF_RANGE. */
export function decimalInRange(unscaled: bigint, precision: number, scale: number): bigint {
  const limit = powerOfTen(precision);
  if (unscaled < limit && unscaled > -limit) return unscaled;
  const type: DataType = { kind: 'decimal', precision, scale };
  throw kalamError('VALUE_OUT_OF_RANGE', { value: cellToText(unscaled, type), type: sqlTypeName(type) });
}

/** A decimal type, its precision cut to what exists. */
export function decimalType(precision: number, scale: number): DataType {
  const bounded = Math.min(scale, DECIMAL_PRECISION_MAX);
  return { kind: 'decimal', precision: Math.max(1, bounded, Math.min(precision, DECIMAL_PRECISION_MAX)), scale: bounded };
}
