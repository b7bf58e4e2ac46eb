/**
 * The contracts of the storage layer. It knows bytes, partitions and order; it knows neither columns nor SQL.
 * Every contract has a file and a memory implementation behind it and one conformance suite that runs against both.
 */

/**
 * A row's key inside its partition: the order-preserving encoding of its key columns as a *binary string* (one char per
 * byte, 0x00–0xFF), so that JavaScript's `<` on strings is the byte order and a `Map` can be keyed by it.
 */
export type RowKey = string & { readonly __brand: 'RowKey' };

/** `(table, owner)`: the unit of isolation. `owner` is a user id for USER and user-scoped STREAM tables, empty otherwise. */
export interface PartitionId {
  /** 1 … 2^32-1, never reused. Ids below 1,000 belong to system tables. */
  readonly tableId: number;
  readonly owner: string;
}

/** The cold row that a hot version has taken the place of. A mask of a segment that its partition's manifest does not name any more says nothing. */
export interface ColdMask {
  /** The number of its segment, 0 … 2^32-1. */
  readonly segment: number;
  /** Its 0-based place in the segment's file, 0 … 2^31-1. */
  readonly row: number;
  /** Whether the cold row is a tombstone. */
  readonly deleted: boolean;
}

/** The newest version of a row as the hot tier keeps it. */
export interface StoredRow {
  readonly key: RowKey;
  /** `_seq` of this version. */
  readonly seq: bigint;
  /** `_seq` of the version that began this row's life (an insert over a tombstone inherits it). */
  readonly createdSeq: bigint;
  readonly deleted: boolean;
  /** The encoded cells (protocol's row codec). A tombstone keeps the columns of the row it ended. */
  readonly bytes: Uint8Array;
  /** Set when a segment holds an older version of the row. */
  readonly masks?: ColdMask | undefined;
}

/** One row of a commit: the new version, and the `_seq` of the version it replaces (0n: none), which leaves the seq index. */
export interface CommitRow extends StoredRow {
  readonly replacedSeq: bigint;
}

/** The rows that one commit writes into one partition. */
export interface CommitPart {
  readonly partition: PartitionId;
  readonly rows: readonly CommitRow[];
}

/**
 * One commit as the log and the hot tier see it. Its name is its last `_seq`; a commit without rows does not exist.
 * `encodeCommit`/`decodeCommit` (log/commit-codec.ts) turn it into the payload of a log record and back.
 */
export interface Commit {
  readonly seq: bigint;
  readonly parts: readonly CommitPart[];
}

/** When a group counts as written: `sync` = on the disk, `relaxed` = with the operating system, synced within 200 ms. */
export type Durability = 'sync' | 'relaxed';

/** One record handed to the log: the commit's name and its encoded payload. */
export interface LogEntry {
  readonly seq: bigint;
  readonly payload: Uint8Array;
}

/** Records of the log as they lie in its files (`encodeRecords`, log/log-format.ts), in order and checked. */
export interface RecordBlock {
  /** Alone in its memory: whoever takes the block may hand that to another thread. */
  readonly bytes: Uint8Array;
  /** Name of the last record. */
  readonly lastSeq: bigint;
}

/**
 * The commit log: the truth about what is not yet in the hot tier.
 *
 * Contract: `append` calls are made one at a time (the sequencer awaits each); the entries of one call become durable
 * together or, after an error, not at all: when `append` rejects with LOG_WRITE_FAILED, none of its entries will ever be
 * replayed. When it rejects with COMMIT_OUTCOME_UNKNOWN the log is read-only until it is opened again. Names rise strictly.
 */
