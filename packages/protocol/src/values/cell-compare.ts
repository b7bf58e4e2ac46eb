import { kalamError } from '../errors/kalam-error.ts';
import type { Cell, DataType, NonNullCell } from './data-type.ts';
import { compareText } from './unicode-text.ts';

/** Negative when `a` comes first, positive when `b` does, 0 when they are equal. */
export type CellComparison = (a: NonNullCell, b: NonNullCell) => number;

/**
 * The order of the cells of a type, chosen once per column: numbers by value (-0 equals 0), texts by code point, false before
 * true, bytes like unsigned numbers with a prefix before its continuation, embeddings element by element. It is the order of
 * the key codec. Both cells must be of the type (INTERNAL_ERROR otherwise); NULL has no place in it.
 */
export function compareCells(type: DataType): CellComparison {
  switch (type.kind) {
    case 'smallint':
    case 'int':
    case 'float':
    case 'double':
    case 'date':
    case 'time':
      return compareNumbers;
    case 'bigint':
    case 'decimal':
    case 'timestamp':
    case 'datetime':
      return compareBigints;
    case 'text':
    case 'json':
    case 'file':
    case 'uuid':
      return compareTexts;
    case 'boolean':
      return compareBooleans;
    case 'bytes':
      return compareBytes;
    case 'embedding':
      return compareEmbeddings;
  }
}

/** Whether two cells of one column are the same value; NULL is the same as NULL. */
export function cellsEqual(a: Cell, b: Cell): boolean {
  if (a === b) return true;
  if (a instanceof Uint8Array) return b instanceof Uint8Array && sameElements(a, b);
  if (a instanceof Float32Array) return b instanceof Float32Array && sameElements(a, b);
  return false;
}

function compareNumbers(a: NonNullCell, b: NonNullCell): number {
  if (typeof a !== 'number' || typeof b !== 'number') throw notOfType('number');
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareBigints(a: NonNullCell, b: NonNullCell): number {
  if (typeof a !== 'bigint' || typeof b !== 'bigint') throw notOfType('bigint');
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareTexts(a: NonNullCell, b: NonNullCell): number {
  if (typeof a !== 'string' || typeof b !== 'string') throw notOfType('string');
  return compareText(a, b);
}

function compareBooleans(a: NonNullCell, b: NonNullCell): number {
  if (typeof a !== 'boolean' || typeof b !== 'boolean') throw notOfType('boolean');
  return Number(a) - Number(b);
}

function compareBytes(a: NonNullCell, b: NonNullCell): number {
  if (!(a instanceof Uint8Array) || !(b instanceof Uint8Array)) throw notOfType('Uint8Array');
  return compareElements(a, b);
}

function compareEmbeddings(a: NonNullCell, b: NonNullCell): number {
  if (!(a instanceof Float32Array) || !(b instanceof Float32Array)) throw notOfType('Float32Array');
  return compareElements(a, b);
}

function compareElements(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const elementA = a[i] ?? 0;
    const elementB = b[i] ?? 0;
    if (elementA !== elementB) return elementA < elementB ? -1 : 1;
  }
  return a.length - b.length;
}

function sameElements(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  return a.length === b.length && compareElements(a, b) === 0;
}

function notOfType(expected: string): Error {
  return kalamError('INTERNAL_ERROR', { reason: `comparison of cells that are not both ${expected}` });
}
