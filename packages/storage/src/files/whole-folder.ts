import { join } from 'node:path';
import type { FileSystem } from './file-system.ts';
import { removeIfThere } from './whole-file.ts';

/** Removes a folder with everything in it; it may not be there. Cut short, it may be called again. */
export async function removeFolder(files: FileSystem, path: string): Promise<void> {
  for (const name of await files.list(path)) {
    const inside = join(path, name);
    const found = await files.stat(inside);
    if (found?.isDirectory === true) await removeFolder(files, inside);
    else await removeIfThere(files, inside);
  }
  await files.removeDirectory(path);
}
