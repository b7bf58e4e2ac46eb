import { Buffer } from 'node:buffer';
import { dirname, join } from 'node:path';
import { kalamError, type Random } from '@kalamdb/protocol';
import { type FileSpace, type FileSystem, hasSystemCode, type OpenFile } from '../files/file-system.ts';
import { removeIfThere } from '../files/whole-file.ts';
import {
  type ByteRange,
  type CallOptions,
  type GetOptions,
  type ListOptions,
  type ObjectPage,
  type ObjectSource,
  type ObjectStat,
  type ObjectStore,
  PAGE_OBJECTS_MAX,
  type PutOptions,
} from './contract.ts';
import { fileChunks, readFully, writeChunks } from './copy-file.ts';
import { walkFolder } from './folder-walk.ts';
import { checkObjectKey, checkObjectPrefix } from './object-key.ts';
import { storeFailure } from './system-failure.ts';

/** Folders that are known to be on the disk; when there are more, all are forgotten and synced again. */
const KNOWN_FOLDERS_MAX = 10_000;
/** How often an object is put into a folder that somebody removes at the same time. */
const FOLDER_TRIES_MAX = 16;
/** Where objects lie until they are whole. No key begins with a dot. */
const INCOMING = '.incoming';

/** What a store in a folder is made of. */
export interface FilesystemStoreOptions {
  /** The storage's id. */
  readonly storage: string;
  /** The folder of the objects; it is made when it is missing. */
  readonly root: string;
  readonly files: FileSystem;
  readonly random: Random;
  /** Who writes here. What an earlier store of the same owner left half written is removed; what others write is left alone. */
  readonly owner: string;
}

/**
 * Opens a store whose objects are files below a folder. An object is written beside the others, synced, given its name and its
 * folder synced; folders that become empty are removed. There must be no other open store of the same owner.
 */
export async function openFilesystemStore(options: FilesystemStoreOptions): Promise<ObjectStore> {
  const store = new FilesystemStore(options);
  await store.open();
  return store;
}

class FilesystemStore implements ObjectStore {
  readonly storage: string;
  readonly #root: string;
  readonly #files: FileSystem;
  readonly #random: Random;
  readonly #incoming: string;
  readonly #known = new Set<string>();
  #closed = false;

  constructor({ storage, root, files, random, owner }: FilesystemStoreOptions) {
    this.storage = storage;
    this.#root = root;
    this.#files = files;
    this.#random = random;
    this.#incoming = join(root, INCOMING, encodeURIComponent(owner));
  }

