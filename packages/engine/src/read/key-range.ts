import type { NonNullCell } from '@kalamdb/protocol';
import type { EvalContext, KeyBounds, KeyLookup, KeyRangeLookup } from '@kalamdb/sql';
import { type KeyRange, type RowKey, rowKeyBytesMax } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';

/** The least key above one that is given; keys are prefix-free, so no other key lies between. */
const after = (key: RowKey): RowKey => `${key}\0` as RowKey;

/** A bound that the hot tier takes: no row's key is as long as what is left of a longer one, so none lies between the two. */
const bound = (key: RowKey): RowKey => key.slice(0, rowKeyBytesMax + 1) as RowKey;

/**
 * The part of the key order that a filter leaves, for one execution: `undefined` when no row can qualify, an open range
 * when the filter says nothing of the key.
 */
export function scanRange(table: Table, lookup: KeyRangeLookup | undefined, evaluation: EvalContext): KeyRange | undefined {
  if (lookup === undefined || table.keyColumn === undefined) return {};
  const bounds = lookup(evaluation);
  return bounds === undefined ? undefined : rangeBetween(table, bounds);
}

/** The part of the key order between two cells of the key column. */
export function rangeBetween(table: Table, { from, to }: KeyBounds): KeyRange {
  const range: { from?: RowKey; before?: RowKey } = {};
  if (from !== undefined) {
    const key = table.encodeKey([from.cell]);
    range.from = bound(from.inclusive ? key : after(key));
  }
  if (to !== undefined) {
    const key = table.encodeKey([to.cell]);
    range.before = bound(to.inclusive ? after(key) : key);
  }
  return range;
}

/**
 * The keys that a filter names, for one execution, less those that are longer than any row's; `undefined` when it does not, or
 * when one cell is not a whole key.
 */
export function namedKeys(table: Table, lookup: KeyLookup | undefined, evaluation: EvalContext): readonly RowKey[] | undefined {
  if (table.keyColumn === undefined) return undefined;
  const cells = lookup?.(evaluation);
  return cells === undefined ? undefined : keysOf(table, cells);
}

/** The keys of cells of the key column, less those that are longer than any row's. */
export function keysOf(table: Table, cells: readonly NonNullCell[]): readonly RowKey[] {
  return cells.map((cell) => table.encodeKey([cell])).filter((key) => key.length <= rowKeyBytesMax);
}
