import { kalamError } from '../errors/kalam-error.ts';
import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import type { DataType, NonNullCell } from './data-type.ts';
import { readUuid, writeUuid } from './uuid-bytes.ts';

const microsPerDay = 86_400_000_000;
/** Decimals of at most this precision fit 64 bits. */
const precisionIn64Bits = 18;

/** How the cells of one column go into a row and come out; stateless, so one serves every column of its type. */
export interface RowCellCodec {
  write(out: ByteWriter, cell: NonNullCell): void;
  read(input: ByteReader): NonNullCell;
}

const booleanCodec: RowCellCodec = {
  write(out, cell) {
    if (typeof cell !== 'boolean') throw notOfType(cell);
    out.byte(cell ? 1 : 0);
  },
  read(input) {
    const byte = input.byte();
    if (byte > 1) throw input.damage('a boolean that is neither 0 nor 1');
    return byte === 1;
  },
};

const integerCodec: RowCellCodec = {
  write(out, cell) {
    if (typeof cell !== 'number') throw notOfType(cell);
    out.zigzag(cell);
  },
  read: (input) => input.zigzag(),
};

const int64Codec: RowCellCodec = {
  write(out, cell) {
    if (typeof cell !== 'bigint') throw notOfType(cell);
    out.int64(cell);
  },
  read: (input) => input.int64(),
};

const int128Codec: RowCellCodec = {
  write(out, cell) {
    if (typeof cell !== 'bigint') throw notOfType(cell);
    out.int64(cell);
    out.int64(cell >> 64n);
  },
  read(input) {
    const low = BigInt.asUintN(64, input.int64());
    return (input.int64() << 64n) | low;
  },
};

const floatCodec: RowCellCodec = {
  write(out, cell) {
    if (typeof cell !== 'number') throw notOfType(cell);
    out.float(cell);
  },
  read: (input) => finite(input.float(), input),
};

const doubleCodec: RowCellCodec = {
  write(out, cell) {
    if (typeof cell !== 'number') throw notOfType(cell);
    out.double(cell);
  },
  read: (input) => finite(input.double(), input),
};

const textCodec: RowCellCodec = {
  write(out, cell) {
    if (typeof cell !== 'string') throw notOfType(cell);
    out.text(cell);
  },
  read: (input) => input.text(),
};

const timeCodec: RowCellCodec = {
  write(out, cell) {
    if (typeof cell !== 'number') throw notOfType(cell);
    out.uint40(cell);
  },
  read(input) {
    const micros = input.uint40();
    if (micros >= microsPerDay) throw input.damage('a time past the end of the day');
    return micros;
  },
};

const bytesCodec: RowCellCodec = {
  write(out, cell) {
    if (!(cell instanceof Uint8Array)) throw notOfType(cell);
    out.varint(cell.length);
    out.raw(cell);
  },
  read: (input) => input.raw(input.varint()),
};

const uuidCodec: RowCellCodec = {
  write(out, cell) {
    if (typeof cell !== 'string') throw notOfType(cell);
    writeUuid(out, cell);
  },
  read: readUuid,
};

function embeddingCodec(dimension: number): RowCellCodec {
  return {
    write(out, cell) {
      if (!(cell instanceof Float32Array) || cell.length !== dimension) throw notOfType(cell);
      for (const element of cell) out.float(element);
    },
    read(input) {
      if (input.remaining < 4 * dimension) throw input.damage('unexpected end');
      const vector = new Float32Array(dimension);
      for (let i = 0; i < dimension; i++) vector[i] = finite(input.float(), input);
      return vector;
    },
  };
}

/** The codec of a column's cells, chosen once per column. The widths are in the table at `rowCodec`. */
export function rowCellCodec(type: DataType): RowCellCodec {
  switch (type.kind) {
    case 'boolean':
      return booleanCodec;
    case 'smallint':
    case 'int':
    case 'date':
      return integerCodec;
    case 'bigint':
    case 'timestamp':
    case 'datetime':
      return int64Codec;
    case 'decimal':
      return type.precision <= precisionIn64Bits ? int64Codec : int128Codec;
    case 'float':
      return floatCodec;
    case 'double':
      return doubleCodec;
    case 'text':
    case 'json':
    case 'file':
      return textCodec;
    case 'time':
      return timeCodec;
    case 'bytes':
      return bytesCodec;
    case 'uuid':
      return uuidCodec;
    case 'embedding':
      return embeddingCodec(type.dimension);
  }
}

function finite(value: number, input: ByteReader): number {
  if (!Number.isFinite(value)) throw input.damage('a number that is not finite');
  return value;
}

function notOfType(cell: NonNullCell): Error {
  return kalamError('INTERNAL_ERROR', { reason: `a ${typeof cell} cell that is not one of its column's type reached the row codec` });
}
