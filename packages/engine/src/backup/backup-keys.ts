import { createHash } from 'node:crypto';
import type { PartitionId, Segment } from '@kalamdb/storage';

/** The object that makes a backup one. */
export const MANIFEST_KEY = 'manifest.json';
/** Chunks of all backups that were begun in a place, each in a folder of its own. No namespace has a dash in its name. */
export const CHUNK_FOLDER = 'hot-rows/';
/** Copies of segments, which later backups use too. */
export const SEGMENT_FOLDER = 'cold-segments/';
const OWNER_HASH_DIGITS = 32;
const DIGITS = 6;

/** The key of a chunk. */
export function chunkKey(backupId: string, number: number): string {
  return `${CHUNK_FOLDER}${backupId}/${String(number).padStart(DIGITS, '0')}`;
}

/** An object of the cold tier, and where its copy lies in a backup. */
export interface SegmentFile {
  readonly tableId: number;
  readonly owner: string;
  /** Of the partition's segments: where they lie in the database. */
  readonly storageId: string;
  readonly folder: string;
  /** The object's name below that folder. */
  readonly path: string;
  /** Key of the copy, below the folder of the backup. Different contents have different keys. */
  readonly copy: string;
  readonly bytes: number;
  readonly checksum: number;
}

/** The two objects of a segment: its file and its bloom filter. */
export function segmentFiles(
  place: PartitionId & { readonly storageId: string; readonly folder: string },
  segment: Segment,
): readonly SegmentFile[] {
  const { tableId, owner, storageId, folder } = place;
  const { number, maxSeq, path, bytes, checksum, bloom } = segment;
  const hash = createHash('sha256').update(owner).digest('hex').slice(0, OWNER_HASH_DIGITS);
  const name = `${SEGMENT_FOLDER}${tableId}/${hash}/${number}-${maxSeq}`;
  const copyOf = (sum: number, ending: string): string => `${name}-${sum.toString(16).padStart(8, '0')}.${ending}`;
  const common = { tableId, owner, storageId, folder };
  return [
    { ...common, path, copy: copyOf(checksum, 'parquet'), bytes, checksum },
    { ...common, path: bloom.path, copy: copyOf(bloom.checksum, 'bloom'), bytes: bloom.bytes, checksum: bloom.checksum },
  ];
}
