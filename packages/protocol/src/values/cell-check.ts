import { type KalamError, kalamError } from '../errors/kalam-error.ts';
import type { Cell, DataType, NonNullCell } from './data-type.ts';
import { isCanonicalUuid } from './hex-text.ts';
import { sqlTypeName } from './type-name.ts';
import { isWellFormedText } from './unicode-text.ts';

const microsPerDay = 86_400_000_000;
const int64Limit = 2n ** 63n;

/** What keeps a cell from being one of its type: the wrong sort of thing, or a value that the type cannot hold. */
export type CellFault = 'shape' | 'range' | undefined;

/**
 * Asserts that a cell is what the table at {@link Cell} says for its type; NULL always is. Cells that came from
 * `cellFromText` or `cellFromJson` need no check; computed ones do before they are stored.
 * Throws TYPE_MISMATCH (wrong JavaScript type, half a surrogate pair), VALUE_OUT_OF_RANGE (not finite, outside the type's
 * range) or EMBEDDING_DIMENSION.
 */
export function checkCell(cell: Cell, type: DataType): void {
  if (cell === null) return;
  if (type.kind === 'embedding' && cell instanceof Float32Array && cell.length !== type.dimension) {
    throw kalamError('EMBEDDING_DIMENSION', { expected: type.dimension, count: cell.length });
  }
  const fault = cellFault(cell, type);
  if (fault === 'range') throw kalamError('VALUE_OUT_OF_RANGE', { value: String(cell), type: sqlTypeName(type) });
  if (fault === 'shape') throw mismatch(cell, type);
}

/** What is wrong with a cell of the type, without an error; {@link checkCell} says it with one. */
export function cellFault(cell: NonNullCell, type: DataType): CellFault {
  switch (type.kind) {
    case 'boolean':
      return typeof cell === 'boolean' ? undefined : 'shape';
    case 'smallint':
      return integerFault(cell, -0x8000, 0x7fff);
    case 'int':
    case 'date':
      return integerFault(cell, -0x8000_0000, 0x7fff_ffff);
    case 'time':
      return integerFault(cell, 0, microsPerDay - 1);
    case 'bigint':
    case 'timestamp':
    case 'datetime':
      return bigintFault(cell, -int64Limit, int64Limit - 1n);
    case 'decimal': {
      const limit = 10n ** BigInt(type.precision);
      return bigintFault(cell, 1n - limit, limit - 1n);
    }
    case 'float':
      return floatFault(cell, Math.fround);
    case 'double':
      return floatFault(cell, Number);
    case 'text':
    case 'json':
    case 'file':
      return typeof cell === 'string' && isWellFormedText(cell) ? undefined : 'shape';
    case 'uuid':
      return typeof cell === 'string' && isCanonicalUuid(cell) ? undefined : 'shape';
    case 'bytes':
      return cell instanceof Uint8Array ? undefined : 'shape';
    case 'embedding':
      if (!(cell instanceof Float32Array)) return 'shape';
      return cell.every((element) => Number.isFinite(element)) ? undefined : 'range';
  }
}

function integerFault(cell: NonNullCell, min: number, max: number): CellFault {
  if (typeof cell !== 'number') return 'shape';
  return Number.isInteger(cell) && cell >= min && cell <= max ? undefined : 'range';
}

function bigintFault(cell: NonNullCell, min: bigint, max: bigint): CellFault {
  if (typeof cell !== 'bigint') return 'shape';
  return cell >= min && cell <= max ? undefined : 'range';
}

function floatFault(cell: NonNullCell, round: (value: number) => number): CellFault {
  if (typeof cell !== 'number') return 'shape';
  return Number.isFinite(cell) && round(cell) === cell ? undefined : 'range';
}

function mismatch(cell: NonNullCell, type: DataType): KalamError {
  return kalamError('TYPE_MISMATCH', { reason: `expected a value of type ${sqlTypeName(type)}, found ${describe(cell)}` });
}

function describe(cell: NonNullCell): string {
  if (typeof cell === 'string') return isWellFormedText(cell) ? 'a text' : 'a text with half a surrogate pair';
  if (cell instanceof Uint8Array) return 'bytes';
  return cell instanceof Float32Array ? 'an embedding' : `the ${typeof cell} ${String(cell)}`;
}
