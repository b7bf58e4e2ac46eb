import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import { crc32c } from '@node-rs/crc32';
import type { FileSystem } from '../files/file-system.ts';

/** Bytes that are read at a time. */
const BLOCK_BYTES = 1024 * 1024;

/** What a manifest says of a file as a whole. */
export interface FileSum {
  readonly bytes: number;
  /** CRC32C, unsigned. */
  readonly checksum: number;
}

/** Size and checksum of a file. With `sync` it is on the disk when this resolves. */
export async function sumFile(files: FileSystem, path: string, { sync }: { readonly sync: boolean }): Promise<FileSum> {
  const file = await files.open(path, sync ? 'write' : 'read');
  try {
    if (sync) await file.sync();
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    let bytes = 0;
    let checksum = 0;
    for (;;) {
      const read = await file.read(block, bytes);
      if (read === 0) return { bytes, checksum };
      checksum = crc32c(block.subarray(0, read), checksum);
      bytes += read;
    }
  } finally {
    await file.close();
  }
}

/**
 * Holds the file of a segment, or of its bloom filter, against the manifest. Nothing else tells damaged cells from others: Parquet as it is written here
 * has no checksums of its own. Throws DAMAGED_DATA naming `name`.
 */
export async function checkSegmentFile(
  files: FileSystem,
  path: string,
  { name, expected }: { readonly name: string; readonly expected: FileSum },
): Promise<void> {
  const found = await sumFile(files, path, { sync: false });
  const damaged = (reason: string): Error => kalamError('DAMAGED_DATA', { where: `the segment file ${name}`, reason });
  if (found.bytes !== expected.bytes) throw damaged(`it has ${found.bytes} bytes instead of ${expected.bytes}`);
  if (found.checksum !== expected.checksum) throw damaged('it does not match its checksum');
}
