import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChangeSet } from '../contract.ts';
import { Tail } from './tail.ts';

describe('the tail', () => {
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
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});
