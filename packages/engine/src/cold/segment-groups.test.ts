import type { RowKey, Segment } from '@kalamdb/storage';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FILES_AT_ONCE_MAX, scanGroups } from './segment-groups.ts';

const keyOf = (number: number): RowKey => String.fromCharCode(number) as RowKey;
const segmentOf = ([from, width]: readonly [number, number], index: number): Segment =>
  ({ number: index, minKey: keyOf(from), maxKey: keyOf(from + width) }) as Segment;
const ranges = fc.array(fc.tuple(fc.nat(200), fc.oneof(fc.constant(0), fc.nat(4), fc.nat(30))), { maxLength: 80, size: 'max' });

describe('groups of segments that are read one after another', () => {
  it('hold each segment once, keep the order of the scan, and are no larger than they must be', () => {
    let split = 0;
    fc.assert(
      fc.property(ranges, fc.constantFrom('key' as const, 'seq' as const, undefined), (given, order) => {
        const segments = given.map(segmentOf);
        const groups = scanGroups(segments, order);
        if (groups.length > 1) split += 1;
        if (order === 'seq') expect(groups.flat()).toEqual(segments);
        expect(new Set(groups.flat())).toEqual(new Set(segments));
        expect(groups.flat()).toHaveLength(segments.length);
        for (const [index, group] of groups.entries()) {
          const next = groups[index + 1];
          if (order === 'seq' || next === undefined) continue;
          for (const { maxKey } of group) for (const { minKey } of next) expect(maxKey < minKey).toBe(true);
        }
        for (const group of groups) if (group.length > FILES_AT_ONCE_MAX) expect(order !== 'seq' && hangsTogether(group)).toBe(true);
      }),
    );
    expect(split).toBeGreaterThan(5);
  });
});

/** Whether no key lies between two parts of the group. */
function hangsTogether(group: readonly Segment[]): boolean {
  return group.every(({ maxKey }) => {
    const behind = group.filter(({ minKey }) => minKey > maxKey);
    return behind.length === 0 || group.some((other) => other.minKey <= maxKey && other.maxKey > maxKey);
  });
}
