import { createHash } from 'node:crypto';
import type { ResultSort } from './test-records.ts';

/** A cell as a runner delivers it: NULL, or what JSON has; integers may be bigints or texts of digits. */
export type ResultCell = null | boolean | number | bigint | string;

/**
 * The values of a result as the format compares them, row by row, in the order asked for.
 *
 * | type | value | text |
 * |---|---|---|
 * | any | NULL | `NULL` |
 * | `I` | 3, 3.9, '3' | `3` (a fraction is cut off; a text that is no number is `0`) |
 * | `I` | true, false | `1`, `0` |
 * | `R` | 1.5 | `1.500` |
 * | `T` | '' | `(empty)` |
 * | `T` | a character outside of ASCII 32 to 126 | `@` |
 */
export function resultValues(rows: readonly (readonly ResultCell[])[], types: string, sort: ResultSort): readonly string[] {
  const texts = rows.map((row) => row.map((cell, index) => cellText(cell, types[index] ?? 'T')));
  if (sort === 'rowsort') texts.sort(compareRows);
  const values = texts.flat();
  return sort === 'valuesort' ? values.sort(compareTexts) : values;
}

/** The line that stands for a long result: the number of values and the MD5 of all, each followed by a line feed. */
export function hashLine(values: readonly string[]): string {
  return `${values.length} values hashing to ${hashOf(values)}`;
}

/** Whether a result is the expected one, written out or as its {@link hashLine}. */
export function isExpected(values: readonly string[], expected: readonly string[]): boolean {
  const [first = ''] = expected;
  if (expected.length === 1 && /^\d+ values hashing to [0-9a-f]{32}$/.test(first)) return hashLine(values) === first;
  return values.length === expected.length && values.every((value, index) => value === expected[index]);
}

function hashOf(values: readonly string[]): string {
  const hash = createHash('md5');
  for (const value of values) hash.update(`${value}\n`);
  return hash.digest('hex');
}

function cellText(cell: ResultCell, type: string): string {
  if (cell === null) return 'NULL';
  if (type === 'I') return integerText(cell);
  if (type === 'R') return Number(cell).toFixed(3);
  const text = typeof cell === 'boolean' ? String(Number(cell)) : String(cell);
  return text === '' ? '(empty)' : text.replace(/[^\x20-\x7e]/g, '@');
}

function integerText(cell: Exclude<ResultCell, null>): string {
  if (typeof cell === 'boolean') return cell ? '1' : '0';
  if (typeof cell === 'number') return String(BigInt(Math.trunc(cell)));
  if (typeof cell === 'bigint') return String(cell);
  const [digits = '0'] = /^\s*[+-]?\d+/.exec(cell) ?? [];
  return String(BigInt(digits.trim()));
}

function compareRows(a: readonly string[], b: readonly string[]): number {
  for (const [index, text] of a.entries()) {
    const order = compareTexts(text, b[index] ?? '');
    if (order !== 0) return order;
  }
  return 0;
}

const compareTexts = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
