import { Buffer } from 'node:buffer';
import { join } from 'node:path';
import { kalamError, type Random, type Timers } from '@kalamdb/protocol';
import {
  type CommitPart,
  type CommitRow,
  checkStoreFile,
  encodeCommit,
  type FileSystem,
  type LmdbStore,
  makeEmptyLog,
  openDataDirectory,
  openedBy,
  openFilesystemStore,
  openLmdbStore,
  openRestoreFolder,
  type RestoreFolder,
  takeOverRestored,
} from '@kalamdb/storage';
import { MANIFESTS, manifestRepository } from '../catalog/system-tables/manifests.ts';
import { STORAGES, type StorageRecord, storageRepository } from '../catalog/system-tables/storages.ts';
import { DEFAULT_STORAGE } from '../catalog/table-record.ts';
import { localStoragePath } from '../stores/storage-location.ts';
import { openPlace } from './backup-place.ts';
import { BackupThread } from './backup-thread.ts';
import { inParallel } from './in-parallel.ts';
import { type BackedUpCatalog, BackupSource } from './read-backup.ts';
import type { Run } from './take-backup.ts';
import { checkFile } from './verify-backup.ts';

/** Segments that are copied at the same time. */
const COPIES_MAX = 2;

/** What a data directory is put together with. */
export interface DirectoryRestore {
  readonly source: BackupSource;
  /** The data directory that it becomes; it is locked by this process. */
  readonly directory: string;
  readonly thread: BackupThread;
  readonly files: FileSystem;
  readonly random: Random;
  readonly timers: Timers;
  /** What the database that it takes the place of knows of storages: backups hold no credentials. */
  readonly storage?: ((storageId: string) => StorageRecord | undefined) | undefined;
}

/** What a restore came to. */
export interface RestoredFigures {
  readonly rows: number;
  readonly segments: number;
  readonly seq: bigint;
}

/**
 * Puts a data directory together beside the one in use, checks all of it, and has it take over at the next opening. All segments come into the
 * storage `local`, wherever they lay. Throws BACKUP_DAMAGED and what stores and disks throw; nothing is left then, and nothing was replaced.
 */
export async function prepareDirectory(restore: DirectoryRestore, run: Run): Promise<RestoredFigures> {
  const { source, directory, files, random } = restore;
  if (source.manifest.namespace !== undefined) {
    throw kalamError('RESTORE_REFUSED', {
      reason: `the backup holds the namespace '${source.manifest.namespace}' only; restore it by its name`,
    });
  }
  const catalog = await source.catalog();
  const folder = await openRestoreFolder(files, directory);
  try {
    const rows = await loadRows(restore, { folder, run });
    const segments = await copySegments(restore, { catalog, folder, run });
    // Damage that came on the way, of rows or of the disk, is found here.
    await checkStoreFile(files, join(folder.hotPath, 'data.mdb'), Number.POSITIVE_INFINITY);
    run.signal.throwIfAborted();
    await folder.publish(Buffer.from(random.bytes(8)).toString('hex'));
    return { rows, segments, seq: source.manifest.seq };
  } catch (error) {
    // Where this fails too, the next opening does it.
    await folder.discard().catch(() => undefined);
    throw error;
  }
}

interface Target {
  readonly catalog: BackedUpCatalog;
  readonly folder: RestoreFolder;
  readonly run: Run;
}

async function loadRows(restore: DirectoryRestore, { folder, run }: Omit<Target, 'catalog'>): Promise<number> {
  const { source, thread, files, random, timers } = restore;
  await files.makeDirectory(folder.hotPath);
  const hot = await openLmdbStore({ path: folder.hotPath, random, timers });
  try {
    let rows = 0;
    for await (const chunk of source.rows(thread, { wanted: true })) {
      run.signal.throwIfAborted();
      if (chunk.bytes !== undefined) await hot.load(chunk.bytes);
      rows += chunk.rows;
      run.progress(`${rows} rows restored`);
    }
    await loadCatalog(hot, restore);
    await makeEmptyLog({ directory: folder.logPath, incarnation: hot.incarnation, startSeq: hot.appliedSeq, files, random });
    return rows;
  } finally {
    await hot.close();
  }
}

/** The last batch moves the applied point to the backup's commit. */
async function loadCatalog(hot: LmdbStore, restore: DirectoryRestore): Promise<void> {
  const { seq } = restore.source.manifest;
  for await (const { parts } of restore.source.catalogChunks()) {
    await hot.load(encodeCommit({ seq, parts: parts.map((part) => rewritten(part, restore)) }));
  }
  await hot.apply([{ seq, payload: encodeCommit({ seq, parts: [] }) }]);
  if (hot.appliedSeq !== seq)
    throw kalamError('INTERNAL_ERROR', { reason: `the restored rows end at ${hot.appliedSeq} instead of ${seq}` });
}

