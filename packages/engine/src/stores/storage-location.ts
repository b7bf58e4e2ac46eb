import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { kalamError } from '@kalamdb/protocol';
import { readS3Settings } from '@kalamdb/storage';
import type { StorageRecord } from '../catalog/system-tables/storages.ts';

/** The folder of the storage `local` in the data directory. */
const LOCAL_FOLDER = 'storage';
const PATH_CHARS_MAX = 1_024;

/** The folder of the storage `local`. */
export function localStoragePath(dataDirectory: string): string {
  return join(dataDirectory, LOCAL_FOLDER);
}

/** The folder of a filesystem storage: relative paths begin beside the data directory, or where the process runs when there is none. */
export function storagePath(written: string, dataDirectory: string | undefined): string {
  return dataDirectory === undefined ? resolve(written) : resolve(dirname(resolve(dataDirectory)), written);
}

/** Refuses a description that no store can be opened with: INVALID_OPERATION says what is wrong, never a value of the credentials. */
export function checkLocation(record: StorageRecord, dataDirectory: string | undefined): void {
  const { type, baseDirectory, credentials, config } = record;
  if (type === 'filesystem') checkPath(baseDirectory, dataDirectory);
  else if (baseDirectory.trim() === '') throw refuse(`Storage of type ${type} requires a non-empty bucket`);
  else if (type === 's3') readS3Settings({ location: baseDirectory, credentials, config });
}

function checkPath(written: string, dataDirectory: string | undefined): void {
  if (written.trim() === '') throw refuse('Filesystem storage requires a non-empty base directory');
  if (/\p{Cc}|\p{Surrogate}/u.test(written) || written.length > PATH_CHARS_MAX) throw refuse('The base directory is not a path');
  if (dataDirectory === undefined) return;
  const path = storagePath(written, dataDirectory);
  const data = resolve(dataDirectory);
  if (isInside(path, data) || isInside(data, path)) {
    throw refuse('The base directory must neither lie in the data directory nor hold it');
  }
}

/** Whether a path is a folder or lies in it. */
export function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || !(isAbsolute(way) || way === '..' || way.startsWith(`..${sep}`));
}

function refuse(reason: string): Error {
  return kalamError('INVALID_OPERATION', { reason });
}
