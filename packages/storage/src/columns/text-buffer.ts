import { Buffer } from 'node:buffer';
import type * as Bindings from '@duckdb/node-bindings';
import type { NonNullCell } from '@kalamdb/protocol';
import type { ColumnBuffer, VectorBindings } from './column-buffer.ts';
import { NullBits } from './null-bits.ts';

/** See `VECTOR_ROWS_MAX`; here, because that module imports this one. */
const ROWS_MAX = 2048;
/** DuckDB's `string_t`: a length of four bytes, then the text itself if it is not longer than the rest, else a pointer. */
const WIDTH = 16;
const SHORT_BYTES_MAX = 12;

/** Texts (as UTF-8) and bytes. Short ones lie in the vector itself, long ones are handed over one by one. */
export class TextBuffer implements ColumnBuffer {
  readonly width: number = WIDTH;
  readonly #memory = Buffer.alloc(ROWS_MAX * WIDTH);
  readonly #long: (Uint8Array | undefined)[] = new Array(ROWS_MAX).fill(undefined);
  readonly #nulls = new NullBits(ROWS_MAX);
  readonly #compared: boolean;
  #longBytes = 0;

  /** `compared`: whether the order of the bytes is that of the type. */
  constructor(compared: boolean) {
    this.#compared = compared;
  }

  putCell(row: number, cell: NonNullCell): void {
    const bytes = typeof cell === 'string' ? Buffer.from(cell, 'utf8') : (cell as Uint8Array);
    this.putRaw(row, bytes, 0, bytes.length);
  }

  putRaw(row: number, bytes: Uint8Array, start: number, end: number): void {
    this.#nulls.clear(row);
    const length = end - start;
    if (this.#longBytes > 0) this.#dropLong(row);
    if (length > SHORT_BYTES_MAX) {
      this.#long[row] = bytes.subarray(start, end);
      this.#longBytes += length;
      return;
    }
    const memory = this.#memory;
    const at = row * WIDTH;
    memory[at] = length;
    memory[at + 1] = 0;
    memory[at + 2] = 0;
    memory[at + 3] = 0;
    const to = at + 4;
    // All of them, because equal texts have to be equal to the last of the sixteen bytes.
    for (let index = 0; index < SHORT_BYTES_MAX; index += 1) memory[to + index] = index < length ? (bytes[start + index] ?? 0) : 0;
  }

  putNull(row: number): void {
    this.#nulls.set(row);
    if (this.#longBytes > 0) this.#dropLong(row);
    this.#memory.fill(0, row * WIDTH, (row + 1) * WIDTH);
  }

  isNull(row: number): boolean {
    return this.#nulls.isNull(row);
  }

  get longBytes(): number {
    return this.#longBytes;
  }

  comparer(cell: NonNullCell): ((row: number) => number) | undefined {
    if (!this.#compared) return undefined;
    const bytes = Buffer.from(cell as string, 'utf8');
    return (row) => Buffer.compare(this.#bytesOf(row), bytes);
  }

  writeTo(bindings: VectorBindings, vector: Bindings.Vector, rows: number): void {
    const { buffer, byteOffset } = this.#memory;
    const anyLong = this.#longBytes > 0;
    if (anyLong) this.#zeroLong(rows);
    bindings.copy_data_to_vector(vector, 0, buffer, byteOffset, rows * WIDTH);
    if (anyLong) this.#writeLong(bindings, vector, rows);
    this.#nulls.writeTo(bindings, vector, rows);
  }

  #dropLong(row: number): void {
    this.#longBytes -= this.#long[row]?.length ?? 0;
    this.#long[row] = undefined;
  }

  #bytesOf(row: number): Uint8Array {
    const long = this.#long[row];
    if (long !== undefined) return long;
    const start = row * WIDTH + 4;
    return this.#memory.subarray(start, start + (this.#memory[row * WIDTH] ?? 0));
  }

  /** What lies there is of an earlier row: a vector must never hold a length without its text. */
  #zeroLong(rows: number): void {
    for (let row = 0; row < rows; row += 1) if (this.#long[row] !== undefined) this.#memory.fill(0, row * WIDTH, (row + 1) * WIDTH);
  }

  #writeLong(bindings: VectorBindings, vector: Bindings.Vector, rows: number): void {
    for (let row = 0; row < ROWS_MAX; row += 1) {
      const bytes = this.#long[row];
      if (bytes === undefined) continue;
      if (row < rows) bindings.vector_assign_string_element_len(vector, row, bytes);
      this.#long[row] = undefined;
    }
    this.#longBytes = 0;
  }
}
