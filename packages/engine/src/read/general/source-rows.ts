import type { DuckDBAppender, DuckDBDataChunk, DuckDBType, DuckDBVector } from '@duckdb/node-api';
import type { Cell, DataType } from '@kalamdb/protocol';
import { type ColumnInfo, duckdbType, type InputRow } from '@kalamdb/sql';
import type { Table } from '../../catalog/table.ts';
import type { Steps } from '../../slices/steps.ts';
import { type CellPutter, cellPutter } from './column-vector.ts';
import type { DuckDb } from './duckdb.ts';

/** Rows of a chunk; DuckDB takes 2,048 at most. */
const CHUNK_ROWS_MAX = 1024;
/** Units of texts and bytes in a chunk, and numbers of its embeddings; the row that passes it is still in. */
const CHUNK_UNITS_MAX = 512 * 1024;
/** Chunks, and cells of them, that wait in the appender: handing them over to the table takes about a millisecond. */
const APPENDED_CHUNKS_MAX = 4;
const APPENDED_CELLS_MAX = 16_384;
/** Cells that are put into vectors between two steps; a text counts more when it is long. */
const STEP_WEIGHT = 256;
/** Units of a long cell that weigh as much as a short one. */
const WEIGHT_UNITS = 64;

/** A column as DuckDB has it for one query. */
interface SourceColumn {
  readonly type: DataType;
  read(row: InputRow): Cell;
}

/** How a table's rows are held in DuckDB for one query. */
export interface SourceLayout {
  readonly columns: readonly SourceColumn[];
  /** No cell is looked at: rows may come without any. */
  readonly cellsUnused: boolean;
  /** The statement that makes the table. */
  readonly ddl: string;
}

/**
 * The layout of a table under a name that has no quotes in it, with the columns that the text of a query names; it writes every
 * column as `"alias"."column"`. A query that names none (a count) gets one, so that there are rows to count.
 */
export function sourceLayout(name: string, { columns }: Pick<Table, 'columns'>, text: string): SourceLayout {
  const named = columns.map((column, index) => ({ column, index, quoted: `"${column.name.replaceAll('"', '""')}"` }));
  const used = named.filter(({ quoted }) => text.includes(`.${quoted}`));
  if (used.length === 0) used.push(...named.slice(-1));
  return {
    columns: used.map(({ column, index }) => ({ type: column.type, read: cellReader(column, index) })),
    cellsUnused: used.every(({ column }) => column.system !== undefined),
    ddl: `CREATE TEMP TABLE "${name}" (${used.map(({ column, quoted }) => `${quoted} ${duckdbType(column.type)}`).join(', ')})`,
  };
}

/** Stored columns come first and in the order of the cells. */
function cellReader({ system }: ColumnInfo, index: number): SourceColumn['read'] {
  switch (system) {
    case '_seq':
      return (row) => row.seq;
    case '_deleted':
      return (row) => row.deleted;
    default:
      return ({ cells }) => cells[index] ?? null;
  }
}

/** Appends rows to a table in short steps, and closes the appender. */
export function* appendRows(
  db: DuckDb,
  { appender, layout }: { readonly appender: DuckDBAppender; readonly layout: SourceLayout },
  rows: Iterable<InputRow>,
): Steps<void> {
  const writer = new ChunkWriter(db, appender, layout);
  let weight = 0;
  for (const row of rows) {
    weight += writer.add(row);
    if (writer.isFull) yield* writer.flush();
    if (weight < STEP_WEIGHT) continue;
    weight = 0;
    yield;
  }
  yield* writer.flush();
  yield;
  appender.flushSync();
}

/** Fills chunks column by column and appends them. */
class ChunkWriter {
  readonly #db: DuckDb;
  readonly #appender: DuckDBAppender;
  readonly #layout: SourceLayout;
  readonly #types: readonly DuckDBType[];
  readonly #putters: readonly CellPutter[];
  readonly #rowsMax: number;
  #chunk: DuckDBDataChunk | undefined;
  #vectors: readonly DuckDBVector[] = [];
  #rows = 0;
  #units = 0;
  #chunksAppended = 0;
  #cellsAppended = 0;

  constructor(db: DuckDb, appender: DuckDBAppender, layout: SourceLayout) {
    this.#db = db;
    this.#appender = appender;
    this.#layout = layout;
    this.#types = layout.columns.map((_, index) => appender.columnType(index));
    this.#putters = layout.columns.map(({ type }) => cellPutter(db, type));
    const numbers = layout.columns.reduce((sum, { type }) => sum + (type.kind === 'embedding' ? type.dimension : 0), 0);
    this.#rowsMax = Math.max(1, Math.min(CHUNK_ROWS_MAX, Math.floor(CHUNK_UNITS_MAX / Math.max(1, numbers))));
  }

  get isFull(): boolean {
    return this.#rows >= this.#rowsMax || this.#units >= CHUNK_UNITS_MAX;
  }

  /** Takes a row; answers what it weighs. */
  add(row: InputRow): number {
    const vectors = this.#open();
    const { columns } = this.#layout;
    const at = this.#rows;
    let units = 0;
    for (let index = 0; index < columns.length; index += 1) {
      const vector = vectors[index];
      if (vector === undefined) continue;
      const cell = columns[index]?.read(row) ?? null;
      if (cell === null) vector.setItem(at, null);
      else this.#putters[index]?.(vector, at, cell);
      units += unitsOf(cell);
    }
    this.#rows += 1;
    this.#units += units;
    return columns.length + units / WEIGHT_UNITS;
  }

  *flush(): Steps<void> {
    const chunk = this.#chunk;
    if (chunk === undefined) return;
    for (const vector of this.#vectors) {
      vector.flush();
      yield;
    }
    chunk.rowCount = this.#rows;
    this.#appender.appendDataChunk(chunk);
    this.#chunk = undefined;
    this.#chunksAppended += 1;
    this.#cellsAppended += this.#rows * this.#layout.columns.length;
    this.#rows = 0;
    this.#units = 0;
    if (this.#chunksAppended < APPENDED_CHUNKS_MAX && this.#cellsAppended < APPENDED_CELLS_MAX) return;
    yield;
    this.#chunksAppended = 0;
    this.#cellsAppended = 0;
    this.#appender.flushSync();
    yield;
  }

  #open(): readonly DuckDBVector[] {
    if (this.#chunk === undefined) {
      const chunk = this.#db.DuckDBDataChunk.create(this.#types, this.#rowsMax);
      this.#chunk = chunk;
      this.#vectors = this.#types.map((_, index) => chunk.getColumnVector(index));
    }
    return this.#vectors;
  }
}

function unitsOf(cell: Cell): number {
  if (typeof cell === 'string') return cell.length;
  return typeof cell === 'object' && cell !== null ? cell.byteLength / 4 : 0;
}
