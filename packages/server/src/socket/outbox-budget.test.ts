import { VirtualTime } from '@kalamdb/testing';
import { expect, test } from 'vitest';
import { OutboxBudget } from './outbox-budget.ts';

const MEBIBYTE = 1024 * 1024;

test('over the bound, a connection may have much less waiting than in better times', () => {
  const budget = new OutboxBudget(10 * MEBIBYTE);
  budget.add(10 * MEBIBYTE);
  expect(budget.shareOf(MEBIBYTE)).toBe(MEBIBYTE);
  budget.add(1);
  expect(budget).toMatchObject({ exhausted: true, bytes: 10 * MEBIBYTE + 1 });
  expect(budget.shareOf(MEBIBYTE)).toBe(16_384);
  expect(budget.shareOf(1000)).toBe(1000);
});

test('loads wait for room, in their order and not for ever', async () => {
  const time = new VirtualTime();
  const budget = new OutboxBudget(MEBIBYTE);
  expect(budget.room(time, 1000)).toBe(true);
  budget.add(2 * MEBIBYTE);
  const woken: number[] = [];
  const waiting = Array.from({ length: 20 }, async (_unused, index) => {
    if (await budget.room(time, 1000)) woken.push(index);
  });
  const tooLate = budget.room(time, 500);
  time.advance(600);
  expect(await tooLate).toBe(false);
  budget.add(-MEBIBYTE);
  await waiting[0];
  expect(woken).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  budget.add(-1);
  budget.add(-1);
  await Promise.all(waiting);
  expect(woken).toEqual(Array.from({ length: 20 }, (_unused, index) => index));
  expect(time.pendingTimers).toBe(0);
});
