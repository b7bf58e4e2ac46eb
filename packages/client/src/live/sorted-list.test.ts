import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SortedList } from './sorted-list.ts';

interface Numbered {
  readonly value: number;
  readonly ordinal: number;
}

describe('a sorted list', () => {
  it('is what sorting everything anew gives, after few and after many changes', () => {
    const change = fc.record({ add: fc.array(fc.nat(5), { maxLength: 90 }), remove: fc.array(fc.nat(1000), { maxLength: 90 }) });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 8 }), (changes) => {
        const order = (a: Numbered, b: Numbered): number => a.value - b.value || a.ordinal - b.ordinal;
        const list = new SortedList(order);
        let all: Numbered[] = [];
        let ordinal = 0;
        for (const { add, remove } of changes) {
          const removed = [...new Set(remove.flatMap((index) => all[index] ?? []))];
          const added = add.map((value) => ({ value, ordinal: ordinal++ }));
          list.change(removed, added);
          all = [...all.filter((one) => !removed.includes(one)), ...added].sort(order);
          expect(list.items).toEqual(all);
        }
      }),
    );
  });

  it('loses nothing to a comparison that contradicts itself', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean()), fc.infiniteStream(fc.integer({ min: -1, max: 1 })), (steps, answers) => {
        const list = new SortedList<number>(() => Number(answers.next().value));
        const all: number[] = [];
        for (const [index, add] of steps.entries()) {
          const gone = add ? undefined : all.pop();
          if (gone !== undefined) list.change([gone], []);
          else {
            list.change([], [index]);
            all.push(index);
          }
          expect([...list.items].sort((a, b) => a - b)).toEqual([...all].sort((a, b) => a - b));
        }
      }),
    );
  });
});
