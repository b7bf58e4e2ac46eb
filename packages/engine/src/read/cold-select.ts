import type { Row } from '@kalamdb/protocol';
import type { Manifest, PartitionId } from '@kalamdb/storage';
import type { ColdReader } from '../cold/cold-reader.ts';
import { type MergedPlace, mergedRows, rowsUnder } from '../cold/merged-rows.ts';
import { RowCounts } from '../cold/row-counts.ts';
import type { RowVersion } from '../contract.ts';
import type { PartitionView } from '../partition/partition-view.ts';
import { STEP_ROWS, type Steps } from '../slices/steps.ts';
import { type RowAccess, rowsAt, shownRow } from './granted-rows.ts';
import { SelectRun } from './select-run.ts';
import type { GrantedSelect, OpenSource } from './select-steps.ts';

/** The cold tier as queries use it. */
export interface ColdTables {
  /** Whether a partition may have segments. */
  mayHave(partition: PartitionId): boolean;
  /** Folders that the files of segments lie in, as far as there are storages now. */
  segmentFolders(): readonly string[];
  /** The highest `_seq` of a tombstone that was removed from the hot tier while its partition had no segments; 0n: none was. Of others the manifest says it. */
  expiredSeq(partition: PartitionId): bigint;
  readonly reader: ColdReader;
}

/** What a SELECT over cold rows runs with. */
export interface ColdSelect {
  readonly select: GrantedSelect;
  readonly reader: ColdReader;
  open(): OpenSource;
  /** Runs steps in slices, under the limits of the statement. */
  run<T>(steps: Steps<T>): T | Promise<T>;
  /** Takes rows of the answer as they are found; absent: they are held. */
  readonly take?: ((rows: readonly Row[]) => Promise<void>) | undefined;
}

/** Runs a SELECT over a partition that may have segments; the rows, or those that were not taken yet, come in the order in which they would if all were hot. */
export async function selectOverCold(cold: ColdSelect): Promise<readonly Row[]> {
  const { select, open } = cold;
  const { plan, grant, access, evaluation } = select;
  const run = new SelectRun(plan, evaluation);
  if (run.isEmpty) return [];
  const source = open();
  try {
    const view = source.view(grant.table, grant.partition);
    const { manifest } = view;
    if (manifest === undefined) await cold.run(pushSteps(run, select, rowsAt(view, access)));
    else if (plan.countsTable && readsEverything(access)) run.count(await cold.run(countSteps(view, manifest)));
    else await pushMerged(cold, run, { view, place: { table: grant.table, partition: grant.partition, manifest } });
  } finally {
    source.close();
  }
  return cold.run(run.finishInSteps());
}

function readsEverything(access: RowAccess): boolean {
  return access.kind === 'scan' && access.range.from === undefined && access.range.before === undefined;
}

async function pushMerged({ select, reader, run: inSlices, take }: ColdSelect, run: SelectRun, place: MergedPlace): Promise<void> {
  const { access } = select;
  if (access.kind === 'keys') {
    await inSlices(pushSteps(run, select, await rowsUnder(reader, place, access.keys)));
    return;
  }
  for await (const rows of mergedRows(reader, place, access.range)) {
    const more = await inSlices(pushSteps(run, select, rows));
    if (take !== undefined) await take(run.take());
    if (!more) return;
  }
}

/** Feeds the run; answers whether it wants more. */
function* pushSteps(run: SelectRun, { plan, grant }: GrantedSelect, rows: Iterable<RowVersion>): Steps<boolean> {
  let left = STEP_ROWS;
  for (const row of rows) {
    const shown = shownRow(row, grant.maskedCells, plan.mentionsDeleted);
    if (shown !== undefined && !run.push(shown)) return false;
    if (--left > 0) continue;
    left = STEP_ROWS;
    yield;
  }
  return true;
}

/** How many rows of a partition are not deleted: those of its segments are counted by the manifest, hot ones once. */
function* countSteps(view: PartitionView, manifest: Manifest): Steps<number> {
  const kept = view.keptCount?.();
  if (kept !== undefined) return kept;
  const counted = view.beginCount?.();
  const counts = new RowCounts(manifest);
  let left = STEP_ROWS;
  for (const row of view.scan({ cellsUnused: true })) {
    counts.add(row);
    if (--left > 0) continue;
    left = STEP_ROWS;
    yield;
  }
  counted?.(counts.rows);
  return counts.rows;
}
