import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyText, anyType, cellOf, nullableCellOf } from './cell.arbitrary.ts';
import { cellsEqual, compareCells } from './cell-compare.ts';
import { plainType } from './type-name.ts';

test('texts order as their UTF-8 bytes', () => {
  const compare = compareCells(plainType('text'));
  const prefixed = fc.tuple(anyText, anyText, anyText).map(([start, a, b]) => [start + a, start + b] as const);
  fc.assert(
    fc.property(prefixed, ([a, b]) => {
      expect(Math.sign(compare(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
    { numRuns: 2_000 },
  );
});

test('comparison is a total order that agrees with equality', () => {
  fc.assert(
    fc.property(
      anyType.chain((type) => fc.tuple(fc.constant(type), cellOf(type), cellOf(type), cellOf(type))),
      ([type, a, b, c]) => {
        const compare = compareCells(type);
        expect(compare(a, a)).toBe(0);
        expect(Math.sign(compare(a, b)) + Math.sign(compare(b, a))).toBe(0);
        expect(compare(a, b) === 0).toBe(cellsEqual(a, b));
        if (compare(a, b) <= 0 && compare(b, c) <= 0) expect(compare(a, c)).toBeLessThanOrEqual(0);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('a copy of a cell is equal to it; NULL equals NULL only', () => {
  fc.assert(
    fc.property(
      anyType.chain((type) => fc.tuple(nullableCellOf(type), cellOf(type))),
      ([cell, other]) => cellsEqual(cell, structuredClone(cell)) && !cellsEqual(null, other) && !cellsEqual(other, null),
    ),
  );
  expect(cellsEqual(-0, 0)).toBe(true);
  expect(cellsEqual(1, 1n)).toBe(false);
  expect(cellsEqual(Uint8Array.of(1), Float32Array.of(1))).toBe(false);
});

test('cells of another type are refused', () => {
  expect(() => compareCells(plainType('bigint'))(1n, 1)).toThrow('not both bigint');
  expect(() => compareCells(plainType('int'))(1n, 1)).toThrow('not both number');
  expect(() => compareCells(plainType('text'))('', 1)).toThrow('not both string');
  expect(() => compareCells(plainType('boolean'))(true, 1)).toThrow('not both boolean');
  expect(() => compareCells(plainType('bytes'))('', '')).toThrow('not both Uint8Array');
  expect(() => compareCells({ kind: 'embedding', dimension: 1 })('', '')).toThrow('not both Float32Array');
});
