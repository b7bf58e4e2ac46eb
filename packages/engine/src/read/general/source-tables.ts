import { Buffer } from 'node:buffer';
import type { DuckDBConnection } from '@duckdb/node-api';
import { type Cell, type Clock, type DataType, duckdbType, kalamError, plainType, type Timers } from '@kalamdb/protocol';
import { ChunkAppender, type ColumnBuffer, type DuckDbModules, type RowKey } from '@kalamdb/storage';
import type { Steps } from '../../slices/steps.ts';
import type { RowAccess } from '../granted-rows.ts';
import { rowsOfChunk } from '../row-chunks.ts';
import { coldRelation, type HotMasks, MaskCollector } from './cold-relation.ts';
import { isOutOfMemory } from './failure.ts';
import { KEPT_SCHEMA, KEY_COLUMN, type KeptContent, type KeptName, type KeptTable, type KeptTables, keptName } from './kept-tables.ts';
import type { SentSource, SourceColumn, SourceReport } from './query-messages.ts';
import { putCell, RowPutter } from './row-putter.ts';
import { checkedAccess, rowTest } from './source-checks.ts';
import { changedAfter, changesAfter, type FoundRow, flushedSeqOf, type PartitionRows, rowsThere } from './source-rows.ts';
import { inStretches } from './thread-slices.ts';

/** Rows that are read between two steps. */
const STEP_ROWS = 32;
/** Bytes that wait in an appender before they are handed over to their table. */
const APPENDED_BYTES_MAX = 16 * 1024 * 1024;

/** Rows from which on a kept table is renewed instead of filled anew. */
const RENEWED_ROWS_MIN = 2000;
/** Changed rows up to which it is: as a share of its rows, and in all. */
const RENEWED_SHARE_MAX = 0.05;
const RENEWED_CHANGES_MAX = 2000;

const WHOLE: RowAccess = { kind: 'scan', range: {} };
const NO_MASKS: HotMasks = new Map();

/** What the tables of a query's sources are made with. */
export interface SourceTableParts {
  readonly modules: DuckDbModules;
  readonly connection: DuckDBConnection;
  readonly kept: KeptTables;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly signal: AbortSignal;
}

/** A source that the thread reads by itself, and its rows. */
export interface PartitionSource {
  readonly source: SentSource;
  readonly rows: PartitionRows;
}

/** How a source gets its table. */
type SourcePlan =
  | { readonly kind: 'cold' /** No row of it is hot. */; readonly from: PartitionSource }
  | { readonly kind: 'kept'; readonly from: PartitionSource; readonly table: KeptTable }
  | {
      readonly kind: 'fill';
      readonly from: PartitionSource;
      readonly access: RowAccess;
      readonly columns: readonly SourceColumn[];
      /** Under what it is kept, and as which table; `undefined`: it goes with the query. */
      readonly keep: { readonly name: KeptName; readonly table: string } | undefined;
      /** It is made of the kept table before it. */
      readonly renews: Renewal | undefined;
    };

type Fill = Extract<SourcePlan, { kind: 'fill' }>;

/** What a kept table lacks. */
interface Renewal {
  readonly base: KeptTable;
  readonly changes: ReadonlyMap<RowKey, FoundRow>;
}

type Filled = Pick<KeptTable, 'rows' | 'bytes' | 'changedSeq' | 'masks'>;

/**
 * The tables of one query, under the names that its text has for them. Those that only it has are temporary, which no other connection
 * can see; a partition that is read as a whole is filled into a table that is kept for the next query of a reader who may see the same, and the query
 * sees it through a temporary view. The view of a partition with segments has their rows too, which DuckDB reads itself.
 */
export class SourceTables {
  readonly #parts: SourceTableParts;
  readonly #unpins: (() => void)[] = [];
  readonly #reports = new Map<string, SourceReport>();

  constructor(parts: SourceTableParts) {
    this.#parts = parts;
  }

