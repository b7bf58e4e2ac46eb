import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FairQueue } from './fair-queue.ts';

test('users take turns and nothing is lost', () => {
  const queue = new FairQueue<number>();
  for (const item of [1, 2, 3]) queue.push('ann', item);
  queue.push('bob', 4);
  queue.push('eve', 5);
  expect(queue.remove('ann', 2)).toBe(true);
  expect(queue.remove('ann', 2)).toBe(false);
  expect([queue.shift(), queue.shift(), queue.shift(), queue.shift(), queue.shift()]).toEqual([1, 4, 5, 3, undefined]);
});

test('nobody waits for more than one item of each other user', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 40 }), (users) => {
      const queue = new FairQueue<string>();
      for (const user of users) queue.push(user, user);
      const left = new Map<string, number>();
      for (const user of users) left.set(user, (left.get(user) ?? 0) + 1);
      let round = new Set<string>();
      for (let user = queue.shift(); user !== undefined; user = queue.shift()) {
        if (round.has(user)) {
          for (const [other, count] of left) if (count > 0) expect(round.has(other)).toBe(true);
          round = new Set();
        }
        round.add(user);
        left.set(user, (left.get(user) ?? 0) - 1);
      }
      expect(queue.size).toBe(0);
    }),
  );
});
