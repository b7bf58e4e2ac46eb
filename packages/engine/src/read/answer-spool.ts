import { join } from 'node:path';
import { kalamError } from '@kalamdb/protocol';
import type { FileSystem, OpenFile } from '@kalamdb/storage';
import { bytesOfChunks } from './row-chunks.ts';
import type { ChunkSink } from './scan-thread.ts';

/** Bytes of one answer that wait for its reader in memory. */
const MEMORY_BYTES_MAX = 1_048_576;
/** Bytes of one answer that wait for its reader on the disk. */
const ANSWER_BYTES_MAX: number = 1024 ** 3;
/** Bytes on the disk of all answers together. */
const ANSWERS_BYTES_MAX: number = 4 * 1024 ** 3;

/** Bytes that answers leave free on the disk: the log must not fail because somebody reads slowly. */
const FREE_BYTES_MIN: number = 512 * 1024 ** 2;
/** Bytes written between two looks at how much is free. */
const LOOK_BYTES: number = 64 * 1024 ** 2;

/** Bounds of answers that wait. */
export interface SpoolBounds {
  readonly freeBytesMin: number;
  readonly memoryBytesMax: number;
  readonly answerBytesMax: number;
  readonly answersBytesMax: number;
}

const BOUNDS: SpoolBounds = {
  memoryBytesMax: MEMORY_BYTES_MAX,
  answerBytesMax: ANSWER_BYTES_MAX,
  answersBytesMax: ANSWERS_BYTES_MAX,
  freeBytesMin: FREE_BYTES_MIN,
};

type Chunks = readonly Uint8Array[];

/**
 * The folder for answers that are made faster than they are read. Its files have no name from the moment they are open, so that nothing is
 * left of them when the process ends; what is found there is from the moment between.
 */
export class SpoolFolder {
  readonly bounds: SpoolBounds;
  readonly #files: FileSystem;
  readonly #path: string;
  #ready: Promise<void> | undefined;
  #lastName = 0;
  #bytes = 0;
  /** Taken since the file system was last asked for its room; so much that it is asked at first. */
  #unseenBytes = LOOK_BYTES;

  constructor(files: FileSystem, path: string, bounds: Partial<SpoolBounds> = {}) {
    this.#files = files;
    this.#path = path;
    this.bounds = { ...BOUNDS, ...bounds };
  }