  /** What was made so far. */
  get reports(): readonly SourceReport[] {
    return [...this.#reports.values()];
  }

  /** Makes tables of partitions. What nobody reads is dropped, once, when memory does not suffice. */
  async readPartitions(sources: readonly PartitionSource[]): Promise<void> {
    try {
      await this.#fillAll(sources);
    } catch (error) {
      if (!isOutOfMemory(error) || !(await this.#parts.kept.makeRoom())) throw error;
      await this.#fillAll(sources);
    }
  }

  /** Makes a table of rows that the main thread sends; `next` gives its pieces, `undefined` after the last one. */
  async readSent(source: SentSource, next: () => Promise<readonly Uint8Array[] | undefined>): Promise<void> {
    const { connection, clock } = this.#parts;
    const begin = clock.elapsed();
    // In one transaction: what an appender hands over would be a commit each time otherwise.
    await connection.run(`BEGIN TRANSACTION; ${tableText('TEMP TABLE', [source.name], source)}`);
    const { rows } = await this.#append([null, source.name], source, async (chunk, flushed) => {
      for (let chunks = await next(); chunks !== undefined; chunks = await next()) {
        await this.#inStretches(putSent({ source, chunk, flushed }, chunks));
      }
    });
    await connection.run('COMMIT');
    this.#report(source, { rows, kept: false, millis: clock.elapsed() - begin });
  }

  /** Makes a table without rows. */
  async readNothing(source: SentSource): Promise<void> {
    await this.#parts.connection.run(tableText('TEMP TABLE', [source.name], source));
  }

  /** Lets go of the tables that are kept; to be called when nothing reads them any more. */
  release(): void {
    for (const unpin of this.#unpins.splice(0)) unpin();
  }

  #report({ name }: SentSource, report: Omit<SourceReport, 'name'>): void {
    this.#reports.set(name, { name, ...report });
  }

  async #fillAll(sources: readonly PartitionSource[]): Promise<void> {
    const { connection, kept, signal } = this.#parts;
    // Whoever fills one for the same readers is likely to fill this one.
    for (const { rows } of sources) await kept.settled(nameOf(rows));
    signal.throwIfAborted();
    const fills: Fill[] = [];
    const made = new Map<Fill, Filled>();
    try {
      const plans = sources.map((source) => {
        const plan = this.#plan(source);
        if (plan.kind === 'fill') fills.push(plan);
        return plan;
      });
      if (fills.length > 0) await connection.run(['BEGIN TRANSACTION', ...fills.flatMap(madeBy)].join('; '));
      for (const fill of fills) made.set(fill, await this.#make(fill));
      const rest = [...plans.flatMap((plan) => viewText(plan, masksOf(plan, made))), ...(fills.length > 0 ? ['COMMIT'] : [])];
      if (rest.length > 0) await connection.run(rest.join('; '));
    } catch (error) {
      for (const { keep } of fills) if (keep !== undefined) kept.abandoned(keep.name);
      // The first error says why; without the transaction there is nothing to roll back.
      if (fills.length > 0) await connection.run('ROLLBACK').catch(() => undefined);
      throw error;
    }
    for (const [{ keep, columns }, filled] of made) {
      if (keep === undefined) continue;
      this.#unpins.push(kept.filled(keep.name, { table: keep.table, columns, ...filled }));
    }
  }

  #plan(from: PartitionSource): SourcePlan {
    const { kept } = this.#parts;
    const { rows, source } = from;
    if (rows.cold !== undefined && !changedAfter(rows, rows.cold.flushedSeq)) {
      this.#report(source, { rows: 0, kept: false, millis: 0 });
      return { kind: 'cold', from };
    }
    const name = nameOf(rows);
    const entry = kept.find(name);
    const known = entry !== undefined && isCurrent(entry, rows) ? entry : undefined;
    if (known !== undefined && lacking(known.columns, source.columns).length === 0) {
      this.#unpins.push(kept.pin(name));
      this.#report(source, { rows: known.rows, kept: true, millis: 0 });
      return { kind: 'kept', from, table: known };
    }
    const renewed = entry === undefined || known !== undefined ? undefined : this.#renewal(name, entry, from);
    if (renewed !== undefined) return renewed;
    const access = checkedAccess(rows.table, rows.source);
    const columns = [...(known?.columns ?? []), ...lacking(known?.columns ?? [], source.columns)];
    const table = this.#isToBeKept(name, rows, access) ? kept.begin(name) : undefined;
    if (table === undefined) return { kind: 'fill', from, access, columns: source.columns, keep: undefined, renews: undefined };
    return { kind: 'fill', from, access, columns, keep: { name, table }, renews: undefined };
  }

