import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { type Clock, KalamError, kalamError, type Random, type Timers } from '@kalamdb/protocol';
import type { FileSystem, OpenFile } from '../../files/file-system.ts';
import { removeIfThere, writeFully } from '../../files/whole-file.ts';
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
} from '../contract.ts';
import { checkObjectKey, checkObjectPrefix, compareKeys, isObjectKey } from '../object-key.ts';
import { PATIENCE, type Patience, TryAgain } from '../patience.ts';
import { localFailure, storeFailure } from '../system-failure.ts';
import { type S3Answer, S3Connection, S3Refused, type S3Request } from './s3-connection.ts';
import type { S3Settings } from './s3-settings.ts';
import { sweepUploads, upload } from './s3-upload.ts';
import { childText, escapeXml, type XmlElement } from './xml-tree.ts';

/** Objects that one request deletes. */
const DELETE_OBJECTS_MAX = 1_000;
/** Uploads in parts that are older than this are taken for left behind. */
const UPLOAD_AGE_MILLIS_MAX = 24 * 3_600_000;

/** What a store in a bucket is made of. */
export interface S3StoreOptions {
  /** The storage's id. */
  readonly storage: string;
  readonly settings: S3Settings;
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly patience?: Patience | undefined;
}

/**
 * A store whose objects lie in a bucket of S3 or of what speaks its language. Nothing is sent before the first call. Requests are
 * signed, their bodies with a hash; they are tried again after timeouts, broken connections and 5xx. Objects above 16 MiB go in parts.
 */
export function openS3Store(options: S3StoreOptions): ObjectStore {
  return new S3Store(options);
}

class S3Store implements ObjectStore {
  readonly storage: string;
  readonly #connection: S3Connection;
  readonly #files: FileSystem;
  readonly #clock: Clock;
  readonly #random: Random;
  #hasSwept = false;

  constructor({ patience = PATIENCE, ...options }: S3StoreOptions) {
    this.storage = options.storage;
    this.#connection = new S3Connection({ ...options, patience });
    this.#files = options.files;
    this.#clock = options.clock;
    this.#random = options.random;
  }

