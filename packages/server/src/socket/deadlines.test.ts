import { VirtualTime } from '@kalamdb/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Deadline, Deadlines } from './deadlines.ts';

const wheel = (): { readonly time: VirtualTime; readonly deadlines: Deadlines } => {
  const time = new VirtualTime();
  return { time, deadlines: new Deadlines({ clock: time, timers: time }) };
};

const step = fc.record({
  member: fc.nat({ max: 9 }),
  /** `undefined`: cancelled. */
  millis: fc.option(fc.integer({ min: 0, max: 120_000 }), { nil: undefined }),
  pause: fc.integer({ min: 0, max: 60_000 }),
});

test('every deadline comes once, never early and at most two ticks late, however it was set before', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      const { time, deadlines } = wheel();
      const due = new Map<number, number>();
      const members: Deadline[] = Array.from({ length: 10 }, (_unused, member) =>
        deadlines.add(() => {
          const at = due.get(member) ?? Number.NaN;
          expect(time.elapsed()).toBeGreaterThanOrEqual(at);
          expect(time.elapsed()).toBeLessThanOrEqual(at + 200);
          due.delete(member);
        }),
      );
      for (const { member, millis, pause } of steps) {
        if (millis === undefined) {
          members[member]?.cancel();
          due.delete(member);
        } else {
          members[member]?.set(millis);
          due.set(member, time.elapsed() + millis);
        }
        time.advance(pause);
      }
      time.advance(121_000);
      expect([...due]).toEqual([]);
      deadlines.stop();
    }),
    { numRuns: 200 },
  );
});

test('many that are due together are handled a thousand at a time', () => {
  const { time, deadlines } = wheel();
  let handled = 0;
  for (let index = 0; index < 2500; index++) deadlines.add(() => handled++).set(1000);
  time.advance(1000);
  const counts: number[] = [];
  for (let tick = 0; tick < 5; tick++) {
    const before = handled;
    time.advance(100);
    counts.push(handled - before);
  }
  expect(counts.filter((count) => count > 0)).toEqual([1000, 1000, 500]);
  deadlines.stop();
});

test('a deadline that sets itself again goes on until it is stopped', () => {
  const { time, deadlines } = wheel();
  const times: number[] = [];
  const deadline = deadlines.add(() => {
    times.push(time.elapsed());
    deadline.set(5000);
  });
  deadline.set(5000);
  time.advance(60_000);
  expect(times.length).toBe(11);
  deadlines.stop();
  time.advance(60_000);
  expect(times.length).toBe(11);
});

test('after a long pause of the process everything that is overdue comes at once', () => {
  let elapsed = 0;
  let tick: () => void = () => undefined;
  const timer = { cancel: () => undefined };
  const deadlines = new Deadlines({
    clock: { now: () => 0, elapsed: () => elapsed },
    timers: {
      after: () => timer,
      soon: () => undefined,
      every: (_millis, callback) => {
        tick = callback;
        return timer;
      },
    },
  });
  const due: number[] = [];
  for (const millis of [50, 10_000, 60_000, 200_000]) deadlines.add(() => due.push(millis)).set(millis);
  elapsed = 150_000;
  tick();
  expect(due.sort((a, b) => a - b)).toEqual([50, 10_000, 60_000]);
  elapsed = 201_000;
  tick();
  expect(due).toContain(200_000);
});
