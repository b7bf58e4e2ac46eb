import type { Clock, Timers } from '@kalamdb/protocol';
import type { BoundSubscription, EvalContext, TableInfo } from '@kalamdb/sql';
import type { PartitionId } from '@kalamdb/storage';
import type { ChangeSet, Principal, RowVersion } from '../contract.ts';
import type { Turns } from './turns.ts';

/** Rows that are read or replayed before other work gets a turn of the event loop, unless set otherwise. */
export const SLICE_ROWS_MAX = 2000;

/** One partition at one watermark, as live queries read it. */
export interface LiveRows {
  /**
   * Rows whose newest version is above `afterSeq`, in `_seq` order, tombstones included. Returns `undefined` at the end of the partition, and
   * otherwise up to where it came: what follows must be read ahead first.
   */
  scanBySeq(afterSeq: bigint): Generator<RowVersion, bigint | undefined>;
}

/** Reads ahead what lies in segments, for one reader of one partition. */
export interface LiveAhead {
  /** Reads what comes after `afterSeq`; `undefined` when nothing has to be read. */
  read(afterSeq: bigint): Promise<void> | undefined;
  close(): void;
}

/** Everything at one watermark. It is opened, read and closed within one synchronous turn, so that no load holds one. */
export interface LiveSnapshot {
  readonly seq: bigint;
  /** The rows of a partition; `ahead` is the reader's own. */
  view(table: TableInfo, partition: PartitionId, ahead: LiveAhead): LiveRows;
  close(): void;
}

/** The commit order as live queries follow it; the sequencer is one. */
export interface CommitFeed {
  readonly watermark: bigint;
  observe(listener: (change: ChangeSet) => void): () => void;
  /** The commits above `afterSeq`, oldest first, all or at most so many; `undefined` when some of them are not kept any more. */
  tail(afterSeq: bigint, commitsMax?: number): readonly ChangeSet[] | undefined;
}

/** What a principal may see of one table. */
export interface LiveGrant {
  readonly partition: PartitionId;
  /** Positions in `cells` that read as `***`, for filters too. */
  readonly maskedCells: readonly number[];
}

/** A row by its key. */
export interface NamedRow {
  readonly table: TableInfo;
  readonly partition: PartitionId;
  /** Literals of SQL, one for each key column. */
  readonly key: readonly string[];
  /** Who asks. */
  readonly principal: Principal;
}

/** All that live queries need from the rest of the engine. */
export interface LiveSources {
  readonly commits: CommitFeed;
  readonly clock: Clock;
  readonly timers: Timers;
  /** What works in slices waits here between two of them. */
  readonly turns: Turns;
  /** Rows that one slice of work reads or replays; default {@link SLICE_ROWS_MAX}. */
  readonly sliceRowsMax?: number | undefined;
  /** The newest commit at or below the watermark that is in the log: events of streams are not, so another start knows nothing of theirs. */
  loggedSeq(): bigint;
  /** A view at the present watermark. */
  snapshot(): LiveSnapshot;
  /**
   * The newest version of a row, tombstones included. Rejects with INVALID_INPUT when the literals are no key of the table, and with what reading
   * segments rejects with.
   */
  newest(row: NamedRow): Promise<RowVersion | undefined>;
  /** Whoever gets one closes it. */
  ahead(table: TableInfo, partition: PartitionId): LiveAhead;
  /** Binds a subscription's text; throws the errors of wire-protocol 4.5. `windows`: it may have ORDER BY and LIMIT. */
  bind(sql: string, allowed: { readonly windows: boolean }): BoundSubscription;
  /** Answers what `principal` may read of the table, or throws why it may not. */
  grant(principal: Principal, table: TableInfo): LiveGrant;
  /**
   * The highest `_seq` of which the partition has forgotten something (an expired tombstone or stream event): the index
   * cannot serve a cursor below it. 0n when nothing was ever forgotten.
   */
  horizon(table: TableInfo, partition: PartitionId): bigint;
  /** The commit that made the newest version of the table, 0n for its first: decoded rows of older commits have other cells. */
  sinceSeq(table: TableInfo): bigint;
  /** Clients that stand below it have seen a table of the same name that is gone: this one came from a backup. 0n for all others. */
  restoredSeq(table: TableInfo): bigint;
  /** Resolves when readers see the commit; `undefined`: they do. Throws or rejects with COMMIT_UNKNOWN and COMMIT_NOT_REACHED. */
  reached(seq: bigint): Promise<void> | undefined;
  /** Whether a client that stands at `seq` may have seen commits that were lost in a power cut. */
  isLost(seq: bigint): boolean;
  /** What filters of this principal read; the time in it is replaced by the time of each evaluation. */
  context(principal: Principal): EvalContext;
}
