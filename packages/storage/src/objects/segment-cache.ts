import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { KalamError, kalamError } from '@kalamdb/protocol';
import type { LocalFile } from '../cold/contract.ts';
import { type FileSystem, hasSystemCode } from '../files/file-system.ts';
import { removeIfThere } from '../files/whole-file.ts';
import type { CallOptions, ObjectStore } from './contract.ts';
import { type FileChecksum, fileChecksum } from './file-checksum.ts';
import { Slots } from './slots.ts';
import { localFailure, storeFailure } from './system-failure.ts';

/** What the copies take on the disk unless told otherwise. */
const BYTES_MAX = 1_073_741_824;
const DOWNLOADS_AT_ONCE_MAX = 4;
/** Files that are used in place and known to be sound; the one that was not used for longest is checked again when there are more. */
const CHECKED_FILES_MAX = 100_000;
/** A copy that is damaged is fetched once more: it may have happened on the way. */
const DOWNLOADS_MAX = 2;

const COPY_NAME = /^(?<id>[0-9a-f]{32})-(?<bytes>\d{1,15})-(?<checksum>[0-9a-f]{8})-(?<number>\d{1,15})\.segment$/;

/** What a cache is made of. */
export interface SegmentCacheOptions {
  /** Where the copies lie; nothing else may be there. It is made when it is missing. */
  readonly directory: string;
  readonly files: FileSystem;
  /** What the copies take on the disk at most; 1 GiB unless given. */
  readonly bytesMax?: number | undefined;
}

/** What a cache holds and has done. */
export interface SegmentCacheFigures {
  readonly bytes: number;
  readonly copies: number;
  readonly openFiles: number;
  readonly downloads: number;
}

interface Entry extends FileChecksum {
  readonly id: string;
  readonly path: string;
  /** Whether the file is a copy that counts and can be removed. */
  readonly isCopy: boolean;
  users: number;
  /** Resolves when the file is there and sound; `undefined` for a copy of an earlier run that nobody has asked for yet. */
  ready: Promise<void> | undefined;
  isReady: boolean;
  readonly loading: AbortController;
  /** Called when the last user has left, once the object is to be forgotten. */
  readonly onUnused: (() => void)[];
}

/**
 * Objects as files of this machine. What a store keeps here is used in place; of other objects a copy is kept, least recently used
 * first to go, never one that is open. Every file is checked against its size and CRC32C once per process. Copies survive a restart.
 */
export class SegmentCache {
  readonly #directory: string;
  readonly #files: FileSystem;
  readonly #bytesMax: number;
  readonly #slots = new Slots(DOWNLOADS_AT_ONCE_MAX);
  /** By id; the least recently used first. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;
  #inPlace = 0;
  #downloads = 0;
  #nextNumber = 0;

  private constructor({ directory, files, bytesMax = BYTES_MAX }: SegmentCacheOptions) {
    this.#directory = directory;
    this.#files = files;
    this.#bytesMax = bytesMax;
  }

  /** Opens the folder: takes over the copies that are whole, removes what a crash has left and what is over the bound. */
  static async open(options: SegmentCacheOptions): Promise<SegmentCache> {
    const cache = new SegmentCache(options);
    try {
      await options.files.makeDirectory(options.directory);
      for (const name of await options.files.list(options.directory)) await cache.#adopt(name);
    } catch (error) {
      throw storeFailure(basename(options.directory), error);
    }
    cache.#makeRoom(0);
    return cache;
  }

