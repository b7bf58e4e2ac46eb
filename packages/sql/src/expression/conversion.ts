import { type Cell, cellFromText, cellToText, type DataType, type NonNullCell, sameType } from '@kalamdb/protocol';
import { castInstant, decimalInRange, decimalToDouble, finite, float32, int64, parseExact, rescale, smallInteger } from './numeric.ts';
import { isFloating, isInstant, isInteger, isNumeric, isTextual } from './type-families.ts';

/**
 * Why a value changes its type. `implicit`: an operator or function wants it, nothing may be lost in meaning.
 * `assignment`: it goes into a column; narrower numbers are range-checked and a fraction is cut off when the column holds
 * integers (sql-dialect B5). `explicit`: CAST; fractions are rounded like PostgreSQL does.
 */
export type Purpose = 'implicit' | 'assignment' | 'explicit';

/** Turns a cell of one type into a cell of another. */
export type Convert = (cell: NonNullCell) => Cell;

const MICROS_PER_DAY = 86_400_000_000n;
const MICROS_PER_DAY_NUMBER = 86_400_000_000;

const same: Convert = (cell) => cell;

/** The conversion between two types for a purpose, or `undefined` when there is none. */
export function conversion(from: DataType, to: DataType, purpose: Purpose): Convert | undefined {
  if (sameType(from, to)) return same;
  if (isNumeric(from) && isNumeric(to)) return numericConversion(from, to, purpose);
  if (isTextual(to) && to.kind !== 'uuid') {
    if (isTextual(from)) return same;
    return purpose === 'implicit' ? undefined : (cell) => cellToText(cell, from);
  }
  if (from.kind === 'uuid' && !isTextual(to)) return undefined;
  if (isTextual(from)) return purpose === 'implicit' && to.kind !== 'uuid' ? undefined : (cell) => cellFromText(cell as string, to);
  return temporalConversion(from, to, purpose) ?? otherConversion(from, to, purpose);
}

/** Whether an implicit conversion between numeric types keeps the meaning: smallint → int → bigint → decimal → double. */
function widens(from: DataType, to: DataType): boolean {
  const rank: Partial<Record<DataType['kind'], number>> = { smallint: 0, int: 1, bigint: 2, decimal: 3, float: 4, double: 5 };
  return (rank[from.kind] ?? 0) <= (rank[to.kind] ?? 0);
}

function numericConversion(from: DataType, to: DataType, purpose: Purpose): Convert | undefined {
  if (purpose === 'implicit' && !widens(from, to)) return undefined;
  switch (to.kind) {
    case 'smallint':
    case 'int': {
      const kind = to.kind;
      const whole = toWholeNumber(from, purpose);
      return (cell) => smallInteger(whole(cell), kind);
    }
    case 'bigint':
      return toBigint(from, purpose);
    case 'decimal':
      return toDecimal(from, to.precision, to.scale);
    case 'float': {
      const double = toDouble(from);
      return (cell) => float32(double(cell));
    }
    default:
      return toDouble(from);
  }
}

/** A numeric cell as a double. */
export function toDouble(from: DataType): (cell: NonNullCell) => number {
  if (from.kind === 'decimal') {
    const scale = from.scale;
    return (cell) => decimalToDouble(cell as bigint, scale);
  }
  return from.kind === 'bigint' ? (cell) => Number(cell) : (cell) => cell as number;
}

/** PostgreSQL's rounding of a double to an integer: half to even. */
function roundHalfEven(value: number): number {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

function toWholeNumber(from: DataType, purpose: Purpose): (cell: NonNullCell) => number {
  if (isFloating(from)) return purpose === 'explicit' ? (cell) => roundHalfEven(cell as number) : (cell) => Math.trunc(cell as number);
  if (from.kind === 'decimal') {
    const whole = wholeDecimal(from.scale, purpose);
    return (cell) => Number(whole(cell));
  }
  return (cell) => Number(cell);
}

function wholeDecimal(scale: number, purpose: Purpose): (cell: NonNullCell) => bigint {
  const rounding = purpose === 'explicit' ? 'half-away' : 'truncate';
  return (cell) => rescale({ unscaled: cell as bigint, scale }, 0, rounding) ?? 0n;
}

function toBigint(from: DataType, purpose: Purpose): Convert {
  if (from.kind === 'decimal') {
    const whole = wholeDecimal(from.scale, purpose);
    return (cell) => int64(whole(cell));
  }
  if (isFloating(from)) {
    const whole = toWholeNumber(from, purpose);
    return (cell) => int64(BigInt(finite(whole(cell))));
  }
  return (cell) => BigInt(cell as number);
}

function toDecimal(from: DataType, precision: number, scale: number): Convert {
  if (isFloating(from)) {
    return (cell) => {
      const exact = parseExact(cellToText(cell, from));
      return decimalInRange(exact === undefined ? 0n : (rescale(exact, scale, 'half-away') ?? 0n), precision, scale);
    };
  }
  const fromScale = from.kind === 'decimal' ? from.scale : 0;
  return (cell) => {
    const unscaled = BigInt(cell as bigint | number);
    return decimalInRange(rescale({ unscaled, scale: fromScale }, scale, 'half-away') ?? 0n, precision, scale);
  };
}

/** Floor division: days before 1970 are negative. */
function dayOf(micros: bigint): number {
  const day = micros / MICROS_PER_DAY;
  return Number(micros % MICROS_PER_DAY < 0n ? day - 1n : day);
}

function temporalConversion(from: DataType, to: DataType, purpose: Purpose): Convert | undefined {
  if (isInstant(from) && isInstant(to)) return same;
  if (from.kind === 'date' && isInstant(to)) return (cell) => BigInt(cell as number) * MICROS_PER_DAY;
  if (isInteger(from) && isInstant(to)) {
    return purpose === 'explicit' ? (cell) => castInstant(BigInt(cell as number | bigint)) : (cell) => BigInt(cell as number | bigint);
  }
  if (purpose === 'implicit') return undefined;
  if (isInstant(from) && to.kind === 'date') return (cell) => dayOf(cell as bigint);
  if (isInstant(from) && to.kind === 'time') {
    return (cell) => {
      const rest = Number((cell as bigint) % MICROS_PER_DAY);
      return rest < 0 ? rest + MICROS_PER_DAY_NUMBER : rest;
    };
  }
  return undefined;
}

function otherConversion(from: DataType, to: DataType, purpose: Purpose): Convert | undefined {
  if (purpose !== 'explicit') return undefined;
  if (from.kind === 'boolean' && to.kind === 'bigint') return (cell) => (cell === true ? 1n : 0n);
  if (from.kind === 'boolean' && isInteger(to)) return (cell) => (cell === true ? 1 : 0);
  if (isInteger(from) && to.kind === 'boolean') return (cell) => Number(cell) !== 0;
  if (isInstant(from) && to.kind === 'bigint') return same;
  return undefined;
}
