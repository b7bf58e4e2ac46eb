import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KalamError } from '../errors/kalam-error.ts';
import { anyType, cellOf, nullableCellOf } from './cell.arbitrary.ts';
import type { Cell, DataType, Row } from './data-type.ts';
import { type RowCodec, rowCodec, rowSchemaVersion } from './row-codec.ts';
import { plainType } from './type-name.ts';

const anyVersion = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }));

const anyTable = fc.array(anyType, { maxLength: 20 }).chain((types) =>
  fc.record({
    types: fc.constant(types),
    version: anyVersion,
    rows: fc.array(fc.tuple(...types.map(nullableCellOf)), { minLength: 1, maxLength: 4 }),
  }),
);

function codecOf(version: number, types: readonly DataType[]): RowCodec {
  return rowCodec(
    version,
    types.map((type, id) => ({ id, type })),
  );
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

function errorCode(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return error instanceof KalamError ? error.code : String(error);
  }
}

describe('round trip', () => {
  test('any row of any schema comes back, cell for cell, after all rows were encoded', () => {
    fc.assert(
      fc.property(anyTable, ({ types, version, rows }) => {
        const codec = codecOf(version, types);
        const encoded = rows.map((row) => codec.encode(row));
        expect(encoded.map((bytes) => codec.decode(bytes))).toStrictEqual(rows);
        expect(encoded.map(rowSchemaVersion)).toStrictEqual(rows.map(() => version));
      }),
      { numRuns: 1_000 },
    );
  });

  test('each type keeps its whole range', () => {
    fc.assert(
      fc.property(
        anyType.chain((type) => fc.tuple(fc.constant(type), cellOf(type))),
        ([type, cell]) => {
          const codec = codecOf(1, [type]);
          const [decoded] = codec.decode(codec.encode([cell]));
          expect(Object.is(decoded, cell) || typeof cell === 'object').toBe(true);
          expect([decoded]).toStrictEqual([cell]);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('texts around every length at which the encoding changes come back', () => {
    const codec = codecOf(1, [plainType('text')]);
    for (const unit of ['x', 'é', '€', '😀']) {
      for (const length of [0, 1, 23, 24, 25, 31, 32, 33, 42, 43, 63, 64, 127, 128, 399, 400, 401, 8_180, 8_192, 16_383, 16_384, 100_000]) {
        const row = [unit.repeat(Math.ceil(length / unit.length))];
        expect(codec.decode(codec.encode(row))).toStrictEqual(row);
      }
    }
  });

  test('a result is not changed by later encodings, nor a decoded row by a change of the bytes', () => {
    const codec = codecOf(1, [plainType('bytes'), { kind: 'embedding', dimension: 2 }]);
    const row: Row = [Uint8Array.of(1, 2, 3), Float32Array.of(1, 2)];
    const results = Array.from({ length: 2_000 }, () => codec.encode(row));
    const copies = results.map((bytes) => hexOf(bytes));
    codec.encode([new Uint8Array(100_000), Float32Array.of(0, 0)]);
    expect(results.map((bytes) => hexOf(bytes))).toStrictEqual(copies);
    const bytes = Buffer.from(codec.encode(row));
    const decoded = codec.decode(bytes);
    bytes.fill(0xff);
    expect(decoded).toStrictEqual(row);
  });

  test('an encoding that failed leaves nothing behind', () => {
    const codec = codecOf(1, [plainType('text'), plainType('int')]);
    expect(errorCode(() => codec.encode(['left over', 1n]))).toBe('INTERNAL_ERROR');
    expect(codec.decode(codec.encode(['x', 1]))).toStrictEqual(['x', 1]);
  });
});

describe('worked values', () => {
  test.each<[string, readonly DataType[], Row]>([
    ['03 04 0e 02 68 69', [plainType('int'), plainType('text'), plainType('boolean')], [7, 'hi', null]],
    ['03 00 fe ff ff ff ff ff ff ff', [plainType('bigint')], [-2n]],
    ['03 00 ce 04 00 00 00 00 00 00 01', [{ kind: 'decimal', precision: 10, scale: 2 }, plainType('date')], [1230n, -1]],
    ['03 00 ff 5f d7 1d 14 01', [plainType('time'), plainType('boolean')], [86_399_999_999, true]],
    ['03 00 00 00 00 3f', [plainType('float')], [0.5]],
    ['03 ff 01', Array.from({ length: 9 }, () => plainType('json')), Array.from({ length: 9 }, () => null)],
  ])('%s', (hex, types, row) => {
    expect(hexOf(codecOf(3, types).encode(row))).toBe(hex);
  });
});

describe('damage', () => {
  test('every truncation is found', () => {
    fc.assert(
      fc.property(anyTable, ({ types, version, rows }) => {
        const codec = codecOf(version, types);
        const bytes = codec.encode(rows[0] ?? []);
        for (let length = 0; length < bytes.length; length++) {
          expect(errorCode(() => codec.decode(bytes.subarray(0, length)))).toBe('DAMAGED_DATA');
        }
      }),
    );
  });

  test('arbitrary bytes decode to a row of the schema or are DAMAGED_DATA', () => {
    fc.assert(
      fc.property(fc.array(anyType, { maxLength: 5 }), fc.uint8Array({ maxLength: 60 }), (types, tail) => {
        const codec = codecOf(1, types);
        const bytes = Uint8Array.of(1, ...tail);
        expect([undefined, 'DAMAGED_DATA']).toContain(errorCode(() => codec.encode(codec.decode(bytes))));
      }),
      { numRuns: 2_000 },
    );
  });

  test.each<[string, readonly DataType[], readonly number[]]>([
    ['bytes after the last cell', [plainType('int')], [1, 0, 2, 0]],
    ['another schema version', [plainType('int')], [2, 0, 2]],
    ['a NULL bit without a column', [plainType('int')], [1, 2, 2]],
    ['a boolean that is neither', [plainType('boolean')], [1, 0, 2]],
    ['a varint longer than 32 bits', [plainType('int')], [1, 0, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['text that is not UTF-8', [plainType('text')], [1, 0, 1, 0xff]],
    ['UTF-8 of half a surrogate pair', [plainType('text')], [1, 0, 3, 0xed, 0xa0, 0x80]],
    ['a float that is not finite', [plainType('float')], [1, 0, 0, 0, 0x80, 0x7f]],
    ['a time past the day', [plainType('time')], [1, 0, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ['a text longer than the row', [plainType('text')], [1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x61]],
    ['nothing', [], []],
  ])('%s is DAMAGED_DATA', (_, types, bytes) => {
    expect(errorCode(() => codecOf(1, types).decode(Uint8Array.from(bytes)))).toBe('DAMAGED_DATA');
  });

  test('a row or cell that is not of the schema is refused before anything is written', () => {
    const wrong: readonly [DataType, Cell][] = [
      [plainType('int'), 1n],
      [plainType('bigint'), 1],
      [plainType('boolean'), 1],
      [plainType('text'), 'half \ud800'],
      [plainType('text'), `${'long '.repeat(200)}\udc00`],
      [plainType('uuid'), 'not-a-uuid'],
      [plainType('uuid'), '0192F0C4-6D3B-7C55-8A17-1F2E3D4C5B6A'],
      [plainType('bytes'), Float32Array.of(1)],
      [plainType('time'), 'x'],
      [plainType('float'), 1n],
      [plainType('double'), '1'],
      [{ kind: 'decimal', precision: 38, scale: 0 }, 1],
      [{ kind: 'embedding', dimension: 2 }, Float32Array.of(1)],
    ];
    for (const [type, cell] of wrong) expect(errorCode(() => codecOf(1, [type]).encode([cell]))).toBe('INTERNAL_ERROR');
    expect(errorCode(() => codecOf(1, []).encode([null]))).toBe('INTERNAL_ERROR');
    expect(errorCode(() => codecOf(-1, []))).toBe('INTERNAL_ERROR');
  });
});
