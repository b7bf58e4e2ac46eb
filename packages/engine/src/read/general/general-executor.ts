import { availableParallelism } from 'node:os';
import { type Clock, kalamError, type Row, type Timers } from '@kalamdb/protocol';
import type { ResultColumn, RowStream } from '../../contract.ts';
import { ColdRowsNeeded } from '../../partition/cold-rows.ts';
import type { SnapshotSource } from '../../partition/snapshot.ts';
import type { Slices } from '../../slices/slices.ts';
import type { SpoolFolder } from '../answer-spool.ts';
import type { ColdTables } from '../cold-select.ts';
import { STATEMENT_TIMEOUT_MILLIS } from '../query-runner.ts';
import { StatementLimits } from '../statement-limits.ts';
import { AnswerStream } from './answer-stream.ts';
import type { GeneralRequest } from './general-request.ts';
import { QuerySlots } from './query-slots.ts';
import { QueryThread } from './query-thread.ts';
import type { RunningQuery } from './running-query.ts';

/** Memory of all running queries together, and of the tables that are kept for the next ones, unless set. */
export const GENERAL_MEMORY_BYTES_MAX: number = 512 * 1024 * 1024;
/** Queries that run at a time, whatever the number of cores: each keeps one of the 16 threads that the log needs too. */
const RUNNING_MAX = 8;
/** Queries that wait for their turn. */
const WAITING_MAX = 200;
/** Rows of an answer that is read as a whole. */
const ROWS_MAX = 1_000_000;
/** Units of texts and bytes of an answer that is read as a whole. */
const RESULT_UNITS_MAX = 128 * 1024 * 1024;

/** What a {@link GeneralExecutor} works with. */
export interface GeneralExecutorSources {
  readonly slices: Slices;
  readonly clock: Clock;
  readonly timers: Timers;
  /** The hot tier's folder, which the query thread opens too; `undefined`: the main thread reads every table for it. */
  readonly hotPath?: string | undefined;
  /** Where the newest versions are; needed with {@link hotPath}. */
  readonly snapshots?: Pick<SnapshotSource, 'open'> | undefined;
  /** Absent: there is no cold tier. */
  readonly cold?: ColdTables | undefined;
  /** Where answers of slow readers wait; `undefined`: in memory, half a megabyte of each. */
  readonly spool?: SpoolFolder | undefined;
  /** A statement that takes longer fails with STATEMENT_TIMEOUT; {@link STATEMENT_TIMEOUT_MILLIS} unless given. */
  readonly timeoutMillis?: number | undefined;
  /** {@link GENERAL_MEMORY_BYTES_MAX} unless given. */
  readonly memoryBytesMax?: number | undefined;
  /** Cores of the machine; as the system says unless given. */
  readonly cores?: number | undefined;
}

/** What a general query answers. */
export interface GeneralAnswer {
  readonly columns: readonly ResultColumn[];
  readonly rows: readonly Row[];
}

/**
 * Runs general queries (joins, subqueries, set operations, window functions …) on one DuckDB in memory, in a thread of its own that is started at the
 * first of them. As many run as there are cores, one user's leave a core to the others, and users take turns.
 */
export class GeneralExecutor {
  readonly #sources: GeneralExecutorSources;
  readonly #slots: QuerySlots;
  readonly #thread: QueryThread;
  readonly #closed = new AbortController();
  /** What ends the queries whose answers somebody waits for. */
  readonly #ending = new Set<AbortController>();
  /** Queries that hold a slot, until DuckDB has let go of them. */
  readonly #running = new Set<Promise<void>>();

