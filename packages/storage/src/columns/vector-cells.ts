import type { DuckDBVector } from '@duckdb/node-api';
import { type Cell, type DataType, duckdbType, kalamError } from '@kalamdb/protocol';
import type { DuckDb } from './duckdb.ts';

/** The cell of a row of a vector. */
export type VectorCells = (row: number) => Cell;

/** Its own decoder would take a byte order mark from the beginning of a text. */
const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });
/** Texts up to this many bytes are put together here while they are ASCII; a native call costs more. */
const ASCII_LOOP_MAX = 24;
/** A `string_t` of DuckDB: its length in four bytes, then up to twelve bytes of text, or where the text is. */
const STRING_BYTES = 16;
const HEX_PAIRS: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
/** The bytes of a UUID in the order of its text, as they lie in a little-endian HUGEINT. */
const UUID_BYTES: readonly number[] = [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0];

/**
 * The cells of a vector of the type that `duckdbType` says, an embedding being an array or a list. Numbers, instants and texts are
 * read from the vector's memory without an object for each; the vector's chunk must live as long. Throws DAMAGED_DATA for a vector of another
 * type, a list of another length than the embedding's and for text that is not UTF-8.
 */
export function vectorCells(db: DuckDb, vector: DuckDBVector, type: DataType): VectorCells {
  const held = duckdbType(type);
  if (String(vector.type) !== held && !(type.kind === 'embedding' && String(vector.type) === 'FLOAT[]')) {
    throw kalamError('DAMAGED_DATA', { where: 'a column', reason: `it holds ${vector.type} instead of ${held}` });
  }
  const read = valueReader(db, vector, type);
  const present = presence(vector);
  return present === undefined ? read : (row) => (present(row) ? read(row) : null);
}

/** Reads values that are there; what NULLs have under them is anything. */
function valueReader(db: DuckDb, vector: DuckDBVector, type: DataType): VectorCells {
  if (isAny(vector, [db.DuckDBBigIntVector, db.DuckDBTimestampVector])) {
    const items = itemsOf<bigint>(vector);
    return (row) => items[row] ?? 0n;
  }
  if (isAny(vector, [db.DuckDBIntegerVector, db.DuckDBSmallIntVector, db.DuckDBDateVector, db.DuckDBDoubleVector, db.DuckDBFloatVector])) {
    const items = itemsOf<number>(vector);
    return (row) => items[row] ?? 0;
  }
  if (vector instanceof db.DuckDBTimeVector) {
    const items = itemsOf<bigint>(vector);
    return (row) => Number(items[row] ?? 0n);
  }
  if (vector instanceof db.DuckDBVarCharVector) return textReader(db, vector);
  if (vector instanceof db.DuckDBBlobVector) return (row) => new Uint8Array(vector.getItemBytes(row) ?? []);
  if (vector instanceof db.DuckDBUUIDVector) {
    const view = vector['dataView'];
    return (row) => uuidAt(view, row * 16);
  }
  if (isDecimals(db, vector)) return (row) => BigInt(vector.getScaledValue(row) ?? 0);
  if (vector instanceof db.DuckDBBooleanVector) return (row) => vector.getItem(row) === true;
  if (type.kind === 'embedding') return embeddingReader(db, vector, type.dimension);
  throw kalamError('INTERNAL_ERROR', { reason: `a vector of ${vector.type} for cells of ${type.kind}` });
}

type Instance<K extends keyof DuckDb> = DuckDb[K] extends abstract new (...args: never[]) => infer V ? V : never;
type Decimals = Instance<'DuckDBDecimal16Vector' | 'DuckDBDecimal32Vector' | 'DuckDBDecimal64Vector' | 'DuckDBDecimal128Vector'>;

function isDecimals(db: DuckDb, vector: DuckDBVector): vector is Decimals {
  return isAny(vector, [db.DuckDBDecimal16Vector, db.DuckDBDecimal32Vector, db.DuckDBDecimal64Vector, db.DuckDBDecimal128Vector]);
}

