import { kalamError } from '../errors/kalam-error.ts';
import { jsonString } from '../json/json-string.ts';
import type { JsonValue } from '../json/json-value.ts';
import { checkCell } from './cell-check.ts';
import { cellFromText } from './cell-text.ts';
import type { Cell, DataType, NonNullCell } from './data-type.ts';
import { formatDecimal } from './number-text.ts';
import { sqlTypeName } from './type-name.ts';

/** Writes a cell as a fragment of JSON text. */
export type JsonCellWriter = (cell: Cell) => string;

/**
 * The writer of a column's cells (wire-protocol 3.6), chosen once per column: 64-bit integers and decimals are strings,
 * timestamps bare integers of microseconds, dates days, times microseconds, bytes and embeddings arrays, a 32-bit float the
 * double it is. -0 stays `-0`. The cells must be of the type.
 */
export function jsonCellWriter(type: DataType): JsonCellWriter {
  switch (type.kind) {
    case 'boolean':
    case 'smallint':
    case 'int':
    case 'date':
    case 'time':
    case 'timestamp':
    case 'datetime':
      return writeBare;
    case 'float':
    case 'double':
      return writeFloat;
    case 'bigint':
    case 'uuid':
      return writeQuoted;
    case 'decimal': {
      const { scale } = type;
      return (cell) => (typeof cell === 'bigint' ? `"${formatDecimal(cell, scale)}"` : writeNull(cell));
    }
    case 'text':
    case 'json':
    case 'file':
      return writeText;
    case 'bytes':
    case 'embedding':
      return writeArray;
  }
}

/** The cell as a fragment of JSON text; for more than a few cells of one column use {@link jsonCellWriter}. */
export function cellToJson(cell: Cell, type: DataType): string {
  return jsonCellWriter(type)(cell);
}

/**
 * The cell that a JSON value stands for: the inverse of {@link cellToJson}, and lenient where clients are (64-bit integers
 * and timestamps as number, bigint or decimal string). Throws COERCION_FAILED for a value of another shape, and what
 * `cellFromText` and `checkCell` throw.
 */
export function cellFromJson(value: JsonValue, type: DataType): Cell {
  if (value === null) return null;
  const cell = cellOfJson(value, type);
  if (cell === undefined)
    throw kalamError('COERCION_FAILED', { reason: `a JSON ${shapeOf(value)} is not a value of type ${sqlTypeName(type)}` });
  checkCell(cell, type);
  return cell;
}

function cellOfJson(value: JsonValue, type: DataType): NonNullCell | undefined {
  switch (type.kind) {
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined;
    case 'smallint':
    case 'int':
    case 'date':
    case 'time':
    case 'double':
      return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : undefined;
    case 'float':
      return typeof value === 'number' || typeof value === 'bigint' ? Math.fround(Number(value)) : undefined;
    case 'bigint':
    case 'timestamp':
    case 'datetime':
      return integerOfJson(value);
    case 'decimal':
    case 'uuid':
      return typeof value === 'string' ? cellFromText(value, type) : undefined;
    case 'text':
    case 'json':
    case 'file':
      return typeof value === 'string' ? value : undefined;
    case 'bytes': {
      const elements = numbersOfJson(value);
      return elements?.every((element) => Number.isInteger(element) && element >= 0 && element <= 255)
        ? Uint8Array.from(elements)
        : undefined;
    }
    case 'embedding': {
      const elements = numbersOfJson(value);
      return elements === undefined ? undefined : Float32Array.from(elements);
    }
  }
}

function integerOfJson(value: JsonValue): bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  return typeof value === 'string' && /^-?\d{1,19}$/.test(value) ? BigInt(value) : undefined;
}

function numbersOfJson(value: JsonValue): readonly number[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const numbers: number[] = [];
  for (const element of value) {
    if (typeof element !== 'number' && typeof element !== 'bigint') return undefined;
    numbers.push(Number(element));
  }
  return numbers;
}

function shapeOf(value: JsonValue): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'bigint' ? 'number' : typeof value;
}

function writeNull(cell: Cell): string {
  if (cell === null) return 'null';
  throw kalamError('INTERNAL_ERROR', { reason: `a ${typeof cell} cell in a column of another type` });
}

function writeBare(cell: Cell): string {
  return String(cell);
}

function writeFloat(cell: Cell): string {
  return cell === 0 && Object.is(cell, -0) ? '-0' : String(cell);
}

function writeQuoted(cell: Cell): string {
  return cell === null ? 'null' : `"${String(cell)}"`;
}

function writeText(cell: Cell): string {
  return typeof cell === 'string' ? jsonString(cell) : writeNull(cell);
}

function writeArray(cell: Cell): string {
  return cell instanceof Uint8Array || cell instanceof Float32Array ? `[${cell.join(',')}]` : writeNull(cell);
}
