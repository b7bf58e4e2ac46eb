import { deserialize, serialize } from 'node:v8';
import type { Cell } from '@kalamdb/protocol';
import { STEP_ROWS, type Steps } from '../slices/steps.ts';

/** Cells of one chunk: it is read in well under a millisecond. */
const CHUNK_CELLS_MAX = 512;
/** Characters and bytes of the cells of one chunk; the cell that passes it is still in. */
const CHUNK_UNITS_MAX = 256 * 1024;

type Cells = readonly Cell[];

/**
 * Puts rows of cells into pieces of memory of their own, which can be handed to another thread without a copy and read there
 * in slices. (A posted message would be read by the receiver in one go.)
 */
export class ChunkWriter {
  readonly #chunks: Uint8Array[] = [];
  #readyBytes = 0;
  #rows: Cells[] = [];
  #cells = 0;
  #units = 0;

  /** Bytes of the chunks that are full. */
  get readyBytes(): number {
    return this.#readyBytes;
  }

  add(row: Cells): void {
    this.#rows.push(row);
    this.#cells += row.length + 1;
    for (const cell of row) this.#units += unitsOf(cell);
    if (this.#cells >= CHUNK_CELLS_MAX || this.#units >= CHUNK_UNITS_MAX) this.#cut();
  }

  /** The chunks made since the last call, and the one that was begun. */
  take(): Uint8Array[] {
    if (this.#rows.length > 0) this.#cut();
    return this.takeReady();
  }

  /** The chunks that are full. */
  takeReady(): Uint8Array[] {
    this.#readyBytes = 0;
    return this.#chunks.splice(0);
  }

  #cut(): void {
    // A copy, because small buffers share a slab.
    const chunk = new Uint8Array(serialize(this.#rows));
    this.#chunks.push(chunk);
    this.#readyBytes += chunk.byteLength;
    this.#rows = [];
    this.#cells = 0;
    this.#units = 0;
  }
}

/** Bytes of all chunks together. */
export function bytesOfChunks(chunks: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const chunk of chunks) bytes += chunk.byteLength;
  return bytes;
}

/** The memory to hand over with the chunks. */
export function transferList(chunks: readonly Uint8Array[]): ArrayBuffer[] {
  return chunks.map((chunk) => chunk.buffer as ArrayBuffer);
}

/** The rows of a chunk. Cells of bytes are views of the chunk's memory. */
export function rowsOfChunk(chunk: Uint8Array): Cells[] {
  return deserialize(chunk) as Cells[];
}

/** The rows of all chunks, in steps. */
export function* rowsOfChunks(chunks: readonly Uint8Array[]): Steps<Cells[]> {
  const rows: Cells[] = [];
  for (const chunk of chunks) {
    for (const row of rowsOfChunk(chunk)) rows.push(row);
    yield;
  }
  return rows;
}

/** Puts rows into chunks, in steps. */
export function* chunksOfRows(rows: Iterable<Cells>): Steps<Uint8Array[]> {
  const writer = new ChunkWriter();
  let left = STEP_ROWS;
  for (const row of rows) {
    writer.add(row);
    if (--left > 0) continue;
    left = STEP_ROWS;
    yield;
  }
  return writer.take();
}

function unitsOf(cell: Cell): number {
  if (typeof cell === 'string') return cell.length;
  return typeof cell === 'object' && cell !== null ? cell.byteLength : 0;
}
