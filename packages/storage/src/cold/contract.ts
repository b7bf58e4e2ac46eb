import type { DataType, Row } from '@kalamdb/protocol';
import type { KeyRange, RowKey } from '../contract.ts';

/**
 * The contracts of the cold tier. A *segment* is one immutable Parquet file with the versions of rows of one partition, sorted by
 * key; the *manifest* of a partition names its segments. Keys are unique among the rows of a manifest that are not masked, and
 * the `_seq` ranges of its segments are disjoint.
 */

/** A column of a segment: its name when the segment was written, and the id that it keeps when it is renamed. */
export interface SegmentColumn {
  readonly id: number;
  readonly name: string;
  readonly type: DataType;
}

/** How the rows of a segment are laid out: the stored columns of one version of the table's schema. */
export interface SegmentLayout {
  readonly schemaVersion: number;
  readonly columns: readonly SegmentColumn[];
  /** Positions in `columns` that make the key. */
  readonly keyIndexes: readonly number[];
}

/** One version of a row as a segment holds it. */
export interface SegmentRow {
  readonly key: RowKey;
  readonly seq: bigint;
  readonly createdSeq: bigint;
  readonly deleted: boolean;
  /** In the order of the layout's columns. A tombstone keeps the cells of the row it ended. */
  readonly cells: Row;
}

/** Where a cold row lies: the number of its segment in the manifest, and its 0-based row in the file. */
export interface ColdPosition {
  readonly segment: number;
  readonly row: number;
}

/** A row that was found in a segment. */
export interface ColdRow extends SegmentRow {
  readonly position: ColdPosition;
}

/** What is known of the cells of one column of a segment. */
export interface ColumnStats {
  /**
   * As a JSON value that `cellFromJson` takes, integers of 64 bits and decimals as texts; absent when every cell is NULL, the type has no order, or the
   * cell is a text of more than 64 units.
   */
  readonly min?: unknown;
  readonly max?: unknown;
  readonly nulls: number;
}

/** What a manifest says of one segment: plain JSON but for the `_seq`s, which are decimal texts there. */
export interface Segment {
  /** Never used again in the partition: the N of `batch-N.parquet`. */
  readonly number: number;
  /** The name of the object below the partition's folder. */
  readonly path: string;
  readonly schemaVersion: number;
  /** Rows of the file, tombstones and masked ones included. */
  readonly rows: number;
  readonly tombstones: number;
  readonly bytes: number;
  /** What its rows take in memory when they are written again, about. */
  readonly memoryBytes: number;
  /** CRC32C of the file, unsigned. */
  readonly checksum: number;
  readonly minSeq: bigint;
  readonly maxSeq: bigint;
  /** First and last key. */
  readonly minKey: RowKey;
  readonly maxKey: RowKey;
  readonly createdAtMillis: number;
  /** By column id; the key's columns are always there. */
  readonly stats: ReadonlyMap<number, ColumnStats>;
  /** The bloom filter over its keys, an object beside the file, with its bytes and CRC32C. */
  readonly bloom: { readonly path: string; readonly bytes: number; readonly checksum: number };
  /** Rows that newer versions of their keys have taken the place of; ascending, without repetition. */
  readonly masked: RowPositions;
  /** How many of the masked rows are tombstones. */
  readonly maskedTombstones: number;
}

/** A set of row positions in one segment. Immutable. */
export interface RowPositions {
  readonly size: number;
  has(row: number): boolean;
  /** Ascending. */
  [Symbol.iterator](): Iterator<number>;
}

/** The segments of one partition at one commit. Immutable. */
export interface Manifest {
  /** Rises by one with each change. */
  readonly version: number;
  /** Hot versions at or below it are dead: a segment holds them, or something newer has replaced them. */
  readonly flushedSeq: bigint;
  /** Highest `_seq` of a tombstone that has expired: a cursor below it cannot be resumed. */
  readonly expiredSeq: bigint;
  /** The number that the next segment gets. */
  readonly nextNumber: number;
  /** In `_seq` order. */
  readonly segments: readonly Segment[];
}

/** What a scan of a segment wants. */
export interface SegmentScan {
  readonly keys?: KeyRange | undefined;
  /** Rows with a `_seq` above it only. */
  readonly afterSeq?: bigint | undefined;
  /** `_seq` instead of key order. */
  readonly order?: 'key' | 'seq' | undefined;
  /** Positions in the layout's columns that are read; the others are NULL in the rows, but for those of the key. All unless given. */
  readonly columns?: readonly number[] | undefined;
}

/** A segment's file on this machine, whole and with the checksum of its manifest, for as long as it is not closed. */
export interface LocalFile {
  readonly path: string;
  close(): void;
}
