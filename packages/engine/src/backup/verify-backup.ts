import type { FileSystem, ObjectStore } from '@kalamdb/storage';
import { bytesChecksum, fileChecksum } from '@kalamdb/storage';
import type { SegmentFile } from './backup-keys.ts';
import type { BackupThread } from './backup-thread.ts';
import type { BackupSource } from './read-backup.ts';
import type { Run } from './take-backup.ts';

/** Bytes that are read at once of an object that lies elsewhere. */
const RANGE_BYTES: number = 4 * 1024 * 1024;

/** What a backup was found to hold. */
export interface VerifiedBackup {
  readonly rows: number;
  readonly segments: number;
  readonly bytes: number;
}

/** Reads all of a backup and holds it against its checksums and numbers. Throws BACKUP_DAMAGED. */
export async function verifyBackup(
  source: BackupSource,
  { thread, files, run }: { readonly thread: BackupThread; readonly files: FileSystem; readonly run: Run },
): Promise<VerifiedBackup> {
  const catalog = await source.catalog();
  let [rows, segments, bytes] = [0, 0, 0];
  for await (const chunk of source.rows(thread, { wanted: false })) {
    run.signal.throwIfAborted();
    rows += chunk.rows;
    run.progress(`${rows} rows read`);
  }
  for (const { bytes: chunkBytes } of source.manifest.chunks) bytes += chunkBytes;
  for (const file of catalog.files()) {
    run.signal.throwIfAborted();
    await checkFile(source, file, files);
    segments += file.copy.endsWith('.parquet') ? 1 : 0;
    bytes += file.bytes;
    run.progress(`${bytes} bytes read`);
  }
  return { rows, segments, bytes };
}

/** Holds the copy of a segment's object against its size and checksum. */
export async function checkFile(source: BackupSource, file: SegmentFile, files: FileSystem): Promise<void> {
  const { store, prefix } = source.place;
  const key = prefix + file.copy;
  if ((await store.stat(key))?.bytes !== file.bytes) throw source.damaged(`'${file.copy}' is missing or has another size`);
  const path = store.localPath(key);
  const checksum = path === undefined ? await remoteChecksum(store, key, file.bytes) : (await fileChecksum(files, path)).checksum;
  if (checksum !== file.checksum) throw source.damaged(`'${file.copy}' does not match its checksum`);
}

async function remoteChecksum(store: ObjectStore, key: string, bytes: number): Promise<number> {
  let checksum = 0;
  for (let start = 0; start < bytes; start += RANGE_BYTES) {
    checksum = bytesChecksum(await store.readRange(key, { start, bytes: Math.min(RANGE_BYTES, bytes - start) }), checksum);
  }
  return checksum;
}
