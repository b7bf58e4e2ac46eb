import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KalamDataType } from '../messages/schema-field.ts';
import { columnOrder } from './column-order.ts';

const compare = (
  type: KalamDataType,
  a: string | number | boolean | null,
  b: string | number | boolean | null,
  descending = false,
): number => Math.sign(columnOrder([{ column: 'c', descending }], [{ name: 'c', data_type: type, index: 0 }])({ c: a }, { c: b }));
const sign = (a: bigint, b: bigint): number => (a < b ? -1 : Number(a > b));

describe('the order of columns', () => {
  it('BIGINT and DECIMAL texts are compared as the numbers that they are', () => {
    const edge = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: 2n ** 53n, max: 2n ** 53n + 9n }));
    fc.assert(
      fc.property(edge, edge, (a, b) => {
        expect(compare('BigInt', String(a), String(b))).toBe(sign(a, b));
        const scaled = (value: bigint): string =>
          `${value < 0n ? '-' : ''}${String(value < 0n ? -value : value)
            .padStart(3, '0')
            .replace(/(\d\d)$/, '.$1')}`;
        expect(compare({ Decimal: { precision: 20, scale: 2 } }, scaled(a), scaled(b))).toBe(sign(a, b));
        expect(compare('BigInt', String(a), String(b), true)).toBe(sign(b, a));
      }),
    );
  });

  it('texts are compared as texts, also those of digits, and NULL is larger than all', () => {
    expect(compare('Text', '10', '9')).toBe(-1);
    expect(compare('Int', 10, 9)).toBe(1);
    expect(compare('Boolean', true, false)).toBe(1);
    expect(compare('Double', 'NaN', 'Infinity')).toBe(1);
    for (const type of ['Text', 'Int'] as const) {
      expect(compare(type, null, type === 'Int' ? 1 : 'z')).toBe(1);
      expect(compare(type, null, type === 'Int' ? 1 : 'z', true)).toBe(-1);
      expect(compare(type, null, null)).toBe(0);
    }
  });
});
