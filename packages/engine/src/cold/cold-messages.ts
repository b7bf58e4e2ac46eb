import { type Cell, ERRORS, type ErrorCode, KalamError, kalamError } from '@kalamdb/protocol';
import type { ColdPosition, ColdRow, PackedKeysImage, PartitionId, RowKey, Segment } from '@kalamdb/storage';
import type { RowVersion } from '../contract.ts';
import type { ColdScan } from './cold-reader.ts';

/** What a cold thread is started with. */
export interface ColdStart {
  /** The hot tier's folder. */
  readonly hotPath: string;
  /** Memory that DuckDB may use for each folder with segments. */
  readonly memoryBytesMax: number;
}

/** A table on its way to the thread. */
export interface SentTable {
  readonly id: number;
  readonly version: number;
  /** Its `TableSpec`, serialized: read when the thread does not know the version yet. */
  readonly spec: Uint8Array;
}

/** What the thread must know of a segment: masked rows are left out by whoever asked. */
export interface SentSegment {
  readonly segment: Omit<Segment, 'stats' | 'masked' | 'maskedTombstones'>;
  /** Where its file lies. */
  readonly path: string;
  /** A folder above the file, from which DuckDB may read. */
  readonly root: string;
}

/** A segment and the keys to look up in it. */
export interface SentLookup extends SentSegment {
  readonly keys: readonly RowKey[];
}

/** Which rows of the hot tier become a segment, and where it is to be written. */
export interface FlushOrder {
  readonly table: SentTable;
  readonly partition: PartitionId;
  readonly afterSeq: bigint;
  readonly throughSeq: bigint;
  readonly rowsMax: number;
  /** Bytes of encoded rows after which no more are taken. */
  readonly bytesMax: number;
  readonly number: number;
  /** Where it is written: a folder of its own below `root`. */
  readonly directory: string;
  readonly root: string;
  readonly createdAtMillis: number;
}

/** Neighbours among the segments of a partition that become one, and where it is to be written. */
export interface CompactOrder {
  readonly table: SentTable;
  readonly partition: PartitionId;
  /** The present one of the manifest. */
  readonly flushedSeq: bigint;
  readonly segments: readonly MergedSegment[];
  readonly number: number;
  /** Where it is written: a folder of its own below `root`. */
  readonly directory: string;
  readonly root: string;
  readonly createdAtMillis: number;
}

/** A segment that becomes part of another one. */
export interface MergedSegment extends SentSegment {
  /** The rows that the manifest masks, as `encodePositions` has them. */
  readonly masked: string;
  /** Its tombstones up to here are left out. */
  readonly expiredThroughSeq: bigint;
}

/** A segment that was written and that nobody knows of. */
export interface NewSegment {
  readonly segment: Omit<Segment, 'masked'>;
  /** Of its rows, in order. */
  readonly keys: PackedKeysImage;
  /** A bit for each row that is a tombstone. */
  readonly tombstones: Uint8Array;
  readonly path: string;
  readonly bloomPath: string;
}

/** What segments have become. */
export interface MergedSegments {
  /** `undefined`: no row is left. */
  readonly merged: NewSegment | undefined;
  /** Rows that were read. */
  readonly rows: number;
  /** Tombstones that were left out, and the highest `_seq` of one; 0n: of none. */
  readonly expired: number;
  readonly expiredSeq: bigint;
}

/** A segment with rows of the hot tier. */
export interface FlushedSegment extends NewSegment {
  /** The masks of the rows that were flushed: segment and row in turns. */
  readonly masks: Uint32Array;
  /** Of the same, a byte for each: whether the cold row is a tombstone. */
  readonly maskedTombstones: Uint8Array;
  /** Whether more rows were there than were taken. */
  readonly more: boolean;
}

/** What is sent to the thread. A scan goes on with `next` until its answer has no rows, or ends with `end`. */
export type ColdCall =
  | { readonly kind: 'look-up'; readonly id: number; readonly table: SentTable; readonly segments: readonly SentLookup[] }
  | {
      readonly kind: 'scan';
      readonly id: number;
      readonly table: SentTable;
      readonly segments: readonly SentSegment[];
      readonly scan: ColdScan;
    }
  | { readonly kind: 'next'; readonly id: number }
  | { readonly kind: 'end'; readonly id: number }
  | { readonly kind: 'flush'; readonly id: number; readonly order: FlushOrder }
  | { readonly kind: 'compact'; readonly id: number; readonly order: CompactOrder }
  | { readonly kind: 'close' };

/** What the thread answers: `rows` are serialized pieces of a few hundred rows each. */
export type ColdAnswer =
  | { readonly kind: 'rows'; readonly id: number; readonly pieces: readonly Uint8Array[] }
  | { readonly kind: 'flushed'; readonly id: number; readonly flushed: FlushedSegment | undefined }
  | { readonly kind: 'compacted'; readonly id: number; readonly segments: MergedSegments }
  | { readonly kind: 'failed'; readonly id: number; readonly code: string; readonly message: string };

/** A cold row as it is sent. */
export type SentRow = readonly [RowKey, bigint, bigint, boolean, number, number, ...Cell[]];

/** Makes a row sendable, its cells those of the newest version of the table. */
export function sentRow({ key, seq, createdSeq, deleted, position }: ColdRow, cells: readonly Cell[]): SentRow {
  return [key, seq, createdSeq, deleted, position.segment, position.row, ...cells];
}

/** The row that was sent. */
export function receivedRow([key, seq, createdSeq, deleted, segment, row, ...cells]: SentRow): RowVersion & {
  readonly masks: ColdPosition;
} {
  return { key, seq, createdSeq, deleted, cells, masks: { segment, row, deleted } };
}

/** An error as the thread sends it. */
export function failedAnswer(id: number, error: unknown): ColdAnswer {
  const { code, message } = error instanceof KalamError ? error : kalamError('INTERNAL_ERROR', { reason: String(error) });
  return { kind: 'failed', id, code, message };
}

/** The error that was sent. */
export function receivedFailure({ code, message }: Extract<ColdAnswer, { kind: 'failed' }>): KalamError {
  return isErrorCode(code) ? new KalamError(code, message) : kalamError('INTERNAL_ERROR', { reason: message });
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERRORS, code);
