import type { PartitionId, RowKey } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import type { RowVersion } from '../contract.ts';
import type { OpenSource } from '../read/select-steps.ts';
import type { DraftWrite } from '../sequencer/draft.ts';

/** What a write sees and changes, synchronously: the turn of a commit, or a transaction. */
export interface RowWriter {
  /** The newest version of a row that this writer may see, tombstones and its own writes included. */
  latest(table: Table, partition: PartitionId, key: RowKey): RowVersion | undefined;
  /** Writes a version; `key` may be left out only for tables without a key. */
  put(table: Table, partition: PartitionId, write: DraftWrite): RowVersion;
}

/** Where a writing statement takes effect: at once as a commit of its own, or in an open transaction. */
export interface WriteTarget {
  /** What a statement reads. Whoever opens one closes it, on every path. */
  open(): OpenSource;
  /**
   * Runs `work` when DDL on the table is not under way. What `work` throws leaves nothing of it behind. Throws StalePlan
   * when the table is no longer the one the statement was planned for.
   */
  write<T>(table: Table, work: (writer: RowWriter) => T): Promise<T>;
}
