import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import type { FileSystem } from '../files/file-system.ts';
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
import { fileChunks, writeChunks } from './copy-file.ts';
import { checkObjectKey, checkObjectPrefix, compareKeys } from './object-key.ts';
import { storeFailure } from './system-failure.ts';

/** What a store in memory is made of: `files` is where {@link ObjectStore.put} reads files and downloads go. */
export interface MemoryObjectStoreOptions {
  readonly storage: string;
  readonly files: FileSystem;
}

/** A store that is gone with the process: for databases in memory, and for tests. */
export function openMemoryObjectStore(options: MemoryObjectStoreOptions): ObjectStore {
  return new MemoryObjectStore(options);
}

class MemoryObjectStore implements ObjectStore {
  readonly storage: string;
  readonly #files: FileSystem;
  readonly #objects = new Map<string, Buffer>();
  #closed = false;

  constructor({ storage, files }: MemoryObjectStoreOptions) {
    this.storage = storage;
    this.#files = files;
  }

  async put(key: string, source: ObjectSource, { ifAbsent = false, signal }: PutOptions = {}): Promise<void> {
    checkObjectKey(key);
    await this.#calling({ signal }, async (check) => {
      const content = 'bytes' in source ? Buffer.from(source.bytes) : await this.#contentOf(source.file, check);
      check();
      if (ifAbsent && this.#objects.has(key)) throw kalamError('OBJECT_EXISTS', { key, storage: this.storage });
      this.#objects.set(key, content);
      if ('file' in source && source.take === true) await removeIfThere(this.#files, source.file);
    });
  }

  get(key: string, { bytesMax, signal }: GetOptions): Promise<Uint8Array> {
    return this.#calling({ signal }, async () => {
      const content = this.#object(key);
      if (content.length > bytesMax) throw kalamError('OBJECT_TOO_LARGE', { key, storage: this.storage, bytesMax });
      return Buffer.from(content);
    });
  }

  download(key: string, path: string, options: CallOptions = {}): Promise<number> {
    return this.#calling(options, async () => {
      const content = this.#object(key);
      await removeIfThere(this.#files, path);
      return writeChunks(this.#files, path, [content]);
    });
  }

  readRange(key: string, { start, bytes }: ByteRange, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#calling(options, async () => Buffer.from(this.#object(key).subarray(start, start + bytes)));
  }

  list(prefix: string, { after, max = PAGE_OBJECTS_MAX, signal }: ListOptions = {}): Promise<ObjectPage> {
    checkObjectPrefix(prefix);
    return this.#calling({ signal }, async () => {
      const bound = Math.min(max, PAGE_OBJECTS_MAX);
      const keys = [...this.#objects.keys()]
        .filter((key) => key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0))
        .sort(compareKeys);
      const objects = keys.slice(0, bound).map((key) => ({ key, bytes: this.#object(key).length }));
      return { objects, next: keys.length > bound ? objects.at(-1)?.key : undefined };
    });
  }

  async delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (const key of keys) checkObjectKey(key);
    await this.#calling(options, async () => {
      for (const key of keys) this.#objects.delete(key);
    });
  }

  async stat(key: string, options: CallOptions = {}): Promise<ObjectStat | undefined> {
    checkObjectKey(key);
    return this.#calling(options, async () => {
      const content = this.#objects.get(key);
      return content === undefined ? undefined : { key, bytes: content.length };
    });
  }

  localPath(key: string): undefined {
    checkObjectKey(key);
  }

  async space(): Promise<undefined> {}

  async close(): Promise<void> {
    this.#closed = true;
  }

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

  async #contentOf(path: string, check: () => void): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const chunk of fileChunks(this.#files, path, check)) parts.push(Buffer.from(chunk));
    return Buffer.concat(parts);
  }

  #object(key: string): Buffer {
    checkObjectKey(key);
    const content = this.#objects.get(key);
    if (content === undefined) throw kalamError('OBJECT_NOT_FOUND', { key, storage: this.storage });
    return content;
  }
}
