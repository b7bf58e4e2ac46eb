import { compareCells, plainType } from '@kalamdb/protocol';
import { SeededRandom } from '@kalamdb/testing';
import { describe, expect, it } from 'vitest';
import { RoutingIntervals } from './routing-intervals.ts';

const compare = compareCells(plainType('int'));
const RANGES = 10_000;
/** Comparisons of one way down a tree of as many ranges, with those at its side. */
const WAY_MAX = 200;

const between = (from: number, to: number) => ({ from: { cell: from, inclusive: true }, to: { cell: to, inclusive: true } });
const above = (from: number) => ({ from: { cell: from, inclusive: false }, to: undefined });
const below = (to: number) => ({ from: undefined, to: { cell: to, inclusive: false } });

describe('the interval index', () => {
  it.each([
    ['apart', (id: number) => between(id * 10, id * 10 + 5), 57],
    ['around one point', (id: number) => between(-id, id), RANGES],
    ['without an end', above, -1],
    ['without a beginning', below, RANGES],
    ['each within the next but one', (id: number) => between(id, 2 * id), 3 * RANGES],
  ])('takes one way down to find nothing among ranges %s, whatever the order in which they came', (_name, range, cell) => {
    for (const order of ['rising', 'falling', 'shuffled'] as const) {
      let comparisons = 0;
      const index = new RoutingIntervals<{ readonly id: number }>((a, b) => {
        comparisons += 1;
        return compare(a, b);
      });
      const items = Array.from({ length: RANGES }, (_, id) => ({ id }));
      const random = new SeededRandom(7);
      if (order === 'falling') items.reverse();
      if (order === 'shuffled') items.sort(() => random.uniform() - 0.5);
      for (const item of items) index.add(range(item.id), item);
      expect(comparisons / RANGES).toBeLessThan(WAY_MAX);
      comparisons = 0;
      let found = 0;
      index.find(cell, () => {
        found += 1;
      });
      expect(found).toBe(0);
      expect(comparisons).toBeLessThan(WAY_MAX);
      for (const item of items) index.remove(range(item.id), item);
      expect(index.isEmpty).toBe(true);
    }
  });

  it('finds what is not a number in no range', () => {
    const index = new RoutingIntervals<object>(compareCells(plainType('double')));
    index.add({ from: undefined, to: undefined }, {});
    index.find(Number.NaN, () => expect.unreachable());
    let found = 0;
    index.find(Number.NEGATIVE_INFINITY, () => {
      found += 1;
    });
    expect(found).toBe(1);
  });
});
