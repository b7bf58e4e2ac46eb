import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Clock } from '../environment/clock.ts';
import { lastSnowflakeOf, SNOWFLAKE_EPOCH_MILLIS, SnowflakeSequence, snowflakeMillis } from './snowflake.ts';

class SetClock implements Clock {
  millis = SNOWFLAKE_EPOCH_MILLIS;
  now(): number {
    return this.millis;
  }
  elapsed(): number {
    return 0;
  }
}

const nodeOf = (seq: bigint): number => Number((seq >> 12n) & 1023n);
const day = 86_400_000;

/** What a run does between ids: moves the clock, makes many ids at once, learns of an id from elsewhere, restarts. */
const step = fc.oneof(
  fc.record({ kind: fc.constant('clock' as const), millis: fc.integer({ min: -day, max: day }) }),
  fc.record({ kind: fc.constant('many' as const), count: fc.integer({ min: 1, max: 9_000 }) }),
  fc.record({
    kind: fc.constant('raise' as const),
    millis: fc.integer({ min: -2, max: 2 }),
    node: fc.integer({ min: 0, max: 1023 }),
    counter: fc.constantFrom(0, 1, 4094, 4095),
  }),
  fc.record({ kind: fc.constant('restart' as const), node: fc.integer({ min: 0, max: 1023 }) }),
);

describe('order', () => {
  test('ids rise strictly and carry their node, whatever clock, restarts and other nodes do', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), fc.integer({ min: 0, max: 1023 }), (steps, firstNode) => {
        const clock = new SetClock();
        clock.millis += 365 * day;
        let node = firstNode;
        let sequence = new SnowflakeSequence({ clock, node });
        let last = sequence.last;
        const take = (): void => {
          const seq = sequence.next();
          if (seq <= last || nodeOf(seq) !== node || seq !== sequence.last) throw new Error(`${seq} after ${last} on node ${node}`);
          last = seq;
        };
        for (const action of steps) {
          if (action.kind === 'clock') clock.millis += action.millis;
          if (action.kind === 'many') for (let i = 0; i < action.count; i++) take();
          if (action.kind === 'raise') {
            const seen = (((last >> 22n) + BigInt(action.millis)) << 22n) | BigInt((action.node << 12) | action.counter);
            sequence.raise(seen);
            if (seen > last) last = seen;
          }
          if (action.kind === 'restart') {
            node = action.node;
            sequence = new SnowflakeSequence({ clock, node, last });
          }
          if (sequence.last !== last) throw new Error('last is not the highest known');
          take();
        }
      }),
    );
  });

  test('10,000 ids in one millisecond run ahead of the clock by two and leave the node alone', () => {
    const clock = new SetClock();
    clock.millis += 1_000;
    const sequence = new SnowflakeSequence({ clock, node: 7 });
    const ids = Array.from({ length: 10_000 }, () => sequence.next());
    expect(new Set(ids).size).toBe(10_000);
    expect(ids.every((id) => nodeOf(id) === 7)).toBe(true);
    expect(snowflakeMillis(ids[9_999] ?? 0n)).toBe(clock.millis + 2);
    clock.millis += 3;
    expect(snowflakeMillis(sequence.next())).toBe(clock.millis);
  });

  test('raise to a lower id changes nothing', () => {
    const clock = new SetClock();
    clock.millis += 5;
    const sequence = new SnowflakeSequence({ clock, node: 1 });
    const before = sequence.next();
    sequence.raise(before - 1n);
    expect(sequence.last).toBe(before);
    expect(sequence.next()).toBe(before + 1n);
  });
});

describe('form', () => {
  test('worked values', () => {
    const clock = new SetClock();
    clock.millis = SNOWFLAKE_EPOCH_MILLIS + 1;
    expect(new SnowflakeSequence({ clock, node: 0 }).next()).toBe(4194304n);
    clock.millis = SNOWFLAKE_EPOCH_MILLIS;
    const sequence = new SnowflakeSequence({ clock, node: 1 });
    expect([sequence.next(), sequence.next(), sequence.next()]).toStrictEqual([4096n, 4097n, 4098n]);
    clock.millis = Date.UTC(2026, 1, 1);
    expect(sequence.next()).toBe(276139553587204096n);
    expect(snowflakeMillis(276139553587204096n)).toBe(clock.millis);
  });

  test('the last id of a millisecond is the one before the first of the next', () => {
    const last = lastSnowflakeOf(SNOWFLAKE_EPOCH_MILLIS + 5);
    expect([snowflakeMillis(last), snowflakeMillis(last + 1n)]).toStrictEqual([SNOWFLAKE_EPOCH_MILLIS + 5, SNOWFLAKE_EPOCH_MILLIS + 6]);
    expect([lastSnowflakeOf(SNOWFLAKE_EPOCH_MILLIS - 1), lastSnowflakeOf(0)]).toStrictEqual([0n, 0n]);
  });

  test('a clock before the epoch still gives positive ids', () => {
    const clock = new SetClock();
    clock.millis = 0;
    expect(new SnowflakeSequence({ clock, node: 0 }).next()).toBe(1n);
  });

  test('nodes outside ten bits and ids beyond the last millisecond are refused', () => {
    const clock = new SetClock();
    for (const node of [-1, 1024, 0.5]) expect(() => new SnowflakeSequence({ clock, node })).toThrow('is not between 0 and 1023');
    clock.millis = SNOWFLAKE_EPOCH_MILLIS + 2 ** 41;
    const sequence = new SnowflakeSequence({ clock, node: 1023 });
    for (let i = 0; i < 4096; i++) expect(sequence.next()).toBeLessThan(2n ** 63n);
    expect(() => sequence.next()).toThrow('no snowflake id');
  });
});

test('ids taken at once are those that would have been made one after another', () => {
  fc.assert(
    fc.property(fc.nat(9_000), fc.integer({ min: 1, max: 9_000 }), fc.nat(1023), (before, count, node) => {
      const [one, other] = [0, 1].map(() => new SnowflakeSequence({ clock: new SetClock(), node }));
      for (let made = 0; made < before; made++) expect(one?.next()).toBe(other?.next());
      const run = one?.take(count);
      for (let index = 0; index < count; index++) if (run?.at(index) !== other?.next()) throw new Error(`id ${index} differs`);
      expect([one?.last, one?.next()]).toEqual([other?.last, other?.next()]);
    }),
    { numRuns: 20 },
  );
});
