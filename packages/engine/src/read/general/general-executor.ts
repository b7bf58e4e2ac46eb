import { availableParallelism } from 'node:os';
import type { DuckDBInstance } from '@duckdb/node-api';
import { type Clock, kalamError, type Timers } from '@kalamdb/protocol';
import type { Slices } from '../../slices/slices.ts';
import { STATEMENT_TIMEOUT_MILLIS } from '../query-runner.ts';
import { StatementLimits } from '../statement-limits.ts';
import { type DuckDb, loadDuckDb, openInstance } from './duckdb.ts';
import { type GeneralAnswer, type GeneralRequest, runGeneralQuery } from './general-query.ts';
import { QuerySlots } from './query-slots.ts';

/** Memory of all running queries together, unless set. */
export const GENERAL_MEMORY_BYTES_MAX: number = 512 * 1024 * 1024;
/** Queries that run at a time, whatever the number of cores: each keeps one of the 16 threads that the log needs too. */
const RUNNING_MAX = 8;
/** Queries that wait for their turn. */
const WAITING_MAX = 200;

/** What a {@link GeneralExecutor} works with. */
export interface GeneralExecutorSources {
  readonly slices: Slices;
  readonly clock: Clock;
  readonly timers: Timers;
  /** A statement that takes longer fails with STATEMENT_TIMEOUT; {@link STATEMENT_TIMEOUT_MILLIS} unless given. */
  readonly timeoutMillis?: number | undefined;
  /** {@link GENERAL_MEMORY_BYTES_MAX} unless given. */
  readonly memoryBytesMax?: number | undefined;
  /** Cores of the machine; as the system says unless given. */
  readonly cores?: number | undefined;
}

interface OpenDuckDb {
  readonly db: DuckDb;
  readonly instance: DuckDBInstance;
}

/**
 * Runs general queries (joins, subqueries, set operations, window functions …) on one DuckDB in memory, which is loaded at the
 * first of them. As many run as there are cores, one user's leave a core to the others, and users take turns.
 */
export class GeneralExecutor {
  readonly #sources: GeneralExecutorSources;
  readonly #slots: QuerySlots;
  readonly #cores: number;
  readonly #timeoutMillis: number;
  readonly #memoryBytesMax: number;
  readonly #closed = new AbortController();
  /** What ends the queries whose answers somebody waits for. */
  readonly #ending = new Set<AbortController>();
  /** Queries that hold a slot, until DuckDB has let go of them. */
  readonly #running = new Set<Promise<unknown>>();
  #duckDb: Promise<OpenDuckDb> | undefined;

  constructor(sources: GeneralExecutorSources) {
    this.#sources = sources;
    this.#cores = sources.cores ?? availableParallelism();
    this.#timeoutMillis = sources.timeoutMillis ?? STATEMENT_TIMEOUT_MILLIS;
    this.#memoryBytesMax = sources.memoryBytesMax ?? GENERAL_MEMORY_BYTES_MAX;
    const runningMax = Math.min(this.#cores, RUNNING_MAX);
    this.#slots = new QuerySlots({ runningMax, userRunningMax: Math.max(1, runningMax - 1), waitingMax: WAITING_MAX });
  }

  /** Whether a query has come yet, so that DuckDB is there. */
  get isLoaded(): boolean {
    return this.#duckDb !== undefined;
  }

  /** Queries that compute, and those that wait for their turn. */
  get load(): { readonly running: number; readonly waiting: number } {
    return { running: this.#slots.running, waiting: this.#slots.waiting };
  }

  /**
   * The answer of a query. Rejects with what reading throws, the errors of computing (types, ranges, names), STATEMENT_TIMEOUT, QUERY_TOO_LARGE,
   * QUERIES_BUSY, SHUTTING_DOWN, and the signal's reason. The error comes at once, also when DuckDB takes its time to end.
   */
  async run(request: GeneralRequest, signal?: AbortSignal): Promise<GeneralAnswer> {
    const { clock, timers } = this.#sources;
    const ending = new AbortController();
    const limits = new StatementLimits({ clock, timeoutMillis: this.#timeoutMillis, closed: this.#closed.signal, signal });
    limits.check();
    const stop = limits.watch(timers, (error) => ending.abort(error));
    this.#ending.add(ending);
    try {
      return await unlessEnded(ending.signal, this.#inSlot(request, ending.signal));
    } finally {
      stop();
      this.#ending.delete(ending);
    }
  }

  /** Ends what runs and waits: it fails with SHUTTING_DOWN. Resolves when DuckDB has ended it and is closed. */
  async close(): Promise<void> {
    this.#closed.abort(kalamError('SHUTTING_DOWN'));
    for (const ending of this.#ending) ending.abort(this.#closed.signal.reason);
    await Promise.allSettled(this.#running);
    const opened = this.#duckDb;
    if (opened === undefined) return;
    const { instance } = await opened.catch(() => ({ instance: undefined }));
    instance?.closeSync();
  }

  async #inSlot(request: GeneralRequest, signal: AbortSignal): Promise<GeneralAnswer> {
    const leave = await this.#slots.enter(request.principal.userId, signal);
    const answer = this.#query(request, signal);
    this.#running.add(answer);
    try {
      return await answer;
    } finally {
      this.#running.delete(answer);
      leave();
    }
  }

  async #query(request: GeneralRequest, signal: AbortSignal): Promise<GeneralAnswer> {
    const { slices, timers } = this.#sources;
    const { db, instance } = await this.#open();
    signal.throwIfAborted();
    return runGeneralQuery({ db, instance, slices, timers, memoryBytesMax: this.#memoryBytesMax, signal }, request);
  }

  #open(): Promise<OpenDuckDb> {
    this.#duckDb ??= this.#load();
    return this.#duckDb;
  }

  async #load(): Promise<OpenDuckDb> {
    try {
      const db = await loadDuckDb();
      const threads = Math.max(1, this.#cores - 1);
      return { db, instance: await openInstance(db, { memoryBytesMax: this.#memoryBytesMax, threads }) };
    } catch (error) {
      this.#duckDb = undefined;
      throw kalamError('INTERNAL_ERROR', { reason: 'the engine for general queries could not be loaded' }, { cause: error });
    }
  }
}

/** The promise's outcome, or the reason of the signal as soon as it is aborted. */
function unlessEnded<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = (): void => reject(signal.reason);
    if (signal.aborted) end();
    signal.addEventListener('abort', end, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', end));
  });
}
