import type * as Bindings from '@duckdb/node-bindings';
import type { DataType, NonNullCell } from '@kalamdb/protocol';
import { fixedBuffer } from './fixed-buffer.ts';
import { TextBuffer } from './text-buffer.ts';

/** DuckDB's functions on vectors, below its classes: those have an object or a call for each value. */
export type VectorBindings = typeof Bindings.default;

/** Rows of a vector at most: DuckDB's own bound. */
export const VECTOR_ROWS_MAX = 2048;

/**
 * The cells of one column for a piece of at most {@link VECTOR_ROWS_MAX} rows, laid out in memory as DuckDB's vector of the type that
 * `duckdbType` names has them, so that they get there with one copy. A row is put again when it is not wanted after all.
 */
export interface ColumnBuffer {
  /** Bytes of a row beside those of long texts. */
  readonly width: number;
  putCell(row: number, cell: NonNullCell): void;
  /** Puts the cell that lies from `start` to `end` in an encoded row (see `RowSpans`) of the very type of the column. `bytes` must not change before the next {@link writeTo}. */
  putRaw(row: number, bytes: Uint8Array, start: number, end: number): void;
  putNull(row: number): void;
  isNull(row: number): boolean;
  /** Bytes of the texts that wait, beyond {@link width}; `undefined` for types that have none. */
  readonly longBytes: number | undefined;
  /** How the cell of a row stands to a cell of the type: below, the same or above; `undefined` for types that are not compared here. */
  comparer(cell: NonNullCell): ((row: number) => number) | undefined;
  /** Copies the first `rows` rows into a vector and is empty again. */
  writeTo(bindings: VectorBindings, vector: Bindings.Vector, rows: number): void;
}

/** An empty buffer for a column. */
export function columnBuffer(type: DataType): ColumnBuffer {
  return fixedBuffer(type) ?? new TextBuffer(type.kind === 'text');
}
