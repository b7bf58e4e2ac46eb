import { join } from 'node:path';
import { KalamError, kalamError, systemClock, systemRandom, systemTimers } from '@kalamdb/protocol';
import {
  bytesChecksum,
  decodeManifest,
  type FileChecksum,
  type FileSystem,
  fileChecksum,
  hasSystemCode,
  listAll,
  openS3Store,
  readS3Settings,
  segmentNames,
  type VerifiedPart,
} from '@kalamdb/storage';
import type { ManifestRecord } from '../catalog/system-tables/manifests.ts';
import type { StorageRecord } from '../catalog/system-tables/storages.ts';
import { DEFAULT_STORAGE } from '../catalog/table-record.ts';
import { localStoragePath, storagePath } from '../stores/storage-location.ts';

/** What is wrong that is told one by one; the rest is counted. */
const FAILURES_MAX = 100;
/** Bytes that are read at once of an object that lies elsewhere. */
const RANGE_BYTES: number = 4 * 1024 * 1024;

/** What a database says of its segments. */
export interface SegmentClaims {
  /** The data directory. */
  readonly directory: string;
  readonly manifests: readonly ManifestRecord[];
  readonly storages: ReadonlyMap<string, StorageRecord>;
}

/** The objects of one storage, read without changing anything, its root included. */
interface Objects {
  /** `undefined` when there is no such object. */
  checksum(key: string, bytes: number): Promise<FileChecksum | undefined>;
  /** Keys below a folder. */
  list(folder: string): Promise<readonly string[]>;
  close(): Promise<void>;
}

interface Findings {
  readonly failures: KalamError[];
  readonly partitions: Set<string>;
  segments: number;
  bytes: number;
  /** Files that no manifest names. They take room and are never read. */
  strays: number;
}

/** Reads every segment and bloom filter that a manifest names, wherever it lies, and answers what was found. Nothing is changed. */
export async function verifySegments(claims: SegmentClaims, files: FileSystem): Promise<readonly VerifiedPart[]> {
  const findings: Findings = { failures: [], partitions: new Set(), segments: 0, bytes: 0, strays: 0 };
  const byStorage = new Map<string, ManifestRecord[]>();
  for (const record of claims.manifests) byStorage.set(record.storageId, [...(byStorage.get(record.storageId) ?? []), record]);
  for (const [storageId, records] of byStorage) {
    await noted(findings, async () => {
      const objects = openObjects(claims, storageId, files);
      try {
        for (const record of records) await verifyPartition(findings, record, objects);
      } finally {
        await objects.close();
      }
    });
  }
  return partsOf(findings, claims.manifests.length);
}

function partsOf({ failures, segments, bytes, strays }: Findings, partitions: number): readonly VerifiedPart[] {
  if (failures.length === 0) {
    const strayText = strays === 0 ? '' : `; ${strays} files that no manifest names`;
    const text = `${segments} segments with ${bytes} bytes in ${partitions} partitions are as they were written${strayText}`;
    return [{ part: 'cold tier', text, failure: undefined }];
  }
  const told = failures.slice(0, FAILURES_MAX).map((failure): VerifiedPart => ({ part: 'cold tier', text: failure.message, failure }));
  const last = failures[FAILURES_MAX];
  const rest = failures.length - FAILURES_MAX;
  return last === undefined ? told : [...told, { part: 'cold tier', text: `${rest} further objects are damaged`, failure: last }];
}

/** Notes what is damaged, and a storage that cannot be read as a whole. */
async function noted(findings: Findings, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof KalamError)) throw error;
    findings.failures.push(error);
  }
}

