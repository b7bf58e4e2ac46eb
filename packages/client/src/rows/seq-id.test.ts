import { snowflakeMillis } from '@kalamdb/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeqId } from './seq-id.ts';

describe('sequence id', () => {
  it('puts its parts together again, and its time is the one the server means', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), (value) => {
        const id = SeqId.from(value);
        expect(((BigInt(id.timestampMillis()) - 1_704_067_200_000n) << 22n) | (BigInt(id.workerId()) << 12n) | BigInt(id.sequence())).toBe(
          value,
        );
        expect(id.timestampMillis()).toBe(snowflakeMillis(value));
        expect(SeqId.from(id.toString()).equals(id)).toBe(true);
        expect(JSON.parse(JSON.stringify({ id })).id).toBe(value.toString());
      }),
    );
  });

  it('sorts by value', () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })), (values) => {
        const sorted = values.map((value) => SeqId.from(value)).sort((a, b) => a.compareTo(b));
        expect(sorted.map((id) => id.toBigInt())).toEqual([...values].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
      }),
    );
  });

  it.each([1.5, Number.NaN, 2 ** 60, '', '1e3', '0x10', 'abc'])('refuses %s', (value) => {
    expect(() => SeqId.from(value)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});