  async open(): Promise<void> {
    await this.#calling({}, async () => {
      await this.#files.makeDirectory(this.#incoming);
      for (const name of await this.#files.list(this.#incoming)) await removeIfThere(this.#files, join(this.#incoming, name));
    });
  }

  put(key: string, source: ObjectSource, options: PutOptions = {}): Promise<void> {
    checkObjectKey(key);
    return this.#calling(options, async (check) => {
      if ('file' in source && source.take === true && (await this.#takeOver(key, source.file, options))) return;
      // Somebody may have emptied the folder while it was in use.
      await this.#files.makeDirectory(this.#incoming);
      const temporary = join(this.#incoming, Buffer.from(this.#random.bytes(12)).toString('hex'));
      try {
        await writeChunks(this.#files, temporary, 'bytes' in source ? [source.bytes] : fileChunks(this.#files, source.file, check));
        check();
        await this.#publish(key, temporary, options);
      } catch (error) {
        await this.#discard(temporary);
        throw error;
      }
      if ('file' in source && source.take === true) await removeIfThere(this.#files, source.file);
    });
  }

  get(key: string, { bytesMax, signal }: GetOptions): Promise<Uint8Array> {
    return this.#reading(key, { signal }, async (file) => {
      const target = Buffer.allocUnsafeSlow((await this.#bytesOf(key, bytesMax)) + 1);
      const bytes = await readFully(file, target, 0);
      if (bytes === target.length) throw kalamError('OBJECT_TOO_LARGE', { key, storage: this.storage, bytesMax });
      return target.subarray(0, bytes);
    });
  }

  download(key: string, path: string, options: CallOptions = {}): Promise<number> {
    return this.#reading(key, options, async (_, check) => {
      await removeIfThere(this.#files, path);
      try {
        return await writeChunks(this.#files, path, fileChunks(this.#files, this.#path(key), check));
      } catch (error) {
        await this.#discard(path);
        throw error;
      }
    });
  }

  readRange(key: string, { start, bytes }: ByteRange, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#reading(key, options, async (file) => {
      const size = (await this.#files.stat(this.#path(key)))?.bytes ?? 0;
      const target = Buffer.allocUnsafeSlow(Math.max(0, Math.min(bytes, size - start)));
      return target.subarray(0, await readFully(file, target, start));
    });
  }

  list(prefix: string, { after, max = PAGE_OBJECTS_MAX, signal }: ListOptions = {}): Promise<ObjectPage> {
    checkObjectPrefix(prefix);
    return this.#calling({ signal }, async (check) => {
      const bound = Math.min(max, PAGE_OBJECTS_MAX);
      const objects: ObjectStat[] = [];
      for await (const object of walkFolder(this.#files, this.#root, { prefix, after })) {
        check();
        if (objects.length === bound) return { objects, next: objects.at(-1)?.key };
        objects.push(object);
      }
      return { objects, next: undefined };
    });
  }

  delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (const key of keys) checkObjectKey(key);
    return this.#calling(options, async (check) => {
      const folders = new Set<string>();
      for (const key of keys) {
        check();
        const path = this.#path(key);
        await unlessAbsent(removeIfThere(this.#files, path), undefined);
        folders.add(dirname(path));
      }
      for (const folder of folders) await this.#tidy(folder);
    });
  }

  stat(key: string, options: CallOptions = {}): Promise<ObjectStat | undefined> {
    checkObjectKey(key);
    return this.#calling(options, async () => {
      const found = await unlessAbsent(this.#files.stat(this.#path(key)), undefined);
      return found === undefined || found.isDirectory ? undefined : { key, bytes: found.bytes };
    });
  }

  localPath(key: string): string {
    checkObjectKey(key);
    return this.#path(key);
  }

  space(): Promise<FileSpace> {
    return this.#calling({}, () => this.#files.space(this.#root));
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #path(key: string): string {
    return join(this.#root, key);
  }

  /** Runs a call; `check` throws when it is to end. Refusals of the system become errors of the table. */
  async #calling<T>({ signal }: CallOptions, call: (check: () => void) => Promise<T>): Promise<T> {
    const check = (): void => {
      signal?.throwIfAborted();
      if (this.#closed) throw kalamError('STORE_UNREACHABLE', { storage: this.storage, reason: 'it was closed' });
    };
    check();
    try {
      return await call(check);
    } catch (error) {
      throw storeFailure(this.storage, error);
    }
  }

  #reading<T>(key: string, options: CallOptions, read: (file: OpenFile, check: () => void) => Promise<T>): Promise<T> {
    checkObjectKey(key);
    return this.#calling(options, async (check) => {
      const absent = kalamError('OBJECT_NOT_FOUND', { key, storage: this.storage });
      const found = await unlessAbsent(this.#files.stat(this.#path(key)), undefined);
      if (found === undefined || found.isDirectory) throw absent;
      const file = await unlessAbsent(this.#files.open(this.#path(key), 'read'), undefined);
      if (file === undefined) throw absent;
      try {
        return await read(file, check);
      } finally {
        await file.close();
      }
    });
  }

  async #bytesOf(key: string, bytesMax: number): Promise<number> {
    const bytes = (await this.#files.stat(this.#path(key)))?.bytes ?? 0;
    if (bytes > bytesMax) throw kalamError('OBJECT_TOO_LARGE', { key, storage: this.storage, bytesMax });
    return bytes;
  }

  /** Makes somebody's file the object; `false` when it lies on another disk. */
  async #takeOver(key: string, path: string, options: PutOptions): Promise<boolean> {
    const file = await this.#files.open(path, 'write');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    try {
      await this.#publish(key, path, options);
      return true;
    } catch (error) {
      if (hasSystemCode(error, 'EXDEV')) return false;
      throw error;
    }
  }

  /** Gives a synced file the object's name and makes the name durable. */
  async #publish(key: string, from: string, { ifAbsent = false }: PutOptions): Promise<void> {
    const path = this.#path(key);
    const folder = dirname(path);
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#ensureFolder(folder);
        if (ifAbsent) await this.#nameIfAbsent(key, from, path);
        else await this.#files.rename(from, path);
        return await this.#files.syncDirectory(folder);
      } catch (error) {
        if (!hasSystemCode(error, 'ENOENT') || attempt === FOLDER_TRIES_MAX) throw error;
        this.#known.clear();
      }
    }
  }

  async #nameIfAbsent(key: string, from: string, path: string): Promise<void> {
    const taken = kalamError('OBJECT_EXISTS', { key, storage: this.storage });
    try {
      await this.#files.link(from, path);
    } catch (error) {
      if (hasSystemCode(error, 'EEXIST')) throw taken;
      if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].some((code) => hasSystemCode(error, code))) throw error;
      // A file system without second names: looking first is the best there is.
      if ((await this.#files.stat(path)) !== undefined) throw taken;
      await this.#files.rename(from, path);
      return;
    }
    await removeIfThere(this.#files, from);
  }

  /** Makes a folder and makes it durable, with those above it. */
  async #ensureFolder(folder: string): Promise<void> {
    if (this.#known.has(folder)) return;
    await this.#files.makeDirectory(folder);
    for (let at = folder; at.length > this.#root.length; at = dirname(at)) await this.#files.syncDirectory(dirname(at));
    if (this.#known.size >= KNOWN_FOLDERS_MAX) this.#known.clear();
    this.#known.add(folder);
  }

  /** After deletions in a folder: makes them durable, and removes it and those above it as far as they are empty. */
  async #tidy(folder: string): Promise<void> {
    await unlessAbsent(this.#files.syncDirectory(folder), undefined);
    for (let at = folder; at.length > this.#root.length; at = dirname(at)) {
      this.#known.delete(at);
      if (!(await unlessAbsent(this.#files.removeDirectory(at), false))) return;
    }
  }

  /** Removes what a failed call left. */
  async #discard(path: string): Promise<void> {
    await removeIfThere(this.#files, path).catch(() => undefined); // what stays is removed by the next opening
  }
}

/** What stands in the way of a path counts as its absence: a file where a folder would have to be. */
async function unlessAbsent<T, A>(action: Promise<T>, absent: A): Promise<T | A> {
  try {
    return await action;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EISDIR'].some((code) => hasSystemCode(error, code))) return absent;
    throw error;
  }
}
