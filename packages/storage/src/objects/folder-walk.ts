import { join } from 'node:path';
import { type FileSystem, hasSystemCode } from '../files/file-system.ts';
import type { ObjectStat } from './contract.ts';
import { compareKeys } from './object-key.ts';

/** Which keys a walk gives. */
interface WalkRange {
  readonly prefix: string;
  /** Only keys behind it. */
  readonly after: string | undefined;
}

/** The files below `root` as objects, in the order of their keys; folders that hold none of the range are not opened. */
export async function* walkFolder(files: FileSystem, root: string, { prefix, after }: WalkRange): AsyncGenerator<ObjectStat> {
  yield* below(prefix.slice(0, prefix.lastIndexOf('/') + 1));

  async function* below(folder: string): AsyncGenerator<ObjectStat> {
    const entries: { readonly key: string; readonly bytes: number | undefined }[] = [];
    for (const name of await namesIn(files, join(root, folder))) {
      const key = `${folder}${name}`;
      if (name.startsWith('.') || !(key.startsWith(prefix) || prefix.startsWith(`${key}/`))) continue;
      const found = await files.stat(join(root, key));
      if (found !== undefined) entries.push(found.isDirectory ? { key: `${key}/`, bytes: undefined } : { key, bytes: found.bytes });
    }
    entries.sort((a, b) => compareKeys(a.key, b.key));
    for (const { key, bytes } of entries) {
      const isBehind = after === undefined || compareKeys(key, after) > 0;
      if (bytes !== undefined) {
        if (isBehind) yield { key, bytes };
      } else if (isBehind || after.startsWith(key)) yield* below(key);
    }
  }
}

async function namesIn(files: FileSystem, folder: string): Promise<readonly string[]> {
  try {
    return await files.list(folder);
  } catch (error) {
    if (hasSystemCode(error, 'ENOTDIR')) return [];
    throw error;
  }
}
