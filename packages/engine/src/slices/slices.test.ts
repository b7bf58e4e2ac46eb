import { VirtualTime } from '@kalamdb/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SLICE_MILLIS, SLICED_WORK_MAX, Slices } from './slices.ts';
import { STEP_ROWS, StepMeter, type Steps } from './steps.ts';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Time that moves only while work is done. */
class Busy {
  readonly time = new VirtualTime();
  elapsedMillis = 0;
  readonly slices = new Slices({ clock: { now: () => 0, elapsed: () => this.elapsedMillis }, timers: this.time });

  *work(steps: number, millis: number): Steps<number> {
    for (let step = 0; step < steps; step++) {
      this.elapsedMillis += millis;
      yield;
    }
    return steps;
  }
}

test('however much work there is, one turn of the event loop does a slice of it and a step at most', async () => {
  const works = fc.array(fc.record({ steps: fc.nat(30), millis: fc.double({ min: 0.01, max: 0.9, noNaN: true }) }), {
    minLength: 1,
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(works, async (list) => {
      const busy = new Busy();
      const results = list.map(({ steps, millis }) => Promise.resolve(busy.slices.run(busy.work(steps, millis))));
      expect(busy.elapsedMillis).toBeLessThan(SLICE_MILLIS + 0.9);
      while (busy.time.pendingTimers > 0) {
        const before = busy.elapsedMillis;
        busy.time.advance(1);
        await settle();
        expect(busy.elapsedMillis - before).toBeLessThan(SLICE_MILLIS + 0.9);
      }
      expect(await Promise.all(results)).toEqual(list.map(({ steps }) => steps));
    }),
    { numRuns: 100 },
  );
});

test('work that fits into what is left of a turn is done at once and sets no timer', () => {
  const busy = new Busy();
  expect(busy.slices.run(busy.work(3, 0.2))).toBe(3);
  expect(busy.time.pendingTimers).toBe(0);
});

test('work that its check ends releases what it holds', async () => {
  const busy = new Busy();
  let released = false;
  function* holding(): Steps<number> {
    try {
      return yield* busy.work(1000, 1);
    } finally {
      released = true;
    }
  }
  const result = Promise.resolve(
    busy.slices.run(holding(), () => {
      if (busy.elapsedMillis > 10) throw new Error('enough');
    }),
  );
  const failed = expect(result).rejects.toThrow('enough');
  for (let turn = 0; turn < 10; turn++) {
    busy.time.advance(1);
    await settle();
  }
  await failed;
  expect(released).toBe(true);
});

test('work that others wait for goes first, and leaves them a turn in five', async () => {
  const busy = new Busy();
  const turns: string[] = [];
  function* noting(name: string): Steps<void> {
    for (let step = 0; step < 40; step++) {
      turns.push(name);
      busy.elapsedMillis += 4;
      yield;
    }
  }
  const all = [busy.slices.run(noting('scan')), busy.slices.runFirst(noting('commit')), busy.slices.runFirst(noting('other commit'))];
  while (busy.time.pendingTimers > 0) {
    busy.time.advance(1);
    await settle();
  }
  await Promise.all(all);
  const whileAll = turns.slice(1, 1 + turns.lastIndexOf('commit'));
  for (let from = 0; from + 5 <= whileAll.length; from += 5) {
    expect(whileAll.slice(from, from + 5).filter((name) => name === 'scan')).toHaveLength(1);
  }
});

test('too much that waits is refused, and what has begun goes on', async () => {
  const busy = new Busy();
  const begun = Array.from({ length: SLICED_WORK_MAX }, () => busy.slices.run(busy.work(3, 2)));
  expect(() => busy.slices.run(busy.work(3, 2))).toThrow('1000');
  expect(busy.slices.runFirst(busy.work(3, 2))).toBeInstanceOf(Promise);
  const idle = busy.slices.idle();
  while (busy.time.pendingTimers > 0) {
    busy.time.advance(1);
    await settle();
  }
  expect(new Set(await Promise.all(begun))).toEqual(new Set([3]));
  await idle;
});

test('a step over rows ends after so many rows, and earlier where they are long', () => {
  const stepsOver = (row: readonly string[], rows: number): number => {
    const meter = new StepMeter();
    return Array.from({ length: rows }, () => meter.passed(row)).filter((ended) => ended).length;
  };
  expect(stepsOver(['short', 'texts'], 10 * STEP_ROWS)).toBeLessThanOrEqual(10);
  expect(stepsOver(['short', 'texts'], 10 * STEP_ROWS)).toBeGreaterThan(8);
  expect(stepsOver(['short', 'x'.repeat(100_000)], 10)).toBe(10);
});
