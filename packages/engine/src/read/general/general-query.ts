import type { DuckDBAppender, DuckDBConnection, DuckDBInstance, DuckDBPreparedStatement, DuckDBResult } from '@duckdb/node-api';
import { type Cell, kalamError, type Row, type Timers } from '@kalamdb/protocol';
import type { GeneralPlan, InputRow } from '@kalamdb/sql';
import type { Grant } from '../../access/grant.ts';
import type { Principal, ResultColumn } from '../../contract.ts';
import type { Slices } from '../../slices/slices.ts';
import { STEP_ROWS, type Steps } from '../../slices/steps.ts';
import { maskRow } from '../mask.ts';
import type { OpenSource } from '../select-steps.ts';
import type { DuckDb } from './duckdb.ts';
import { type FailureContext, generalFailure } from './failure.ts';
import { type Items, itemsOf, type ResultReader, resultReader } from './result-cells.ts';
import { appendRows, type SourceLayout, sourceLayout } from './source-rows.ts';

/** Rows of one answer at most. */
const ROWS_MAX = 1_000_000;
/** Units of texts and bytes of one answer at most. */
const RESULT_UNITS_MAX = 128 * 1024 * 1024;
/** DuckDB forgets an interrupt that comes between two calls: it is repeated until the query has ended. */
const INTERRUPT_EVERY_MILLIS = 20;

/** A table of a general query with what its reader may see of it. */
export interface GrantedSource {
  /** What the query calls it. */
  readonly name: string;
  readonly grant: Grant;
  /** The rows of a computed table; `undefined`: they are read from the partition. */
  readonly computed: (() => Iterable<InputRow>) | undefined;
}

/** One execution of a general query. */
export interface GeneralRequest {
  readonly plan: GeneralPlan;
  readonly sources: readonly GrantedSource[];
  readonly principal: Principal;
  /**
   * Opens what all tables are read at, when the query's turn has come; throws when a table is no longer the one of the plan.
   * `undefined`: nothing is read, the answer has its columns and no rows.
   */
  readonly open: (() => OpenSource) | undefined;
  /** Rows of the answer at most: it ends there. `undefined`: all of them, or QUERY_TOO_LARGE. */
  readonly rowsMax: number | undefined;
}

/** What a general query answers. */
export interface GeneralAnswer {
  readonly columns: readonly ResultColumn[];
  readonly rows: readonly Row[];
}

/** What queries run with. */
export interface GeneralQueryParts {
  readonly db: DuckDb;
  readonly instance: DuckDBInstance;
  readonly slices: Slices;
  readonly timers: Timers;
  readonly memoryBytesMax: number;
  /** Aborted with the error that the query has to end with. */
  readonly signal: AbortSignal;
}

/**
 * Runs one general query on a connection of its own: its tables are copied into temporary ones, which no other connection can
 * see, at one snapshot, which is closed before DuckDB begins to compute.
 */
export async function runGeneralQuery(parts: GeneralQueryParts, request: GeneralRequest): Promise<GeneralAnswer> {
  const query = new GeneralQuery(parts, request, await parts.instance.connect());
  try {
    return await query.run();
  } finally {
    query.close();
  }
}

class GeneralQuery {
  readonly #parts: GeneralQueryParts;
  readonly #request: GeneralRequest;
  readonly #connection: DuckDBConnection;
  readonly #failures: FailureContext;
  readonly #interrupt: () => void;
  #closed = false;

