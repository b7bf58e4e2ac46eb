import { Buffer } from 'node:buffer';
import { KalamError, kalamError, type Random } from '@kalamdb/protocol';
import type { FileSystem } from '../../files/file-system.ts';
import type { ObjectSource, PutOptions } from '../contract.ts';
import { readFully } from '../copy-file.ts';
import { linkSignals } from '../patience.ts';
import { type S3Connection, S3Refused } from './s3-connection.ts';
import { childText, escapeXml } from './xml-tree.ts';

/** Larger objects are sent in parts. */
const SINGLE_BYTES_MAX = 16 * 1_048_576;
/** Parts are at least this long, the last one excepted … */
const PART_BYTES_MIN = 8 * 1_048_576;
/** … there are at most so many … */
const PARTS_MAX = 10_000;
/** … and so many under way, each in memory. */
const PARTS_AT_ONCE_MAX = 3;
/** Every upload marks its object, so that it can be told whether an upload without an answer has happened. */
const MARK_HEADER = 'x-amz-meta-kalamdb-upload';

/** What uploads work with. */
export interface UploadContext {
  readonly connection: S3Connection;
  readonly files: FileSystem;
  readonly random: Random;
}

/** A place that bytes are read from, whole or in parts. */
interface Content {
  readonly bytes: number;
  read(start: number, bytes: number): Promise<Uint8Array>;
}

/** Stores an object as {@link ObjectStore.put} says; a large file in parts, of which nothing is left when it fails. */
export async function upload(context: UploadContext, key: string, source: ObjectSource, options: PutOptions = {}): Promise<void> {
  if ('bytes' in source) return uploadContent(context, { key, options }, contentOf(source.bytes));
  const file = await context.files.open(source.file, 'read');
  try {
    const bytes = (await context.files.stat(source.file))?.bytes ?? 0;
    const read = async (start: number, length: number): Promise<Uint8Array> => {
      const target = Buffer.allocUnsafeSlow(length);
      if ((await readFully(file, target, start)) < length) throw new Error(`${source.file} became shorter while it was read`);
      return target;
    };
    await uploadContent(context, { key, options }, { bytes, read });
  } finally {
    await file.close();
  }
}

interface Target {
  readonly key: string;
  readonly options: PutOptions;
}

function contentOf(bytes: Uint8Array): Content {
  return { bytes: bytes.length, read: async (start, length) => bytes.subarray(start, start + length) };
}

async function uploadContent(context: UploadContext, target: Target, content: Content): Promise<void> {
  const mark = Buffer.from(context.random.bytes(16)).toString('hex');
  if (content.bytes > SINGLE_BYTES_MAX) return uploadParts(context, { ...target, mark }, content);
  const { connection } = context;
  const body = await content.read(0, content.bytes);
  const { key, options } = target;
  await publish(connection, { ...target, mark }, async (condition) => {
    const headers = (): Record<string, string> => ({ [MARK_HEADER]: mark, ...condition });
    await connection.document({ method: 'PUT', key, body, headers, tolerate: ['PreconditionFailed'], signal: options.signal });
  });
}

interface MarkedTarget extends Target {
  readonly mark: string;
}

/** Runs the request that makes the object visible; finds out whether it was done when its answer was lost. */
async function publish(
  connection: S3Connection,
  { key, options, mark }: MarkedTarget,
  request: (condition: Readonly<Record<string, string>>) => Promise<void>,
): Promise<void> {
  try {
    await request(options.ifAbsent === true ? { 'if-none-match': '*' } : {});
  } catch (error) {
    if (!(error instanceof S3Refused)) throw error;
    if (error.isRepeated && (await markOf(connection, key, options)) === mark) return;
    if (error.code === 'PreconditionFailed') throw kalamError('OBJECT_EXISTS', { key, storage: connection.storage });
    throw connection.refused(error.code);
  }
}

