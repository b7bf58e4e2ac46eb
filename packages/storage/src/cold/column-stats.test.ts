import { type Cell, compareCells, type NonNullCell, plainType } from '@kalamdb/protocol';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { anyType, cellOf, nullableCellOf } from '../../../protocol/src/values/cell.arbitrary.ts';
import type { RowKey } from '../contract.ts';
import { type ColumnTest, StatsCollector, statsExclude } from './column-stats.ts';
import type { ColumnStats, Segment } from './contract.ts';
import { rowPositions } from './row-positions.ts';

const segmentOf = (rows: number, stats: ColumnStats): Segment => ({
  number: 1,
  path: 'batch-1.parquet',
  schemaVersion: 1,
  rows,
  tombstones: 0,
  bytes: 1,
  memoryBytes: 1,
  checksum: 1,
  minSeq: 1n,
  maxSeq: 9n,
  minKey: 'a' as RowKey,
  maxKey: 'b' as RowKey,
  createdAtMillis: 1,
  stats: new Map([[7, stats]]),
  bloom: { path: 'batch-1.bloom', bytes: 1, checksum: 1 },
  masked: rowPositions([]),
  maskedTombstones: 0,
});
const collected = (cells: readonly Cell[], type = plainType('int')): Segment => {
  const collector = new StatsCollector(type);
  for (const cell of cells) collector.add(cell);
  return segmentOf(cells.length, collector.finish());
};

/** What a row passes, by SQL's logic. */
function passes(cell: Cell, test: ColumnTest, compare: (a: NonNullCell, b: NonNullCell) => number): boolean {
  if (test.op === 'is null') return cell === null;
  if (test.op === 'is not null') return cell !== null;
  if (test.op === 'in') return test.cells.some((other) => passes(cell, { op: '=', cell: other }, compare));
  if (cell === null || test.cell === null) return false;
  const order = compare(cell, test.cell);
  return { '=': order === 0, '<': order < 0, '<=': order <= 0, '>': order > 0, '>=': order >= 0 }[test.op];
}

it('a segment with a row that passes is never excluded', () => {
  const content = anyType.chain((type) =>
    fc.record({
      type: fc.constant(type),
      cells: fc.array(nullableCellOf(type), { minLength: 1, maxLength: 8 }),
      other: cellOf(type),
      op: fc.constantFrom('=', '<', '<=', '>', '>=', 'in', 'is null', 'is not null'),
      own: fc.nat(7),
    }),
  );
  fc.assert(
    fc.property(content, ({ type, cells, other, op, own }) => {
      const segment = collected(cells, type);
      for (const cell of [other, cells[own % cells.length] ?? null]) {
        const test = (op === 'in' ? { op, cells: [cell, null, other] } : { op, cell }) as ColumnTest;
        const found = cells.some((row) => passes(row, test, compareCells(type)));
        if (found) expect(statsExclude(segment, 7, test, type)).toBe(false);
        expect(statsExclude(segment, 8, test, type)).toBe(false);
      }
    }),
    { numRuns: 1_000 },
  );
});

it('statistics exclude what lies outside of them', () => {
  const int = plainType('int');
  const segment = collected([3, null, 5]);
  const outside: ColumnTest[] = [
    { op: '=', cell: 2 },
    { op: '=', cell: 6 },
    { op: '=', cell: null },
    { op: '<', cell: 3 },
    { op: '<=', cell: 2 },
    { op: '>', cell: 5 },
    { op: '>=', cell: 6 },
    { op: 'in', cells: [2, null, 6] },
    { op: 'in', cells: [] },
  ];
  expect(outside.map((test) => statsExclude(segment, 7, test, int))).toEqual(outside.map(() => true));
  expect(statsExclude(collected([1]), 7, { op: 'is null' }, int)).toBe(true);
  expect(statsExclude(collected([null]), 7, { op: 'is not null' }, int)).toBe(true);
  expect(statsExclude(collected([null]), 7, { op: '<', cell: 1 }, int)).toBe(true);
});

it('a wider type of today reads what was kept; not-a-number and long texts exclude nothing', () => {
  expect(statsExclude(collected([3]), 7, { op: '=', cell: 4n }, plainType('bigint'))).toBe(true);
  expect(statsExclude(collected([3]), 7, { op: '=', cell: 3n }, plainType('bigint'))).toBe(false);
  expect(statsExclude(collected([3], plainType('double')), 7, { op: '=', cell: Number.NaN }, plainType('double'))).toBe(false);
  const long = collected(['b', 'z'.repeat(65)], plainType('text'));
  expect(long.stats.get(7)).toEqual({ min: 'b', nulls: 0 });
  expect(statsExclude(long, 7, { op: '>', cell: 'zzzz' }, plainType('text'))).toBe(false);
  expect(statsExclude(long, 7, { op: '<', cell: 'b' }, plainType('text'))).toBe(true);
  expect(() => statsExclude(segmentOf(1, { min: [], max: 1, nulls: 0 }), 7, { op: '=', cell: 1 }, plainType('int'))).toThrow(
    expect.objectContaining({ code: 'DAMAGED_DATA' }),
  );
});

it('numbers that JSON does not have are bounds of nothing, before a manifest is written as after', () => {
  const type = plainType('double');
  const order = (a: number, b: number): number =>
    Number.isNaN(a) ? Number(!Number.isNaN(b)) : Number.isNaN(b) ? -1 : Math.sign(a - b) || 0;
  const number = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, 0, 1);
  fc.assert(
    fc.property(
      fc.array(number, { minLength: 1, maxLength: 3 }),
      number,
      fc.constantFrom(...(['=', '<', '<=', '>', '>='] as const)),
      (cells, cell, op) => {
        const collector = new StatsCollector(type);
        for (const one of cells) collector.add(one);
        const stats = collector.finish();
        expect(JSON.parse(JSON.stringify(stats))).toEqual(stats);
        const passes = { '=': [0], '<': [-1], '<=': [-1, 0], '>': [1], '>=': [0, 1] }[op];
        const isFound = cells.some((one) => passes.includes(one === cell ? 0 : order(one, cell)));
        const excluded = statsExclude(segmentOf(cells.length, stats), 7, { op, cell }, type);
        expect(isFound && excluded).toBe(false);
      },
    ),
  );
});
