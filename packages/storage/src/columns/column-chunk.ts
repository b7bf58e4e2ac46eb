import type { DuckDBAppender, DuckDBDataChunk } from '@duckdb/node-api';
import type { DataType } from '@kalamdb/protocol';
import { type ColumnBuffer, columnBuffer, VECTOR_ROWS_MAX, type VectorBindings } from './column-buffer.ts';
import type { DuckDb } from './duckdb.ts';

/** Bytes of the long texts and of the embeddings of one chunk; the row that passes it is still in. */
const CHUNK_BYTES_MAX = 4 * 1024 * 1024;

/** DuckDB's module, and its functions on vectors. */
export interface DuckDbModules {
  readonly db: DuckDb;
  readonly bindings: VectorBindings;
}

/** Loads DuckDB's functions on vectors, which its module needs too. */
export async function loadVectorBindings(): Promise<VectorBindings> {
  return (await import('@duckdb/node-bindings')).default;
}

/**
 * Rows on their way into a table of DuckDB, column by column. Its owner puts the cells of a row into the buffers at {@link rows} and
 * calls {@link added}; the memory is used again for the next rows.
 */
export class ChunkAppender {
  readonly columns: readonly ColumnBuffer[];
  readonly #bindings: VectorBindings;
  readonly #appender: DuckDBAppender;
  readonly #chunk: DuckDBDataChunk;
  readonly #rowsMax: number;
  /** Those of types that may have long texts. */
  readonly #texts: readonly ColumnBuffer[];
  #rowsAppended = 0;
  /** Of rows that were appended. */
  #bytes = 0;
  #rows = 0;

  /** The appender's columns have the types `duckdbType` says of these. */
  constructor({ db, bindings }: DuckDbModules, appender: DuckDBAppender, types: readonly DataType[]) {
    this.#bindings = bindings;
    this.#appender = appender;
    this.columns = types.map(columnBuffer);
    this.#texts = this.columns.filter(({ longBytes }) => longBytes !== undefined);
    const width = this.columns.reduce((sum, column) => sum + column.width, 0);
    this.#rowsMax = Math.max(1, Math.min(VECTOR_ROWS_MAX, Math.floor(CHUNK_BYTES_MAX / Math.max(1, width))));
    this.#chunk = db.DuckDBDataChunk.create(types.map((_, index) => appender.columnType(index)));
  }

  /** Where the next row goes. */
  get rows(): number {
    return this.#rows;
  }

  /** Rows that were handed over. */
  get rowsAppended(): number {
    return this.#rowsAppended;
  }

  /** Bytes of everything that was appended, as DuckDB holds it about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The row is there. Answers whether the chunk is full: then {@link flush} is due. */
  added(): boolean {
    this.#rows += 1;
    return this.#rows >= this.#rowsMax || this.#longBytes() > CHUNK_BYTES_MAX;
  }

  /** Hands over what was added since the last call. Throws what DuckDB throws. */
  flush(): void {
    const rows = this.#rows;
    if (rows === 0) return;
    const chunk = this.#chunk;
    chunk.reset();
    chunk.rowCount = rows;
    this.#bytes += this.#longBytes();
    for (const [index, column] of this.columns.entries()) {
      this.#bytes += rows * column.width;
      column.writeTo(this.#bindings, this.#bindings.data_chunk_get_vector(chunk.chunk, index), rows);
    }
    this.#rows = 0;
    this.#rowsAppended += rows;
    this.#appender.appendDataChunk(chunk);
  }

  #longBytes(): number {
    let bytes = 0;
    for (const column of this.#texts) bytes += column.longBytes ?? 0;
    return bytes;
  }
}