export interface CommitLog {
  /** Name of the last entry in the log or, if there is none, the point it was opened at. */
  readonly lastSeq: bigint;
  /** Name of the last entry that is on the disk; below `lastSeq` only after `relaxed` appends. */
  readonly syncedSeq: bigint;
  /** The database's incarnation: 16 random bytes as hex, made when the log was created. */
  readonly incarnation: string;
  /** Makes the entries durable as `durability` says, in order. An entry is at most 32 MiB. */
  append(entries: readonly LogEntry[], durability: Durability): Promise<void>;
  /** Resolves when everything appended so far is on the disk. The hot tier never holds what the log could still lose. */
  sync(): Promise<void>;
  /** Entries with a name above `afterSeq`, in order, as found when the log was opened. Call before the first `append`. */
  replay(afterSeq: bigint): AsyncIterable<LogEntry>;
  /** Says that the hot tier holds everything up to `seq`; files wholly at or below it may be recycled. */
  release(seq: bigint): void;
  close(): Promise<void>;
}

/** Bounds of a scan over the keys of one partition. Absent = open. */
export interface KeyRange {
  /** First key that may be given. */
  readonly from?: RowKey | undefined;
  /** Keys from here on are not given. */
  readonly before?: RowKey | undefined;
  readonly reverse?: boolean | undefined;
}

/**
 * A read transaction on the hot tier at its applied point. Everything is synchronous. It stays valid until closed;
 * whoever takes one closes it. Iterators must be finished or abandoned before `close`.
 */
export interface HotSnapshot {
  /** A: the name of the last commit that this view contains (0n: empty). */
  readonly appliedSeq: bigint;
  /** The newest version of a row, tombstones included; `undefined` when the key was never written. */
  get(partition: PartitionId, key: RowKey): StoredRow | undefined;
  /** Rows of a partition in key order, tombstones included. */
  scan(partition: PartitionId, range?: KeyRange): IterableIterator<StoredRow>;
  /** Rows of a partition whose `_seq` is above `afterSeq`, in `_seq` order, tombstones included. */
  scanBySeq(partition: PartitionId, afterSeq: bigint): IterableIterator<StoredRow>;
  /** Owners that have rows (tombstones included) in a table, in order. */
  owners(tableId: number): IterableIterator<string>;
  close(): void;
}

/** Rows of a partition that a segment holds. */
export interface FlushedRows {
  readonly partition: PartitionId;
  /** All rows with a `_seq` at or below it. */
  readonly throughSeq: bigint;
}

/** Tombstones that have been kept long enough. */
export interface ExpiredTombstones {
  readonly partition: PartitionId;
  /** Under which keys they lie, and their `_seq`s: whatever else lies there by now stays. */
  readonly rows: readonly { readonly key: RowKey; readonly seq: bigint }[];
}

/** What one step of a purge removed. */
export interface PurgedRows {
  /** Rows that were not tombstones. */
  readonly rows: number;
  /** Bytes of the keys and values, tombstones included. */
  readonly bytes: number;
  /** Whether rows are left. */
  readonly more: boolean;
}

/**
 * The hot tier: the newest version of each row, an index by `_seq`, and the applied point. Its only writer is the applier
 * behind `apply` and `purge`; calls are carried out one after another in call order.
 */
export interface HotStore {
  /** The applied point of the newest durable batch. */
  readonly appliedSeq: bigint;
  /** A view of the newest durable batch. */
  snapshot(): HotSnapshot;
  /**
   * Applies whole commits, given as log payloads in order, in one durable transaction that also stores the new applied
   * point. Resolves when `appliedSeq` has moved. An error leaves the store as it was; the caller may try again.
   */
  apply(entries: readonly LogEntry[]): Promise<void>;
  /** Removes at most `rowsMax` rows of a dropped table, tombstones included. */
  purge(tableId: number, rowsMax: number): Promise<PurgedRows>;
  /** Removes at most `rowsMax` rows of a partition whose `_seq` is at or below `throughSeq`, tombstones included: a segment holds them. */
  purgeFlushed(flushed: FlushedRows, rowsMax: number): Promise<PurgedRows>;
  /** Removes tombstones, all in one step: no more than a few thousand at a time. */
  purgeTombstones(expired: ExpiredTombstones): Promise<PurgedRows>;
  /**
   * Writes rows beside the log, in one durable transaction that leaves the applied point where it is: a restore does so with partitions
   * that nobody can read yet. `payload` is an encoded commit of rows that replace nothing; its name says nothing.
   */
  load(payload: Uint8Array): Promise<void>;
  close(): Promise<void>;
}
