import { Buffer } from 'node:buffer';
import type { Clock, Random } from '@kalamdb/protocol';
import { listAll } from '@kalamdb/storage';
import type { Sequencer } from '../sequencer/sequencer.ts';
import type { StorageRegistry } from '../stores/storage-registry.ts';
import { CHUNK_FOLDER, chunkKey, MANIFEST_KEY, SEGMENT_FOLDER, type SegmentFile } from './backup-keys.ts';
import {
  type BackedUpTable,
  type BackupChunk,
  type BackupManifest,
  type BackupStatistics,
  encodeBackupManifest,
  statisticsOf,
} from './backup-manifest.ts';
import type { BackupPlace } from './backup-place.ts';
import type { BackupThread } from './backup-thread.ts';
import { inParallel } from './in-parallel.ts';
import { BackupSource } from './read-backup.ts';

/** Chunks of rows, of 4 MiB each, that are written at the same time. */
const CHUNKS_WRITTEN_MAX = 3;
/** Segments that are copied at the same time. */
const COPIES_MAX = 2;
/** Objects that one call deletes. */
const DELETED_MAX = 500;

/** What a backup is taken with. */
export interface BackupSources {
  readonly sequencer: Pick<Sequencer, 'flush' | 'snapshots'>;
  readonly stores: StorageRegistry;
  readonly thread: BackupThread;
  readonly clock: Clock;
  readonly random: Random;
  readonly incarnation: string;
}

/** What is to be backed up. */
export interface BackupOrder {
  readonly place: BackupPlace;
  /** Absent: the whole database. */
  readonly namespace: string | undefined;
  /** Copies of segments that the place has already are used again; otherwise they are written anew. */
  readonly incremental: boolean;
}

/** What a running job is told and tells. */
export interface Run {
  readonly signal: AbortSignal;
  progress(text: string): void;
}

/** What a backup came to. */
export interface BackupOutcome extends BackupStatistics {
  readonly seq: bigint;
  /** Bytes of segments that were copied; the others were there. */
  readonly copiedBytes: number;
}

/**
 * Takes a backup: the hot tier as it is at one commit, at or behind everything that was committed before the call, and the segments that it
 * names, which nobody deletes meanwhile. It takes the place of the one that was there when everything else is on the disk. Cut short it
 * leaves that one as it was; what it has written is removed by the next one.
 */
export async function takeBackup(sources: BackupSources, order: BackupOrder, run: Run): Promise<BackupOutcome> {
  const { place, namespace } = order;
  const release = sources.sequencer.snapshots.keepFiles();
  const backupId = Buffer.from(sources.random.bytes(8)).toString('hex');
  const copies = new Copies(sources.stores, order, run);
  try {
    await sources.sequencer.flush();
    const read = await copyRows({ thread: sources.thread, order, backupId, run });
    await inParallel(read.files, COPIES_MAX, (file) => copies.copy(file));
    run.signal.throwIfAborted();
    const { seq, tables, chunks } = read;
    const manifest: BackupManifest = {
      namespace,
      seq,
      incarnation: sources.incarnation,
      createdAtMillis: sources.clock.now(),
      tables,
      chunks,
    };
    await place.store.put(place.prefix + MANIFEST_KEY, { bytes: encodeBackupManifest(manifest) });
    const needed = new Set([...chunks.map(({ key }) => key), ...read.files.map(({ copy }) => copy)]);
    await removeOthers(place, needed);
    return { ...statisticsOf(manifest), seq, copiedBytes: copies.bytes };
  } catch (error) {
    // Where this fails too, the next backup does it.
    await removeHalf(place).catch(() => undefined);
    throw error;
  } finally {
    release();
  }
}

interface RowCopy {
  readonly thread: BackupThread;
  readonly order: BackupOrder;
  readonly backupId: string;
  readonly run: Run;
}

interface CopiedRows {
  readonly seq: bigint;
  readonly tables: readonly BackedUpTable[];
  readonly chunks: readonly BackupChunk[];
  readonly files: readonly SegmentFile[];
}

/** While chunks are written the thread makes the next one. */
async function copyRows({ thread, order, backupId, run }: RowCopy): Promise<CopiedRows> {
  const { place, namespace } = order;
  const seq = await thread.open(namespace);
  const chunks: BackupChunk[] = [];
  const files: SegmentFile[] = [];
  const writing: Promise<void>[] = [];
  let rows = 0;
  let coming = thread.next();
  try {
    for (;;) {
      const found = await coming;
      if ('tables' in found) {
        await Promise.all(writing);
        return { seq, tables: found.tables, chunks, files };
      }
      run.signal.throwIfAborted();
      coming = thread.next();
      // Whoever fails below does not wait for it.
      coming.catch(() => undefined);
      if (writing.length >= CHUNKS_WRITTEN_MAX) await writing.shift();
      const { bytes, files: named, ...chunk } = found.chunk;
      const key = chunkKey(backupId, chunks.length);
      const put = place.store.put(place.prefix + key, { bytes }, { signal: run.signal });
      put.catch(() => undefined); // told where it is waited for
      writing.push(put);
      chunks.push({ key, ...chunk, bytes: bytes.byteLength });
      files.push(...named);
      rows += chunk.rows;
      run.progress(`${rows} rows copied`);
    }
  } finally {
    // What comes to its end later would not be found by whoever removes half a backup.
    await Promise.allSettled(writing);
  }
}

/** Copies segments into the place. */
class Copies {
  readonly #stores: StorageRegistry;
  readonly #order: BackupOrder;
  readonly #run: Run;
  bytes = 0;

  constructor(stores: StorageRegistry, order: BackupOrder, run: Run) {
    this.#stores = stores;
    this.#order = order;
    this.#run = run;
  }

  async copy(file: SegmentFile): Promise<void> {
    const { signal } = this.#run;
    signal.throwIfAborted();
    const { store, prefix } = this.#order.place;
    const key = prefix + file.copy;
    if (this.#order.incremental && (await store.stat(key, { signal }))?.bytes === file.bytes) return;
    // Opening it holds it against its checksum.
    const local = await this.#stores.openSegment({ storageId: file.storageId, key: file.folder + file.path }, file, { signal });
    try {
      await store.put(key, { file: local.path }, { signal });
    } finally {
      local.close();
    }
    this.bytes += file.bytes;
    this.#run.progress(`${this.bytes} bytes of segments copied`);
  }
}

/** Removes what earlier backups, whole and half ones, have left in the place. */
async function removeOthers({ store, prefix }: BackupPlace, needed: ReadonlySet<string>): Promise<void> {
  for (const folder of [CHUNK_FOLDER, SEGMENT_FOLDER]) {
    const doomed: string[] = [];
    for await (const { key } of listAll(store, prefix + folder)) if (!needed.has(key.slice(prefix.length))) doomed.push(key);
    for (let at = 0; at < doomed.length; at += DELETED_MAX) await store.delete(doomed.slice(at, at + DELETED_MAX));
  }
}

/** After a backup that failed: removes what it has written, as far as the backup that was there does not need it. */
async function removeHalf(place: BackupPlace): Promise<void> {
  const whole = await BackupSource.find(place);
  const needed = new Set<string>();
  if (whole !== undefined) {
    for (const { key } of whole.manifest.chunks) needed.add(key);
    for (const { copy } of (await whole.catalog()).files()) needed.add(copy);
  }
  await removeOthers(place, needed);
}