  /** Bytes on the disk. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes room for bytes that are to be written. Throws ANSWERS_NOT_READ. */
  async take(bytes: number): Promise<void> {
    const { answersBytesMax: max, freeBytesMin } = this.bounds;
    if (this.#bytes + bytes > max) throw kalamError('ANSWERS_NOT_READ', { max });
    this.#bytes += bytes;
    this.#unseenBytes += bytes;
    if (this.#unseenBytes < LOOK_BYTES) return;
    this.#unseenBytes = 0;
    try {
      await this.#prepare();
      const { freeBytes } = await this.#files.space(this.#path);
      if (freeBytes < freeBytesMin) throw kalamError('ANSWERS_NOT_READ', { max: this.#bytes - bytes });
    } catch (error) {
      this.#bytes -= bytes;
      throw error;
    }
  }

  /** Gives room back. */
  give(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** A new file; whoever asked for it closes it. */
  async file(): Promise<OpenFile> {
    await this.#prepare();
    this.#lastName += 1;
    const path = join(this.#path, String(this.#lastName));
    const file = await this.#files.open(path, 'create');
    await this.#files.remove(path);
    return file;
  }

  #prepare(): Promise<void> {
    this.#ready ??= this.#clear();
    return this.#ready;
  }

  async #clear(): Promise<void> {
    try {
      await this.#files.makeDirectory(this.#path);
      for (const name of await this.#files.list(this.#path)) await this.#files.remove(join(this.#path, name));
    } catch (error) {
      this.#ready = undefined;
      throw error;
    }
  }
}

/** A part that waits: in memory, or at the file's next place with so many bytes. */
type Part = Chunks | number;

/**
 * One answer between the thread that makes it and its reader. What the reader does not take at once waits in memory, and above
 * {@link MEMORY_BYTES_MAX} in a file: the query runs at its own pace however slowly its answer is read, and its view of the data does not
 * grow old. The order is that of {@link take}.
 */
export class AnswerSpool implements ChunkSink {
  readonly #folder: SpoolFolder | undefined;
  #parts: Part[] = [];
  /** The first part that was not taken; those before it were. */
  #first = 0;
  #memoryBytes = 0;
  /** Parts that are in the file or on their way there; as long as there are any, others follow them. */
  #filed = 0;
  #file: OpenFile | undefined;
  #writeAt = 0;
  #readAt = 0;
  /** Calls on the file, one after another: none may be under way when it is closed. */
  #calls: Promise<unknown> = Promise.resolve();
  #end: 'open' | 'ended' | { readonly failure: unknown } = 'open';
  #wake: () => void = () => undefined;

  /** Without a folder all of it waits in memory: who fills it looks at {@link waitingBytes}. */
  constructor(folder: SpoolFolder | undefined) {
    this.#folder = folder;
  }

  /** Bytes that the reader has not taken, on the disk and on their way there included. */
  get waitingBytes(): number {
    return this.#memoryBytes + this.#writeAt - this.#readAt;
  }

  take(chunks: Chunks): Promise<void> | undefined {
    if (this.#end !== 'open' || chunks.length === 0) return undefined;
    const bytes = bytesOfChunks(chunks);
    // A reader that waits has it at once.
    const fits = this.#folder === undefined || this.#memoryBytes === 0 || this.#memoryBytes + bytes <= this.#folder.bounds.memoryBytesMax;
    if (this.#filed > 0 || !fits) return this.#putAside(chunks);
    this.#memoryBytes += bytes;
    this.#parts.push(chunks);
    this.#wake();
    return undefined;
  }

  /** There is no more to come. Behind what is on its way to the disk: the reader must not take that for the end. */
  ended(): void {
    void this.#call(async () => {
      if (this.#end === 'open') this.#end = 'ended';
      this.#wake();
    });
  }

  /** The answer cannot be made to its end: what waits is dropped, because nobody needs it. */
  fail(failure: unknown): void {
    if (typeof this.#end === 'object') return;
    this.#end = { failure };
    this.#drop();
    this.#wake();
  }

  /** The next part; `undefined` at the end. One call at a time. Rejects with what the answer failed with, and when it was closed. */
  async next(): Promise<Chunks | undefined> {
    for (;;) {
      if (typeof this.#end === 'object') throw this.#end.failure;
      const part = this.#shift();
      if (part !== undefined) return typeof part === 'number' ? this.#read(part) : part;
      if (this.#end === 'ended') return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Drops what waits and lets go of the file. */
  async close(): Promise<void> {
    this.fail(kalamError('QUERY_INTERRUPTED'));
    await this.#calls;
    const file = this.#file;
    this.#file = undefined;
    this.#folder?.give(this.#writeAt);
    this.#writeAt = 0;
    this.#readAt = 0;
    await file?.close();
  }

  #shift(): Part | undefined {
    const part = this.#parts[this.#first];
    if (part === undefined) return undefined;
    this.#first += 1;
    if (this.#first === this.#parts.length) this.#drop();
    if (typeof part === 'object') this.#memoryBytes -= bytesOfChunks(part);
    return part;
  }

  #drop(): void {
    this.#parts = [];
    this.#first = 0;
  }

  async #putAside(chunks: Chunks): Promise<void> {
    this.#filed += 1;
    const bytes = encoded(chunks);
    try {
      await this.#call(() => this.#write(bytes, this.#folder));
    } catch (error) {
      this.fail(error);
      throw error;
    }
  }

  async #write(bytes: Uint8Array, folder: SpoolFolder | undefined): Promise<void> {
    if (this.#end !== 'open' || folder === undefined) return;
    const { answerBytesMax: max } = folder.bounds;
    if (this.#writeAt + bytes.length > max) throw kalamError('ANSWERS_NOT_READ', { max });
    await folder.take(bytes.length);
    const at = this.#writeAt;
    this.#writeAt += bytes.length;
    this.#file ??= await folder.file();
    await writeAll(this.#file, bytes, at);
    if (this.#end !== 'open') return;
    this.#parts.push(bytes.length);
    this.#wake();
  }

  async #read(bytes: number): Promise<Chunks> {
    return this.#call(async () => {
      if (typeof this.#end === 'object') throw this.#end.failure;
      const file = this.#file;
      if (file === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a part of an answer was put aside without a file' });
      const part = new Uint8Array(bytes);
      const found = await file.read(part, this.#readAt);
      if (found !== bytes) throw kalamError('INTERNAL_ERROR', { reason: 'an answer that was put aside is shorter than it was' });
      this.#readAt += bytes;
      this.#filed -= 1;
      if (this.#filed === 0) this.#rewind();
      return decoded(part);
    });
  }

  /** The reader has caught up: the file is written from its beginning again. */
  #rewind(): void {
    this.#folder?.give(this.#writeAt);
    this.#writeAt = 0;
    this.#readAt = 0;
  }

  #call<T>(work: () => Promise<T>): Promise<T> {
    const called = this.#calls.then(work);
    // Whoever made the call is told of its failure; the next one has to come after it all the same.
    this.#calls = called.catch(() => undefined);
    return called;
  }
}

/** Bytes of a number in the head of a part. */
const NUMBER_BYTES = 4;

/** A part as it is in a file: the number of chunks, the length of each, the chunks. Numbers have four bytes, little end first. */
function encoded(chunks: Chunks): Uint8Array {
  const head = Buffer.alloc(NUMBER_BYTES * (1 + chunks.length));
  head.writeUInt32LE(chunks.length, 0);
  for (const [index, chunk] of chunks.entries()) head.writeUInt32LE(chunk.byteLength, NUMBER_BYTES * (1 + index));
  return Buffer.concat([head, ...chunks]);
}

function decoded(part: Uint8Array): Chunks {
  const view = new DataView(part.buffer, part.byteOffset, part.byteLength);
  const count = view.getUint32(0, true);
  let at = NUMBER_BYTES * (1 + count);
  return Array.from({ length: count }, (_, index) => {
    const start = at;
    at += view.getUint32(NUMBER_BYTES * (1 + index), true);
    return part.subarray(start, at);
  });
}

async function writeAll(file: OpenFile, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const written = await file.write(bytes.subarray(done), position + done);
    if (written === 0) throw kalamError('INTERNAL_ERROR', { reason: 'the system wrote nothing' });
    done += written;
  }
}
