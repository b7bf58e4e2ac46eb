import { cellFault } from './cell-check.ts';
import type { DataType, NonNullCell } from './data-type.ts';
import { formatHex } from './hex-text.ts';

/** Decimals of at most this precision fit 64 bits. */
const precisionIn64Bits = 18;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const eightBytes = new DataView(new ArrayBuffer(8));

/** What the beginning of a key says of its first cell. */
export interface KeyStart {
  /** The first cell of every key from this one on is this or above it. Absent: the key does not say. */
  readonly least?: NonNullCell;
  /** The first cell of every key before this one is this or below it. Absent: the key does not say. */
  readonly most?: NonNullCell;
  /** Where the next cell begins; absent when the first is not whole. */
  readonly end?: number;
}

/**
 * The cells of a key that `encodeKeyCells` made; `undefined` for any other text. A floating-point -0 comes back as 0, which
 * is equal to it.
 */
export function decodeKeyCells(key: string, types: readonly DataType[]): readonly NonNullCell[] | undefined {
  const cells: NonNullCell[] = [];
  let rest = key;
  for (const type of types) {
    const { least, end } = keyStart(rest, type);
    if (least === undefined || end === undefined) return undefined;
    cells.push(least);
    rest = rest.slice(end);
  }
  return rest === '' ? cells : undefined;
}

/** What a key, or any other bound in the order of keys, says of the first cell of the keys on both sides of it. */
export function keyStart(key: string, type: DataType): KeyStart {
  switch (type.kind) {
    case 'text':
    case 'json':
    case 'file':
      return textStart(key);
    case 'bytes': {
      const { bytes, end } = unescaped(key);
      return { least: bytes, most: bytes, ...(end === undefined ? {} : { end }) };
    }
    case 'boolean':
      // Anything but 0 and 1 is no boolean, as the caller of `read` finds.
      return fixedStart(key, type, 1, (bytes) => (bytes <= '\u0001' ? bytes === '\u0001' : bytes));
    case 'smallint':
      return fixedStart(key, type, 2, (bytes) => Number(signed(bytes)));
    case 'int':
    case 'date':
      return fixedStart(key, type, 4, (bytes) => Number(signed(bytes)));
    case 'time':
      return fixedStart(key, type, 5, (bytes) => Number(unsigned(bytes)));
    case 'bigint':
    case 'timestamp':
    case 'datetime':
      return fixedStart(key, type, 8, signed);
    case 'decimal':
      return fixedStart(key, type, type.precision <= precisionIn64Bits ? 8 : 16, signed);
    case 'float':
      return fixedStart(key, type, 4, floatOf);
    case 'double':
      return fixedStart(key, type, 8, doubleOf);
    case 'uuid':
      return fixedStart(key, type, 16, uuidOf);
    case 'embedding':
      return fixedStart(key, type, 4 * type.dimension, (bytes) =>
        Float32Array.from({ length: type.dimension }, (_, index) => floatOf(bytes.slice(4 * index, 4 * index + 4))),
      );
  }
}

function fixedStart(key: string, type: DataType, width: number, read: (bytes: string) => NonNullCell): KeyStart {
  if (key.length < width) return {};
  const cell = read(key.slice(0, width));
  return cellFault(cell, type) === undefined ? { least: cell, most: cell, end: width } : {};
}

function textStart(key: string): KeyStart {
  const { bytes, end } = unescaped(key);
  const whole = decoded(bytes);
  if (whole !== undefined) return { least: whole, most: whole, ...(end === undefined ? {} : { end }) };
  // Cut inside a code point, of which at most three bytes are left.
  for (let cut = 1; cut <= 3 && cut <= bytes.length; cut++) {
    const least = decoded(bytes.subarray(0, bytes.length - cut));
    if (least !== undefined) return { least };
  }
  return {};
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The bytes up to the terminator, and where the next cell begins; without a terminator all of them. */
function unescaped(key: string): { readonly bytes: Uint8Array; readonly end: number | undefined } {
  const bytes = new Uint8Array(key.length);
  let length = 0;
  for (let i = 0; i < key.length; i++) {
    const byte = key.charCodeAt(i);
    bytes[length++] = byte;
    if (byte !== 0) continue;
    i++;
    if (key.charCodeAt(i) === 0xff) continue;
    return { bytes: bytes.slice(0, length - 1), end: key.charCodeAt(i) === 0 ? i + 1 : undefined };
  }
  return { bytes: bytes.slice(0, length), end: undefined };
}

function uuidOf(bytes: string): string {
  const hex = formatHex(Uint8Array.from(bytes, (char) => char.charCodeAt(0)));
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function doubleOf(bytes: string): number {
  const bits = unsigned(bytes);
  eightBytes.setBigUint64(0, bits >> 63n === 1n ? bits ^ (1n << 63n) : ~bits);
  return eightBytes.getFloat64(0);
}

function floatOf(bytes: string): number {
  const bits = Number(unsigned(bytes));
  eightBytes.setUint32(0, bits >= 0x8000_0000 ? bits - 0x8000_0000 : ~bits >>> 0);
  return eightBytes.getFloat32(0);
}

/** The integer that was shifted up by half of its range. */
function signed(bytes: string): bigint {
  return unsigned(bytes) - (1n << BigInt(8 * bytes.length - 1));
}

function unsigned(bytes: string): bigint {
  let value = 0n;
  for (let i = 0; i < bytes.length; i++) value = (value << 8n) | BigInt(bytes.charCodeAt(i));
  return value;
}
