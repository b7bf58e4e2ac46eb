import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import type { RowPositions } from './contract.ts';

const FORM_RUNS = 0;
const FORM_BITMAP = 1;

/** A bit for each row up to the last one of the set: 8 KiB for a segment of 65,536 rows at most. */
class RowBitmap implements RowPositions {
  readonly size: number;
  readonly #bits: Uint8Array;
  #text: string | undefined;

  constructor(bits: Uint8Array, size: number) {
    this.#bits = bits;
    this.size = size;
  }

  has(row: number): boolean {
    return ((this.#bits[row >>> 3] ?? 0) & (1 << (row & 7))) !== 0;
  }

  *[Symbol.iterator](): Generator<number, undefined> {
    for (let byte = 0; byte < this.#bits.length; byte += 1) {
      const bits = this.#bits[byte] ?? 0;
      for (let bit = 0; bits >> bit !== 0; bit += 1) if ((bits & (1 << bit)) !== 0) yield byte * 8 + bit;
    }
  }

  /** -1 when there is none. */
  get lastRow(): number {
    return endOf(this.#bits) - 1;
  }

  copyTo(bits: Uint8Array): void {
    bits.set(this.#bits);
  }

  /** See {@link encodePositions}; made once, as a manifest is written again with each change of one of its segments. */
  get text(): string {
    this.#text ??= encodeBits(this.#bits);
    return this.#text;
  }
}

/** The set without a row. */
export const noRows: RowPositions = new RowBitmap(new Uint8Array(), 0);

/** The set of these rows, in any order, repeated or not. */
export function rowPositions(rows: Iterable<number>): RowPositions {
  return withRows(noRows, rows);
}

/** The set with these rows added; the one given stays as it is. */
export function withRows(positions: RowPositions, rows: Iterable<number>): RowPositions {
  const added = Array.isArray(rows) ? (rows as readonly number[]) : [...rows];
  return added.length === 0 ? positions : bitmapOfRows(positions, added);
}

function bitmapOfRows(positions: RowPositions, added: readonly number[] = []): RowBitmap {
  const end = added.reduce((max, row) => Math.max(max, row), positions instanceof RowBitmap ? positions.lastRow : lastOf(positions));
  const bits = new Uint8Array((end + 8) >>> 3);
  if (positions instanceof RowBitmap) positions.copyTo(bits);
  else for (const row of positions) bits[row >>> 3] = (bits[row >>> 3] ?? 0) | (1 << (row & 7));
  for (const row of added) bits[row >>> 3] = (bits[row >>> 3] ?? 0) | (1 << (row & 7));
  return bitmapOf(bits);
}

function lastOf(positions: RowPositions): number {
  let last = -1;
  for (const row of positions) last = row;
  return last;
}

/**
 * The set as a text: the base64 of the shorter of two forms, so never longer than that of one bit per row and a byte (10,924
 * characters for 65,536 rows). The empty set is the empty text.
 *
 * | form | first byte | then |
 * |---|---|---|
 * | runs | 0 | for each run of neighbours: rows left out before it, rows in it less one; varints, seven bits each, lowest first |
 * | bitmap | 1 | bit `i mod 8` of byte `i / 8` is set: row i is in the set; the last byte is not 0 |
 *
 * Worked values: `{100,101,102}` → `00 64 02` → `AGQC`; `{2,3,4,9}` → `01 1c 02` → `ARwC`; `{0,2,4,6}` → `01 55` → `AVU=`.
 */
export function encodePositions(positions: RowPositions): string {
  if (positions.size === 0) return '';
  return positions instanceof RowBitmap ? positions.text : bitmapOfRows(positions).text;
}

/** The set that {@link encodePositions} made of rows below `rows`. Throws DAMAGED_DATA naming `where` for any other text. */
export function decodePositions(text: string, rows: number, where: string): RowPositions {
  if (text === '') return noRows;
  const bytes = Buffer.from(text, 'base64');
  const bits = bytes[0] === FORM_RUNS ? decodeRuns(bytes, rows) : bytes[0] === FORM_BITMAP ? new Uint8Array(bytes.subarray(1)) : undefined;
  const positions = bits === undefined || (bits.at(-1) ?? 0) === 0 ? undefined : bitmapOf(bits);
  // Whatever is not exactly what the encoder writes is damaged: so is every row that the segment does not have.
  if (bits === undefined || positions === undefined || endOf(bits) > rows || positions.text !== text) {
    throw kalamError('DAMAGED_DATA', { where, reason: 'the positions of its masked rows cannot be read' });
  }
  return positions;
}

/** The row behind the last one. */
function endOf(bits: Uint8Array): number {
  return 8 * bits.length - (Math.clz32(bits.at(-1) ?? 0) - 24);
}

function bitmapOf(bits: Uint8Array): RowBitmap {
  let size = 0;
  for (const byte of bits) for (let rest = byte; rest !== 0; rest &= rest - 1) size += 1;
  return new RowBitmap(bits, size);
}

/** The last byte is not 0. */
function encodeBits(bits: Uint8Array): string {
  const runs = encodeRuns(bits);
  if (runs !== undefined) return base64(runs);
  const bitmap = new Uint8Array(1 + bits.length);
  bitmap[0] = FORM_BITMAP;
  bitmap.set(bits, 1);
  return base64(bitmap);
}

/** `undefined` when they are longer than the bits themselves. */
function encodeRuns(bits: Uint8Array): Uint8Array | undefined {
  const bytes = [FORM_RUNS];
  let end = 0;
  let start = -1;
  for (let byte = 0; byte <= bits.length; byte += 1) {
    const all = bits[byte] ?? 0;
    // Whole bytes of rows that are all in the set or all not.
    if (all === (start < 0 ? 0 : 0xff)) continue;
    for (let bit = 0; bit < 8; bit += 1) {
      const isIn = (all & (1 << bit)) !== 0;
      if (isIn === start >= 0) continue;
      const row = byte * 8 + bit;
      if (isIn) {
        start = row;
        continue;
      }
      putVarint(bytes, start - end);
      putVarint(bytes, row - start - 1);
      [start, end] = [-1, row];
    }
    if (bytes.length > 1 + bits.length) return undefined;
  }
  return bytes.length > 1 + bits.length ? undefined : Uint8Array.from(bytes);
}

function putVarint(bytes: number[], value: number): void {
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
}

/** The bits of the runs; `undefined` when they go beyond `rows`. */
function decodeRuns(bytes: Uint8Array, rows: number): Uint8Array | undefined {
  const bits = new Uint8Array((rows + 7) >>> 3);
  let at = 1;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = bytes[at] ?? 0;
      at += 1;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  let row = 0;
  while (at < bytes.length) {
    row += varint();
    const end = row + varint() + 1;
    if (end > rows) return undefined;
    for (; row < end; row += 1) bits[row >>> 3] = (bits[row >>> 3] ?? 0) | (1 << (row & 7));
  }
  return bits.slice(0, (row + 7) >>> 3);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