async function verifyPartition(findings: Findings, record: ManifestRecord, objects: Objects): Promise<void> {
  const { storageId, folder, tableId, owner } = record;
  const place = `${storageId}\n${folder}`;
  const where = `the manifest of table ${tableId}, owner '${owner}'`;
  await noted(findings, async () => {
    if (findings.partitions.has(place)) {
      throw kalamError('DAMAGED_DATA', { where, reason: `its folder '${folder}' of storage '${storageId}' is another partition's too` });
    }
    findings.partitions.add(place);
    const { segments } = decodeManifest(record.text, where);
    const known = new Set(pendingNames(record).map((name) => folder + name));
    for (const { path, bloom, ...segment } of segments) {
      for (const file of [
        { key: folder + path, bytes: segment.bytes, checksum: segment.checksum },
        { key: folder + bloom.path, bytes: bloom.bytes, checksum: bloom.checksum },
      ]) {
        known.add(file.key);
        await verifyObject(findings, { ...file, storageId, objects });
      }
      findings.segments += 1;
      findings.bytes += segment.bytes;
    }
    findings.strays += (await objects.list(folder)).filter((key) => !known.has(key)).length;
  });
}

/** Files beside those of the segments: the copy of the manifest, and what a flush or a compaction may have left. */
function pendingNames({ pending, dropped }: ManifestRecord): readonly string[] {
  const numbers = pending === undefined ? dropped : [...dropped, pending];
  return ['manifest.json', ...numbers.flatMap((number) => Object.values(segmentNames(number)))];
}

/** What is wrong with one object keeps nobody from looking at the next; a storage that does not answer does. */
async function verifyObject(
  findings: Findings,
  { key, storageId, objects, ...expected }: FileChecksum & { readonly key: string; readonly storageId: string; readonly objects: Objects },
): Promise<void> {
  const found = await objects.checksum(key, expected.bytes);
  const damaged = (reason: string): void => {
    findings.failures.push(kalamError('DAMAGED_DATA', { where: `object '${key}' of storage '${storageId}'`, reason }));
  };
  if (found === undefined) damaged('it is missing');
  else if (found.bytes !== expected.bytes) damaged(`it has ${found.bytes} bytes instead of ${expected.bytes}`);
  else if (found.checksum !== expected.checksum >>> 0) damaged('it does not match its checksum');
}

function openObjects({ directory, storages }: SegmentClaims, storageId: string, files: FileSystem): Objects {
  const record = storages.get(storageId);
  if (record === undefined) throw kalamError('STORAGE_NOT_FOUND', { storage: storageId });
  if (record.type === 'filesystem') {
    return folderObjects(storageId === DEFAULT_STORAGE ? localStoragePath(directory) : storagePath(record.baseDirectory, directory), files);
  }
  if (record.type === 's3') return bucketObjects(record, files);
  throw kalamError('NOT_IMPLEMENTED', { what: `storage of type ${record.type}` });
}

function folderObjects(root: string, files: FileSystem): Objects {
  return {
    checksum: async (key) => {
      try {
        return await fileChecksum(files, join(root, key));
      } catch (error) {
        if (hasSystemCode(error, 'ENOENT') || hasSystemCode(error, 'ENOTDIR')) return undefined;
        throw error;
      }
    },
    // Nothing but the partition's files lies in its folder.
    list: async (folder) => (await files.list(join(root, folder))).map((name) => folder + name),
    close: () => Promise.resolve(),
  };
}

function bucketObjects({ storageId: storage, baseDirectory: location, credentials, config }: StorageRecord, files: FileSystem): Objects {
  const settings = readS3Settings({ location, credentials, config });
  const store = openS3Store({ storage, settings, files, clock: systemClock, timers: systemTimers, random: systemRandom });
  return {
    checksum: async (key) => {
      const found = await store.stat(key);
      if (found === undefined) return undefined;
      let checksum = 0;
      for (let start = 0; start < found.bytes; start += RANGE_BYTES) {
        checksum = bytesChecksum(await store.readRange(key, { start, bytes: Math.min(RANGE_BYTES, found.bytes - start) }), checksum);
      }
      return { bytes: found.bytes, checksum };
    },
    list: async (folder) => {
      const keys: string[] = [];
      for await (const { key } of listAll(store, folder)) keys.push(key);
      return keys;
    },
    close: () => store.close(),
  };
}
