import type { DuckDBConnection, DuckDBInstance, DuckDBPreparedStatement } from '@duckdb/node-api';
import { type Cell, type Clock, kalamError, type Timers } from '@kalamdb/protocol';
import type { DuckDbModules, HotReader, HotSnapshot } from '@kalamdb/storage';
import type { ReceivedTables } from '../received-tables.ts';
import { transferList } from '../row-chunks.ts';
import { sentError } from '../scan-messages.ts';
import { AnswerBatches } from './answer-batches.ts';
import { type FailureContext, generalFailure, isOutOfMemory } from './failure.ts';
import type { KeptTables } from './kept-tables.ts';
import { Mailbox } from './mailbox.ts';
import type { QueryAnswer, QueryCall, SentQuery, SentSource } from './query-messages.ts';
import { recentRows } from './source-rows.ts';
import { type PartitionSource, SourceTables } from './source-tables.ts';
import { type ProfiledRun, profiledRun, profilingText } from './step-times.ts';
import { inStretches } from './thread-slices.ts';

/** DuckDB forgets an interrupt that comes between two calls: it is repeated until the query has ended. */
const INTERRUPT_EVERY_MILLIS = 20;

/** What the queries of the thread share. */
export interface ThreadParts {
  readonly modules: DuckDbModules;
  readonly instance: DuckDBInstance;
  readonly kept: KeptTables;
  /** `undefined`: the thread reads no partition by itself. */
  readonly reader: HotReader | undefined;
  readonly tables: ReceivedTables;
  readonly memoryBytesMax: number;
  readonly clock: Clock;
  readonly timers: Timers;
  reply(answer: QueryAnswer, transfer?: ArrayBuffer[]): void;
}

type Recent = Extract<QueryCall, { kind: 'recent' }>;
type Rows = Extract<QueryCall, { kind: 'rows' }>;
type AnswerRows = Extract<QueryAnswer, { kind: 'rows' }>;

/**
 * One query in its thread, on a connection of its own: the tables of its sources are made, its view of the hot tier is closed, and then its answer
 * is read as far as it is asked for.
 */
export class ThreadQuery {
  readonly #parts: ThreadParts;
  readonly #id: number;
  readonly #query: SentQuery;
  readonly #failures: FailureContext;
  readonly #segments = new Map<string, string>();
  readonly #ending = new AbortController();
  readonly #recent = new Mailbox<Recent>();
  readonly #rows = new Mailbox<Rows>();
  readonly #more = new Mailbox<'more'>();
  #batches: AnswerBatches | undefined;

  constructor(parts: ThreadParts, id: number, query: SentQuery) {
    this.#parts = parts;
    this.#id = id;
    this.#query = query;
    const tableNames = new Map(query.sources.map(({ name, table }) => [name, table] as const));
    this.#failures = { memoryBytesMax: parts.memoryBytesMax, tableNames, segments: this.#segments };
  }

  /** Takes what the main thread sends for this query. */
  take(call: Exclude<QueryCall, { kind: 'query' | 'close' }>): void {
    switch (call.kind) {
      case 'recent':
        this.#recent.put(call);
        break;
      case 'rows':
        this.#rows.put(call);
        break;
      case 'more':
        this.#more.put('more');
        break;
      case 'abandon':
        this.end();
        break;
      default:
        call satisfies never;
    }
  }

  /** Ends it, wherever it is. */
  end(): void {
    this.#ending.abort(kalamError('QUERY_INTERRUPTED'));
  }

  /** Runs it and sends its answer; the end of that when it holds nothing any more. */
  async run(): Promise<void> {
    const { instance, kept } = this.#parts;
    try {
      this.#signal.throwIfAborted();
      const last = await this.#onConnection(await instance.connect());
      this.#reply(last, transferList(last.chunks));
    } catch (error) {
      this.#reply({ kind: 'failed', id: this.#id, error: sentError(this.#failure(error)) });
    }
    // What could not be dropped now is dropped later; the thread must not end because of it.
    await kept.bound().catch(() => undefined);
  }

