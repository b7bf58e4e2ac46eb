import type { DataType, KalamError, Row } from '@kalamdb/protocol';
import type { ColdMask, PartitionId, RowKey } from '@kalamdb/storage';

/** Roles, lowest first. */
export type Role = 'anonymous' | 'user' | 'service' | 'dba' | 'system';

/** Who asks. Made by authentication (or by EXECUTE AS USER), never from request text. */
export interface Principal {
  readonly userId: string;
  readonly role: Role;
}

/** One version of one row, decoded. Immutable; shared between caches, readers and subscribers. */
export interface RowVersion {
  readonly key: RowKey;
  readonly seq: bigint;
  readonly createdSeq: bigint;
  readonly deleted: boolean;
  /** User columns in the order of the table version named by the ChangeSet or the reader. A tombstone keeps them. */
  readonly cells: Row;
  /**
   * The cold row that a version which takes the place of this one masks: of a version in the cold tier where it lies itself, of a hot
   * one what it has taken the place of.
   */
  readonly masks?: ColdMask | undefined;
}

/** One row of a commit with what it replaced. */
export interface RowChange extends RowVersion {
  /** The version before, tombstones included; `undefined` when the key was never written. */
  readonly previous: RowVersion | undefined;
}

/** The rows a commit writes into one partition, in `_seq` order. */
export interface PartitionChanges {
  readonly partition: PartitionId;
  readonly rows: readonly RowChange[];
}

/**
 * One commit: an immutable record that every observer reads (hot tier, caches, live queries, topics, catalog). Nothing
 * observes a write by any other road.
 */
export interface ChangeSet {
  /** The commit's name: its last `_seq`. */
  readonly seq: bigint;
  readonly parts: readonly PartitionChanges[];
  /** Approximate heap weight, for the bounds of tail and overlay. */
  readonly bytes: number;
}

/** A column of a result. */
export interface ResultColumn {
  readonly name: string;
  readonly type: DataType;
  /** The type that clients are told when it is not that of the cells. */
  readonly shownAs?: DataType;
  /** The cells are JSON that stands in an answer as it is, not as a text. */
  readonly isRawJson?: true;
  /** Out of `pk`, `nn`, `uq`, in that order; empty when none. */
  readonly flags: readonly ('pk' | 'nn' | 'uq')[];
}

/** The rows of one SELECT, in order, made while they are read. Whoever was handed one closes it on every path: it may hold a snapshot, a slot, a thread. */
export interface RowStream {
  readonly columns: readonly ResultColumn[];
  /** The next rows, in order and never empty; `undefined` at the end. One call at a time. Fails as the statement would have failed. */
  next(): Promise<readonly Row[] | undefined>;
  /** Ends it early; always allowed, more than once, also while a call of `next` is under way (which then fails or ends). */
  close(): Promise<void>;
}

/** The rows of a SELECT that are made while they are read; whoever gets it closes the stream. */
export interface StreamedResult {
  readonly kind: 'stream';
  readonly stream: RowStream;
  readonly asUser: string;
}

/** What one statement answered to a caller that takes long answers as streams. */
export type StatementAnswer = StatementResult | StreamedResult;

/** What one statement answered. Rows are in the order of `columns`. */
export type StatementResult =
  | {
      readonly kind: 'rows';
      readonly columns: readonly ResultColumn[];
      readonly rows: readonly Row[];
      readonly asUser: string;
      /** As below; of RETURNING. */
      readonly commit?: bigint;
    }
  | {
      readonly kind: 'message';
      readonly message: string;
      /** Affected rows; 0 for DDL. */
      readonly rowCount: number;
      /** Set for DML: the wire folds those results in batches (wire-protocol 3.9). */
      readonly dml: 'insert' | 'update' | 'delete' | undefined;
      readonly asUser: string;
      /** The commit that the statement has made, for sessions that want it named. */
      readonly commit?: bigint;
    };

/** Raised by {@link Session.execute}: which statement failed, and why. Earlier statements of the request stay applied. */
export interface StatementFailure {
  /** 1-based. */
  readonly statement: number;
  readonly sql: string;
  readonly error: KalamError;
}
