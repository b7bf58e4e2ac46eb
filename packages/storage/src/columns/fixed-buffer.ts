import type * as Bindings from '@duckdb/node-bindings';
import { type DataType, kalamError, type NonNullCell, zigzagAt } from '@kalamdb/protocol';
import type { ColumnBuffer, VectorBindings } from './column-buffer.ts';
import { NullBits } from './null-bits.ts';

/** See `VECTOR_ROWS_MAX`; here, because that module imports this one. */
const ROWS_MAX = 2048;

/** What a type's cells are in memory. Numbers are little-endian, as on every machine that DuckDB is built for. */
interface Layout {
  readonly width: number;
  readonly putCell: (row: number, cell: NonNullCell) => void;
  /** `undefined`: the first `rawBytes` bytes of the encoded cell, as they are, and zeros. */
  readonly putRaw?: (row: number, bytes: Uint8Array, start: number) => void;
  readonly rawBytes?: number;
  readonly comparer?: (cell: NonNullCell) => (row: number) => number;
  readonly isArray?: true;
}

/** A buffer for a type whose cells are all of one width; `undefined` for other types. */
export function fixedBuffer(type: DataType): ColumnBuffer | undefined {
  const width = widthOf(type);
  if (width === undefined) return undefined;
  const memory = new ArrayBuffer(ROWS_MAX * width);
  return new FixedBuffer(memory, layoutOf(type, memory, width));
}

class FixedBuffer implements ColumnBuffer {
  readonly width: number;
  readonly longBytes: undefined = undefined;
  readonly putRaw: (row: number, bytes: Uint8Array, start: number, end: number) => void;
  readonly #memory: ArrayBuffer;
  readonly #layout: Layout;
  readonly #nulls = new NullBits(ROWS_MAX);

  constructor(memory: ArrayBuffer, layout: Layout) {
    this.width = layout.width;
    this.#memory = memory;
    this.#layout = layout;
    const { putRaw = copier(new Uint8Array(memory), layout) } = layout;
    const nulls = this.#nulls;
    this.putRaw = (row, bytes, start) => {
      nulls.clear(row);
      putRaw(row, bytes, start);
    };
  }

  putCell(row: number, cell: NonNullCell): void {
    this.#nulls.clear(row);
    this.#layout.putCell(row, cell);
  }

  putNull(row: number): void {
    this.#nulls.set(row);
  }

  isNull(row: number): boolean {
    return this.#nulls.isNull(row);
  }

  comparer(cell: NonNullCell): ((row: number) => number) | undefined {
    return this.#layout.comparer?.(cell);
  }

