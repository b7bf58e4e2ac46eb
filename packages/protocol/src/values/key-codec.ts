import { kalamError } from '../errors/kalam-error.ts';
import type { DataType, NonNullCell } from './data-type.ts';
import { uuidBinaryString } from './uuid-bytes.ts';

/** Decimals of at most this precision fit 64 bits. */
const precisionIn64Bits = 18;
const signBit64 = 1n << 63n;
const signBit128 = 1n << 127n;
const terminator = '\0\0';
const escapedZero = '\0\u00ff';

const eightBytes = new DataView(new ArrayBuffer(8));

/** Writes one key column's cell as a binary string that ends where it says itself. */
type KeyCellWriter = (cell: NonNullCell) => string;

/**
 * The key that the cells make: a binary string (one char per byte, U+0000–U+00FF), such that `<` on the strings is the order
 * of the cells, first column first, by `compareCells`. Each cell ends where it says itself, so the key of the first k
 * columns is a prefix of every key that begins with them. The cells must be of the types (INTERNAL_ERROR otherwise).
 *
 * | cell | bytes | content, big-endian |
 * |---|---|---|
 * | boolean | 1 | 0 or 1 |
 * | smallint | 2 | value + 2^15 |
 * | int, date | 4 | value + 2^31 |
 * | bigint, timestamp, datetime | 8 | value + 2^63 |
 * | decimal, precision ≤ 18 | 8 | value times 10^scale, + 2^63 |
 * | decimal, precision > 18 | 16 | value times 10^scale, + 2^127 |
 * | float, double | 4, 8 | IEEE 754 of the value (-0 as 0), sign bit flipped; all bits flipped when negative |
 * | time | 5 | unsigned |
 * | uuid | 16 | in the order of the text |
 * | text, json, file | n + 2 | UTF-8 with each 00 written as 00 ff, then 00 00 |
 * | bytes | n + 2 | the bytes, written likewise |
 * | embedding(n) | 4n | its floats |
 *
 * Worked values: `(int -1)` → `7f ff ff ff`; `(text 'a\0')` → `61 00 ff 00 00`; `(boolean true, double -2)` → `01 3f ff ff ff ff ff ff ff`.
 */
export function encodeKeyCells(cells: readonly NonNullCell[], types: readonly DataType[]): string {
  if (cells.length !== types.length)
    throw kalamError('INTERNAL_ERROR', { reason: `a key of ${cells.length} cells for ${types.length} columns` });
  let key = '';
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i];
    const type = types[i];
    if (cell !== undefined && type !== undefined) key += keyCellWriter(type)(cell);
  }
  return key;
}

function keyCellWriter(type: DataType): KeyCellWriter {
  switch (type.kind) {
    case 'boolean':
      return writeBoolean;
    case 'smallint':
      return writeInt16;
    case 'int':
    case 'date':
      return writeInt32;
    case 'bigint':
    case 'timestamp':
    case 'datetime':
      return writeInt64;
    case 'decimal':
      return type.precision <= precisionIn64Bits ? writeInt64 : writeInt128;
    case 'float':
      return writeFloat;
    case 'double':
      return writeDouble;
    case 'time':
      return writeTime;
    case 'uuid':
      return writeUuid;
    case 'text':
    case 'json':
    case 'file':
      return writeText;
    case 'bytes':
      return writeBytes;
    case 'embedding':
      return writeEmbedding;
  }
}

function writeBoolean(cell: NonNullCell): string {
  if (typeof cell !== 'boolean') throw notOfType(cell);
  return cell ? '\u0001' : '\0';
}

function writeInt16(cell: NonNullCell): string {
  if (typeof cell !== 'number') throw notOfType(cell);
  const shifted = cell + 0x8000;
  return String.fromCharCode(shifted >>> 8, shifted & 0xff);
}

function writeInt32(cell: NonNullCell): string {
  if (typeof cell !== 'number') throw notOfType(cell);
  return uint32(cell ^ 0x8000_0000);
}

