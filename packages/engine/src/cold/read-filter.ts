import { KalamError, kalamError } from '@kalamdb/protocol';
import { bytesChecksum, decodeBloom, type ObjectStore, type Segment, type SegmentFilter } from '@kalamdb/storage';
import type { StoragePlace } from '../stores/storage-registry.ts';

/** Bytes of a bloom filter that are read at most. */
const BLOOM_BYTES_MAX: number = 16 * 1024 * 1024;

/**
 * Reads the bloom filter of a segment. Throws DAMAGED_DATA naming an object that is missing or not the one that the manifest means, and what
 * the store answers.
 */
export async function readFilter(store: ObjectStore, place: StoragePlace, { bloom }: Pick<Segment, 'bloom'>): Promise<SegmentFilter> {
  const key = place.folder + bloom.path;
  const where = `object '${key}' of storage '${place.storageId}'`;
  const bytes = await store.get(key, { bytesMax: Math.min(bloom.bytes, BLOOM_BYTES_MAX) }).catch((error: unknown) => {
    const reason = error instanceof KalamError ? REASONS.get(error.code) : undefined;
    throw reason === undefined ? error : kalamError('DAMAGED_DATA', { where, reason }, { cause: error });
  });
  // A filter of other keys would hide rows.
  if (bytesChecksum(bytes) !== bloom.checksum >>> 0) throw kalamError('DAMAGED_DATA', { where, reason: 'it does not match its checksum' });
  return decodeBloom(bytes, where);
}

/** What a store's refusal says of an object that a manifest names. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ['OBJECT_NOT_FOUND', 'it is missing'],
  ['OBJECT_TOO_LARGE', 'it is larger than it should be'],
]);
