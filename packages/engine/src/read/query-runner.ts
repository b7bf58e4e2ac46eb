import { serialize } from 'node:v8';
import { type Clock, kalamError, type Row, type Timers } from '@kalamdb/protocol';
import type { EvalContext, SelectPlan } from '@kalamdb/sql';
import type { Grant } from '../access/grant.ts';
import type { Table } from '../catalog/table.ts';
import { partitionName } from '../partition/overlay.ts';
import type { SnapshotSource } from '../partition/snapshot.ts';
import { Slices } from '../slices/slices.ts';
import { finishSteps, type Steps } from '../slices/steps.ts';
import { largeAccess, type RowAccess, rowAccess } from './granted-rows.ts';
import type { StatementText, TableCopy } from './scan-messages.ts';
import { ScanThread, type ThreadQuery } from './scan-thread.ts';
import { type GrantedSelect, type OpenSource, type ScanProgress, selectSteps } from './select-steps.ts';
import { StatementLimits } from './statement-limits.ts';

/** Rows that a scan may read on the main thread; longer ones begin again in the scan thread. */
export const MAIN_THREAD_ROWS_MAX = 20_000;
/** Keys that are looked up without leaving the turn of the event loop. */
const KEYS_AT_ONCE_MAX = 64;
/** Partitions that are remembered as too large for the main thread. */
const LARGE_PARTITIONS_MAX = 10_000;
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

  constructor(sources: QueryRunnerSources) {
    this.#sources = sources;
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
    const { plan, grant, evaluation } = request;
    const access = rowAccess(grant.table, plan, evaluation);
    const open = request.open ?? (() => this.#openCurrent(request));
    if (access.kind === 'keys' && access.keys.length <= KEYS_AT_ONCE_MAX) {
      return finishSteps(selectSteps({ plan, grant, access, evaluation }, open));
    }
    const limits = this.#limits(typeof request.signal === 'function' ? request.signal() : request.signal);
    const query = this.#threadQuery(request, access);
    const whole = readsAll(plan, access);
    const isLarge = whole && this.#large.has(partitionName(grant.partition));
    const select: GrantedSelect = { plan, grant, access: isLarge ? largeAccess(access, plan) : access, evaluation };
    const scan: LongSelect = { query, select, open, whole };
    return isLarge && query !== undefined ? this.#inThread(scan, query, limits) : this.#inSlices(scan, limits);
  }

  /** The first slice may come late: what the plan was bound to may have been altered or dropped by then. */
  #openCurrent(request: SelectRequest): OpenSource {
    request.assertCurrent();
    return this.#sources.snapshots.open();
  }

  /** In slices until the scan has turned out to be long, then in the thread if it may go there. */
  #inSlices(scan: LongSelect, limits: StatementLimits): readonly Row[] | Promise<readonly Row[]> {
    const { query, select, open, whole } = scan;
    const progress: ScanProgress = { rows: 0 };
    const rows = this.#slices.run(selectSteps(select, open, progress), () => {
      limits.check();
      if (progress.rows <= this.#mainThreadRowsMax) return;
      if (whole) this.#remember(partitionName(select.grant.partition));
      if (query !== undefined) throw new TooLong();
    });
    if (!(rows instanceof Promise) || query === undefined) return rows;
    return rows.catch((error: unknown) => {
      if (!(error instanceof TooLong)) throw error;
      return this.#inThread(scan, query, limits);
    });
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

  async #inThread({ select, open, whole }: LongSelect, query: ThreadQuery, limits: StatementLimits): Promise<readonly Row[]> {
    if (this.#thread === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a database without a scan thread used it' });
    const { result, giveUp } = this.#thread.run(query);
    const cancel = limits.watch(this.#sources.timers, giveUp);
    try {
      const answer = await result;
      if (answer.kind === 'declined') return await this.#slices.run(selectSteps(select, open), limits.check);
      if (whole && answer.rowsRead <= this.#mainThreadRowsMax) this.#large.delete(partitionName(query.partition));
      return answer.rows;
    } finally {
      cancel();
    }
  }

  #remember(name: string): void {
    if (this.#large.has(name)) return;
    const [oldest] = this.#large;
    if (this.#large.size >= LARGE_PARTITIONS_MAX && oldest !== undefined) this.#large.delete(oldest);
    this.#large.add(name);
  }
}

/** Tables as the scan thread gets them, each made once. */
class TableCopies {
  readonly #copies = new WeakMap<Table, TableCopy>();

  of(table: Table): TableCopy {
    let copy = this.#copies.get(table);
    if (copy === undefined) {
      copy = { id: table.id, version: table.version, spec: new Uint8Array(serialize(table.spec)) };
      this.#copies.set(table, copy);
    }
    return copy;
  }
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
