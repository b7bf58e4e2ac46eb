import { Buffer } from 'node:buffer';
import { join } from 'node:path';
import { kalamError } from '@kalamdb/protocol';
import type { FileSystem } from './file-system.ts';
import { publishFile, removeIfThere } from './whole-file.ts';
import { removeFolder } from './whole-folder.ts';

/** The folder in a data directory where a restore puts its data together; its parts have the names that they will have beside it. */
const RESTORE_FOLDER = 'restore';
/** Says that the folder is whole and takes the place of the data at the next opening. */
const RESTORE_MARKER = 'restore.json';
const REPLACED_PREFIX = 'replaced-';
/** What a restore replaces. Secrets stay: they belong to the place, not to the data. */
const REPLACED_PARTS = ['hot', 'log', 'storage', 'flush', 'spool', 'segment-cache'] as const;

type Phase = 'out' | 'in';

/** A data directory that is put together beside the one in use. */
export interface RestoreFolder {
  readonly path: string;
  readonly hotPath: string;
  readonly logPath: string;
  /** The folder of the storage `local`. */
  readonly storagePath: string;
  /**
   * From here on it takes the place of the data when the directory is opened next, whatever happens in between. What was there goes to
   * the folder `replaced-` and `id`, which is made of `[a-z0-9-]`.
   */
  publish(id: string): Promise<void>;
  /** Gives it up, also when {@link publish} has failed: what it may have published by then takes no place any more. */
  discard(): Promise<void>;
}

/** Begins anew with an empty folder in a data directory that this process has locked; what an earlier restore prepared is given up. */
export async function openRestoreFolder(files: FileSystem, directory: string): Promise<RestoreFolder> {
  const path = join(directory, RESTORE_FOLDER);
  const marker = join(directory, RESTORE_MARKER);
  const discard = async (): Promise<void> => {
    await removeIfThere(files, marker);
    await files.syncDirectory(directory);
    await removeFolder(files, path);
  };
  await discard();
  await files.makeDirectory(path);
  return {
    path,
    hotPath: join(path, 'hot'),
    logPath: join(path, 'log'),
    storagePath: join(path, 'storage'),
    publish: async (id) => {
      await syncTree(files, path);
      await files.syncDirectory(directory);
      await publishMarker(files, directory, { id, phase: 'out' });
    },
    discard,
  };
}

/**
 * Carries out what a restore has published, and answers the folder with what was there before; `undefined` when there is nothing to do. Cut
 * short at any point, the next call goes on. What a restore has left that was not published is removed.
 */
export async function takeOverRestored(files: FileSystem, directory: string): Promise<string | undefined> {
  const marker = readMarker(files, directory);
  const restored = join(directory, RESTORE_FOLDER);
  if (marker === undefined) {
    if ((await files.stat(restored)) !== undefined) {
      await removeIfThere(files, `${join(directory, RESTORE_MARKER)}.new`);
      await removeFolder(files, restored);
    }
    return undefined;
  }
  const { id } = marker;
  const replaced = join(directory, REPLACED_PREFIX + id);
  if (marker.phase === 'out') {
    await files.makeDirectory(replaced);
    await moveParts(files, directory, replaced);
    // What lies in the directory from here on is new.
    await publishMarker(files, directory, { id, phase: 'in' });
  }
  if ((await files.stat(restored)) !== undefined) {
    await moveParts(files, restored, directory);
    await removeFolder(files, restored);
  }
  await removeIfThere(files, join(directory, RESTORE_MARKER));
  await files.syncDirectory(directory);
  return replaced;
}

async function moveParts(files: FileSystem, from: string, to: string): Promise<void> {
  for (const name of REPLACED_PARTS) {
    if ((await files.stat(join(from, name))) !== undefined) await files.rename(join(from, name), join(to, name));
  }
  await files.syncDirectory(to);
  await files.syncDirectory(from);
}

function publishMarker(files: FileSystem, directory: string, marker: { readonly id: string; readonly phase: Phase }): Promise<void> {
  return publishFile(files, join(directory, RESTORE_MARKER), Buffer.from(`${JSON.stringify(marker)}\n`));
}

function readMarker(files: FileSystem, directory: string): { readonly id: string; readonly phase: Phase } | undefined {
  const path = join(directory, RESTORE_MARKER);
  const content = files.readSync(path);
  if (content === undefined) return undefined;
  const [, id, phase] = /^\{"id":"([a-z0-9-]+)","phase":"(out|in)"\}\s*$/.exec(Buffer.from(content).toString('latin1')) ?? [];
  if (id === undefined || (phase !== 'out' && phase !== 'in'))
    throw kalamError('DAMAGED_DATA', { where: path, reason: 'it is no marker of a restore' });
  return { id, phase };
}

/** Makes the names in a folder and below it durable. */
async function syncTree(files: FileSystem, path: string): Promise<void> {
  for (const name of await files.list(path)) {
    if ((await files.stat(join(path, name)))?.isDirectory === true) await syncTree(files, join(path, name));
  }
  await files.syncDirectory(path);
}
