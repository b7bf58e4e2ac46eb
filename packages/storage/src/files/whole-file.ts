import { dirname } from 'node:path';
import { kalamError } from '@kalamdb/protocol';
import { type FileSystem, hasSystemCode, type OpenFile } from './file-system.ts';

/** Writes all of `source`, with as many calls as it takes. */
export async function writeFully(file: OpenFile, source: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < source.length; ) {
    const bytes = await file.write(source.subarray(done), position + done);
    if (bytes === 0) throw kalamError('INTERNAL_ERROR', { reason: 'the system wrote nothing' });
    done += bytes;
  }
}

/** Removes a file that may not be there. */
export async function removeIfThere(files: FileSystem, path: string): Promise<void> {
  try {
    await files.remove(path);
  } catch (error) {
    if (!hasSystemCode(error, 'ENOENT')) throw error;
  }
}

/** Makes a new file with this content and syncs it; its name is not durable before the directory is. A file of that name is replaced. */
export async function writeNewFile(files: FileSystem, path: string, content: Uint8Array): Promise<void> {
  await removeIfThere(files, path);
  const file = await files.open(path, 'create');
  try {
    await writeFully(file, content, 0);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Replaces a file as a whole: whoever reads it, also after a power cut, sees the old content or the new one, never a part.
 * Resolves when the new content is durable.
 */
export async function publishFile(files: FileSystem, path: string, content: Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  await writeNewFile(files, temporary, content);
  await files.rename(temporary, path);
  await files.syncDirectory(dirname(path));
}
