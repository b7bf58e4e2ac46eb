import { join } from 'node:path';
import { type Clock, KalamError, kalamError, type Random, type Timers } from '@kalamdb/protocol';
import {
  type CallOptions,
  checkStorage,
  type FileChecksum,
  type FileSystem,
  type LocalFile,
  type ObjectStore,
  openFilesystemStore,
  openMemoryObjectStore,
  openS3Store,
  type Patience,
  readS3Settings,
  SegmentCache,
  type StorageCheck,
} from '@kalamdb/storage';
import type { Catalog } from '../catalog/catalog.ts';
import type { StorageRecord } from '../catalog/system-tables/storages.ts';
import type { Table } from '../catalog/table.ts';
import { DEFAULT_STORAGE } from '../catalog/table-record.ts';
import { folderOf } from './folder-template.ts';
import { localStoragePath, storagePath } from './storage-location.ts';

/** The folder in the data directory for copies of segments that lie elsewhere. */
const COPIES_FOLDER = 'segment-cache';
/** Stores of altered storages that stay open for those who still use them. */
const RETIRED_MAX = 16;
/** Somebody waits for the answer of a check. */
const CHECK_PATIENCE: Patience = { triesMax: 2, answerMillisMax: 10_000, pauseMillisFirst: 200, pauseMillisMax: 1_000 };

/** The check of a store that cannot even be opened. */
const NOTHING_WORKS: StorageCheck = {
  status: 'unreachable',
  readable: false,
  writable: false,
  listable: false,
  deletable: false,
  latencyMillis: 0,
  totalBytes: undefined,
  usedBytes: undefined,
  error: undefined,
};

/** Where a partition's segments go. */
export interface StoragePlace {
  readonly storageId: string;
  /** What their keys begin with; ends with a slash. */
  readonly folder: string;
}

/** An object of a storage. */
export interface StoredObject {
  readonly storageId: string;
  readonly key: string;
}

/** What a registry works with. */
export interface StorageRegistryOptions {
  readonly catalog: Pick<Catalog, 'storage' | 'storages'>;
  /** The data directory; `undefined` in memory. */
  readonly directory: string | undefined;
  /** The database's name among those who may write to the same place. */
  readonly owner: string;
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** What copies of segments that lie elsewhere take on the disk at most; 1 GiB unless given. */
  readonly segmentCacheBytesMax?: number | undefined;
}

interface OpenStore {
  /** What the store was opened with: another one is wanted when it differs. */
  readonly signature: string;
  readonly store: Promise<ObjectStore>;
}

/** Which store and which folder a partition's cold rows have. Stores are opened when they are first asked for. */
export class StorageRegistry {
  readonly #options: StorageRegistryOptions;
  readonly #open = new Map<string, OpenStore>();
  readonly #retired: Promise<ObjectStore>[] = [];
  #cache: Promise<SegmentCache> | undefined;
  #isClosed = false;

  constructor(options: StorageRegistryOptions) {
    this.#options = options;
  }

  /** The data directory; `undefined` in memory. */
  get directory(): string | undefined {
    return this.#options.directory;
  }

  /**
   * Where a partition that has no segments yet is to keep them. Which place it was stays with its manifest: templates may change. Throws
   * STORAGE_NOT_FOUND.
   */
  place(table: Pick<Table, 'id' | 'namespace' | 'name' | 'kind' | 'options'>, owner: string): StoragePlace {
    const storage = this.#record(table.options.storageId ?? DEFAULT_STORAGE);
    const template = table.kind === 'user' ? storage.userTablesTemplate : storage.sharedTablesTemplate;
    const subject = { tableId: table.id, namespace: table.namespace, tableName: table.name, owner };
    return { storageId: storage.storageId, folder: folderOf(template, subject) };
  }

