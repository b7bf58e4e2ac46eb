import { crc32c } from '@node-rs/crc32';
import type { FileSystem } from '../files/file-system.ts';
import { fileChunks } from './copy-file.ts';

/** Size and CRC32C (unsigned) of a file. */
export interface FileChecksum {
  readonly bytes: number;
  readonly checksum: number;
}

/** CRC32C (unsigned) of bytes, going on with that of what is before them. */
export function bytesChecksum(bytes: Uint8Array, before = 0): number {
  return crc32c(bytes, before) >>> 0;
}

/** Reads a file in pieces of 1 MiB; `signal` ends it between two. */
export async function fileChecksum(files: FileSystem, path: string, signal?: AbortSignal): Promise<FileChecksum> {
  let bytes = 0;
  let checksum = 0;
  for await (const chunk of fileChunks(files, path, () => signal?.throwIfAborted())) {
    checksum = crc32c(chunk, checksum);
    bytes += chunk.length;
  }
  return { bytes, checksum: checksum >>> 0 };
}
