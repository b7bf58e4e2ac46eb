import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodePositions, encodePositions, noRows, rowPositions, withRows } from './row-positions.ts';

const rowsMax = 65_536;
const someRows = fc.oneof(
  fc.array(fc.nat(rowsMax - 1), { maxLength: 200 }),
  fc.array(fc.nat(40), { maxLength: 40 }),
  fc
    .record({ start: fc.nat(60_000), count: fc.nat(5_000), step: fc.integer({ min: 1, max: 3 }) })
    .map(({ start, count, step }) => Array.from({ length: count }, (_, index) => start + index * step).filter((row) => row < rowsMax)),
);

it('a set of positions is the set of its rows, ascending', () => {
  fc.assert(
    fc.property(someRows, someRows, (first, second) => {
      const model = new Set([...first, ...second]);
      const before = rowPositions(first);
      const positions = withRows(before, second);
      expect([...positions]).toEqual([...model].sort((a, b) => a - b));
      expect(positions.size).toBe(model.size);
      for (const row of [...second, 0, 39, rowsMax]) expect(positions.has(row)).toBe(model.has(row));
      expect([...before]).toEqual([...new Set(first)].sort((a, b) => a - b));
    }),
  );
});

it('its text gives it back', () => {
  fc.assert(
    fc.property(someRows, (rows) => {
      const positions = rowPositions(rows);
      expect([...decodePositions(encodePositions(positions), rowsMax, 'x')]).toEqual([...positions]);
    }),
  );
});

it('is written as documented, and never longer than a bit for each row', () => {
  expect([[], [100, 101, 102], [2, 3, 4, 9], [0, 2, 4, 6]].map((rows) => encodePositions(rowPositions(rows)))).toEqual([
    '',
    'AGQC',
    'ARwC',
    'AVU=',
  ]);
  const everyOther = Array.from({ length: rowsMax / 2 }, (_, index) => index * 2);
  const all = Array.from({ length: rowsMax }, (_, index) => index);
  expect(encodePositions(rowPositions(everyOther))).toHaveLength(10_924);
  expect(encodePositions(rowPositions(all))).toHaveLength(8);
});

it('any other text is DAMAGED_DATA', () => {
  const damaged = expect.objectContaining({ code: 'DAMAGED_DATA' });
  for (const text of ['A', 'AAA=', 'AgAA', 'AAAA ', 'AAAA\n', 'AQA=', 'AVUA', 'AAICAAA=', '////', 'AP////8P']) {
    expect(() => decodePositions(text, rowsMax, 'x')).toThrow(damaged);
  }
  expect(() => decodePositions(encodePositions(rowPositions([5])), 5, 'x')).toThrow(damaged);
  fc.assert(
    fc.property(fc.base64String(), (text) => {
      try {
        expect(encodePositions(decodePositions(text, 1_000, 'x'))).toBe(text);
      } catch (error) {
        expect(error).toEqual(damaged);
      }
    }),
  );
  expect(decodePositions('', 0, 'x')).toBe(noRows);
});