  /** A table of many rows of which few have changed is copied within DuckDB, and only what has changed is read. */
  #renewal(name: KeptName, base: KeptTable, from: PartitionSource): SourcePlan | undefined {
    const { kept } = this.#parts;
    const { rows, source } = from;
    const changesMax = Math.min(RENEWED_CHANGES_MAX, Math.floor(base.rows * RENEWED_SHARE_MAX));
    if (base.rows < RENEWED_ROWS_MIN || base.changedSeq > rows.watermark || lacking(base.columns, source.columns).length > 0)
      return undefined;
    const changes = changesAfter(rows, base.changedSeq, changesMax);
    const table = changes === undefined ? undefined : kept.begin(name);
    if (changes === undefined || table === undefined) return undefined;
    this.#unpins.push(kept.pin(name));
    return { kind: 'fill', from, access: WHOLE, columns: base.columns, keep: { name, table }, renews: { base, changes } };
  }

  /** A whole scan is kept; one that leaves rows out only when it comes a second time and nothing has changed. */
  #isToBeKept(name: KeptName, rows: PartitionRows, access: RowAccess): boolean {
    if (access.kind === 'keys' || access.range.from !== undefined || access.range.before !== undefined) return false;
    const past = this.#parts.kept.pastScan(name);
    if (past === undefined || !isCurrent(past, rows)) return rows.source.checks === undefined;
    return !past.tooLarge;
  }

  async #make(fill: Fill): Promise<Filled> {
    const { clock } = this.#parts;
    const begin = clock.elapsed();
    const filled = await (fill.renews === undefined ? this.#fill(fill) : this.#renew(fill, fill.renews));
    this.#report(fill.from.source, { rows: filled.rows, kept: false, millis: clock.elapsed() - begin });
    return filled;
  }

  async #fill({ from: { source, rows }, access, columns, keep }: Fill): Promise<Filled> {
    const { kept } = this.#parts;
    const place = keep === undefined ? ([null, hotName(source, rows)] as const) : ([KEPT_SCHEMA, keep.table] as const);
    const masks = new MaskCollector();
    for (const position of rows.recentMasks) masks.add(position);
    let changedSeq = flushedSeqOf(rows);
    const appended = await this.#append(place, { columns, isKept: keep !== undefined }, async (chunk, flushed) => {
      const putter = new RowPutter(rows.table, columns, chunk.columns);
      const test = keep === undefined ? rowTest(rows.source.checks, columns, chunk.columns) : undefined;
      const keys = keep === undefined ? undefined : chunk.columns[columns.length];
      const newest = await this.#inStretches(putFound({ found: rowsThere(rows, access), masks, putter, chunk, keys, test, flushed }));
      if (newest > changedSeq) changedSeq = newest;
      const whole = access.kind === 'scan' && access.range.from === undefined && access.range.before === undefined;
      if (keep === undefined && whole && test !== undefined) {
        kept.remember(nameOf(rows), { changedSeq, tooLarge: false });
      }
    });
    return { ...appended, changedSeq, masks: masks.masks };
  }

  async #renew({ from: { rows }, columns, keep }: Fill, { base, changes }: Renewal): Promise<Filled> {
    const { connection } = this.#parts;
    if (keep === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a kept table is renewed for one query only' });
    const changed = `changed of ${keep.table}`;
    await connection.run(tableText('TEMP TABLE', [changed], { columns: [], isKept: true }));
    await this.#append([null, changed], { columns: [], isKept: true }, async (chunk, flushed) => {
      for (const key of changes.keys()) {
        chunk.columns[0]?.putCell(chunk.rows, keyBytes(key));
        if (chunk.added()) flushed();
      }
    });
    const [table, before, key] = [[KEPT_SCHEMA, keep.table], [KEPT_SCHEMA, base.table], [KEY_COLUMN]].map(path);
    const copied = await connection.runAndReadAll(
      `CREATE TABLE ${table} AS SELECT b.* FROM ${before} AS b ANTI JOIN ${quoted(changed)} AS c ON b.${key} = c.${key}`,
    );
    await connection.run(`DROP TABLE ${quoted(changed)}`);
    const rowsCopied = Number(copied.getRows()[0]?.[0] ?? 0);
    let changedSeq = base.changedSeq;
    const masks = new MaskCollector();
    masks.addAll(base.masks);
    for (const position of rows.recentMasks) masks.add(position);
    const appended = await this.#append([KEPT_SCHEMA, keep.table], { columns, isKept: true }, async (chunk, flushed) => {
      const putter = new RowPutter(rows.table, columns, chunk.columns);
      const keys = chunk.columns[columns.length];
      const newest = await this.#inStretches(putFound({ found: changes.values(), masks, putter, chunk, keys, test: undefined, flushed }));
      if (newest > changedSeq) changedSeq = newest;
    });
    const bytes = appended.bytes + Math.ceil((base.bytes / Math.max(1, base.rows)) * rowsCopied);
    return { rows: rowsCopied + appended.rows, bytes, changedSeq, masks: masks.masks };
  }

  /** Fills a table by an appender. */
  async #append(
    [schema, table]: readonly [string | null, string],
    layout: TableLayout,
    fill: (chunk: ChunkAppender, flushed: () => void) => Promise<void>,
  ): Promise<Pick<Filled, 'rows' | 'bytes'>> {
    const { connection, modules } = this.#parts;
    const appender = await connection.createAppender(table, schema, schema === null ? 'temp' : null);
    const chunk = new ChunkAppender(modules, appender, typesOf(layout));
    let handed = 0;
    try {
      await fill(chunk, () => {
        chunk.flush();
        if (chunk.bytes - handed < APPENDED_BYTES_MAX) return;
        handed = chunk.bytes;
        appender.flushSync();
      });
      chunk.flush();
      appender.flushSync();
    } finally {
      closeAppender(appender);
    }
    return { rows: chunk.rowsAppended, bytes: chunk.bytes };
  }

  #inStretches<T>(steps: Steps<T>): Promise<T> {
    return inStretches(steps, this.#parts);
  }
}

