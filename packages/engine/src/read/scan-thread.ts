import { type Clock, kalamError, type Row, type Timer, type Timers } from '@kalamdb/protocol';
import type { PartitionId } from '@kalamdb/storage';
import { ColdRowsNeeded } from '../partition/cold-rows.ts';
import type { SnapshotSource } from '../partition/snapshot.ts';
import type { Slices } from '../slices/slices.ts';
import { FairQueue } from './fair-queue.ts';
import { bytesOfChunks, chunksOfRows, rowsOfChunks, transferList } from './row-chunks.ts';
import { ScanControl } from './scan-control.ts';
import { receivedError, type ScanAnswer, type ScanCall, type ScanQuery, type ScanStart, versionCells } from './scan-messages.ts';
import { WorkerThread } from './worker-thread.ts';

/** Queries that wait for the thread, of all users together. */
export const QUEUED_QUERIES_MAX = 256;
/** Milliseconds that a stopped query may take to notice before its thread is ended. */
const STOP_MILLIS_MAX = 2000;

/** The compiled module, from `src/read` and from `dist/read` alike: a thread cannot load TypeScript. */
const SCAN_MODULE: URL = new URL('../../dist/read/scan-worker.js', import.meta.url);

/** What a {@link ScanThread} works with. */
export interface ScanThreadSources {
  /** The hot tier's folder. */
  readonly path: string;
  readonly snapshots: Pick<SnapshotSource, 'open'>;
  readonly slices: Slices;
  readonly clock: Clock;
  readonly timers: Timers;
  /** The module that the thread runs; another one only in tests. */
  readonly module?: URL | undefined;
}

/** Takes the rows of an answer in chunks, in order. The thread waits while too much was not taken. */
export interface ChunkSink {
  /** Returns when the chunks need no memory of the thread's any more. What it rejects with ends the query. */
  take(chunks: readonly Uint8Array[]): Promise<void> | undefined;
}

/** One query for the thread. */
export interface ThreadQuery {
  readonly query: Omit<ScanQuery, 'streams'>;
  readonly partition: PartitionId;
  /** Who asks, for the fair order. */
  readonly user: string;
  /** Where the rows go as they are found; `undefined`: they are the result. */
  readonly sink?: ChunkSink | undefined;
  /** Throws when the table is no longer the one that the query was planned for. */
  assertCurrent(): void;
}

/** The answer: rows (none when they went to a sink), and how many were read for them; or the query has to be run here after all. */
export type ThreadResult = { readonly kind: 'rows'; readonly rows: Row[]; readonly rowsRead: number } | { readonly kind: 'declined' };

interface Task {
  readonly id: number;
  readonly query: ThreadQuery;
  readonly resolve: (result: ThreadResult | Promise<ThreadResult>) => void;
  readonly reject: (error: unknown) => void;
  /** Keeps the overlay from forgetting what the thread's view may lack, until that was sent. */
  pin: { close(): void } | undefined;
}

/**
 * The worker thread for scans of many rows, seen from the main thread. It is started at the first query and runs one at a time.
 * When it dies, its query fails with QUERY_INTERRUPTED and the next query starts another one.
 */
export class ScanThread {
  readonly #sources: ScanThreadSources;
  /** Of the thread that runs now. */
  #control = new ScanControl();
  readonly #queue = new FairQueue<Task>();
  readonly #thread: WorkerThread<ScanCall, ScanAnswer>;
  #active: Task | undefined;
  #stopTimer: Timer | undefined;
  #lastId = 0;
  #closed = false;

