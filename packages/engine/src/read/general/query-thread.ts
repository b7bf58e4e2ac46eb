import { type Clock, kalamError, type Timers } from '@kalamdb/protocol';
import type { SnapshotSource } from '../../partition/snapshot.ts';
import type { Slices } from '../../slices/slices.ts';
import type { SpoolFolder } from '../answer-spool.ts';
import type { ColdTables } from '../cold-select.ts';
import { TableCopies } from '../table-copies.ts';
import { WorkerThread } from '../worker-thread.ts';
import { type GeneralRequest, sentQuery } from './general-request.ts';
import type { QueryAnswer, QueryCall, QueryStart } from './query-messages.ts';
import { RunningQuery } from './running-query.ts';

/** The compiled module, from `src/read/general` and from `dist/read/general` alike: a thread cannot load TypeScript. */
const QUERY_MODULE: URL = new URL('../../../dist/read/general/query-worker.js', import.meta.url);

/** Answers that wait on the disk for slow readers; further ones are made as they are read. */
const ASIDE_MAX = 200;

/** What a {@link QueryThread} works with. */
export interface QueryThreadSources extends Omit<QueryStart, 'folders'> {
  /** Where the newest versions are; `undefined`: the main thread reads everything. */
  readonly snapshots: Pick<SnapshotSource, 'open'> | undefined;
  /** Absent: there is no cold tier. */
  readonly cold: ColdTables | undefined;
  /** Where answers of slow readers wait; `undefined`: in memory, half a megabyte of each. */
  readonly spool: SpoolFolder | undefined;
  readonly slices: Slices;
  readonly clock: Clock;
  readonly timers: Timers;
}

/** The worker thread in which general queries run, seen from the main thread. It is started at the first of them. */
export class QueryThread {
  readonly #sources: QueryThreadSources;
  readonly #copies = new TableCopies();
  readonly #queries = new Map<number, RunningQuery>();
  /** Queries whose answers wait for their readers on the disk, ended or not. */
  readonly #aside = new Set<number>();
  readonly #thread: WorkerThread<QueryCall, QueryAnswer>;
  #lastId = 0;
  /** The folders of segments that the thread may read, which are settled when it starts. */
  #folders: readonly string[] = [];
  #ended: Promise<void> | undefined;

  constructor(sources: QueryThreadSources) {
    const { clock, timers, path, memoryBytesMax, threads } = sources;
    this.#sources = sources;
    this.#thread = new WorkerThread({
      module: QUERY_MODULE,
      start: (): QueryStart => {
        this.#folders = this.#segmentFolders();
        return { path, memoryBytesMax, threads, folders: this.#folders };
      },
      close: { kind: 'close' },
      clock,
      timers,
      answered: (answer) => {
        if (answer.kind === 'rows') this.#thread.worked();
        this.#queries.get(answer.id)?.answered(answer);
      },
      died: (cause) => {
        for (const query of [...this.#queries.values()]) query.died(cause);
      },
    });
  }

  get isRunning(): boolean {
    return this.#thread.isRunning;
  }

  /**
   * Starts the thread anew when there are storages that it may not read, if it has nothing to do; until then the main thread reads those.
   * To be called before a query: one that ends already would not answer it.
   */
  async renew(): Promise<void> {
    if (this.isRunning && this.#queries.size === 0 && !this.#knowsAllFolders) void this.end();
    await this.#ended;
  }

  get #knowsAllFolders(): boolean {
    return this.#segmentFolders().every((folder) => this.#folders.includes(folder));
  }

  #segmentFolders(): readonly string[] {
    return this.#sources.cold?.segmentFolders() ?? [];
  }

  /** Begins a query. Throws what opening its sources throws, and INTERNAL_ERROR while the thread rests because it keeps dying. */
  begin(request: GeneralRequest): RunningQuery {
    const { path, snapshots, cold, slices, spool, clock, timers } = this.#sources;
    if (!this.#thread.isReady) throw kalamError('INTERNAL_ERROR', { reason: 'the engine for general queries does not start' });
    this.#lastId += 1;
    const id = this.#lastId;
    const query = new RunningQuery({
      id,
      request,
      query: sentQuery(request, {
        copies: this.#copies,
        readsPartitions: path !== undefined && snapshots !== undefined,
      }),
      snapshots,
      cold,
      folders: this.isRunning ? this.#folders : this.#segmentFolders(),
      slices,
      spool,
      clock,
      timers,
      post: (call, transfer) => (call.kind === 'query' ? this.#thread.post(call, transfer) : this.#thread.tell(call, transfer)),
      ended: () => this.#queries.delete(id),
      putsAside: () => this.#aside.size < ASIDE_MAX && this.#aside.add(id).has(id),
      read: () => this.#aside.delete(id),
    });
    this.#queries.set(id, query);
    try {
      query.begin();
    } catch (error) {
      this.#queries.delete(id);
      throw error;
    }
    return query;
  }

  /** Ends what runs with QUERY_INTERRUPTED, DuckDB, and the handle on the hot tier; the next query starts another thread. */
  end(): Promise<void> {
    this.#ended ??= this.#thread.end().finally(() => {
      this.#ended = undefined;
    });
    return this.#ended;
  }
}