  constructor(parts: GeneralQueryParts, request: GeneralRequest, connection: DuckDBConnection) {
    this.#parts = parts;
    this.#request = request;
    this.#connection = connection;
    const names = request.sources.map(({ name, grant: { table } }) => [name, `${table.namespace}.${table.name}`] as const);
    this.#failures = { memoryBytesMax: parts.memoryBytesMax, tableNames: new Map(names) };
    this.#interrupt = () => this.#interruptUntilClosed();
    parts.signal.addEventListener('abort', this.#interrupt, { once: true });
  }

  async run(): Promise<GeneralAnswer> {
    await this.#copySources();
    const prepared = await this.#call(() => this.#connection.prepare(this.#request.plan.text));
    try {
      if (prepared.statementType !== this.#parts.db.StatementType.SELECT) {
        throw kalamError('INTERNAL_ERROR', { reason: 'a general query that is no SELECT' });
      }
      for (const [index, cell] of this.#request.plan.parameters.entries()) bindParameter(prepared, index + 1, cell);
      return await this.#answer(await this.#call(() => prepared.stream()));
    } finally {
      prepared.destroySync();
    }
  }

  close(): void {
    this.#closed = true;
    this.#parts.signal.removeEventListener('abort', this.#interrupt);
    this.#connection.closeSync();
  }

  async #copySources(): Promise<void> {
    const { sources, plan, open } = this.#request;
    const layouts = sources.map(({ name, grant }) => sourceLayout(name, grant.table, plan.text));
    const ddl = layouts.map((layout) => layout.ddl);
    // In one transaction, which is never committed: that would be done for every chunk otherwise.
    if (ddl.length > 0) await this.#call(() => this.#connection.run(['BEGIN TRANSACTION', ...ddl].join('; ')));
    if (sources.length > 0 && open !== undefined) await this.#call(() => this.#readSources(layouts, open));
  }

  async #readSources(layouts: readonly SourceLayout[], open: () => OpenSource): Promise<void> {
    const { db, slices, signal } = this.#parts;
    const { sources } = this.#request;
    const appenders: DuckDBAppender[] = [];
    for (const { name } of sources) appenders.push(await this.#connection.createAppender(name, null, 'temp'));
    signal.throwIfAborted();
    const opened = open();
    try {
      function* read(): Steps<void> {
        for (const [index, source] of sources.entries()) {
          const [appender, layout] = [appenders[index], layouts[index]];
          if (appender === undefined || layout === undefined) continue;
          yield* appendRows(db, { appender, layout }, shownRows(source, opened, layout));
        }
      }
      await slices.run(read(), () => signal.throwIfAborted());
    } finally {
      opened.close();
      for (const appender of appenders) closeAppender(appender);
    }
  }

  async #answer(result: DuckDBResult): Promise<GeneralAnswer> {
    const { db, slices, signal } = this.#parts;
    const { plan, open, rowsMax = Number.POSITIVE_INFINITY } = this.#request;
    const types = result.columnTypes();
    const readers = result.columnNames().map((name, index) => {
      const type = types[index];
      if (type === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a result column without a type' });
      return resultReader(db, { name, type }, plan.outputs?.[index]);
    });
    const found = new FoundRows(readers, open === undefined ? 0 : rowsMax);
    while (!found.isFull) {
      const chunk = await this.#call(() => result.fetchChunk());
      if (chunk === null || chunk.rowCount === 0) break;
      const vectors = readers.map((_, index) => itemsOf(db, chunk.getColumnVector(index)));
      const { rowCount } = chunk;
      await this.#call(async () => slices.run(found.take(vectors, rowCount), () => signal.throwIfAborted()));
    }
    return { columns: readers.map(({ column }) => column), rows: found.rows };
  }

  async #call<T>(work: () => Promise<T>): Promise<T> {
    const { signal } = this.#parts;
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      throw generalFailure(error, this.#failures);
    }
  }

  #interruptUntilClosed(): void {
    if (this.#closed) return;
    this.#connection.interrupt();
    this.#parts.timers.after(INTERRUPT_EVERY_MILLIS, this.#interrupt, { keepAlive: true });
  }
}

/** The rows of an answer, as far as they were fetched. */
class FoundRows {
  readonly rows: Row[] = [];
  readonly #readers: readonly ResultReader[];
  readonly #rowsMax: number;
  #units = 0;

  constructor(readers: readonly ResultReader[], rowsMax: number) {
    this.#readers = readers;
    this.#rowsMax = rowsMax;
  }

  get isFull(): boolean {
    return this.rows.length >= this.#rowsMax;
  }

  *take(vectors: readonly Items[], count: number): Steps<void> {
    for (let at = 0; at < count && !this.isFull; at += 1) {
      if (this.rows.length >= ROWS_MAX) throw kalamError('QUERY_TOO_LARGE', { max: ROWS_MAX, what: 'rows' });
      this.rows.push(this.#readers.map((reader, index) => this.#cell(reader, vectors[index]?.getItem(at) ?? null)));
      if (this.#units > RESULT_UNITS_MAX) throw kalamError('QUERY_TOO_LARGE', { max: RESULT_UNITS_MAX, what: 'characters' });
      if (at % STEP_ROWS === STEP_ROWS - 1) yield;
    }
  }

  #cell(reader: ResultReader, value: ReturnType<Items['getItem']>): Cell {
    if (value === null) return null;
    const cell = reader.read(value);
    if (typeof cell === 'string') this.#units += cell.length;
    else if (typeof cell === 'object' && cell !== null) this.#units += cell.byteLength;
    return cell;
  }
}

/** The live rows of a source as its reader may see them. */
function* shownRows({ grant, computed }: GrantedSource, opened: OpenSource, { cellsUnused }: SourceLayout): Iterable<InputRow> {
  const rows = computed?.() ?? opened.view(grant.table, grant.partition).scan({ cellsUnused });
  for (const row of rows) {
    if (!row.deleted) yield cellsUnused ? row : maskRow(row, grant.maskedCells);
  }
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

/** After a failure an appender refuses its rows; they are not needed then. */
function closeAppender(appender: { closeSync(): void }): void {
  try {
    appender.closeSync();
  } catch {
    // The query has failed, and its error says why.
  }
}
