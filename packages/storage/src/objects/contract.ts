import type { FileSpace } from '../files/file-system.ts';

/**
 * The contract of an object store: named, immutable blobs below one root, a folder of this machine or a prefix of a bucket. All
 * implementations pass one conformance suite.
 *
 * Keys are relative names, see {@link checkObjectKey}. Errors are those of the table: permanent ones (OBJECT_NOT_FOUND,
 * STORE_ACCESS_DENIED, STORE_CREDENTIALS_REFUSED, STORE_BUCKET_MISSING, STORE_REQUEST_REFUSED) at once, retryable ones
 * (STORE_TIMEOUT, STORE_THROTTLED, STORE_UNREACHABLE, STORE_FULL) when the store's own tries are used up. A call whose signal is
 * aborted rejects with the signal's reason; what it was doing may or may not have happened.
 */
export interface ObjectStore {
  /** The storage's id, which errors name. */
  readonly storage: string;
  /**
   * Stores an object as a whole: nobody ever sees a part of it, and it is durable when this resolves. An object of that name is
   * replaced, unless `ifAbsent` is set: then OBJECT_EXISTS.
   */
  put(key: string, source: ObjectSource, options?: PutOptions): Promise<void>;
  /** A small object in memory; OBJECT_TOO_LARGE when it has more than `bytesMax` bytes. */
  get(key: string, options: GetOptions): Promise<Uint8Array>;
  /**
   * Copies an object into a new local file, which is synced; resolves to its size. A file of that name is replaced. Nothing is left
   * when it fails.
   */
  download(key: string, path: string, options?: CallOptions): Promise<number>;
  /** `bytes` bytes from `start`; fewer only at the end of the object, none behind it. */
  readRange(key: string, range: ByteRange, options?: CallOptions): Promise<Uint8Array>;
  /** Objects whose key begins with `prefix`, in the order of their keys' UTF-8 bytes. */
  list(prefix: string, options?: ListOptions): Promise<ObjectPage>;
  /** Deletes objects; those that are not there count as deleted. */
  delete(keys: readonly string[], options?: CallOptions): Promise<void>;
  /** `undefined` when there is no such object. */
  stat(key: string, options?: CallOptions): Promise<ObjectStat | undefined>;
  /** The path of an object that is a file of this machine and may be read in place; `undefined` when the store is elsewhere. */
  localPath(key: string): string | undefined;
  /** Room of the place; `undefined` when the store knows no such thing. */
  space(): Promise<FileSpace | undefined>;
  /** Ends calls that are under way; every later one fails. */
  close(): Promise<void>;
}

/**
 * What to store. With `take` the file belongs to the store from now on: it is gone when the call resolves, and may be gone when it
 * rejects; a store on the same disk renames it instead of copying.
 */
export type ObjectSource = { readonly bytes: Uint8Array } | { readonly file: string; readonly take?: boolean | undefined };

/** A part of an object. */
export interface ByteRange {
  readonly start: number;
  readonly bytes: number;
}

/** What every call takes. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** See {@link ObjectStore.put}. */
export interface PutOptions extends CallOptions {
  readonly ifAbsent?: boolean | undefined;
}

/** See {@link ObjectStore.get}. */
export interface GetOptions extends CallOptions {
  readonly bytesMax: number;
}

/** See {@link ObjectStore.list}. */
export interface ListOptions extends CallOptions {
  /** Only keys behind this one: that of the last object of the page before. */
  readonly after?: string | undefined;
  /** Objects of a page at most; 1,000 unless given, and never more. */
  readonly max?: number | undefined;
}

/** One object. */
export interface ObjectStat {
  readonly key: string;
  readonly bytes: number;
}

/** One page of a listing. */
export interface ObjectPage {
  readonly objects: readonly ObjectStat[];
  /** Where the next page begins; `undefined` when this was the last. */
  readonly next: string | undefined;
}

/** Objects of a page of {@link ObjectStore.list} at most. */
export const PAGE_OBJECTS_MAX = 1_000;

/** All objects whose key begins with `prefix`, page by page. */
export async function* listAll(store: ObjectStore, prefix: string, options: CallOptions = {}): AsyncGenerator<ObjectStat> {
  let after: string | undefined;
  do {
    const page = await store.list(prefix, { ...options, after });
    yield* page.objects;
    after = page.next;
  } while (after !== undefined);
}
