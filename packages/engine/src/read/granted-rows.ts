import type { EvalContext, InputRow, SelectPlan } from '@kalamdb/sql';
import type { RowKey } from '@kalamdb/storage';
import type { Grant } from '../access/grant.ts';
import type { RowVersion } from '../contract.ts';
import { ColdRowsNeeded } from '../partition/cold-rows.ts';
import type { PartitionView, ScanRange } from '../partition/partition-view.ts';
import { namedKeys, scanRange } from './key-range.ts';
import { maskRow } from './mask.ts';

/** The part of a partition that a statement has to look at, for one execution. */
export type RowAccess =
  | { readonly kind: 'keys' /** Ascending, each once. */; readonly keys: readonly RowKey[] }
  | { readonly kind: 'scan'; readonly range: ScanRange };

const NO_KEYS: RowAccess = { kind: 'keys', keys: [] };

/** By key when the filter names keys, else a scan of the key range it leaves. */
export function rowAccess(table: Grant['table'], plan: Pick<SelectPlan, 'keys' | 'keyRange'>, evaluation: EvalContext): RowAccess {
  const keys = namedKeys(table, plan.keys, evaluation);
  const range = scanRange(table, plan.keyRange, evaluation);
  if (range === undefined) return NO_KEYS;
  if (keys === undefined) return { kind: 'scan', range };
  return { kind: 'keys', keys: keys.length < 2 ? keys : [...new Set(keys)].sort() };
}

/** The same for a large partition, whose rows no cache keeps: a count does not have them decoded. */
export function largeAccess(access: RowAccess, plan: SelectPlan): RowAccess {
  return access.kind === 'keys' || !plan.countsTable ? access : { kind: 'scan', range: { ...access.range, cellsUnused: true } };
}

/** The rows there, tombstones included, in key order; read as they are asked for. Throws ColdRowsNeeded when segments hold some of them. */
export function rowsAt(view: PartitionView, access: RowAccess): Iterable<RowVersion> {
  // The first segment was published after whoever reads had looked.
  if (view.manifest !== undefined) throw new ColdRowsNeeded();
  return access.kind === 'scan' ? view.scan(access.range) : rowsByKey(view, access.keys);
}

function* rowsByKey(view: PartitionView, keys: readonly RowKey[]): Iterable<RowVersion> {
  for (const key of keys) {
    const row = view.get(key);
    if (row !== undefined) yield row;
  }
}

/**
 * The row as the grant shows it to a plan; `undefined` when the plan does not see it at all: tombstones are there only for a
 * filter that speaks of `_deleted`.
 */
export function shownRow(row: RowVersion, maskedCells: Grant['maskedCells'], mentionsDeleted: boolean): InputRow | undefined {
  return row.deleted && !mentionsDeleted ? undefined : maskRow(row, maskedCells);
}