  async put(key: string, source: ObjectSource, options: PutOptions = {}): Promise<void> {
    checkObjectKey(key);
    await this.#withFiles(async () => {
      await this.#sweepOnce(options);
      await upload({ connection: this.#connection, files: this.#files, random: this.#random }, key, source, options);
      if ('file' in source && source.take === true) await removeIfThere(this.#files, source.file);
    });
  }

  async get(key: string, { bytesMax, signal }: GetOptions): Promise<Uint8Array> {
    checkObjectKey(key);
    return this.#connection.exchange({ method: 'GET', key, signal }, (answer) => {
      const tooLarge = (): KalamError => kalamError('OBJECT_TOO_LARGE', { key, storage: this.storage, bytesMax });
      if (Number(answer.headers.get('content-length') ?? 0) > bytesMax) throw tooLarge();
      return this.#bytesOf(answer, bytesMax, tooLarge);
    });
  }

  async download(key: string, path: string, { signal }: CallOptions = {}): Promise<number> {
    checkObjectKey(key);
    return this.#withFiles(async () => {
      await removeIfThere(this.#files, path);
      try {
        return await this.#receive(key, path, signal);
      } catch (error) {
        // A file that cannot be removed either is removed with the next download of that name.
        await removeIfThere(this.#files, path).catch(() => undefined);
        throw error;
      }
    });
  }

  async readRange(key: string, { start, bytes }: ByteRange, { signal }: CallOptions = {}): Promise<Uint8Array> {
    checkObjectKey(key);
    const found = bytes === 0 ? await this.stat(key, { signal }) : undefined;
    if (bytes === 0 && found === undefined) throw kalamError('OBJECT_NOT_FOUND', { key, storage: this.storage });
    if (bytes === 0) return new Uint8Array(0);
    const headers = (): Record<string, string> => ({ range: `bytes=${start}-${start + bytes - 1}` });
    try {
      return await this.#connection.exchange({ method: 'GET', key, headers, tolerate: ['InvalidRange'], signal }, async (answer) => {
        const tooLarge = (): KalamError => this.#connection.refused('it sent more than it was asked for');
        if (answer.status === 206) return this.#bytesOf(answer, bytes, tooLarge);
        // An empty object has no parts; some servers then answer with the whole of it.
        if (answer.headers.get('content-length') === '0') return new Uint8Array(0);
        throw this.#connection.refused('it cannot read parts of objects');
      });
    } catch (error) {
      if (error instanceof S3Refused) return new Uint8Array(0);
      throw error;
    }
  }

  async list(prefix: string, { after, max = PAGE_OBJECTS_MAX, signal }: ListOptions = {}): Promise<ObjectPage> {
    checkObjectPrefix(prefix);
    const base = this.#connection.prefix;
    const query = {
      'list-type': '2',
      'max-keys': String(Math.min(max, PAGE_OBJECTS_MAX)),
      prefix: `${base}${prefix}`,
      ...(after === undefined ? {} : { 'start-after': `${base}${after}` }),
    };
    const document = await this.#connection.document({ method: 'GET', query, signal });
    if (document?.name !== 'ListBucketResult') throw this.#connection.refused('its answer is no listing');
    const objects = document.children.filter(({ name }) => name === 'Contents').map((found) => statOf(found, base));
    const next = childText(document, 'IsTruncated') === 'true' ? objects.at(-1)?.key : undefined;
    // Others may keep objects here whose names no store of ours would give.
    return { objects: objects.filter(({ key }) => isObjectKey(key)).sort((a, b) => compareKeys(a.key, b.key)), next };
  }

  async delete(keys: readonly string[], { signal }: CallOptions = {}): Promise<void> {
    for (const key of keys) checkObjectKey(key);
    for (let at = 0; at < keys.length; at += DELETE_OBJECTS_MAX) {
      await this.#deleteSome(keys.slice(at, at + DELETE_OBJECTS_MAX), signal);
    }
  }

  async stat(key: string, { signal }: CallOptions = {}): Promise<ObjectStat | undefined> {
    checkObjectKey(key);
    try {
      return await this.#connection.exchange({ method: 'HEAD', key, signal }, async ({ headers }) => {
        return { key, bytes: Number(headers.get('content-length') ?? 0) };
      });
    } catch (error) {
      if (!(error instanceof KalamError) || error.code !== 'OBJECT_NOT_FOUND') throw error;
      // HEAD does not say what is missing; a listing does when it is the bucket.
      await this.list(key, { max: 1, signal });
      return undefined;
    }
  }

  localPath(key: string): undefined {
    checkObjectKey(key);
  }

  async space(): Promise<undefined> {}

  async close(): Promise<void> {
    this.#connection.close();
  }

  async #withFiles<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw storeFailure(this.storage, error);
    }
  }

  /** Before the first upload: ends those that a killed process has left. Who may not look for them goes on without. */
  async #sweepOnce({ signal }: CallOptions): Promise<void> {
    if (this.#hasSwept) return;
    this.#hasSwept = true;
    try {
      await sweepUploads(this.#connection, this.#clock.now() - UPLOAD_AGE_MILLIS_MAX, signal);
    } catch (error) {
      if (!(error instanceof KalamError) || error.spec.retryable) throw error;
    }
  }

  /** All of a body, which has to be as long as was said. */
  async #bytesOf({ headers, pieces }: S3Answer, bytesMax: number, tooLarge: () => KalamError): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of pieces) {
      bytes += piece.length;
      if (bytes > bytesMax) throw tooLarge();
      parts.push(piece);
    }
    const body = Buffer.concat(parts);
    this.#checkLength(headers, body.length);
    return body;
  }

  #checkLength(headers: Headers, bytes: number): void {
    const said = headers.get('content-length');
    if (said === null || Number(said) === bytes) return;
    throw new TryAgain(kalamError('STORE_UNREACHABLE', { storage: this.storage, reason: 'an answer was cut' }));
  }

  /** Writes an object into a new file. After a broken connection it goes on where it was, if the object is still the same. */
  async #receive(key: string, path: string, signal: AbortSignal | undefined): Promise<number> {
    const file = await this.#files.open(path, 'create');
    try {
      let position = 0;
      let tag: string | undefined;
      const headers = (): Record<string, string> => {
        return position === 0 || tag === undefined ? {} : { range: `bytes=${position}-`, 'if-match': tag };
      };
      const request: S3Request = { method: 'GET', key, headers, tolerate: ['PreconditionFailed'], signal };
      await this.#connection.exchange(request, async (answer) => {
        const begin = answer.status === 206 ? position : 0;
        position = begin;
        tag = answer.headers.get('etag') ?? undefined;
        for await (const piece of answer.pieces) {
          await this.#keep(file, piece, { path, position });
          position += piece.length;
        }
        this.#checkLength(answer.headers, position - begin);
      });
      await file.sync();
      return position;
    } catch (error) {
      if (!(error instanceof S3Refused)) throw error;
      throw kalamError('STORE_UNREACHABLE', { storage: this.storage, reason: `'${key}' was replaced while it was read` });
    } finally {
      await file.close();
    }
  }

  /** Writes a piece. Failures of the local disk are no reason to ask the server again. */
  async #keep(file: OpenFile, piece: Uint8Array, { path, position }: { readonly path: string; readonly position: number }): Promise<void> {
    try {
      await writeFully(file, piece, position);
    } catch (error) {
      throw localFailure(path, error);
    }
  }

  async #deleteSome(keys: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const base = this.#connection.prefix;
    const [first] = keys;
    if (first === undefined) return;
    if (keys.length === 1) {
      await this.#connection.document({ method: 'DELETE', key: first, signal });
      return;
    }
    const objects = keys.map((key) => `<Object><Key>${escapeXml(`${base}${key}`)}</Key></Object>`);
    const body = Buffer.from(`<Delete><Quiet>true</Quiet>${objects.join('')}</Delete>`);
    const headers = (): Record<string, string> => ({ 'content-md5': createHash('md5').update(body).digest('base64') });
    const document = await this.#connection.document({ method: 'POST', query: { delete: '' }, headers, body, signal });
    // One by one they are tried again, and say what is wrong.
    for (const failed of document?.children.filter(({ name }) => name === 'Error') ?? []) {
      const key = childText(failed, 'Key')?.slice(base.length);
      if (key !== undefined) await this.#connection.document({ method: 'DELETE', key, signal });
    }
  }
}

function statOf(found: XmlElement, base: string): ObjectStat {
  return { key: (childText(found, 'Key') ?? '').slice(base.length), bytes: Number(childText(found, 'Size') ?? 0) };
}
