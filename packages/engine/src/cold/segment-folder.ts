import { kalamError } from '@kalamdb/protocol';
import type { FileSystem } from '@kalamdb/storage';

/** Makes the folder that a segment is written in. Rejects with SEGMENT_WRITE_FAILED when the system refuses it. */
export async function makeSegmentFolder(files: FileSystem, path: string): Promise<void> {
  try {
    await files.makeDirectory(path);
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'it has no folder';
    throw kalamError('SEGMENT_WRITE_FAILED', { path, reason }, { cause: error });
  }
}
