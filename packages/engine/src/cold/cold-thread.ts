import { Worker } from 'node:worker_threads';
import { kalamError, type Timers } from '@kalamdb/protocol';
import {
  type ColdAnswer,
  type ColdCall,
  type ColdStart,
  type CompactOrder,
  type FlushedSegment,
  type FlushOrder,
  type MergedSegments,
  receivedFailure,
  type SentLookup,
  type SentSegment,
  type SentTable,
} from './cold-messages.ts';
import type { ColdScan } from './cold-reader.ts';

/** Calls that wait for an answer; further ones are refused with QUERIES_BUSY. */
const CALLS_MAX = 1024;
/** Milliseconds that the thread may take to end by itself. */
const END_MILLIS_MAX = 2000;
/** Megabytes for young objects: a thread takes twice as many of its own accord, and keeps them. */
const YOUNG_MEGABYTES_MAX = 16;
/** The compiled module, from `src/cold` and from `dist/cold` alike: a thread cannot load TypeScript. */
const COLD_MODULE: URL = new URL('../../dist/cold/cold-worker.js', import.meta.url);

interface Waiting {
  readonly resolve: (answer: Exclude<ColdAnswer, { kind: 'failed' }>) => void;
  readonly reject: (error: unknown) => void;
}

/** A call without its number. */
type Unnumbered<T> = T extends { readonly id: number } ? Omit<T, 'id'> : never;

/**
 * A cold thread seen from the main thread. It is started at the first call and runs several at a time. When it dies, its calls fail
 * with QUERY_INTERRUPTED and the next one starts another thread.
 */
export class ColdThread {
  readonly #start: ColdStart;
  readonly #timers: Timers;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #lastId = 0;
  #closed = false;

  constructor(start: ColdStart, timers: Timers) {
    this.#start = start;
    this.#timers = timers;
  }

  /** Pieces of rows, see {@link ColdAnswer}. */
  async lookUp(table: SentTable, segments: readonly SentLookup[]): Promise<readonly Uint8Array[]> {
    return piecesOf(await this.#call(this.#number(), { kind: 'look-up', table, segments }));
  }

  /** The same, answer by answer. What is not read to its end is ended by `return`. */
  async *scan(table: SentTable, segments: readonly SentSegment[], scan: ColdScan): AsyncGenerator<readonly Uint8Array[], void> {
    const id = this.#number();
    let pieces = piecesOf(await this.#call(id, { kind: 'scan', table, segments, scan }));
    try {
      for (; pieces.length > 0; pieces = piecesOf(await this.#call(id, { kind: 'next' }))) yield pieces;
    } finally {
      if (pieces.length > 0) this.#post({ kind: 'end', id });
    }
  }

  /** Writes a segment; `undefined` when there is no row for one. */
  async flush(order: FlushOrder): Promise<FlushedSegment | undefined> {
    const answer = await this.#call(this.#number(), { kind: 'flush', order });
    return answer.kind === 'flushed' ? answer.flushed : undefined;
  }

  /** Writes one segment with the rows of several. */
  async compact(order: CompactOrder): Promise<MergedSegments> {
    const answer = await this.#call(this.#number(), { kind: 'compact', order });
    if (answer.kind !== 'compacted') throw kalamError('INTERNAL_ERROR', { reason: `a compaction was answered with ${answer.kind}` });
    return answer.segments;
  }

  /** Ends the thread, and with it its handle on the hot tier. What it was doing fails; the next call starts another thread. */
  async letGo(): Promise<void> {
    await this.#worker?.terminate();
  }

  /** Fails what is under way with SHUTTING_DOWN and ends the thread. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#fail(kalamError('SHUTTING_DOWN'));
    const worker = this.#worker;
    if (worker === undefined) return;
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    this.#post({ kind: 'close' });
    const timer = this.#timers.after(END_MILLIS_MAX, () => void worker.terminate(), { keepAlive: true });
    await ended;
    timer.cancel();
  }

  #number(): number {
    this.#lastId = (this.#lastId % 0x7fff_ffff) + 1;
    return this.#lastId;
  }

  #call(id: number, call: Unnumbered<ColdCall>): Promise<Exclude<ColdAnswer, { kind: 'failed' }>> {
    if (this.#closed) return Promise.reject(kalamError('SHUTTING_DOWN'));
    if (this.#waiting.size >= CALLS_MAX) return Promise.reject(kalamError('QUERIES_BUSY', { max: CALLS_MAX }));
    this.#worker ??= this.#launch();
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#post({ ...call, id } as ColdCall);
    });
  }

  #launch(): Worker {
    const worker = new Worker(COLD_MODULE, { workerData: this.#start, resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MEGABYTES_MAX } });
    let cause: unknown;
    worker.on('message', (answer: ColdAnswer) => this.#answered(answer));
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
      this.#fail(kalamError('QUERY_INTERRUPTED', {}, { cause }));
    });
    // A database that nobody closes does not keep its process alive because of an idle thread.
    worker.unref();
    return worker;
  }

  #post(call: ColdCall): void {
    this.#worker?.postMessage(call);
  }

  #answered(answer: ColdAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (answer.kind === 'failed') waiting?.reject(receivedFailure(answer));
    else waiting?.resolve(answer);
  }

  #fail(error: unknown): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(error);
  }
}

function piecesOf(answer: ColdAnswer): readonly Uint8Array[] {
  return answer.kind === 'rows' ? answer.pieces : [];
}
