import { type DataType, duckdbType } from '@kalamdb/protocol';
import type { CallWriter } from './call-writer.ts';

/** Digits before or behind the point that a DOUBLE has at most. */
const DIGITS_MAX = 308;
/** Powers of ten up to this one are exact in a DOUBLE. */
const EXACT_POWER_MAX = 22;

/**
 * What a number is rounded from is its shortest decimal text, as 1.005 is written: to 2 digits that is 1.01, though the DOUBLE is a little less.
 * DuckDB rounds what the multiplication by 100 gives. That is right unless it gives something close to where one digit becomes the next;
 * there the text decides. From 1e17 on no DOUBLE's text has a digit left to round.
 */
function roundedDouble(name: 'round' | 'trunc', value: string, digits: string): string {
  const places = `CAST(greatest(least(${digits}, ${DIGITS_MAX}), -${DIGITS_MAX}) AS INTEGER)`;
  const shifted = `(p * pow(CAST(10 AS DOUBLE), ${places}))`;
  const distance = name === 'round' ? `abs(${shifted}) - floor(abs(${shifted})) - CAST(0.5 AS DOUBLE)` : `${shifted} - round(${shifted})`;
  const isClose = `abs(${distance}) <= abs(${shifted}) * CAST('1e-15' AS DOUBLE) OR abs(${places}) > ${EXACT_POWER_MAX}`;
  const part = (index: number): string => `split_part(CAST(abs(p) AS VARCHAR), 'e', ${index})`;
  const exponent = `CAST(CAST(coalesce(nullif(${part(2)}, ''), '0') AS INTEGER) + ${places} AS VARCHAR)`;
  const whole = `CAST(${name}(CAST(${part(1)} || 'e' || ${exponent} AS DECIMAL(38,18))) AS HUGEINT)`;
  const exact = `sign(p) * CAST(CAST(${whole} AS VARCHAR) || 'e' || CAST(-${places} AS VARCHAR) AS DOUBLE)`;
  const isRound = `p = ${name}(p, ${places}) OR abs(${shifted}) >= CAST('1e17' AS DOUBLE)`;
  const chosen = `CASE WHEN ${digits} IS NULL THEN NULL WHEN ${isRound} THEN p WHEN ${isClose} THEN ${exact} ELSE ${name}(p, ${places}) END`;
  return `list_transform([${value}], lambda p: ${chosen})[1]`;
}

/** DuckDB rounds a decimal to a number of digits that is written in the query only: of others each that makes a difference is one. */
function roundedDecimal(name: 'round' | 'trunc', [value, digits]: readonly [string, string], type: DataType): string {
  if (type.kind !== 'decimal') return value;
  const to = (places: number): string => `CAST(${name}(${value}, CAST(${places} AS INTEGER)) AS ${duckdbType(type)})`;
  const least = type.scale - type.precision - 1;
  const places = Array.from({ length: type.scale - least }, (_, index) => type.scale - 1 - index);
  const branches = places.map((place) => `WHEN ${digits} ${place === least ? '<=' : '='} ${place} THEN ${to(place)}`);
  return `(CASE WHEN ${digits} >= ${type.scale} THEN CAST(${value} AS ${duckdbType(type)}) ${branches.join(' ')} END)`;
}

/** `round` and `trunc`, to a whole number or to a number of digits. */
export function rounded(name: 'round' | 'trunc'): CallWriter {
  return ([value = '', digits], { operands: [type], result, constants }) => {
    if (digits === undefined) return `CAST(${name}(${value}) AS ${duckdbType(result)})`;
    if (type?.kind !== 'decimal') return roundedDouble(name, value, digits);
    if (constants[1] === undefined) return roundedDecimal(name, [value, digits], result);
    return `CAST(${name}(${value}, CAST(${digits} AS INTEGER)) AS ${duckdbType(result)})`;
  };
}
