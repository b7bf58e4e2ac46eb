import type { KeyRange, LocalFile, Manifest, PartitionId, RowKey, Segment } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import type { RowVersion } from '../contract.ts';
import type { ColdRows } from '../partition/cold-rows.ts';

/** The cold rows of one partition at one watermark, as one version of its table shows them. */
export interface ColdPlace {
  readonly table: Table;
  readonly partition: PartitionId;
  readonly manifest: Manifest;
}

/** Which rows of the cold tier are wanted. */
export interface ColdScan {
  readonly keys?: KeyRange | undefined;
  /** Rows with a `_seq` above it only. */
  readonly afterSeq?: bigint | undefined;
  /** Rows with a `_seq` up to it only. */
  readonly throughSeq?: bigint | undefined;
  /** `_seq` instead of key order. */
  readonly order?: 'key' | 'seq' | undefined;
}

/** Keys to be looked up. */
export interface ColdLookup {
  readonly keys: Iterable<RowKey>;
  /** Asked of keys that a segment may hold: `true` leaves the key out, because the caller has a newer version. */
  skip(key: RowKey): boolean;
}

/**
 * Reads the rows of segments that the manifest does not mask, tombstones included, each with its place in `masks`. Whoever reads
 * holds a snapshot of the manifest's watermark meanwhile, so that no file goes away. Rejects with DAMAGED_DATA, QUERY_INTERRUPTED,
 * SHUTTING_DOWN and what the storage of the segments answers.
 */
export interface ColdReader {
  /** Looks keys up and puts what there is, or that there is nothing, into `into`; at once when no segment can hold one. */
  lookUp(place: ColdPlace, lookup: ColdLookup, into: ColdRows): undefined | Promise<void>;
  /** Rows in batches that are short to go through. */
  scan(place: ColdPlace, scan: ColdScan): AsyncIterable<readonly RowVersion[]>;
  /** Which of the segments may hold one of the keys, as far as their filters show. */
  mayHold(manifest: Manifest, segments: readonly Segment[], keys: readonly RowKey[]): Promise<readonly Segment[]>;
  /** The files of segments, in their order; all of them or none. Whoever gets them closes each. */
  openFiles(manifest: Manifest, segments: readonly Segment[]): Promise<readonly LocalFile[]>;
}