function isCurrent({ changedSeq }: KeptContent, rows: PartitionRows): boolean {
  return changedSeq <= rows.watermark && !changedAfter(rows, changedSeq);
}

/** Those of the wanted columns that are not there. */
function lacking(there: readonly SourceColumn[], wanted: readonly SourceColumn[]): readonly SourceColumn[] {
  return wanted.filter(({ name }) => !there.some((column) => column.name === name));
}

function nameOf(rows: PartitionRows): KeptName {
  return keptName(rows.source, { flushedSeq: flushedSeqOf(rows), expiredSeq: rows.expiredSeq });
}

/** What the table of the hot rows is called that goes with its query. */
function hotName({ name }: SentSource, { cold }: PartitionRows): string {
  return cold === undefined ? name : `hot of ${name}`;
}

function madeBy({ from: { source, rows }, columns, keep, renews }: Fill): readonly string[] {
  if (renews !== undefined) return [];
  if (keep === undefined) return [tableText('TEMP TABLE', [hotName(source, rows)], { columns })];
  return [tableText('TABLE', [KEPT_SCHEMA, keep.table], { columns, isKept: true })];
}

/** What the hot rows of a source have taken the place of. */
function masksOf(plan: SourcePlan, made: ReadonlyMap<Fill, Filled>): HotMasks {
  const masks = plan.kind === 'kept' ? plan.table.masks : plan.kind === 'fill' ? made.get(plan)?.masks : undefined;
  return masks ?? NO_MASKS;
}

