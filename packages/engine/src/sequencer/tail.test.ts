import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChangeSet } from '../contract.ts';
import { Tail } from './tail.ts';

describe('the tail', () => {
  it('holds nothing of what it has dropped', async () => {
    setFlagsFromString('--expose-gc');
    const collect: () => void = runInNewContext('gc');
    const tail = new Tail(0n, 10);
    const dropped = ((): WeakRef<ChangeSet> => {
      const change: ChangeSet = { seq: 1n, parts: [], bytes: 8 };
      tail.push(change);
      return new WeakRef(change);
    })();
    tail.push({ seq: 2n, parts: [], bytes: 8 });
    // What a WeakRef has shown stays until the end of the turn.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    expect(dropped.deref()).toBeUndefined();
    expect(tail.after(1n)?.map(({ seq }) => seq)).toEqual([2n]);
  });

  it('gives the commits above a name as long as it has all of them, and says so when it has not', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ gap: fc.bigInt({ min: 1n, max: 5n }), bytes: fc.integer({ min: 1, max: 40 }) }), { maxLength: 200 }),
        fc.integer({ min: 0, max: 300 }),
        (steps, bytesMax) => {
          const tail = new Tail(0n, bytesMax);
          const all: ChangeSet[] = [];
          let seq = 0n;
          for (const { gap, bytes } of steps) {
            seq += gap;
            const change: ChangeSet = { seq, parts: [], bytes };
            tail.push(change);
            all.push(change);
          }
          let kept = all.length;
          for (let bytes = 0; kept > 0 && bytes + (all[kept - 1]?.bytes ?? 0) <= bytesMax; kept--) bytes += all[kept - 1]?.bytes ?? 0;
          const floor = all[kept - 1]?.seq ?? 0n;
          for (let after = 0n; after <= seq; after++) {
            const expected = after < floor ? undefined : all.filter((change) => change.seq > after);
            expect(tail.after(after)).toEqual(expected);
            expect(tail.after(after, 2)).toEqual(expected?.slice(0, 2));
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});