  constructor(sources: ScanThreadSources) {
    const { path, clock, timers, module = SCAN_MODULE } = sources;
    this.#sources = sources;
    this.#thread = new WorkerThread({
      module,
      close: { kind: 'close' },
      clock,
      timers,
      start: (): ScanStart => {
        this.#control = new ScanControl();
        return { path, control: this.#control.memory };
      },
      answered: (answer) => this.#answered(answer, this.#control),
      died: (cause) => this.#died(cause),
    });
  }

  /** Whether a query may be given to the thread now; it rests after it has died several times in a row. */
  get isReady(): boolean {
    return !this.#closed && this.#thread.isReady;
  }

  /**
   * Runs a query behind those of others. Returns the answer and a way to give up: the query fails with the given error at once, and is
   * stopped wherever it is. Rejects with what the query fails with, QUERIES_BUSY, QUERY_INTERRUPTED, SHUTTING_DOWN.
   */
  run(query: ThreadQuery): { readonly result: Promise<ThreadResult>; readonly giveUp: (error: unknown) => void } {
    if (this.#queue.size >= QUEUED_QUERIES_MAX) throw kalamError('QUERIES_BUSY', { max: QUEUED_QUERIES_MAX });
    if (this.#closed) throw kalamError('SHUTTING_DOWN');
    let give: Pick<Task, 'resolve' | 'reject'> = { resolve: () => undefined, reject: () => undefined };
    const result = new Promise<ThreadResult>((resolve, reject) => {
      give = { resolve, reject };
    });
    this.#lastId = (this.#lastId % 0x7fff_ffff) + 1;
    const task: Task = { id: this.#lastId, query, ...give, pin: undefined };
    this.#queue.push(query.user, task);
    this.#startNext();
    return { result, giveUp: (error) => this.#giveUp(task, error) };
  }

  /**
   * Ends the thread, and with it its handle on the hot tier. A query that it runs fails with QUERY_INTERRUPTED; the next one
   * starts another thread.
   */
  async letGo(): Promise<void> {
    await this.#thread.terminate();
  }

  /** Fails what waits and what runs with SHUTTING_DOWN and ends the thread. */
  async close(): Promise<void> {
    this.#closed = true;
    for (let task = this.#queue.shift(); task !== undefined; task = this.#queue.shift()) task.reject(kalamError('SHUTTING_DOWN'));
    if (this.#active !== undefined) this.#giveUp(this.#active, kalamError('SHUTTING_DOWN'));
    await this.#thread.end();
  }

  #startNext(): void {
    while (this.#active === undefined && !this.#closed) {
      const task = this.#queue.shift();
      if (task === undefined) return;
      try {
        task.pin = this.#sources.snapshots.open();
        this.#active = task;
        const { query, sink } = task.query;
        this.#thread.post({ kind: 'query', id: task.id, query: { ...query, streams: sink !== undefined } });
      } catch (error) {
        this.#unpin(task);
        task.reject(error);
        if (this.#active === task) this.#active = undefined;
      }
    }
  }

  #answered(answer: ScanAnswer, control: ScanControl): void {
    const task = this.#active;
    if (answer.kind === 'part') {
      this.#takePart(task?.id === answer.id ? task : undefined, answer.chunks, control);
      return;
    }
    if (task === undefined || task.id !== answer.id) return;
    if (answer.kind === 'opened') {
      this.#sendRecent(task, answer.appliedSeq).catch((error: unknown) => this.#giveUp(task, error));
      return;
    }
    this.#thread.worked();
    this.#ended(task);
    switch (answer.kind) {
      case 'rows':
        this.#read(task, answer);
        break;
      case 'failed':
        task.reject(receivedError(answer.error));
        break;
      case 'declined':
        task.resolve({ kind: 'declined' });
        break;
      case 'stopped':
        task.reject(kalamError('QUERY_INTERRUPTED'));
        break;
      default:
        answer satisfies never;
    }
  }

  /** Sends what the thread's view lacks: the versions above its applied point, up to the present watermark. */
  async #sendRecent(task: Task, appliedSeq: bigint): Promise<void> {
    const { snapshots, slices } = this.#sources;
    const { query } = task;
    query.assertCurrent();
    const now = snapshots.open();
    try {
      // The thread reads no segments, and what they hold may be gone from its view.
      if (now.manifest(query.partition) !== undefined) throw new ColdRowsNeeded();
      const versions = now.recent(query.partition, appliedSeq);
      const chunks = await slices.run(chunksOfRows(mapped(versions, versionCells)));
      if (this.#active === task) this.#thread.tell({ kind: 'recent', id: task.id, watermark: now.seq, chunks }, transferList(chunks));
    } finally {
      now.close();
      this.#unpin(task);
    }
  }

  #takePart(task: Task | undefined, chunks: readonly Uint8Array[], control: ScanControl): void {
    const bytes = bytesOfChunks(chunks);
    const taken = task?.query.sink?.take(chunks);
    if (taken === undefined) {
      control.arrived(bytes);
      return;
    }
    taken.catch((error: unknown) => task && this.#giveUp(task, error)).finally(() => control.arrived(bytes));
  }

  #read(task: Task, { chunks, rowsRead }: Extract<ScanAnswer, { kind: 'rows' }>): void {
    const { sink } = task.query;
    if (sink !== undefined) {
      const taken = sink.take(chunks) ?? Promise.resolve();
      task.resolve(taken.then(() => ({ kind: 'rows', rows: [], rowsRead })));
      return;
    }
    try {
      const rows = this.#sources.slices.run(rowsOfChunks(chunks));
      const result = (read: Row[]): ThreadResult => ({ kind: 'rows', rows: read, rowsRead });
      task.resolve(rows instanceof Promise ? rows.then(result) : result(rows));
    } catch (error) {
      task.reject(error);
    }
  }

  #giveUp(task: Task, error: unknown): void {
    task.reject(error);
    if (this.#queue.remove(task.query.user, task) || this.#active !== task) return;
    this.#unpin(task);
    this.#control.stop(task.id);
    this.#thread.tell({ kind: 'abandon', id: task.id });
    this.#stopTimer ??= this.#sources.timers.after(STOP_MILLIS_MAX, () => void this.#thread.terminate());
  }

  #ended(task: Task): void {
    this.#unpin(task);
    this.#stopTimer?.cancel();
    this.#stopTimer = undefined;
    this.#active = undefined;
    this.#startNext();
  }

  #unpin(task: Task): void {
    task.pin?.close();
    task.pin = undefined;
  }

  #died(cause: unknown): void {
    const task = this.#active;
    if (task === undefined) return;
    task.reject(kalamError('QUERY_INTERRUPTED', {}, { cause }));
    this.#ended(task);
  }
}

function* mapped<T, U>(items: Iterable<T>, change: (item: T) => U): Iterable<U> {
  for (const item of items) yield change(item);
}