function isAny(vector: DuckDBVector, classes: readonly (abstract new (...args: never[]) => DuckDBVector)[]): boolean {
  return classes.some((one) => vector instanceof one);
}

/** The values of a vector that has them in one array of numbers. */
function itemsOf<T>(vector: DuckDBVector): ArrayLike<T> {
  return (vector as unknown as { readonly items: ArrayLike<T> }).items;
}

function textReader(db: DuckDb, vector: Instance<'DuckDBVarCharVector'>): VectorCells {
  const view = vector['dataView'];
  const bytes = db.DuckDBBlobVector.fromRawVector(vector['vector'], vector.itemCount);
  return (row) => {
    const at = row * STRING_BYTES;
    const length = view.getUint32(at, true);
    if (length <= 12) return inlineText(view, at + 4, length) ?? decoded(new Uint8Array(view.buffer, view.byteOffset + at + 4, length));
    const found = bytes.getItemBytes(row) ?? new Uint8Array();
    return length <= ASCII_LOOP_MAX ? (asciiText(found) ?? decoded(found)) : decoded(found);
  };
}

function inlineText(view: DataView, start: number, length: number): string | undefined {
  let text = '';
  for (let at = start; at < start + length; at += 1) {
    const byte = view.getUint8(at);
    if (byte > 0x7f) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}

function asciiText(bytes: Uint8Array): string | undefined {
  let text = '';
  for (const byte of bytes) {
    if (byte > 0x7f) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}

function decoded(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch (cause) {
    throw kalamError('DAMAGED_DATA', { where: 'a column', reason: 'a text that is not UTF-8' }, { cause });
  }
}

/** DuckDB flips the sign bit, so that UUIDs are in the order of their texts. */
function uuidAt(view: DataView, start: number): string {
  let text = '';
  for (let i = 0; i < 16; i += 1) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-';
    const byte = view.getUint8(start + (UUID_BYTES[i] ?? 0));
    text += HEX_PAIRS[i === 0 ? byte ^ 0x80 : byte];
  }
  return text;
}

function embeddingReader(db: DuckDb, vector: DuckDBVector, dimension: number): VectorCells {
  if (vector instanceof db.DuckDBListVector) {
    const floats = floatsOf(db, vector.childVector);
    return (row) => {
      const start = vector.getEntryOffset(row);
      const length = vector.getEntryLength(row);
      if (length !== dimension) {
        throw kalamError('DAMAGED_DATA', { where: 'a column', reason: `${length} elements in a vector of ${dimension}` });
      }
      return floats.slice(start, start + dimension);
    };
  }
  if (vector instanceof db.DuckDBArrayVector) {
    const floats = floatsOf(db, vector['childData']);
    return (row) => floats.slice(row * dimension, (row + 1) * dimension);
  }
  throw kalamError('INTERNAL_ERROR', { reason: `a vector of ${vector.type} for embeddings` });
}

function floatsOf(db: DuckDb, vector: DuckDBVector): Float32Array {
  if (vector instanceof db.DuckDBFloatVector) return vector['items'];
  throw kalamError('INTERNAL_ERROR', { reason: `embeddings of ${vector.type}` });
}

/** Which rows are not NULL; `undefined` when none is. */
function presence(vector: DuckDBVector): ((row: number) => boolean) | undefined {
  const { data, offset } = bitsOf(vector);
  if (data === null) return undefined;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return (row) => ((bytes[(offset + row) >> 3] ?? 0) & (1 << ((offset + row) & 7))) !== 0;
}

interface ValidityBits {
  readonly data: BigUint64Array | null;
  readonly offset: number;
}

/** Every class of vectors has a validity, but their common one does not say so. */
function bitsOf(vector: DuckDBVector): ValidityBits {
  return (vector as unknown as { readonly validity: ValidityBits }).validity;
}