  get #signal(): AbortSignal {
    return this.#ending.signal;
  }

  #reply(answer: QueryAnswer, transfer?: ArrayBuffer[]): void {
    this.#parts.reply(answer, transfer);
  }

  async #onConnection(connection: DuckDBConnection): Promise<AnswerRows> {
    const { modules, kept, clock, timers } = this.#parts;
    const signal = this.#signal;
    let isOpen = true;
    const interrupt = (): void => {
      if (!isOpen) return;
      connection.interrupt();
      timers.after(INTERRUPT_EVERY_MILLIS, interrupt, { keepAlive: true });
    };
    signal.addEventListener('abort', interrupt, { once: true });
    const tables = new SourceTables({ modules, connection, kept, clock, timers, signal });
    try {
      const begin = clock.elapsed();
      await this.#makeTables(tables);
      const computes = clock.elapsed();
      if (!this.#query.profiled) return await this.#answer(connection);
      const run = await this.#orAgain(() => this.#profile(connection));
      const report = { sources: tables.reports, readMillis: computes - begin, computeMillis: clock.elapsed() - computes, run };
      return { kind: 'rows', id: this.#id, columns: [], chunks: [], units: 0, last: true, report };
    } finally {
      isOpen = false;
      signal.removeEventListener('abort', interrupt);
      connection.closeSync();
      tables.release();
    }
  }

  /** Those that the thread reads itself first, so that its view of the hot tier is closed soon. */
  async #makeTables(tables: SourceTables): Promise<void> {
    const { sources, columnsOnly } = this.#query;
    if (columnsOnly) {
      for (const source of sources) await tables.readNothing(source);
      return;
    }
    if (sources.some(({ hot }) => hot !== undefined)) await this.#readPartitions(tables);
    for (const [index, source] of sources.entries()) {
      if (source.hot === undefined) await tables.readSent(source, this.#sentPieces(index));
    }
  }

  async #readPartitions(tables: SourceTables): Promise<void> {
    const { reader } = this.#parts;
    if (reader === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a query thread without a hot tier was to read one' });
    const hot = reader.snapshot();
    try {
      this.#reply({ kind: 'opened', id: this.#id, appliedSeq: hot.appliedSeq });
      const recent = await this.#recent.next(this.#signal);
      const found: PartitionSource[] = [];
      for (const [index, source] of this.#query.sources.entries()) {
        if (source.hot !== undefined) found.push(await this.#partition(source, index, { hot, recent }));
      }
      await tables.readPartitions(found);
    } finally {
      hot.close();
    }
  }

  async #partition(
    source: SentSource,
    index: number,
    { hot, recent: { sources, watermark } }: { readonly hot: HotSnapshot; readonly recent: Recent },
  ): Promise<PartitionSource> {
    const newer = sources.find((sent) => sent.source === index);
    if (source.hot === undefined || newer === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a source without its newest rows' });
    const { clock, timers } = this.#parts;
    const recent = await inStretches(recentRows(newer), { clock, timers, signal: this.#signal });
    const table = this.#parts.tables.of(source.hot.table);
    const { masks: recentMasks, expiredSeq, cold } = newer;
    for (const { path, segment } of cold?.files ?? []) this.#segments.set(path, segment.path);
    return { source, rows: { table, source: source.hot, hot, recent, recentMasks, watermark, expiredSeq, cold } };
  }

  /** The pieces of a source that the main thread reads; each is acknowledged when the next one is asked for. */
  #sentPieces(source: number): () => Promise<readonly Uint8Array[] | undefined> {
    let held: Rows | undefined;
    return async () => {
      if (held !== undefined) this.#reply({ kind: 'taken', id: this.#id });
      if (held?.last === true) return undefined;
      held = await this.#rows.next(this.#signal);
      if (held.source !== source) throw kalamError('INTERNAL_ERROR', { reason: 'rows of another source' });
      return held.chunks;
    };
  }

  /** Runs the query without its rows. */
  async #profile(connection: DuckDBConnection): Promise<ProfiledRun> {
    const { text, rowsMax, parameters } = this.#query;
    const prepared = await connection.prepare(profilingText(text, rowsMax));
    try {
      for (const [index, cell] of parameters.entries()) bindParameter(prepared, index + 1, cell);
      this.#signal.throwIfAborted();
      const [row] = await (await prepared.run()).getRows();
      return profiledRun(String(row?.[1]));
    } finally {
      prepared.destroySync();
    }
  }

  /** Sends the answer but for its last rows. */
  async #answer(connection: DuckDBConnection): Promise<AnswerRows> {
    const { modules } = this.#parts;
    const signal = this.#signal;
    const prepared = await connection.prepare(this.#query.text);
    try {
      if (prepared.statementType !== modules.db.StatementType.SELECT) {
        throw kalamError('INTERNAL_ERROR', { reason: 'a general query that is no SELECT' });
      }
      for (const [index, cell] of this.#query.parameters.entries()) bindParameter(prepared, index + 1, cell);
      signal.throwIfAborted();
      const answer = await this.#orAgain(() => this.#begin(prepared));
      for (let batch = answer.first; ; batch = await answer.batches.next((steps) => this.#inStretches(steps))) {
        signal.throwIfAborted();
        const columns = batch === answer.first ? answer.batches.columns : undefined;
        const rows: AnswerRows = { kind: 'rows', id: this.#id, columns, report: undefined, ...batch };
        if (batch.last) return rows;
        this.#reply(rows, transferList(rows.chunks));
        await this.#more.next(signal);
      }
    } finally {
      await this.#batches?.end(() => connection.interrupt());
      prepared.destroySync();
    }
  }

  /** As long as nothing was sent, what runs out of memory may begin again when there was something to drop. */
  async #orAgain<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (this.#signal.aborted || !isOutOfMemory(error) || !(await this.#parts.kept.makeRoom())) throw error;
      return await work();
    }
  }

  /** The answer with its first rows. */
  async #begin(prepared: DuckDBPreparedStatement): Promise<BegunAnswer> {
    const batches = new AnswerBatches(this.#parts.modules.db, await prepared.stream(), this.#query);
    this.#batches = batches;
    return { batches, first: await batches.next((steps) => this.#inStretches(steps)) };
  }

  #inStretches(steps: Parameters<typeof inStretches<void>>[0]): Promise<void> {
    const { clock, timers } = this.#parts;
    return inStretches(steps, { clock, timers, signal: this.#signal });
  }

  #failure(error: unknown): unknown {
    return this.#signal.aborted ? this.#signal.reason : generalFailure(error, this.#failures);
  }
}

interface BegunAnswer {
  readonly batches: AnswerBatches;
  readonly first: Awaited<ReturnType<AnswerBatches['next']>>;
}

function bindParameter(prepared: DuckDBPreparedStatement, index: number, cell: Cell): void {
  if (cell === null) prepared.bindNull(index);
  else if (typeof cell === 'boolean') prepared.bindBoolean(index, cell);
  else if (typeof cell === 'number') prepared.bindDouble(index, cell);
  else if (typeof cell === 'string') prepared.bindVarchar(index, cell);
  else if (typeof cell === 'bigint')
    BigInt.asIntN(64, cell) === cell ? prepared.bindBigInt(index, cell) : prepared.bindHugeInt(index, cell);
  else if (cell instanceof Uint8Array) prepared.bindBlob(index, cell);
  else throw kalamError('INTERNAL_ERROR', { reason: 'a vector as a parameter' });
}