function viewText(plan: SourcePlan, masks: HotMasks): readonly string[] {
  const { source, rows } = plan.from;
  const names = source.columns.map((column) => quoted(column.name)).join(', ');
  const parts: string[] = [];
  const hot = hotTable(plan);
  if (hot !== undefined) parts.push(`SELECT ${names} FROM ${hot}`);
  if (rows.cold !== undefined)
    parts.push(`SELECT ${names} FROM ${coldRelation(rows.table, source.columns, { cold: rows.cold, masks })} AS c`);
  return parts.length === 0 ? [] : [`CREATE TEMP VIEW ${quoted(source.name)} AS ${parts.join(' UNION ALL ')}`];
}

/** `undefined`: there is none, or it has the name of the source itself. */
function hotTable(plan: SourcePlan): string | undefined {
  if (plan.kind === 'cold') return undefined;
  const table = plan.kind === 'kept' ? plan.table.table : plan.keep?.table;
  if (table !== undefined) return path(['memory', KEPT_SCHEMA, table]);
  const { source, rows } = plan.from;
  return rows.cold === undefined ? undefined : path(['temp', hotName(source, rows)]);
}

/** The columns of a table; those of a kept one are followed by the keys of the rows. */
interface TableLayout {
  readonly columns: readonly SourceColumn[];
  readonly isKept?: boolean;
}

function typesOf({ columns, isKept = false }: TableLayout): readonly DataType[] {
  return [...columns.map(({ type }) => type), ...(isKept ? [plainType('bytes')] : [])];
}

function tableText(what: string, name: readonly string[], layout: TableLayout): string {
  const names = [...layout.columns.map((column) => column.name), KEY_COLUMN];
  const texts = typesOf(layout).map((type, index) => `${quoted(names[index] ?? '')} ${duckdbType(type)}`);
  return `CREATE ${what} ${path(name)} (${texts.join(', ')})`;
}

function path(names: readonly string[]): string {
  return names.map(quoted).join('.');
}

/** A key as a cell of bytes. */
function keyBytes(key: RowKey): Uint8Array {
  return Buffer.from(key, 'latin1');
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** After a failure an appender refuses its rows; they are not needed then. */
function closeAppender(appender: { closeSync(): void }): void {
  try {
    appender.closeSync();
  } catch {
    // The query has failed, and its error says why.
  }
}

interface Finding {
  readonly found: Iterable<FoundRow>;
  /** Told what the rows have taken the place of. */
  readonly masks: MaskCollector;
  readonly putter: RowPutter;
  readonly chunk: ChunkAppender;
  /** Where the keys go. */
  readonly keys: ColumnBuffer | undefined;
  readonly test: ((row: number) => boolean) | undefined;
  readonly flushed: () => void;
}

/** Puts rows that are not deleted into chunks; answers the `_seq` of the newest of all. */
function* putFound({ found, masks, putter, chunk, keys, test, flushed }: Finding): Steps<bigint> {
  let changedSeq = 0n;
  let left = STEP_ROWS;
  for (const row of found) {
    if (row.seq > changedSeq) changedSeq = row.seq;
    if (row.masks !== undefined) masks.add(row.masks);
    if (!row.deleted) {
      if ('bytes' in row) putter.putStored(row, chunk.rows);
      else putter.putRow(row, chunk.rows);
      keys?.putCell(chunk.rows, keyBytes(row.key));
      if ((test === undefined || test(chunk.rows)) && chunk.added()) flushed();
    }
    if (--left > 0) continue;
    left = STEP_ROWS;
    yield;
  }
  return changedSeq;
}

interface Sending {
  readonly source: SentSource;
  readonly chunk: ChunkAppender;
  readonly flushed: () => void;
}

function* putSent({ source, chunk, flushed }: Sending, chunks: readonly Uint8Array[]): Steps<void> {
  for (const piece of chunks) {
    for (const row of rowsOfChunk(piece)) {
      putRow(source.columns, chunk, row);
      if (chunk.added()) flushed();
    }
    yield;
  }
}

function putRow(columns: readonly SourceColumn[], chunk: ChunkAppender, cells: readonly Cell[]): void {
  for (const [index, column] of columns.entries()) {
    const buffer = chunk.columns[index];
    if (buffer !== undefined) putCell({ buffer, column }, cells[index] ?? null, chunk.rows);
  }
}
