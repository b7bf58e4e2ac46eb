import { type Cell, compareText, type NonNullCell } from '@kalamdb/protocol';
import type { CellSet, KeyBound } from './plans.ts';

/** The set of no cell. */
export const NO_CELLS: CellSet = { points: [], ranges: [] };

/** Negative when `a` comes first: numbers and bigints by value, texts by code point. Both are of one kind. NaN has no place. */
function compareOrdered(a: NonNullCell, b: NonNullCell): number {
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Whether a bound lets a cell through that stands at it, or inside of it. */
function isAbove(cell: NonNullCell, from: KeyBound | undefined): boolean {
  if (from === undefined) return true;
  const order = compareOrdered(cell, from.cell);
  return from.inclusive ? order >= 0 : order > 0;
}

function isBelow(cell: NonNullCell, to: KeyBound | undefined): boolean {
  if (to === undefined) return true;
  const order = compareOrdered(cell, to.cell);
  return to.inclusive ? order <= 0 : order < 0;
}

function contains({ points, ranges }: CellSet, cell: Cell): boolean {
  return points.includes(cell) || (cell !== null && ranges.some(({ from, to }) => isAbove(cell, from) && isBelow(cell, to)));
}

/** The cells that are in one of the sets. */
export function union(sets: readonly CellSet[]): CellSet {
  return { points: [...new Set(sets.flatMap(({ points }) => points))], ranges: sets.flatMap(({ ranges }) => ranges) };
}

/** At least the cells that are in both sets, and not more than are in one of them. */
export function intersection(a: CellSet, b: CellSet): CellSet {
  if (a.ranges.length === 0) return { points: a.points.filter((cell) => contains(b, cell)), ranges: [] };
  if (b.ranges.length === 0) return intersection(b, a);
  const [first, ...moreOfA] = a.ranges;
  const [second, ...moreOfB] = b.ranges;
  if (first !== undefined && second !== undefined && moreOfA.length + moreOfB.length + a.points.length + b.points.length === 0) {
    return rangeSet(higher(first.from, second.from), lower(first.to, second.to));
  }
  return sizeOf(a) <= sizeOf(b) ? a : b;
}

/** The cells between two bounds. */
export function rangeSet(from: KeyBound | undefined, to: KeyBound | undefined): CellSet {
  if (from !== undefined && to !== undefined) {
    const order = compareOrdered(from.cell, to.cell);
    if (order > 0) return NO_CELLS;
    if (order === 0) return from.inclusive && to.inclusive ? { points: [from.cell], ranges: [] } : NO_CELLS;
  }
  return { points: [], ranges: [{ from, to }] };
}

function sizeOf({ points, ranges }: CellSet): number {
  return points.length + ranges.length;
}

function higher(a: KeyBound | undefined, b: KeyBound | undefined): KeyBound | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const order = compareOrdered(a.cell, b.cell);
  return order > 0 || (order === 0 && !a.inclusive) ? a : b;
}

function lower(a: KeyBound | undefined, b: KeyBound | undefined): KeyBound | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const order = compareOrdered(a.cell, b.cell);
  return order < 0 || (order === 0 && !a.inclusive) ? a : b;
}
