import { type Clock, kalamError, type Row, type Timers } from '@kalamdb/protocol';
import type { EvalContext, SelectPlan } from '@kalamdb/sql';
import type { PartitionId } from '@kalamdb/storage';
import type { Grant } from '../access/grant.ts';
import type { ColdReader } from '../cold/cold-reader.ts';
import { partitionName } from '../partition/overlay.ts';
import type { SnapshotSource } from '../partition/snapshot.ts';
import { Slices } from '../slices/slices.ts';
import { finishSteps, type Steps } from '../slices/steps.ts';
import { AnswerSpool, type SpoolFolder } from './answer-spool.ts';
import { type ColdTables, selectOverCold } from './cold-select.ts';
import { ColdRowsToSpool } from './cold-stream.ts';
import { largeAccess, type RowAccess, rowAccess } from './granted-rows.ts';
import type { StatementText } from './scan-messages.ts';
import { ScanThread, type ThreadQuery, type ThreadResult } from './scan-thread.ts';
import { type GrantedSelect, type OpenSource, type ScanProgress, selectSteps } from './select-steps.ts';
import { StatementLimits } from './statement-limits.ts';
import { TableCopies } from './table-copies.ts';
import { type RowBatches, ThreadRows } from './thread-rows.ts';

/** Rows that a scan may read on the main thread; longer ones begin again in the scan thread. */
export const MAIN_THREAD_ROWS_MAX = 20_000;
/** Keys that are looked up without leaving the turn of the event loop. */
const KEYS_AT_ONCE_MAX = 64;
/** Partitions that are remembered as too large for the main thread. */
const LARGE_PARTITIONS_MAX = 10_000;
/** Answers that are read as they are made, and wait in memory and on the disk for their readers. */
export const STREAMS_MAX = 200;
/** How long a statement may take, unless set. */
export const STATEMENT_TIMEOUT_MILLIS = 30_000;

/** What a {@link QueryRunner} works with. */
export interface QueryRunnerSources {
  readonly snapshots: Pick<SnapshotSource, 'open'>;
  readonly clock: Clock;
  readonly timers: Timers;
  /** The slices of the event loop; its own unless given. */
  readonly slices?: Slices | undefined;
  /** The hot tier's folder, which the scan thread opens too; `undefined`: every scan stays in slices on the main thread. */
  readonly hotPath: string | undefined;
  /** Where answers wait that are made faster than they are read; `undefined`: each is held as a whole. */
  readonly spool?: SpoolFolder | undefined;
  /** The rows that lie in segments; absent: there are none. */
  readonly cold?: ColdTables | undefined;
  /** A statement that reads for longer fails with STATEMENT_TIMEOUT; {@link STATEMENT_TIMEOUT_MILLIS} unless given. */
  readonly timeoutMillis?: number | undefined;
  /** Rows that a scan may read on the main thread, {@link MAIN_THREAD_ROWS_MAX} unless given. */
  readonly mainThreadRowsMax?: number | undefined;
  /** The module of the scan thread; another one only in tests. */
  readonly scanModule?: URL | undefined;
}

/** One SELECT on one granted partition. */
export interface SelectRequest {
  readonly plan: SelectPlan;
  readonly grant: Grant;
  readonly evaluation: EvalContext;
  /** Where to read; `undefined`: at the present watermark. */
  readonly open: (() => OpenSource) | undefined;
  /** What the plan was compiled from; `undefined`: the statement cannot be given to the scan thread. */
  readonly statement: StatementText | undefined;
  /** Throws when the table is no longer the one that the plan was bound to. */
  assertCurrent(): void;
  /** Ends the statement with the signal's reason. As a function it is asked only when the statement does not read at once. */
  readonly signal?: AbortSignal | (() => AbortSignal) | undefined;
}

/** What a SELECT that may be streamed answers: rows, or a stream of many. */
export type FoundRows = readonly Row[] | RowBatches;

/** Whether it is a stream. */
export function isStream(found: FoundRows): found is RowBatches {
  return !Array.isArray(found);
}

/** Thrown between two slices: the scan has turned out to be long. */
class TooLong extends Error {}

/**
 * Runs what reads rows without holding up the event loop: look-ups and short scans at once, longer ones in slices, and scans
 * of many rows in a thread of their own. The rows are the same on every road, and so are the errors.
 */
export class QueryRunner {
  readonly #sources: QueryRunnerSources;
  readonly #slices: Slices;
  readonly #thread: ScanThread | undefined;
  readonly #mainThreadRowsMax: number;
  readonly #timeoutMillis: number;
  readonly #closed = new AbortController();
  readonly #copies = new TableCopies();
  /** Whole scans of these were too long the last time. */
  readonly #large = new Set<string>();
  readonly #spool: SpoolFolder | undefined;
  readonly #streams = new Set<ThreadRows>();

