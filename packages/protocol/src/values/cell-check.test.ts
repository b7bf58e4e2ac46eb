import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KalamError } from '../errors/kalam-error.ts';
import { anyType, nullableCellOf } from './cell.arbitrary.ts';
import { checkCell } from './cell-check.ts';
import type { Cell, DataType } from './data-type.ts';
import { plainType } from './type-name.ts';

function codeOf(cell: Cell, type: DataType): string | undefined {
  try {
    checkCell(cell, type);
    return undefined;
  } catch (error) {
    return error instanceof KalamError ? error.code : String(error);
  }
}

test('every cell of a type passes, NULL too', () => {
  fc.assert(
    fc.property(
      anyType.chain((type) => fc.tuple(fc.constant(type), nullableCellOf(type))),
      ([type, cell]) => codeOf(cell, type) === undefined,
    ),
    { numRuns: 2_000 },
  );
});

test.each<[string, DataType, Cell]>([
  ['TYPE_MISMATCH', plainType('boolean'), 1],
  ['TYPE_MISMATCH', plainType('int'), 1n],
  ['TYPE_MISMATCH', plainType('int'), '1'],
  ['VALUE_OUT_OF_RANGE', plainType('int'), 1.5],
  ['VALUE_OUT_OF_RANGE', plainType('int'), Number.NaN],
  ['VALUE_OUT_OF_RANGE', plainType('int'), 2 ** 31],
  ['VALUE_OUT_OF_RANGE', plainType('smallint'), -32769],
  ['VALUE_OUT_OF_RANGE', plainType('bigint'), 2n ** 63n],
  ['VALUE_OUT_OF_RANGE', plainType('timestamp'), -(2n ** 63n) - 1n],
  ['TYPE_MISMATCH', plainType('bigint'), 1],
  ['VALUE_OUT_OF_RANGE', { kind: 'decimal', precision: 3, scale: 1 }, 1000n],
  ['VALUE_OUT_OF_RANGE', { kind: 'decimal', precision: 3, scale: 1 }, -1000n],
  ['VALUE_OUT_OF_RANGE', plainType('double'), Number.POSITIVE_INFINITY],
  ['VALUE_OUT_OF_RANGE', plainType('double'), Number.NaN],
  ['VALUE_OUT_OF_RANGE', plainType('float'), 0.1],
  ['VALUE_OUT_OF_RANGE', plainType('time'), 86_400_000_000],
  ['VALUE_OUT_OF_RANGE', plainType('date'), 2 ** 31],
  ['TYPE_MISMATCH', plainType('text'), 'half \ud83d'],
  ['TYPE_MISMATCH', plainType('json'), '\ude00\ud83d'],
  ['TYPE_MISMATCH', plainType('uuid'), '0192F0C4-6D3B-7C55-8A17-1F2E3D4C5B6A'],
  ['TYPE_MISMATCH', plainType('bytes'), Float32Array.of(1)],
  ['TYPE_MISMATCH', { kind: 'embedding', dimension: 1 }, Uint8Array.of(1)],
  ['EMBEDDING_DIMENSION', { kind: 'embedding', dimension: 2 }, Float32Array.of(1)],
  ['VALUE_OUT_OF_RANGE', { kind: 'embedding', dimension: 1 }, Float32Array.of(Number.NaN)],
])('%s: %j', (code, type, cell) => {
  expect(codeOf(cell, type)).toBe(code);
});
