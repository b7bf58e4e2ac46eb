import { join, resolve, sep } from 'node:path';
import { kalamError, type Random } from '@kalamdb/protocol';
import { type FileSystem, type ObjectStore, openFilesystemStore } from '@kalamdb/storage';
import { DEFAULT_STORAGE } from '../catalog/table-record.ts';
import { isInside, storagePath } from '../stores/storage-location.ts';
import type { StorageRegistry } from '../stores/storage-registry.ts';
import { CHUNK_FOLDER } from './backup-keys.ts';

const STORAGE_SCHEME = 'storage://';
const PLACE_CHARS_MAX = 1024;
/** Where no backup goes and none is read from: what belongs to the system. */
const PROTECTED_FOLDERS = ['/bin', '/boot', '/dev', '/etc', '/lib', '/lib64', '/proc', '/run', '/sbin', '/sys', '/usr'];
/** Where a filesystem store keeps objects until they are whole. */
const INCOMING = '.incoming';

/** Where a backup lies or is to lie. */
export type BackupTarget =
  | { readonly kind: 'folder'; readonly path: string }
  /** `folder` is empty or ends with a slash. */
  | { readonly kind: 'storage'; readonly storageId: string; readonly folder: string };

/** An open place of backups. */
export interface BackupPlace {
  /** As it was written, for texts. */
  readonly name: string;
  readonly store: ObjectStore;
  /** What the keys of this backup begin with: empty or with a slash at the end. */
  readonly prefix: string;
  close(): Promise<void>;
}

/** What places are opened with. */
export interface PlaceSources {
  /** Absent: folders only. */
  readonly stores: StorageRegistry | undefined;
  /** The data directory that is backed up or restored into. */
  readonly directory: string;
  /** The database's name among those that write to the same place. */
  readonly owner: string;
  readonly files: FileSystem;
  readonly random: Random;
}

/**
 * Reads `'dir'` or `'storage://id/folder'`. Relative paths begin beside the data directory. Throws BACKUP_PLACE_REFUSED for `..`, folders of the
 * system, the data directory and what holds it, and the storage `local`, which lies in it.
 */
export function backupTarget(written: string, directory: string): BackupTarget {
  const refuse = (reason: string): Error => kalamError('BACKUP_PLACE_REFUSED', { place: written.slice(0, 200), reason });
  if (written.trim() === '' || written.length > PLACE_CHARS_MAX || /\p{Cc}|\p{Surrogate}/u.test(written)) throw refuse('it is not a path');
  if (written.split(/[/\\]/).includes('..')) throw refuse("it must not contain '..'");
  if (written.startsWith(STORAGE_SCHEME)) return storageTarget(written.slice(STORAGE_SCHEME.length), refuse);
  if (/^\w+:\/\//.test(written)) throw refuse("of URLs only 'storage://id/folder' is known, with the id of a storage");
  const path = storagePath(written, directory);
  const data = resolve(directory);
  if (path === sep || PROTECTED_FOLDERS.some((folder) => isInside(path, folder))) throw refuse('it is a folder of the system');
  if (isInside(path, data) || isInside(data, path)) throw refuse('it must neither lie in the data directory nor hold it');
  return { kind: 'folder', path };
}

function storageTarget(rest: string, refuse: (reason: string) => Error): BackupTarget {
  const [storageId = '', ...parts] = rest.split('/');
  const folders = parts.filter((part) => part !== '');
  if (storageId === '') throw refuse('it names no storage');
  if (storageId === DEFAULT_STORAGE) throw refuse("the storage 'local' lies in the data directory");
  if (!folders.every((part) => /^[A-Za-z0-9_-]+$/.test(part))) throw refuse('the folder may hold letters, digits, _, - and / only');
  if (folders.length === 0) throw refuse('it names no folder of the storage');
  return { kind: 'storage', storageId, folder: `${folders.join('/')}/` };
}

/** What the objects of a backup begin with below its place. */
function scopeFolder(namespace: string | undefined): string {
  return namespace === undefined ? '' : `${namespace}/`;
}

/**
 * Opens a place. With `mustExist` a folder that is not there is BACKUP_DIRECTORY_MISSING instead of made. Rejects with STORAGE_NOT_FOUND and
 * what stores throw.
 */
export async function openPlace(
  written: string,
  options: { readonly namespace: string | undefined; readonly mustExist: boolean },
  sources: PlaceSources,
): Promise<BackupPlace> {
  const { stores, directory, owner, files, random } = sources;
  const target = backupTarget(written, directory);
  const scope = scopeFolder(options.namespace);
  if (target.kind === 'storage') {
    if (stores === undefined) throw kalamError('BACKUP_PLACE_REFUSED', { place: written, reason: 'there are no storages here' });
    return { name: written, store: await stores.store(target.storageId), prefix: target.folder + scope, close: async () => undefined };
  }
  const { path } = target;
  if (options.mustExist && (await files.stat(path))?.isDirectory !== true) {
    throw kalamError('BACKUP_DIRECTORY_MISSING', { place: written });
  }
  const store = await openFilesystemStore({ storage: written, root: path, files, random, owner: `${owner}.backup` });
  const close = async (): Promise<void> => {
    await store.close();
    // Nobody else writes under this name; what could not be removed is removed by the next opening.
    await files.removeDirectory(join(path, INCOMING, encodeURIComponent(`${owner}.backup`))).catch(() => false);
    await files.removeDirectory(join(path, INCOMING)).catch(() => false);
    const chunks = join(path, scope, CHUNK_FOLDER);
    for (const name of await files.list(chunks).catch(() => [])) await files.removeDirectory(join(chunks, name)).catch(() => false);
  };
  return { name: written, store, prefix: scope, close };
}
