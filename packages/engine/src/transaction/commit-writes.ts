import { kalamError } from '@kalamdb/protocol';
import type { Table } from '../catalog/table.ts';
import type { Draft } from '../sequencer/draft.ts';
import type { LatchTable } from '../sequencer/latch-table.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import { keyParameters } from '../write/insert.ts';
import { isLive, type OwnWrite } from './own-writes.ts';

/** Times that COMMIT waits for DDL that began on one of its tables while it waited for its turn. */
const LATCH_WAITS_MAX = 10;

/** What a transaction wants to become. */
export interface TransactionWrites {
  /** In the order of the statements. */
  readonly changes: readonly OwnWrite[];
  /** Every table that it has read or written. */
  readonly tables: readonly Table[];
  /** What it has read at. */
  readonly snapshotSeq: bigint;
}

/** What {@link commitWrites} works with. */
export interface CommitSources {
  readonly sequencer: Sequencer;
  readonly latches: LatchTable;
  isCurrent(table: Table): boolean;
}

/** The error that a table of a transaction has got another definition, or is gone. */
export function tableChanged({ namespace, name }: Table): Error {
  return kalamError('CONFLICT', { reason: `table '${namespace}.${name}' was altered or dropped while the transaction was open` });
}

/**
 * Writes a transaction in one turn, as one commit: first committer wins. A transaction without changes has nothing to
 * check: it has read one snapshot. Throws CONFLICT when a row that it writes has a version above its snapshot or a table
 * has changed, DUPLICATE_KEY when that version holds a key that it inserts, and what the sequencer throws.
 */
export async function commitWrites(sources: CommitSources, writes: TransactionWrites): Promise<void> {
  if (writes.changes.length === 0) return;
  for (let wait = 0; wait < LATCH_WAITS_MAX; wait++) {
    for (const { id } of writes.tables) await sources.latches.free(id);
    if (await sources.sequencer.submit((draft) => tryWrite(draft, sources, writes))) return;
  }
  throw kalamError('CONFLICT', { reason: 'the tables of the transaction kept changing' });
}

/** Inside the turn; false when DDL on one of the tables is under way. */
function tryWrite(draft: Draft, { latches, isCurrent }: CommitSources, { changes, tables, snapshotSeq }: TransactionWrites): boolean {
  if (tables.some(({ id }) => latches.isHeld(id))) return false;
  const changed = tables.find((table) => !isCurrent(table));
  if (changed !== undefined) throw tableChanged(changed);
  for (const { table, partition, version, base, bytes } of changes) {
    const { key, cells, deleted } = version;
    const newest = draft.latest(table, partition, key);
    if (newest !== undefined && newest.seq > snapshotSeq) {
      const taken = isLive(newest) && !isLive(base) && !deleted;
      if (taken) throw kalamError('DUPLICATE_KEY', keyParameters(table, cells));
      const reason = `a row of table '${table.namespace}.${table.name}' was changed by another commit since the transaction began`;
      throw kalamError('CONFLICT', { reason });
    }
    draft.put(table, partition, { key, cells, deleted, bytes });
  }
  return true;
}