  constructor(sources: GeneralExecutorSources) {
    const { cores = availableParallelism(), memoryBytesMax = GENERAL_MEMORY_BYTES_MAX, hotPath: path, snapshots } = sources;
    const { cold, spool, slices, clock, timers } = sources;
    this.#sources = sources;
    const runningMax = Math.min(cores, RUNNING_MAX);
    this.#slots = new QuerySlots({ runningMax, userRunningMax: Math.max(1, runningMax - 1), waitingMax: WAITING_MAX });
    this.#thread = new QueryThread({
      path,
      snapshots,
      cold,
      spool,
      slices,
      clock,
      timers,
      memoryBytesMax,
      threads: Math.max(1, cores - 1),
    });
  }

  /** Whether a query has come yet, so that DuckDB is there. */
  get isLoaded(): boolean {
    return this.#thread.isRunning;
  }

  /** Queries that compute, and those that wait for their turn. */
  get load(): { readonly running: number; readonly waiting: number } {
    return { running: this.#slots.running, waiting: this.#slots.waiting };
  }

  /**
   * The answer of a query, as a whole. Rejects as {@link stream} does, and with QUERY_TOO_LARGE above a million rows and 128 Mi of text.
   */
  async run(request: GeneralRequest, signal?: AbortSignal): Promise<GeneralAnswer> {
    const stream = await this.#stream(request, signal);
    try {
      const rows: Row[] = [];
      let units = 0;
      for (let batch = await stream.nextBatch(); batch !== undefined; batch = await stream.nextBatch()) {
        units += batch.units;
        if (rows.length + batch.rows.length > ROWS_MAX) throw kalamError('QUERY_TOO_LARGE', { max: ROWS_MAX, what: 'rows' });
        if (units > RESULT_UNITS_MAX) throw kalamError('QUERY_TOO_LARGE', { max: RESULT_UNITS_MAX, what: 'characters' });
        for (const row of batch.rows) rows.push(row);
      }
      return { columns: stream.columns, rows };
    } finally {
      await stream.close();
    }
  }

  /**
   * The answer of a query as it is made, less than a megabyte ahead of its reader, or on the disk when that is slow; whoever gets it closes it. What takes longer than
   * the time-out ends; reading counts as long as it is what the query waits for. Rejects, and so does reading, with what reading tables throws, the errors of computing (types, ranges, names), STATEMENT_TIMEOUT,
   * QUERY_TOO_LARGE, ANSWERS_NOT_READ, QUERIES_BUSY, QUERY_INTERRUPTED, SHUTTING_DOWN, and the signal's reason. The error comes at once, also when DuckDB takes its time to end.
   */
  stream(request: GeneralRequest, signal?: AbortSignal): Promise<RowStream> {
    return this.#stream(request, signal);
  }

  /** Closes the handle on the hot tier: what runs fails with QUERY_INTERRUPTED, and later queries open another one. */
  async letGo(): Promise<void> {
    await this.#thread.end();
  }

  /** Ends what runs and waits: it fails with SHUTTING_DOWN. Resolves when DuckDB has ended it and is closed. */
  async close(): Promise<void> {
    this.#closed.abort(kalamError('SHUTTING_DOWN'));
    for (const ending of this.#ending) ending.abort(this.#closed.signal.reason);
    await this.#thread.end();
    await Promise.all(this.#running);
  }

  async #stream(request: GeneralRequest, signal: AbortSignal | undefined): Promise<AnswerStream> {
    const { clock, timers, timeoutMillis = STATEMENT_TIMEOUT_MILLIS } = this.#sources;
    const ending = new AbortController();
    const limits = new StatementLimits({ clock, timeoutMillis, closed: this.#closed.signal, signal });
    limits.check();
    const unwatch = limits.watch(timers, (error) => ending.abort(error));
    this.#ending.add(ending);
    const ended = (): void => {
      unwatch();
      this.#ending.delete(ending);
    };
    const begin = async (begun: GeneralRequest): Promise<AnswerStream> => {
      const query = await this.#inSlot(begun, ending.signal);
      void query.ended.then(() => query.isComplete && unwatch());
      return AnswerStream.begin(query, { signal: ending.signal, ended });
    };
    try {
      return await begin(request);
    } catch (error) {
      if (!(error instanceof ColdRowsNeeded)) return failed(error, ended);
    }
    // A segment lies where the thread may not read.
    return begin({ ...request, assertCurrent: undefined }).catch((error: unknown) => failed(error, ended));
  }

  /** The slot is given back when the thread has ended the query, whatever becomes of its reader. */
  async #inSlot(request: GeneralRequest, signal: AbortSignal): Promise<RunningQuery> {
    const leave = await this.#slots.enter(request.principal.userId, signal);
    try {
      await this.#thread.renew();
      signal.throwIfAborted();
      const query = this.#thread.begin(request);
      const ended = query.ended.then(() => {
        this.#running.delete(ended);
        leave();
      });
      this.#running.add(ended);
      return query;
    } catch (error) {
      leave();
      throw error;
    }
  }
}

function failed(error: unknown, ended: () => void): never {
  ended();
  throw error;
}
