import type { PartitionId, RowKey } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import type { RowVersion } from '../contract.ts';
import type { ColdRows } from '../partition/cold-rows.ts';
import type { OpenSource } from '../read/select-steps.ts';
import type { DraftWrite } from '../sequencer/draft.ts';
import type { Steps } from '../slices/steps.ts';

/** What a write sees and changes: the turn of a commit, a large commit that is prepared, or a transaction. */
export interface RowWriter {
  /** The newest version of a row that this writer may see, tombstones and its own writes included. */
  latest(table: Table, partition: PartitionId, key: RowKey): RowVersion | undefined;
  /** Writes a version; `key` may be left out only for tables without a key. */
  put(table: Table, partition: PartitionId, write: DraftWrite): RowVersion;
}

/** What a statement is going to write. */
export interface WriteSize {
  readonly table: Table;
  readonly partition: PartitionId;
  /** Rows at most: many are written in slices. */
  readonly rowsMax: number;
  /** UTF-16 units of the texts in those rows, as far as they are known: long ones are written in slices too. */
  readonly textUnits?: number | undefined;
  /** The keys of the rows that it may look at or write; absent only for tables without a key. */
  readonly keys?: readonly RowKey[] | undefined;
  /** What it has read of them from the cold tier. */
  readonly known?: ColdRows | undefined;
}

/** What statements with a row set of the general executor have met since the database was opened. */
export interface RaceCounts {
  /** Row sets that were computed again because a row had changed. */
  lost: number;
  /** Statements that latched their partition in the end. */
  latched: number;
}

/** Where a writing statement takes effect: at once as a commit of its own, or in an open transaction. */
export interface WriteTarget {
  /** What a statement reads. Whoever opens one closes it, on every path. */
  open(): OpenSource;
  /**
   * Runs `work`, which writes each key once, when DDL on the table and large commits of the partition are not under way: in one
   * turn, or in slices during which nobody else writes there. What `work` throws leaves nothing of it behind. Throws StalePlan
   * when the table is no longer the one the statement was planned for, and WRITES_BUSY.
   */
  write<T>(size: WriteSize, work: (writer: RowWriter) => Steps<T>): Promise<T>;
  /**
   * Runs a statement, which reads and writes through the target that it is given, while nobody else writes to the partition and all that was
   * written there before can be read. Throws WRITES_BUSY.
   */
  alone<T>(partition: PartitionId, statement: (target: WriteTarget) => Promise<T>): Promise<T>;
}
