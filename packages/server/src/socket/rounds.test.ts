import { VirtualTime } from '@kalamdb/testing';
import { expect, test } from 'vitest';
import { Rounds } from './rounds.ts';

test('every member is visited once in a period, a few at a time', () => {
  const time = new VirtualTime();
  const members = new Set(Array.from({ length: 1003 }, (_unused, index) => index));
  let visits: number[] = [];
  const rounds = new Rounds(time, { members, periodMillis: 5000, visit: (member) => visits.push(member) });
  for (let period = 0; period < 3; period++) {
    visits = [];
    for (let tick = 0; tick < 50; tick++) {
      const before = visits.length;
      time.advance(100);
      expect(visits.length - before).toBeLessThanOrEqual(21);
    }
    expect([...visits].sort((a, b) => a - b)).toEqual([...members]);
  }
  rounds.cancel();
  visits = [];
  time.advance(10_000);
  expect(visits).toEqual([]);
});

test('members that leave are not visited, and those that come are in the next round at the latest', () => {
  const time = new VirtualTime();
  const members = new Set(Array.from({ length: 100 }, (_unused, index) => index));
  const visits: number[] = [];
  const rounds = new Rounds(time, { members, periodMillis: 1000, visit: (member) => visits.push(member) });
  time.advance(500);
  const seen = new Set(visits);
  for (const member of members) if (!seen.has(member)) members.delete(member);
  for (let member = 200; member < 500; member++) members.add(member);
  time.advance(1500);
  expect(visits.every((member) => seen.has(member) || member >= 200)).toBe(true);
  for (let member = 200; member < 500; member++) expect(visits).toContain(member);
  rounds.cancel();
});