/** Storages and manifests say where something lies: that is another place now. */
function rewritten(part: CommitPart, restore: DirectoryRestore): CommitPart {
  const { tableId } = part.partition;
  if (tableId === STORAGES.id) return { ...part, rows: part.rows.map((row) => ({ ...row, bytes: storageBytes(restore, row) })) };
  if (tableId === MANIFESTS.id) return { ...part, rows: part.rows.map((row) => ({ ...row, bytes: manifestBytes(row) })) };
  return part;
}

/** Credentials come from the database that is replaced, where it has the same storage. */
function storageBytes({ storage, directory }: DirectoryRestore, row: CommitRow): Uint8Array {
  const record = storageRepository.read({ cells: STORAGES.codec.decode(row.bytes) });
  const known = storage?.(record.storageId);
  const isSame = known?.type === record.type && known.baseDirectory === record.baseDirectory;
  const baseDirectory = record.storageId === DEFAULT_STORAGE ? localStoragePath(directory) : record.baseDirectory;
  const credentials = isSame && !row.deleted ? known.credentials : undefined;
  return STORAGES.codec.encode(storageRepository.toRow({ ...record, baseDirectory, credentials }));
}

function manifestBytes(row: CommitRow): Uint8Array {
  const record = manifestRepository.read({ cells: MANIFESTS.codec.decode(row.bytes) });
  return MANIFESTS.codec.encode(manifestRepository.toRow({ ...record, storageId: DEFAULT_STORAGE, pending: undefined, dropped: [] }));
}

async function copySegments({ source, files, random }: DirectoryRestore, { catalog, folder, run }: Target): Promise<number> {
  const store = await openFilesystemStore({ storage: DEFAULT_STORAGE, root: folder.storagePath, files, random, owner: 'restore' });
  let [segments, bytes] = [0, 0];
  try {
    await inParallel([...catalog.files()], COPIES_MAX, async (file) => {
      run.signal.throwIfAborted();
      await checkFile(source, file, files);
      const { place } = source;
      const local = place.store.localPath(place.prefix + file.copy);
      const path = local ?? join(folder.path, `copy-${segments}-${file.path.replaceAll('/', '-')}-${file.tableId}`);
      if (local === undefined) await place.store.download(place.prefix + file.copy, path);
      await store.put(file.folder + file.path, { file: path, take: local === undefined });
      segments += file.copy.endsWith('.parquet') ? 1 : 0;
      bytes += file.bytes;
      run.progress(`${bytes} bytes of segments restored`);
    });
  } finally {
    await store.close();
  }
  return segments;
}

/** What {@link restoreDirectory} needs. */
export interface RestoreOptions {
  /** The folder of a backup of a whole database. */
  readonly from: string;
  /** The data directory that is to be made; nothing may lie in it. */
  readonly directory: string;
  readonly files: FileSystem;
  readonly random: Random;
  readonly timers: Timers;
}

const NOBODY: Run = { signal: new AbortController().signal, progress: () => undefined };

/**
 * Makes a data directory from a backup, without a server. Throws RESTORE_REFUSED when something lies there, DIRECTORY_LOCKED, BACKUP_MISSING,
 * BACKUP_DAMAGED, and STORAGE_UNAVAILABLE when the system refuses a file; the directory has no data then.
 */
export function restoreDirectory({ from, directory, files, random, timers }: RestoreOptions): Promise<RestoredFigures> {
  return openedBy(directory, async () => {
    for (const name of ['hot', 'log']) {
      if ((await files.stat(join(directory, name))) === undefined) continue;
      throw kalamError('RESTORE_REFUSED', { reason: `'${directory}' holds data already` });
    }
    const owner = `restore-${Buffer.from(random.bytes(8)).toString('hex')}`;
    const place = await openPlace(from, { namespace: undefined, mustExist: true }, { stores: undefined, directory, owner, files, random });
    const thread = new BackupThread(undefined, timers);
    try {
      const source = await BackupSource.find(place);
      if (source === undefined) throw kalamError('BACKUP_MISSING', { what: 'a whole database', place: from });
      const opened = await openDataDirectory(directory, files);
      try {
        const figures = await prepareDirectory({ source, directory, thread, files, random, timers }, NOBODY);
        const before = await takeOverRestored(files, directory);
        if (before !== undefined) await files.removeDirectory(before);
        return figures;
      } finally {
        await opened.close();
      }
    } finally {
      await thread.close();
      await place.close();
    }
  });
}
