import { kalamError } from '@kalamdb/protocol';
import type { PartitionId, RowKey } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import type { ColdLookUps, KeysOfPartition } from '../cold/cold-look-ups.ts';
import { ColdRowsNeeded, type LookedUp } from '../partition/cold-rows.ts';
import { partitionName } from '../partition/overlay.ts';
import type { QueryRunner } from '../read/query-runner.ts';
import type { Draft } from '../sequencer/draft.ts';
import { LARGE_COMMIT_ROWS } from '../sequencer/large-commit.ts';
import type { LatchTable } from '../sequencer/latch-table.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import { finishSteps, STEP_ROWS, type Steps } from '../slices/steps.ts';
import { keyParameters } from '../write/key-parameters.ts';
import { isLive, type OwnChanges } from './own-writes.ts';

/** Times that COMMIT waits for DDL that began on one of its tables while it waited for its turn. */
const LATCH_WAITS_MAX = 10;

/** What a transaction wants to become. */
export interface TransactionWrites extends OwnChanges {
  /** Every table that it has read or written. */
  readonly tables: readonly Table[];
  /** What it has read at. */
  readonly snapshotSeq: bigint;
}

/** What {@link commitWrites} works with. */
export interface CommitSources {
  readonly sequencer: Sequencer;
  readonly latches: LatchTable;
  /** Prepares large commits in slices. */
  readonly queries: Pick<QueryRunner, 'run'>;
  /** Absent: there is no cold tier. */
  readonly cold?: ColdLookUps | undefined;
  /** Told the commit's name. */
  readonly committed?: ((seq: bigint) => void) | undefined;
  isCurrent(table: Table): boolean;
}

/** The error that a table of a transaction has got another definition, or is gone. */
export function tableChanged({ namespace, name }: Table): Error {
  return kalamError('CONFLICT', { reason: `table '${namespace}.${name}' was altered or dropped while the transaction was open` });
}

/**
 * Writes a transaction as one commit, in one turn or, when it is large, prepared before it: first committer wins. A transaction
 * without changes has nothing to check: it has read one snapshot. Throws CONFLICT when a row that it writes has a version above
 * its snapshot or a table has changed, DUPLICATE_KEY when that version holds a key that it inserts, and what the sequencer throws.
 */
export async function commitWrites(sources: CommitSources, writes: TransactionWrites): Promise<void> {
  const { latches } = sources;
  const { changes, partitions, tables } = writes;
  if (changes.length === 0) return;
  const ids = tables.map(({ id }) => id);
  for (let wait = 0; wait < LATCH_WAITS_MAX; wait++) {
    // DDL that was asked for before COMMIT comes to its latches first.
    await latches.free(ids, partitions);
    try {
      await latches.whenFree(ids, partitions, () => {
        if (changes.length <= LARGE_COMMIT_ROWS) return overColdSmall(sources, writes, partitions);
        return latches.holdPartitions(partitions, () => overCold(sources, writes, partitions));
      });
      return;
    } catch (error) {
      // A partition without segments may get its first one just now.
      if (!(error instanceof Latched || error instanceof ColdRowsNeeded)) throw error;
    }
  }
  throw kalamError('CONFLICT', { reason: 'the tables of the transaction kept changing' });
}

/** Somebody else holds a latch: nothing was written, and it is tried again. */
class Latched extends Error {}

/** Looks up what the turn needs of the cold tier: what was cold at the snapshot may lie elsewhere by now, and what was hot may be cold. */
function overColdSmall(sources: CommitSources, writes: TransactionWrites, partitions: readonly PartitionId[]): Promise<void> {
  const { cold } = sources;
  if (cold === undefined || !partitions.some((partition) => cold.mayHave(partition))) return commitSmall(sources, writes, { partitions });
  return cold.writing(keysOf(writes), (found, latched) => commitSmall(sources, writes, { partitions, cold: found, latched }));
}

/** With the latches of its partitions held. */
function overCold(sources: CommitSources, writes: TransactionWrites, partitions: readonly PartitionId[]): Promise<void> {
  const { cold } = sources;
  if (cold === undefined || !partitions.some((partition) => cold.mayHave(partition))) return commitLarge(sources, writes, undefined);
  return cold.latched(keysOf(writes), (found) => commitLarge(sources, writes, found));
}

function keysOf({ changes }: TransactionWrites): readonly KeysOfPartition[] {
  const found = new Map<string, KeysOfPartition & { readonly keys: RowKey[] }>();
  for (const { table, partition, version } of changes) {
    const name = partitionName(partition);
    const known = found.get(name);
    if (known === undefined) found.set(name, { table, partition, keys: [version.key] });
    else known.keys.push(version.key);
  }
  return [...found.values()];
}

interface SmallCommit {
  readonly partitions: readonly PartitionId[];
  readonly cold?: LookedUp | undefined;
  /** The latches of the partitions are held. */
  readonly latched?: boolean | undefined;
}

function commitSmall(sources: CommitSources, writes: TransactionWrites, { partitions, cold, latched }: SmallCommit): Promise<void> {
  return sources.sequencer.submit(
    (draft) => {
      if (latched !== true && partitions.some((partition) => sources.latches.isPartitionHeld(partition))) throw new Latched();
      checkTables(sources, writes);
      finishSteps(write(draft, writes));
    },
    { cold, committed: sources.committed },
  );
}

/** With the latches of its partitions held; tables that it has only read may change until its turn. */
function commitLarge(sources: CommitSources, writes: TransactionWrites, cold: LookedUp | undefined): Promise<void> {
  const { sequencer, queries, committed } = sources;
  const check = (): void => checkTables(sources, writes);
  check();
  return sequencer.submitLarge((draft) => write(draft, writes), { run: (steps) => queries.run(steps), check, cold, committed });
}

/** Throws CONFLICT when a table is no longer what it was, Latched when DDL on one is under way. */
function checkTables({ latches, isCurrent }: CommitSources, { tables }: TransactionWrites): void {
  if (tables.some(({ id }) => latches.isHeld(id))) throw new Latched();
  const changed = tables.find((table) => !isCurrent(table));
  if (changed !== undefined) throw tableChanged(changed);
}

function* write(draft: Draft, { changes, snapshotSeq }: TransactionWrites): Steps<void> {
  for (const [index, { table, partition, version, base, bytes, upsert }] of changes.entries()) {
    const { key, cells, deleted } = version;
    const newest = draft.latest(table, partition, key);
    // A row that is gone without a trace was deleted, and its tombstone has expired since.
    const isGone = newest === undefined && isLive(base) && table.kind !== 'stream';
    if (isGone || (newest !== undefined && newest.seq > snapshotSeq)) {
      const taken = isLive(newest) && !isLive(base) && !deleted && !upsert;
      if (taken) throw kalamError('DUPLICATE_KEY', keyParameters(table, cells));
      const reason = `a row of table '${table.namespace}.${table.name}' was changed by another commit since the transaction began`;
      throw kalamError('CONFLICT', { reason });
    }
    draft.put(table, partition, { key, cells, deleted, bytes });
    if (index % STEP_ROWS === STEP_ROWS - 1) yield;
  }
}
