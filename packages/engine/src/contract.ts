import type { DataType, KalamError, Row } from '@kalamdb/protocol';
import type { PartitionId, RowKey } from '@kalamdb/storage';

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

/** What one statement answered. Rows are in the order of `columns`. */
export type StatementResult =
  | { readonly kind: 'rows'; readonly columns: readonly ResultColumn[]; readonly rows: readonly Row[]; readonly asUser: string }
  | {
      readonly kind: 'message';
      readonly message: string;
      /** Affected rows; 0 for DDL. */
      readonly rowCount: number;
      /** Set for DML: the wire folds those results in batches (wire-protocol 3.9). */
      readonly dml: 'insert' | 'update' | 'delete' | undefined;
      readonly asUser: string;
    };

/** Raised by {@link Session.execute}: which statement failed, and why. Earlier statements of the request stay applied. */
export interface StatementFailure {
  /** 1-based. */
  readonly statement: number;
  readonly sql: string;
  readonly error: KalamError;
}