function writeInt64(cell: NonNullCell): string {
  if (typeof cell !== 'bigint') throw notOfType(cell);
  return uint64(cell + signBit64);
}

function writeInt128(cell: NonNullCell): string {
  if (typeof cell !== 'bigint') throw notOfType(cell);
  const shifted = cell + signBit128;
  return uint64(shifted >> 64n) + uint64(shifted);
}

function writeFloat(cell: NonNullCell): string {
  if (typeof cell !== 'number') throw notOfType(cell);
  return float32(cell);
}

function writeDouble(cell: NonNullCell): string {
  if (typeof cell !== 'number') throw notOfType(cell);
  // adding 0 turns -0 into 0
  eightBytes.setFloat64(0, cell + 0);
  const high = eightBytes.getInt32(0);
  const low = eightBytes.getInt32(4);
  return high < 0 ? uint32(~high) + uint32(~low) : uint32(high ^ 0x8000_0000) + uint32(low);
}

function writeTime(cell: NonNullCell): string {
  if (typeof cell !== 'number') throw notOfType(cell);
  return String.fromCharCode(Math.floor(cell / 0x1_0000_0000)) + uint32(cell);
}

function writeUuid(cell: NonNullCell): string {
  if (typeof cell !== 'string') throw notOfType(cell);
  return uuidBinaryString(cell);
}

function writeText(cell: NonNullCell): string {
  if (typeof cell !== 'string') throw notOfType(cell);
  let key = '';
  let copied = 0;
  for (let i = 0; i < cell.length; i++) {
    const unit = cell.charCodeAt(i);
    if (unit > 0 && unit < 0x80) continue;
    key += cell.slice(copied, i);
    const point = cell.codePointAt(i) ?? 0;
    key += utf8Sequence(point);
    if (point > 0xffff) i++;
    copied = i + 1;
  }
  return key + cell.slice(copied) + terminator;
}

/** The bytes of a code point that is not plain ASCII, one char each; those of U+0000 escaped. */
function utf8Sequence(point: number): string {
  if (point === 0) return escapedZero;
  if (point < 0x800) return String.fromCharCode(0xc0 | (point >> 6), 0x80 | (point & 0x3f));
  const last = String.fromCharCode(0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f));
  if (point >= 0x1_0000) return String.fromCharCode(0xf0 | (point >> 18), 0x80 | ((point >> 12) & 0x3f)) + last;
  if ((point & 0xf800) === 0xd800)
    throw kalamError('INTERNAL_ERROR', { reason: 'a text with half a surrogate pair reached the key codec' });
  return String.fromCharCode(0xe0 | (point >> 12)) + last;
}

function writeBytes(cell: NonNullCell): string {
  if (!(cell instanceof Uint8Array)) throw notOfType(cell);
  return terminated(cell);
}

function writeEmbedding(cell: NonNullCell): string {
  if (!(cell instanceof Float32Array)) throw notOfType(cell);
  let key = '';
  for (const element of cell) key += float32(element);
  return key;
}

function terminated(bytes: Uint8Array): string {
  let key = '';
  for (const byte of bytes) key += byte === 0 ? escapedZero : String.fromCharCode(byte);
  return key + terminator;
}

function float32(value: number): string {
  eightBytes.setFloat32(0, value + 0);
  const bits = eightBytes.getInt32(0);
  return uint32(bits < 0 ? ~bits : bits ^ 0x8000_0000);
}

/** The low 64 bits. */
function uint64(value: bigint): string {
  eightBytes.setBigUint64(0, value);
  return uint32(eightBytes.getUint32(0)) + uint32(eightBytes.getUint32(4));
}

/** The low 32 bits. */
function uint32(value: number): string {
  return String.fromCharCode((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

function notOfType(cell: NonNullCell): Error {
  return kalamError('INTERNAL_ERROR', { reason: `a ${typeof cell} cell that is not one of its column's type reached the key codec` });
}