  writeTo(bindings: VectorBindings, vector: Bindings.Vector, rows: number): void {
    const data = this.#layout.isArray === true ? bindings.array_vector_get_child(vector) : vector;
    bindings.copy_data_to_vector(data, 0, this.#memory, 0, rows * this.width);
    this.#nulls.writeTo(bindings, vector, rows);
  }
}

/** Copies the bytes of an encoded cell; a few of them faster than a call of the runtime would. */
function copier(target: Uint8Array, { width, rawBytes = width }: Layout): (row: number, bytes: Uint8Array, start: number) => void {
  if (rawBytes > 64) return (row, bytes, start) => target.set(bytes.subarray(start, start + rawBytes), row * width);
  return (row, bytes, start) => {
    const to = row * width;
    for (let index = 0; index < rawBytes; index += 1) target[to + index] = bytes[start + index] ?? 0;
  };
}

/** Decimals take the smallest integer that holds their precision. */
function widthOf(type: DataType): number | undefined {
  switch (type.kind) {
    case 'boolean':
      return 1;
    case 'smallint':
      return 2;
    case 'int':
    case 'date':
    case 'float':
      return 4;
    case 'bigint':
    case 'timestamp':
    case 'datetime':
    case 'time':
    case 'double':
      return 8;
    case 'uuid':
      return 16;
    case 'decimal':
      return type.precision <= 4 ? 2 : type.precision <= 9 ? 4 : type.precision <= 18 ? 8 : 16;
    case 'embedding':
      return 4 * type.dimension;
    case 'text':
    case 'json':
    case 'file':
    case 'bytes':
      return undefined;
    default:
      return type satisfies never;
  }
}

function layoutOf(type: DataType, memory: ArrayBuffer, width: number): Layout {
  switch (type.kind) {
    case 'boolean':
      return booleans(new Uint8Array(memory), width);
    case 'smallint':
      return integers(new Int16Array(memory), width);
    case 'int':
    case 'date':
      return integers(new Int32Array(memory), width);
    case 'float':
      return numbers(new Float32Array(memory), width);
    case 'double':
      return numbers(new Float64Array(memory), width);
    case 'bigint':
    case 'timestamp':
    case 'datetime':
      return bigints(new BigInt64Array(memory), width);
    case 'time':
      return times(new BigInt64Array(memory), width);
    case 'uuid':
      return uuids(new Uint8Array(memory), width);
    case 'decimal':
      return decimals(memory, width);
    case 'embedding':
      return embeddings(new Float32Array(memory), type.dimension);
    default:
      throw kalamError('INTERNAL_ERROR', { reason: `${type.kind} cells have no width` });
  }
}

function booleans(items: Uint8Array, width: number): Layout {
  return {
    width,
    putCell: (row, cell) => {
      items[row] = cell === true ? 1 : 0;
    },
    comparer: (cell) => (row) => (items[row] ?? 0) - (cell === true ? 1 : 0),
  };
}

function numbers(items: Float32Array | Float64Array | Int16Array | Int32Array, width: number): Layout {
  return {
    width,
    putCell: (row, cell) => {
      items[row] = cell as number;
    },
    comparer: (cell) => (row) => (items[row] ?? 0) - (cell as number),
  };
}

function integers(items: Int16Array | Int32Array, width: number): Layout {
  return {
    ...numbers(items, width),
    putRaw: (row, bytes, start) => {
      items[row] = zigzagAt(bytes, start);
    },
  };
}

function bigints(items: BigInt64Array, width: number): Layout {
  return {
    width,
    putCell: (row, cell) => {
      items[row] = cell as bigint;
    },
    comparer: (cell) => (row) => order(items[row] ?? 0n, cell as bigint),
  };
}

/** Five bytes in a row, eight in a vector: the last three are never anything but zero. */
function times(items: BigInt64Array, width: number): Layout {
  return {
    width,
    rawBytes: 5,
    putCell: (row, cell) => {
      items[row] = BigInt(cell as number);
    },
    comparer: (cell) => (row) => Number(items[row] ?? 0n) - (cell as number),
  };
}

function decimals(memory: ArrayBuffer, width: number): Layout {
  if (width === 8) return bigints(new BigInt64Array(memory), width);
  if (width === 16) {
    const halves = new BigInt64Array(memory);
    return {
      width,
      putCell: (row, cell) => {
        halves[2 * row] = BigInt.asIntN(64, cell as bigint);
        halves[2 * row + 1] = (cell as bigint) >> 64n;
      },
    };
  }
  const items = width === 2 ? new Int16Array(memory) : new Int32Array(memory);
  return {
    width,
    putCell: (row, cell) => {
      items[row] = Number(cell);
    },
    comparer: (cell) => (row) => order(BigInt(items[row] ?? 0), cell as bigint),
  };
}

/** DuckDB has a UUID as a signed integer of 128 bits in the order of its text: last byte first, and the topmost bit is the other way round. */
function uuids(items: Uint8Array, width: number): Layout {
  const put = (row: number, byteAt: (index: number) => number): void => {
    const last = row * width + width - 1;
    for (let index = 0; index < width; index += 1) items[last - index] = byteAt(index);
    items[last] = (items[last] ?? 0) ^ 0x80;
  };
  return {
    width,
    putCell: (row, cell) => {
      const bytes = uuidBytes(cell as string);
      put(row, (index) => bytes[index] ?? 0);
    },
    putRaw: (row, bytes, start) => put(row, (index) => bytes[start + index] ?? 0),
    comparer: (cell) => {
      const bytes = uuidBytes(cell as string);
      return (row) => {
        const last = row * width + width - 1;
        for (let index = 0; index < width; index += 1) {
          const flipped = index === 0 ? 0x80 : 0;
          const difference = ((items[last - index] ?? 0) ^ flipped) - (bytes[index] ?? 0);
          if (difference !== 0) return difference;
        }
        return 0;
      };
    },
  };
}

/** The bytes of a canonical UUID: two lower-case digits each. */
function uuidBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  let at = 0;
  for (let index = 0; index < 16; index += 1) {
    if (text.charCodeAt(at) === 0x2d) at += 1;
    bytes[index] = 16 * digitOf(text.charCodeAt(at)) + digitOf(text.charCodeAt(at + 1));
    at += 2;
  }
  return bytes;
}

function digitOf(unit: number): number {
  return unit <= 0x39 ? unit - 0x30 : unit - 0x57;
}

function embeddings(items: Float32Array, dimension: number): Layout {
  return { width: 4 * dimension, isArray: true, putCell: (row, cell) => items.set(cell as Float32Array, row * dimension) };
}

function order(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
