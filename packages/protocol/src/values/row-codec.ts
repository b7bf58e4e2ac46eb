import { kalamError } from '../errors/kalam-error.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import type { Cell, DataType, Row } from './data-type.ts';
import { type RowCellCodec, rowCellCodec } from './row-cell-codec.ts';

const where = 'row';
const schemaVersionMax = 0xffff_ffff;
/** Encoding is synchronous and never calls itself, so all codecs share one writer. */
const scratch = new ByteWriter();

/** A column of one schema version. The encoding is by position; `id` names the column across versions for whoever projects old rows. */
export interface RowColumn {
  readonly id: number;
  readonly type: DataType;
}

/** Turns the rows of one schema version into bytes and back. */
export interface RowCodec {
  /**
   * The cells must be of the columns' types, in column order (INTERNAL_ERROR otherwise). Small results share a slab of 8 KiB
   * with others: copy them before their buffer is transferred or sent to another thread.
   */
  encode(row: Row): Uint8Array;
  /** Throws DAMAGED_DATA for anything that `encode` of the same schema version does not produce. Shares no memory with `bytes`. */
  decode(bytes: Uint8Array): Row;
}

/**
 * The codec of a schema version. Multi-byte fields are little-endian; a varint has seven bits per byte, lowest first.
 *
 * | field | bytes | content |
 * |---|---|---|
 * | schema version | 1–5 | varint |
 * | NULL bitmap | ⌈columns / 8⌉ | bit `i mod 8` of byte `i / 8` is set: column i is NULL and has no cell; spare bits are 0 |
 * | cells | | those that are not NULL, in column order |
 *
 * | cell | bytes | content |
 * |---|---|---|
 * | boolean | 1 | 0 or 1 |
 * | smallint, int, date | 1–5 | varint of the zigzag form (0, -1, 1, -2 … → 0, 1, 2, 3 …) |
 * | bigint, timestamp, datetime | 8 | two's complement |
 * | decimal, precision ≤ 18 | 8 | the value times 10^scale, two's complement |
 * | decimal, precision > 18 | 16 | the same |
 * | float, double | 4, 8 | IEEE 754 |
 * | time | 5 | unsigned |
 * | uuid | 16 | in the order of the text |
 * | text, json, file | 1–5 + n | varint n, UTF-8 |
 * | bytes | 1–5 + n | varint n, the bytes |
 * | embedding(n) | 4n | IEEE 754 |
 *
 * Worked values, schema version 3:
 * - `(int 7, text 'hi', boolean NULL)` → `03 04 0e 02 68 69`
 * - `(bigint -2)` → `03 00 fe ff ff ff ff ff ff ff`
 * - `(decimal(10,2) 12.30, date 1969-12-31)` → `03 00 ce 04 00 00 00 00 00 00 01`
 */
export function rowCodec(schemaVersion: number, columns: readonly RowColumn[]): RowCodec {
  if (!Number.isInteger(schemaVersion) || schemaVersion < 0 || schemaVersion > schemaVersionMax) {
    throw kalamError('INTERNAL_ERROR', { reason: `schema version ${schemaVersion} is not an unsigned 32-bit integer` });
  }
  return new ColumnRowCodec(
    schemaVersion,
    columns.map((column) => rowCellCodec(column.type)),
  );
}

/** The schema version that a row was encoded with: which codec decodes it. Throws DAMAGED_DATA. */
export function rowSchemaVersion(bytes: Uint8Array): number {
  const first = bytes[0] ?? 0x80;
  return first < 0x80 ? first : new ByteReader(bytes, where).varint();
}

class ColumnRowCodec implements RowCodec {
  readonly #schemaVersion: number;
  readonly #cells: readonly RowCellCodec[];

  constructor(schemaVersion: number, cells: readonly RowCellCodec[]) {
    this.#schemaVersion = schemaVersion;
    this.#cells = cells;
  }

  encode(row: Row): Uint8Array {
    const codecs = this.#cells;
    if (row.length !== codecs.length) {
      throw kalamError('INTERNAL_ERROR', { reason: `a row of ${row.length} cells for ${codecs.length} columns` });
    }
    scratch.reset();
    scratch.varint(this.#schemaVersion);
    writeNullBitmap(row);
    for (let i = 0; i < codecs.length; i++) {
      const cell = row[i];
      if (cell !== null && cell !== undefined) codecs[i]?.write(scratch, cell);
    }
    return scratch.finish();
  }

  decode(bytes: Uint8Array): Row {
    const codecs = this.#cells;
    const input = new ByteReader(bytes, where);
    const schemaVersion = input.varint();
    if (schemaVersion !== this.#schemaVersion) {
      throw input.damage(`schema version ${schemaVersion} where ${this.#schemaVersion} is expected`);
    }
    const row = new Array<Cell>(codecs.length).fill(null);
    readPresent(input, row);
    for (let i = 0; i < row.length; i++) {
      const codec = codecs[i];
      if (row[i] === true && codec !== undefined) row[i] = codec.read(input);
    }
    if (input.remaining > 0) throw input.damage('bytes after the last cell');
    return row;
  }
}

function writeNullBitmap(row: Row): void {
  for (let start = 0; start < row.length; start += 8) {
    let bits = 0;
    const end = Math.min(start + 8, row.length);
    for (let i = start; i < end; i++) if (row[i] === null) bits |= 1 << (i - start);
    scratch.byte(bits);
  }
}

/** Marks the cells that follow with `true`, so that one array serves as bitmap and result. */
function readPresent(input: ByteReader, row: Cell[]): void {
  for (let start = 0; start < row.length; start += 8) {
    const bits = input.byte();
    const end = Math.min(start + 8, row.length);
    if (bits >> (end - start) !== 0) throw input.damage('a NULL bit without a column');
    for (let i = start; i < end; i++) if ((bits & (1 << (i - start))) === 0) row[i] = true;
  }
}