  /**
   * The store of a storage, open; the same one until the storage is altered. Rejects with STORAGE_NOT_FOUND, NOT_IMPLEMENTED for types that are
   * only known by name, INVALID_OPERATION, and what opening the folder fails with.
   */
  async store(storageId: string): Promise<ObjectStore> {
    if (this.#isClosed) throw kalamError('SHUTTING_DOWN');
    const record = this.#record(storageId);
    const signature = JSON.stringify([record.type, record.baseDirectory, record.credentials, record.config]);
    const found = this.#open.get(storageId);
    if (found?.signature === signature) return found.store;
    if (found !== undefined) this.#retire(storageId, found);
    const opened = { signature, store: this.#openStore(record) };
    this.#open.set(storageId, opened);
    try {
      return await opened.store;
    } catch (error) {
      // The next one who asks tries again.
      if (this.#open.get(storageId) === opened) this.#open.delete(storageId);
      throw error;
    }
  }

  /** A segment as a file of this machine, until it is closed; see {@link SegmentCache.open}. INVALID_OPERATION for a database in memory. */
  async openSegment({ storageId, key }: StoredObject, expected: FileChecksum, options: CallOptions = {}): Promise<LocalFile> {
    const [store, cache] = await Promise.all([this.store(storageId), this.#segmentCache()]);
    return cache.open(store, key, expected, options);
  }

  /** The folders that {@link openSegment} finds files in, as far as there are storages now; none in memory. */
  segmentFolders(): readonly string[] {
    const { directory, catalog } = this.#options;
    if (directory === undefined) return [];
    const folders = [localStoragePath(directory), join(directory, COPIES_FOLDER)];
    for (const { storageId, type, baseDirectory } of catalog.storages()) {
      if (type === 'filesystem' && storageId !== DEFAULT_STORAGE) folders.push(storagePath(baseDirectory, directory));
    }
    return folders;
  }

  /** Deletes a segment as soon as nobody has it open. It must not be in a manifest that somebody still reads. */
  async deleteSegment({ storageId, key }: StoredObject): Promise<void> {
    const store = await this.store(storageId);
    await (await this.#cache)?.forget(store, key);
    await store.delete([key]);
  }

  /** Tries a storage out, as it is or as it is going to be. Rejects with STORAGE_NOT_FOUND, NOT_IMPLEMENTED and INVALID_OPERATION only. */
  async check(
    storageId: string,
    options: { readonly extended: boolean; readonly record?: StorageRecord | undefined },
  ): Promise<StorageCheck> {
    const { clock, random } = this.#options;
    const { extended } = options;
    const record = options.record ?? this.#record(storageId);
    const isShared = record.type === 'filesystem' && options.record === undefined;
    try {
      const store = await (isShared ? this.store(storageId) : this.#openStore(record, CHECK_PATIENCE));
      const check = await checkStorage(store, { clock, random, extended });
      if (!isShared) await store.close();
      return check;
    } catch (error) {
      if (!(error instanceof KalamError) || !error.code.startsWith('STORE_')) throw error;
      return { ...NOTHING_WORKS, error: error.message };
    }
  }

  /** Lets a storage go that was dropped: what still runs on it fails. */
  async drop(storageId: string): Promise<void> {
    const found = this.#open.get(storageId);
    this.#open.delete(storageId);
    await closeStore(found?.store);
  }

  /** Ends what is under way on every store. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const stores = [...[...this.#open.values()].map(({ store }) => store), ...this.#retired];
    this.#open.clear();
    const cache = await this.#cache?.catch(() => undefined); // one that could not be opened holds nothing
    cache?.close();
    for (const store of stores) await closeStore(store);
  }

  #segmentCache(): Promise<SegmentCache> {
    const { directory, files, segmentCacheBytesMax: bytesMax } = this.#options;
    if (directory === undefined) throw kalamError('INVALID_OPERATION', { reason: 'a database in memory has no place for segments' });
    if (this.#cache !== undefined) return this.#cache;
    const opening = SegmentCache.open({ directory: join(directory, COPIES_FOLDER), files, bytesMax });
    this.#cache = opening;
    opening.catch(() => {
      // Whoever asked is told; the next one who asks tries again.
      this.#cache = undefined;
    });
    return opening;
  }

  #record(storageId: string): StorageRecord {
    const record = this.#options.catalog.storage(storageId);
    if (record === undefined) throw kalamError('STORAGE_NOT_FOUND', { storage: storageId });
    return record;
  }

  #retire(storageId: string, { store }: OpenStore): void {
    this.#open.delete(storageId);
    this.#retired.push(store);
    const oldest = this.#retired.length > RETIRED_MAX ? this.#retired.shift() : undefined;
    closeStore(oldest).catch(() => undefined); // a store that cannot be closed holds nothing that anybody waits for
  }

  async #openStore(record: StorageRecord, patience?: Patience): Promise<ObjectStore> {
    const { directory, owner, files, clock, timers, random } = this.#options;
    const { storageId: storage, type, baseDirectory, credentials, config } = record;
    switch (type) {
      case 'filesystem': {
        const isLocal = storage === DEFAULT_STORAGE;
        if (isLocal && directory === undefined) return openMemoryObjectStore({ storage, files });
        const root = isLocal && directory !== undefined ? localStoragePath(directory) : storagePath(baseDirectory, directory);
        return openFilesystemStore({ storage, root, files, random, owner: `${owner}.${storage}` });
      }
      case 's3': {
        const settings = readS3Settings({ location: baseDirectory, credentials, config });
        return openS3Store({ storage, settings, files, clock, timers, random, patience });
      }
      case 'gcs':
      case 'azure':
        throw kalamError('NOT_IMPLEMENTED', { what: `storage of type ${type}` });
      default:
        return type satisfies never;
    }
  }
}

async function closeStore(opening: Promise<ObjectStore> | undefined): Promise<void> {
  const store = await opening?.catch(() => undefined); // what did not open needs no closing
  await store?.close();
}