async function markOf(connection: S3Connection, key: string, { signal }: PutOptions): Promise<string | undefined> {
  try {
    return await connection.exchange({ method: 'HEAD', key, signal }, async ({ headers }) => headers.get(MARK_HEADER) ?? undefined);
  } catch (error) {
    if (error instanceof KalamError && error.code === 'OBJECT_NOT_FOUND') return undefined;
    throw error;
  }
}

async function uploadParts(context: UploadContext, target: MarkedTarget, content: Content): Promise<void> {
  const { connection } = context;
  const { key, options, mark } = target;
  const { signal } = options;
  const started = await connection.document({
    method: 'POST',
    key,
    query: { uploads: '' },
    headers: () => ({ [MARK_HEADER]: mark }),
    signal,
  });
  const uploadId = started === undefined ? undefined : childText(started, 'UploadId');
  if (uploadId === undefined) throw connection.refused('it names no upload');
  try {
    const tags = await sendParts(context, { ...target, uploadId }, content);
    const body = Buffer.from(partsDocument(tags));
    await publish(connection, target, async (condition) => {
      const tolerate = ['PreconditionFailed', 'NoSuchUpload'];
      await connection.document({ method: 'POST', key, query: { uploadId }, headers: () => condition, body, tolerate, signal });
    });
  } catch (error) {
    // Also when the caller has had enough: parts that nobody ends cost money for ever. What cannot be ended now, the next sweep ends.
    await connection.document({ method: 'DELETE', key, query: { uploadId }, tolerate: ['NoSuchUpload'] }).catch(() => undefined);
    throw error;
  }
}

/** Sends all parts, a few at once; resolves to their tags in order. The first failure ends the others. */
async function sendParts(
  { connection }: UploadContext,
  { key, options, uploadId }: MarkedTarget & { readonly uploadId: string },
  content: Content,
): Promise<readonly string[]> {
  const partBytes = Math.max(PART_BYTES_MIN, Math.ceil(content.bytes / PARTS_MAX));
  const count = Math.ceil(content.bytes / partBytes);
  const tags: string[] = [];
  const ending = new AbortController();
  const { signal, release } = linkSignals([ending.signal, options.signal]);
  let next = 0;
  const sender = async (): Promise<void> => {
    for (let part = next++; part < count; part = next++) {
      const start = part * partBytes;
      const body = await content.read(start, Math.min(partBytes, content.bytes - start));
      const query = { partNumber: String(part + 1), uploadId };
      tags[part] = await connection.exchange({ method: 'PUT', key, query, body, signal }, async ({ headers }) => headers.get('etag') ?? '');
    }
  };
  const senders = Array.from({ length: Math.min(PARTS_AT_ONCE_MAX, count) }, () =>
    sender().catch((error: unknown) => {
      ending.abort(error);
      throw error;
    }),
  );
  const failed = (await Promise.allSettled(senders)).some(({ status }) => status === 'rejected');
  release();
  if (failed) throw ending.signal.reason;
  return tags;
}

function partsDocument(tags: readonly string[]): string {
  const parts = tags.map((tag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escapeXml(tag)}</ETag></Part>`);
  return `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`;
}

/** Ends uploads below the storage's prefix that began before a time: a process that was killed has left them. */
export async function sweepUploads(connection: S3Connection, beforeMillis: number, signal?: AbortSignal): Promise<void> {
  const query = { uploads: '', prefix: connection.prefix };
  const document = await connection.document({ method: 'GET', query, signal });
  for (const found of document?.children ?? []) {
    const [key, uploadId, initiated] = ['Key', 'UploadId', 'Initiated'].map((name) => childText(found, name));
    if (found.name !== 'Upload' || key === undefined || uploadId === undefined || !key.startsWith(connection.prefix)) continue;
    if (!(Date.parse(initiated ?? '') < beforeMillis)) continue;
    await connection.document({
      method: 'DELETE',
      key: key.slice(connection.prefix.length),
      query: { uploadId },
      tolerate: ['NoSuchUpload'],
      signal,
    });
  }
}