  constructor(sources: QueryRunnerSources) {
    this.#sources = sources;
    this.#spool = sources.spool;
    this.#slices = sources.slices ?? new Slices(sources);
    this.#mainThreadRowsMax = sources.mainThreadRowsMax ?? MAIN_THREAD_ROWS_MAX;
    this.#timeoutMillis = sources.timeoutMillis ?? STATEMENT_TIMEOUT_MILLIS;
    const { hotPath: path, snapshots, clock, timers, scanModule } = sources;
    this.#thread =
      path === undefined ? undefined : new ScanThread({ path, snapshots, clock, timers, slices: this.#slices, module: scanModule });
  }

  /**
   * The rows of a SELECT: themselves when they could be had at once. Throws or rejects with what the plan's expressions throw,
   * STATEMENT_TIMEOUT, QUERY_TOO_LARGE, QUERIES_BUSY, QUERY_INTERRUPTED, SNAPSHOT_TOO_OLD, SHUTTING_DOWN.
   */
  select(request: SelectRequest): readonly Row[] | Promise<readonly Row[]> {
    return this.#select<never>(request, { inThread: this.#inThread, overCold: this.#overCold });
  }

  /**
   * {@link select} whose rows may be a stream when there are many, so that they are not held: those of a long scan, unless it is in a
   * transaction or draws ids or random numbers. Whoever gets a stream closes it.
   */
  stream(request: SelectRequest): FoundRows | Promise<FoundRows> {
    if (this.#spool === undefined || request.plan.isVolatile || request.open !== undefined) return this.select(request);
    return this.#select<RowBatches>(request, { inThread: this.#streamed, overCold: this.#streamedOverCold });
  }

  #select<T>(request: SelectRequest, roads: LongRoads<T>): readonly Row[] | Promise<readonly Row[] | T> {
    const { plan, grant, evaluation } = request;
    const access = rowAccess(grant.table, plan, evaluation);
    const open = request.open ?? (() => this.#openCurrent(request));
    const { cold } = this.#sources;
    if (cold?.mayHave(grant.partition) === true) return roads.overCold(cold.reader, { plan, grant, access, evaluation }, request);
    if (access.kind === 'keys' && access.keys.length <= KEYS_AT_ONCE_MAX) {
      return finishSteps(selectSteps({ plan, grant, access, evaluation }, open));
    }
    const limits = this.#limits(typeof request.signal === 'function' ? request.signal() : request.signal);
    const query = this.#threadQuery(request, access);
    const whole = readsAll(plan, access);
    const isLarge = whole && this.#large.has(partitionName(grant.partition));
    const select: GrantedSelect = { plan, grant, access: isLarge ? largeAccess(access, plan) : access, evaluation };
    const scan: LongSelect = { query, select, open, whole };
    return isLarge && query !== undefined ? roads.inThread(scan, query, limits) : this.#inSlices(scan, roads.inThread, limits);
  }

  readonly #overCold: ColdRoad<never> = (reader, select, request) => {
    const limits = this.#limits(typeof request.signal === 'function' ? request.signal() : request.signal);
    const open = request.open ?? (() => this.#openCurrent(request));
    return selectOverCold({ select, reader, open, run: (steps) => this.#slices.run(steps, limits.check) });
  };

  readonly #streamedOverCold: ColdRoad<RowBatches> = async (reader, select, request) => {
    const { check } = this.#limits(typeof request.signal === 'function' ? request.signal() : request.signal);
    const query = new ColdRowsToSpool({
      select: { select, reader, open: () => this.#openCurrent(request) },
      slices: this.#slices,
      check,
      spool: () => this.#newSpool(),
    });
    const found = await query.begin();
    return found instanceof AnswerSpool ? this.#readingOf(found, (error) => query.stop(error)) : found;
  };

  /** The first slice may come late: what the plan was bound to may have been altered or dropped by then. */
  #openCurrent(request: SelectRequest): OpenSource {
    request.assertCurrent();
    return this.#sources.snapshots.open();
  }

  /** In slices until the scan has turned out to be long, then in the thread if it may go there. */
  #inSlices<T>(scan: LongSelect, road: ThreadRoad<T>, limits: StatementLimits): readonly Row[] | Promise<readonly Row[] | T> {
    const { query, select, open, whole } = scan;
    const progress: ScanProgress = { rows: 0 };
    const rows = this.#slices.run(selectSteps(select, open, progress), () => {
      limits.check();
      if (progress.rows <= this.#mainThreadRowsMax) return;
      if (whole) this.#remember(partitionName(select.grant.partition));
      if (query !== undefined) throw new TooLong();
    });
    if (!(rows instanceof Promise) || query === undefined) return rows;
    return rows.catch((error: unknown): Promise<T> => {
      if (!(error instanceof TooLong)) throw error;
      return road(scan, query, limits);
    });
  }

  /** Whether a partition may have segments. */
  hasSegments(partition: PartitionId): boolean {
    return this.#sources.cold?.mayHave(partition) === true;
  }

  /** Answers that are being read as they are made. */
  get streams(): number {
    return this.#streams.size;
  }

  /** Runs other work that reads rows, in slices and under the time limit of statements. */
  run<T>(steps: Steps<T>, signal?: AbortSignal): T | Promise<T> {
    return this.#slices.run(steps, this.#limits(signal).check);
  }

  /** Closes the handle that the thread has on the hot tier; queries that come later open another one. */
  async letGo(): Promise<void> {
    await this.#thread?.letGo();
  }

  /** Ends what runs in slices and in the thread: it fails with SHUTTING_DOWN. What is short still runs. */
  async close(): Promise<void> {
    this.#closed.abort(kalamError('SHUTTING_DOWN'));
    for (const rows of this.#streams) {
      rows.fail(this.#closed.signal.reason);
      await rows.close();
    }
    await this.#thread?.close();
    await this.#slices.idle();
  }

  #limits(signal: AbortSignal | undefined): StatementLimits {
    const { clock } = this.#sources;
    return new StatementLimits({ clock, timeoutMillis: this.#timeoutMillis, closed: this.#closed.signal, signal });
  }

  /** The query for the scan thread; `undefined` when it has to be run here. */
  #threadQuery(request: SelectRequest, access: RowAccess): ThreadQuery | undefined {
    const { statement, grant, evaluation } = request;
    const ready = access.kind === 'scan' && request.open === undefined && this.#thread?.isReady === true;
    if (!ready || statement === undefined || grant.table.kind === 'stream') return undefined;
    const { partition, maskedCells, table } = grant;
    const { nowMicros, userId, role } = evaluation;
    return {
      query: { ...statement, table: this.#copies.of(table), partition, maskedCells, nowMicros, userId, role },
      partition,
      user: userId,
      assertCurrent: () => request.assertCurrent(),
    };
  }

  readonly #inThread: ThreadRoad<readonly Row[]> = async (scan, query, limits) => {
    const { result, giveUp } = this.#threadForQueries().run(query);
    const cancel = limits.watch(this.#sources.timers, giveUp);
    try {
      const answer = await result;
      if (answer.kind === 'declined') return await this.#slices.run(selectSteps(scan.select, scan.open), limits.check);
      this.#noteRead(scan, answer.rowsRead);
      return answer.rows;
    } finally {
      cancel();
    }
  };

  readonly #streamed: ThreadRoad<RowBatches> = async (scan, query, limits) => {
    const spool = this.#newSpool();
    const { result, giveUp } = this.#threadForQueries().run({ ...query, sink: spool });
    const rows = this.#readingOf(spool, giveUp);
    // What the query takes is its own time: a slow reader has its answer from the spool.
    const cancel = limits.watch(this.#sources.timers, (error) => rows.fail(error));
    const ended = (answer: ThreadResult): void => {
      if (answer.kind === 'declined') throw kalamError('INTERNAL_ERROR', { reason: 'the scan thread declined a part of an answer' });
      this.#noteRead(scan, answer.rowsRead);
      spool.ended();
    };
    void result
      .then(ended)
      .catch((error: unknown) => spool.fail(error))
      .finally(cancel);
    return rows;
  };

  #newSpool(): AnswerSpool {
    if (this.#spool === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a database without a folder for answers used it' });
    if (this.#streams.size >= STREAMS_MAX) throw kalamError('QUERIES_BUSY', { max: STREAMS_MAX });
    return new AnswerSpool(this.#spool);
  }

  #readingOf(spool: AnswerSpool, giveUp: (error: unknown) => void): ThreadRows {
    const rows = new ThreadRows({ spool, slices: this.#slices, giveUp, closed: () => this.#streams.delete(rows) });
    this.#streams.add(rows);
    return rows;
  }

  #threadForQueries(): ScanThread {
    if (this.#thread === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a database without a scan thread used it' });
    return this.#thread;
  }

  /** The partition may have become small. */
  #noteRead({ select, whole }: LongSelect, rowsRead: number): void {
    if (whole && rowsRead <= this.#mainThreadRowsMax) this.#large.delete(partitionName(select.grant.partition));
  }

  #remember(name: string): void {
    if (this.#large.has(name)) return;
    const [oldest] = this.#large;
    if (this.#large.size >= LARGE_PARTITIONS_MAX && oldest !== undefined) this.#large.delete(oldest);
    this.#large.add(name);
  }
}

/** How a query that is long goes through the thread. */
type ThreadRoad<T> = (scan: LongSelect, query: ThreadQuery, limits: StatementLimits) => Promise<T>;

/** How a query over segments goes. */
type ColdRoad<T> = (reader: ColdReader, select: GrantedSelect, request: SelectRequest) => Promise<readonly Row[] | T>;

/** How queries go that are not answered at once. */
interface LongRoads<T> {
  readonly inThread: ThreadRoad<T | readonly Row[]>;
  readonly overCold: ColdRoad<T>;
}

interface LongSelect {
  /** `undefined`: it has to be run here. */
  readonly query: ThreadQuery | undefined;
  readonly select: GrantedSelect;
  readonly open: () => OpenSource;
  /** It reads the whole partition, however its rows look. */
  readonly whole: boolean;
}

/** Whether every row of the partition has to be read, so that the size of the partition says how long it takes. */
function readsAll(plan: SelectPlan, access: RowAccess): boolean {
  if (access.kind === 'keys' || access.range.from !== undefined || access.range.before !== undefined) return false;
  return plan.limit === undefined || plan.grouping !== undefined || plan.sort.length > 0;
}
