import fc from 'fast-check';
import type { Cell, DataType, NonNullCell } from './data-type.ts';
import { plainType } from './type-name.ts';

const plainKinds = [
  'boolean',
  'smallint',
  'int',
  'bigint',
  'float',
  'double',
  'text',
  'timestamp',
  'datetime',
  'date',
  'time',
  'json',
  'bytes',
  'uuid',
  'file',
] as const;

/** Any type of the dialect; embeddings stay short. */
export const anyType: fc.Arbitrary<DataType> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...plainKinds).map(plainType) },
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: 1, max: 38 })
      .chain((precision) => fc.integer({ min: 0, max: precision }).map((scale): DataType => ({ kind: 'decimal', precision, scale }))),
  },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 5 }).map((dimension): DataType => ({ kind: 'embedding', dimension })) },
);

/** Well-formed texts: any code points, with the awkward ones (NUL, BOM, surrogate pairs, escapes) often among them. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({
    unit: fc.constantFrom('\0', 'a', 'b', '"', '\\', '\n', '\u007f', '\u0080', '\u07ff', '\ufeff', '\ud7ff', '\uffff', '😀', '\u{10ffff}'),
  }),
  fc.string({ unit: fc.constantFrom('x', 'é', '😀'), minLength: 100, maxLength: 1_000 }),
);

const int64 = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: -300n, max: 300n }));
const int32 = fc.oneof(fc.integer(), fc.integer({ min: -300, max: 300 }));
const finiteFloat = fc.float({ noNaN: true, noDefaultInfinity: true });

/** Any cell of the type except NULL, the extremes of its range among them. */
export function cellOf(type: DataType): fc.Arbitrary<NonNullCell> {
  switch (type.kind) {
    case 'boolean':
      return fc.boolean();
    case 'smallint':
      return fc.integer({ min: -0x8000, max: 0x7fff });
    case 'int':
    case 'date':
      return int32;
    case 'bigint':
    case 'timestamp':
    case 'datetime':
      return int64;
    case 'decimal': {
      const max = 10n ** BigInt(type.precision) - 1n;
      return fc.oneof(fc.bigInt({ min: -max, max }), fc.constantFrom(0n, 1n, -1n, max, -max));
    }
    case 'float':
      return finiteFloat;
    case 'double':
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case 'text':
    case 'json':
    case 'file':
      return anyText;
    case 'time':
      return fc.oneof(fc.integer({ min: 0, max: 86_399_999_999 }), fc.constantFrom(0, 2 ** 32 - 1, 2 ** 32, 86_399_999_999));
    case 'uuid':
      return fc.oneof(fc.uuid(), fc.uint8Array({ minLength: 16, maxLength: 16 }).map(uuidOfBytes));
    case 'bytes':
      return fc.oneof(
        fc.uint8Array(),
        fc.array(fc.constantFrom(0, 1, 255), { maxLength: 5 }).map((bytes) => Uint8Array.from(bytes)),
      );
    case 'embedding':
      return fc.array(finiteFloat, { minLength: type.dimension, maxLength: type.dimension }).map((elements) => Float32Array.from(elements));
  }
}

/** Any cell of the type, NULL one time in five. */
export function nullableCellOf(type: DataType): fc.Arbitrary<Cell> {
  return fc.option(cellOf(type), { freq: 5 });
}

function uuidOfBytes(bytes: Uint8Array): string {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
