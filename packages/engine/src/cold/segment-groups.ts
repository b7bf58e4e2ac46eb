import type { Segment } from '@kalamdb/storage';
import type { ColdScan } from './cold-reader.ts';

/** Files of segments that one reader has open at a time; more only where that many segments have rows between the same keys. */
export const FILES_AT_ONCE_MAX = 16;

/**
 * The segments of a scan in groups that can be read one after another, at most {@link FILES_AT_ONCE_MAX} in each: in `_seq` order any
 * neighbours can, in key order those whose ranges of keys do not overlap. A group that is larger overlaps throughout.
 */
export function scanGroups(segments: readonly Segment[], order: ColdScan['order']): readonly (readonly Segment[])[] {
  if (order === 'seq') return inPieces(segments);
  const groups: Segment[][] = [];
  let group: Segment[] = [];
  for (const cluster of clusters(segments)) {
    if (group.length > 0 && group.length + cluster.length > FILES_AT_ONCE_MAX) {
      groups.push(group);
      group = [];
    }
    group.push(...cluster);
  }
  if (group.length > 0) groups.push(group);
  return groups;
}

/** Things in their order, {@link FILES_AT_ONCE_MAX} at a time. */
export function inPieces<T>(things: readonly T[]): readonly (readonly T[])[] {
  const pieces: (readonly T[])[] = [];
  for (let from = 0; from < things.length; from += FILES_AT_ONCE_MAX) pieces.push(things.slice(from, from + FILES_AT_ONCE_MAX));
  return pieces;
}

/** Segments whose ranges of keys hang together, in key order. */
function clusters(segments: readonly Segment[]): readonly (readonly Segment[])[] {
  const found: Segment[][] = [];
  let cluster: Segment[] = [];
  let maxKey: Segment['maxKey'] | undefined;
  for (const segment of [...segments].sort((a, b) => (a.minKey < b.minKey ? -1 : 1))) {
    if (maxKey !== undefined && segment.minKey > maxKey) {
      found.push(cluster);
      cluster = [];
    }
    cluster.push(segment);
    if (maxKey === undefined || segment.maxKey > maxKey) maxKey = segment.maxKey;
  }
  if (cluster.length > 0) found.push(cluster);
  return found;
}
