import type { KeyRange, RowKey } from '../contract.ts';
import type { Segment } from './contract.ts';

/** Whether a row with one of the keys can be in the segment, as far as its first and last key show. */
export function mayHoldKeys({ minKey, maxKey }: Segment, keys: Iterable<RowKey>): boolean {
  for (const key of keys) if (key >= minKey && key <= maxKey) return true;
  return false;
}

/** Whether a row with a key of the range can be in the segment, as far as its first and last key show. */
export function mayHoldRange({ minKey, maxKey }: Segment, { from, before }: KeyRange): boolean {
  return (from === undefined || maxKey >= from) && (before === undefined || minKey < before);
}
