import { expect, test } from 'vitest';
import { RateLimit } from './rate-limit.ts';

test('a key gets its events per second, other keys theirs, and a new second begins anew', () => {
  let now = 5_000;
  const limit = new RateLimit({ now: () => now, elapsed: () => now }, 3);
  expect([1, 2, 3, 4].map(() => limit.allows('a'))).toEqual([true, true, true, false]);
  expect(limit.allows('b')).toBe(true);
  now += 999;
  expect(limit.allows('a')).toBe(false);
  now += 1;
  expect([1, 2, 3, 4].map(() => limit.allows('a'))).toEqual([true, true, true, false]);
});