  get figures(): SegmentCacheFigures {
    const entries = [...this.#entries.values()];
    return {
      bytes: this.#bytes,
      copies: entries.filter(({ isCopy }) => isCopy).length,
      openFiles: entries.reduce((sum, { users }) => sum + users, 0),
      downloads: this.#downloads,
    };
  }

  /**
   * An object as a file, which stays until it is closed. Callers who want the same object share one download. DAMAGED_DATA names an
   * object that is not what it should be or is not there; STORE_FULL (retryable) when neither the disk nor the bound has room while
   * other files are open; else what {@link ObjectStore.download} fails with.
   */
  async open(store: ObjectStore, key: string, expected: FileChecksum, { signal }: CallOptions = {}): Promise<LocalFile> {
    signal?.throwIfAborted();
    const entry = this.#entryFor(store, key, expected);
    entry.users += 1;
    // Behind all others: it was used last.
    this.#entries.delete(entry.id);
    this.#entries.set(entry.id, entry);
    entry.ready ??= this.#load(entry, store, key);
    try {
      await unlessAborted(entry.ready, signal);
    } catch (error) {
      this.#leave(entry);
      throw error;
    }
    let isOpen = true;
    const close = (): void => {
      if (isOpen) this.#leave(entry);
      isOpen = false;
    };
    return { path: entry.path, close };
  }

  /** Resolves when nobody has the object open any more, and its copy is gone: now it can be deleted. Who opens it meanwhile gets a file of its own. */
  async forget(store: ObjectStore, key: string): Promise<void> {
    const entry = this.#entries.get(idOf(store, key));
    if (entry === undefined) return;
    this.#remove(entry);
    if (entry.users > 0) await new Promise<void>((resolve) => entry.onUnused.push(resolve));
    if (entry.isCopy) await removeIfThere(this.#files, entry.path);
  }

  /** Ends downloads; files that are open may be used until they are closed. */
  close(): void {
    for (const entry of this.#entries.values()) if (!entry.isReady) entry.loading.abort(new Error('the cache was closed'));
  }

  async #adopt(name: string): Promise<void> {
    const path = join(this.#directory, name);
    const { id = '', bytes, checksum = '', number } = COPY_NAME.exec(name)?.groups ?? {};
    const size = id === '' ? undefined : (await this.#files.stat(path))?.bytes;
    if (size === undefined || size !== Number(bytes) || this.#entries.has(id)) {
      await removeIfThere(this.#files, path);
      return;
    }
    this.#nextNumber = Math.max(this.#nextNumber, Number(number) + 1);
    this.#add(newEntry({ id, path, bytes: size, checksum: Number.parseInt(checksum, 16), isCopy: true }));
  }

  #entryFor(store: ObjectStore, key: string, expected: FileChecksum): Entry {
    const id = idOf(store, key);
    const checksum = expected.checksum >>> 0;
    const found = this.#entries.get(id);
    if (found !== undefined && found.bytes === expected.bytes && found.checksum === checksum) return found;
    if (found !== undefined) this.#drop(found);
    const local = store.localPath(key);
    if (local === undefined) this.#makeRoom(expected.bytes);
    const name = `${id}-${expected.bytes}-${checksum.toString(16).padStart(8, '0')}-${this.#nextNumber++}.segment`;
    const path = local ?? join(this.#directory, name);
    const entry = newEntry({ id, path, bytes: expected.bytes, checksum, isCopy: local === undefined });
    this.#add(entry);
    return entry;
  }

  async #load(entry: Entry, store: ObjectStore, key: string): Promise<void> {
    try {
      if (!entry.isCopy) await this.#checkInPlace(entry, store, key);
      else if (!(await this.#isSound(entry, entry.path)))
        await this.#slots.during(() => this.#fetch(entry, store, key), entry.loading.signal);
      entry.isReady = true;
    } catch (error) {
      this.#remove(entry);
      if (error instanceof KalamError && error.code === 'OBJECT_NOT_FOUND') throw damaged(store, key, 'it is missing');
      throw entry.isCopy ? localFailure(entry.path, error) : storeFailure(store.storage, error);
    }
  }

  async #checkInPlace(entry: Entry, store: ObjectStore, key: string): Promise<void> {
    const found = await this.#checksumOf(entry, entry.path);
    if (found === undefined) throw damaged(store, key, 'it is missing');
    if (!isSame(found, entry)) throw damaged(store, key, difference(found, entry));
  }

  /** Downloads beside the place, checks, and gives the copy its name. */
  async #fetch(entry: Entry, store: ObjectStore, key: string): Promise<void> {
    const part = `${entry.path}.part`;
    try {
      for (let attempt = 1; ; attempt += 1) {
        this.#downloads += 1;
        await store.download(key, part, { signal: entry.loading.signal });
        const found = (await this.#checksumOf(entry, part)) ?? { bytes: 0, checksum: 0 };
        if (isSame(found, entry)) break;
        if (attempt === DOWNLOADS_MAX) throw damaged(store, key, difference(found, entry));
      }
      await this.#files.rename(part, entry.path);
    } catch (error) {
      await removeIfThere(this.#files, part).catch(() => undefined); // what cannot be removed now, the next start removes
      throw error;
    }
  }

  async #isSound(entry: Entry, path: string): Promise<boolean> {
    const found = await this.#checksumOf(entry, path);
    return found !== undefined && isSame(found, entry);
  }

  /** `undefined` when there is no such file. */
  async #checksumOf(entry: Entry, path: string): Promise<FileChecksum | undefined> {
    try {
      return await fileChecksum(this.#files, path, entry.loading.signal);
    } catch (error) {
      if (hasSystemCode(error, 'ENOENT') || hasSystemCode(error, 'ENOTDIR')) return undefined;
      throw error;
    }
  }

  #leave(entry: Entry): void {
    entry.users -= 1;
    if (entry.users > 0) return;
    if (!entry.isReady) {
      // Nobody wants it any more; who asks now begins anew.
      this.#remove(entry);
      entry.loading.abort(new Error('nobody waits for it'));
    }
    for (const tell of entry.onUnused.splice(0)) tell();
  }

  #add(entry: Entry): void {
    this.#entries.set(entry.id, entry);
    if (entry.isCopy) this.#bytes += entry.bytes;
    else this.#inPlace += 1;
    if (this.#inPlace > CHECKED_FILES_MAX) this.#dropOldest((other) => !other.isCopy);
  }

  #remove(entry: Entry): void {
    if (this.#entries.get(entry.id) !== entry) return;
    this.#entries.delete(entry.id);
    if (entry.isCopy) this.#bytes -= entry.bytes;
    else this.#inPlace -= 1;
  }

  /** Makes room for a copy by dropping those that nobody has open. */
  #makeRoom(bytes: number): void {
    while (this.#bytes + bytes > this.#bytesMax) {
      if (this.#dropOldest((entry) => entry.isCopy)) continue;
      const reason = `${this.#bytes} bytes of ${this.#bytesMax} are in use, ${bytes} more are wanted`;
      throw kalamError('STORE_FULL', { where: 'local copies of segments', reason });
    }
  }

  #dropOldest(isChosen: (entry: Entry) => boolean): boolean {
    for (const entry of this.#entries.values()) {
      if (entry.users > 0 || !isChosen(entry)) continue;
      this.#drop(entry);
      return true;
    }
    return false;
  }

  /** Takes an entry out; its copy goes as soon as nobody has it open. */
  #drop(entry: Entry): void {
    this.#remove(entry);
    if (!entry.isCopy) return;
    const removeFile = (): void => {
      // A file that cannot be removed now is found and removed by the next start.
      removeIfThere(this.#files, entry.path).catch(() => undefined);
    };
    if (entry.users === 0) removeFile();
    else entry.onUnused.push(removeFile);
  }
}

function newEntry(entry: Pick<Entry, 'id' | 'path' | 'bytes' | 'checksum' | 'isCopy'>): Entry {
  return { ...entry, users: 0, ready: undefined, isReady: false, loading: new AbortController(), onUnused: [] };
}

function idOf({ storage }: ObjectStore, key: string): string {
  return createHash('sha256').update(`${storage}\n${key}`).digest('hex').slice(0, 32);
}

function isSame(a: FileChecksum, b: FileChecksum): boolean {
  return a.bytes === b.bytes && a.checksum === b.checksum;
}

function difference(found: FileChecksum, expected: FileChecksum): string {
  if (found.bytes !== expected.bytes) return `it has ${found.bytes} bytes instead of ${expected.bytes}`;
  return `its checksum is ${found.checksum} instead of ${expected.checksum}`;
}

function damaged({ storage }: ObjectStore, key: string, reason: string): KalamError {
  return kalamError('DAMAGED_DATA', { where: `object '${key}' of storage '${storage}'`, reason });
}

/** What `work` comes to, or the signal's reason if that is earlier; `work` goes on then. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  let end: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    end = () => reject(signal.reason);
    signal.addEventListener('abort', end, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (end !== undefined) signal.removeEventListener('abort', end);
  }
}
