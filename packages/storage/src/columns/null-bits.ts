import type * as Bindings from '@duckdb/node-bindings';
import type { VectorBindings } from './column-buffer.ts';

/** DuckDB reads the bits in words of this many rows. */
const WORD_ROWS = 64;

/** Which rows of a vector are not NULL: a bit for each, as DuckDB has them. */
export class NullBits {
  readonly #bits: Uint8Array<ArrayBuffer>;
  #any = false;

  constructor(rowsMax: number) {
    this.#bits = new Uint8Array(rowsMax / 8).fill(0xff);
  }

  isNull(row: number): boolean {
    return ((this.#bits[row >> 3] ?? 0xff) & (1 << (row & 7))) === 0;
  }

  set(row: number): void {
    this.#bits[row >> 3] = (this.#bits[row >> 3] ?? 0xff) & ~(1 << (row & 7));
    this.#any = true;
  }

  clear(row: number): void {
    if (this.#any) this.#bits[row >> 3] = (this.#bits[row >> 3] ?? 0) | (1 << (row & 7));
  }

  /** Tells a vector which of its first rows are NULL, and forgets it. */
  writeTo(bindings: VectorBindings, vector: Bindings.Vector, rows: number): void {
    if (!this.#any) return;
    bindings.vector_ensure_validity_writable(vector);
    bindings.copy_data_to_vector_validity(vector, 0, this.#bits.buffer, 0, Math.ceil(rows / WORD_ROWS) * (WORD_ROWS / 8));
    this.#bits.fill(0xff);
    this.#any = false;
  }
}
