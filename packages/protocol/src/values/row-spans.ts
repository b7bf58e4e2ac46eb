import { kalamError } from '../errors/kalam-error.ts';
import type { DataType } from './data-type.ts';
import type { RowColumn } from './row-codec.ts';

/** Widths of cells that are not of one width: a varint, and a varint with as many bytes after it. */
const VARINT = 0;
const LENGTH_PREFIXED = -1;
/** The longest varint of 32 bits. */
const VARINT_BYTES_MAX = 5;

/**
 * Finds where the cells of chosen columns lie in encoded rows (`rowCodec`) of one schema version, so that they can be copied as they are,
 * without a value for each. What it finds holds until the next call of {@link find}.
 *
 * Worked value, schema version 3 of `(int, text, boolean)`, row `03 04 0e 02 68 69`, columns 0 and 1 chosen: the cells lie in bytes 2–3 and 4–6
 * (the length of a text is left out); with column 2 chosen its start is -1, for NULL.
 */
export class RowSpans {
  /** First byte of the cell of each chosen column; -1: NULL. */
  readonly starts: Int32Array;
  /** The byte after it. */
  readonly ends: Int32Array;
  readonly #schemaVersion: number;
  readonly #widths: Int32Array;
  /** For each column its place among the chosen ones, or -1. */
  readonly #places: Int32Array;
  /** Columns up to the last chosen one: what is behind it is not walked. */
  readonly #walked: number;
  readonly #bitmapBytes: number;

  /** `chosen` are positions in `columns`, each once. */
  constructor(schemaVersion: number, columns: readonly RowColumn[], chosen: readonly number[]) {
    this.#schemaVersion = schemaVersion;
    this.#widths = Int32Array.from(columns, ({ type }) => widthOf(type));
    this.#places = Int32Array.from(columns, (_, index) => chosen.indexOf(index));
    this.#walked = chosen.reduce((most, index) => Math.max(most, index + 1), 0);
    this.#bitmapBytes = Math.ceil(columns.length / 8);
    this.starts = new Int32Array(chosen.length);
    this.ends = new Int32Array(chosen.length);
  }

  /** Throws DAMAGED_DATA for a row of another schema version, and for one that ends too early. */
  find(bytes: Uint8Array): void {
    const version = varintAt(bytes, 0);
    if (version !== this.#schemaVersion) throw damage(`schema version ${version} where ${this.#schemaVersion} is expected`);
    const bitmap = varintEnd(bytes, 0);
    let at = bitmap + this.#bitmapBytes;
    for (let index = 0; index < this.#walked; index += 1) {
      const place = this.#places[index] ?? -1;
      if (((bytes[bitmap + (index >> 3)] ?? 0) & (1 << (index & 7))) !== 0) {
        if (place >= 0) this.starts[place] = -1;
        continue;
      }
      const width = this.#widths[index] ?? 0;
      let start = at;
      if (width > 0) {
        at += width;
      } else {
        at = varintEnd(bytes, start);
        if (width === LENGTH_PREFIXED) {
          const length = varintAt(bytes, start);
          start = at;
          at += length;
        }
      }
      if (place < 0) continue;
      this.starts[place] = start;
      this.ends[place] = at;
    }
    if (at > bytes.length) throw damage('unexpected end');
  }
}

/** The signed integer whose zigzag form stands at `at` as a varint: a cell of smallint, int or date. */
export function zigzagAt(bytes: Uint8Array, at: number): number {
  const value = varintAt(bytes, at);
  return (value >>> 1) ^ -(value & 1);
}

function varintAt(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let index = 0; index < VARINT_BYTES_MAX; index += 1) {
    const byte = bytes[at + index];
    if (byte === undefined) throw damage('unexpected end');
    value |= (byte & 0x7f) << (7 * index);
    if (byte < 0x80) return value >>> 0;
  }
  throw damage('an integer longer than 32 bits');
}

function varintEnd(bytes: Uint8Array, at: number): number {
  for (let index = at; index < at + VARINT_BYTES_MAX; index += 1) if ((bytes[index] ?? 0x80) < 0x80) return index + 1;
  throw damage('an integer that does not end');
}

function damage(reason: string): Error {
  return kalamError('DAMAGED_DATA', { where: 'row', reason });
}

/** Bytes of a cell as the table at `rowCodec` says. */
function widthOf(type: DataType): number {
  switch (type.kind) {
    case 'boolean':
      return 1;
    case 'smallint':
    case 'int':
    case 'date':
      return VARINT;
    case 'bigint':
    case 'timestamp':
    case 'datetime':
    case 'double':
      return 8;
    case 'decimal':
      return type.precision <= 18 ? 8 : 16;
    case 'float':
      return 4;
    case 'time':
      return 5;
    case 'uuid':
      return 16;
    case 'text':
    case 'json':
    case 'file':
    case 'bytes':
      return LENGTH_PREFIXED;
    case 'embedding':
      return 4 * type.dimension;
    default:
      return type satisfies never;
  }
}
