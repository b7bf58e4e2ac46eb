import { compareCells, plainType, type Row } from '@kalamdb/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RowSorter } from './row-sorter.ts';

const KEYS = [{ column: 0, descending: false, nullsFirst: false, compare: compareCells(plainType('int')) }];

test('large sorts are stable and the first k are those of the whole order', () => {
  const rows = fc
    .tuple(fc.integer({ min: 0, max: 6000 }), fc.integer({ min: 1, max: 2000 }))
    .map(([count, values]) => Array.from({ length: count }, (_, place): Row => [(place * 7919) % values, place]));
  fc.assert(
    fc.property(rows, fc.option(fc.nat(7000)), (list, first) => {
      const sorter = new RowSorter(KEYS, { rowsMax: 10_000, first: first ?? Number.POSITIVE_INFINITY });
      for (const row of list) sorter.add(row);
      const sorted = [...sorter.sortedInSteps()].filter((row) => row !== undefined);
      const wanted = [...list].sort((a, b) => Number(a[0]) - Number(b[0]));
      expect(sorted).toEqual(wanted.slice(0, first ?? undefined));
    }),
    { numRuns: 30 },
  );
});

test('no step sorts or merges more than a thousand rows or so', () => {
  let compared = 0;
  const compare = (a: unknown, b: unknown): number => {
    compared += 1;
    return Number(a) - Number(b);
  };
  const keys = [{ column: 0, descending: false, nullsFirst: false, compare }];
  const sorter = new RowSorter(keys, { rowsMax: 100_000, first: Number.POSITIVE_INFINITY });
  for (let place = 0; place < 50_000; place++) sorter.add([(place * 7919) % 50_021]);
  let most = 0;
  for (const row of sorter.sortedInSteps()) {
    if (row !== undefined) continue;
    most = Math.max(most, compared);
    compared = 0;
  }
  expect(most).toBeLessThan(1024 * 11);
});
