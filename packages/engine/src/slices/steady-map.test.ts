import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { STEADY_ENTRIES_MAX, SteadyMap } from './steady-map.ts';

const key = fc.nat(3 * STEADY_ENTRIES_MAX);
const step = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), key }),
  fc.record({ kind: fc.constant('delete' as const), key }),
  fc.record({ kind: fc.constant('fill' as const), key, count: fc.nat(STEADY_ENTRIES_MAX) }),
  fc.record({ kind: fc.constant('empty' as const), key, count: fc.nat(STEADY_ENTRIES_MAX) }),
);

describe('a map of which no call takes long', () => {
  it('answers like a Map whatever is put and taken away', () => {
    const answersLikeMap = fc.property(fc.array(step, { minLength: 1, maxLength: 20 }), (steps) => {
      const [map, model] = [new SteadyMap<number, string>(), new Map<number, string>()];
      const put = (at: number, value: string): void => {
        map.set(at, value);
        model.set(at, value);
      };
      for (const [index, one] of steps.entries()) {
        const count = 'count' in one ? one.count : 1;
        for (let at = one.key; at < one.key + count; at += 1) {
          if (one.kind === 'set' || one.kind === 'fill') put(at, `${index}`);
          else expect(map.delete(at)).toBe(model.delete(at));
        }
        expect(map.size).toBe(model.size);
        for (const at of [one.key - 1, one.key, one.key + count])
          expect([map.has(at), map.get(at)]).toEqual([model.has(at), model.get(at)]);
      }
      expect([...map.values()].sort()).toEqual([...model.values()].sort());
    });
    fc.assert(answersLikeMap, { numRuns: 30 });
  });

  it('iterates in the order in which the keys came', () => {
    const map = new SteadyMap<number, number>();
    const keys = Array.from({ length: 2 * STEADY_ENTRIES_MAX + 5 }, (_, index) => (index * 7919) % 100_003);
    for (const at of keys) map.set(at, at);
    map.set(keys[1] ?? 0, -1);
    expect([...map.values()]).toEqual(keys.map((at, index) => (index === 1 ? -1 : at)));
  });
});
