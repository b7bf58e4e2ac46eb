import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BucketCounts } from './bucket-counts.ts';

test('a value is counted in the first bucket that ends at or above it', () => {
  const bounds = [1, 2, 5, 10];
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 12 })), (values) => {
      const buckets = new BucketCounts(bounds);
      for (const value of values) buckets.observe(value);
      const upTo = (end: number): number => values.filter((value) => value <= end).length;
      const cumulated = buckets.counts.map((_count, index) => buckets.counts.slice(0, index + 1).reduce((a, b) => a + b, 0));
      expect(cumulated).toEqual([...bounds.map(upTo), values.length]);
      expect(buckets.sum).toBe(values.reduce((a, b) => a + b, 0));
    }),
  );
});
