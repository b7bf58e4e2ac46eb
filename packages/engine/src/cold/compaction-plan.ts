import type { Manifest, Segment } from '@kalamdb/storage';

/** Rows of a merged segment. */
export const MERGED_ROWS_MAX: number = 1024 * 1024;
/** Bytes of its file. */
export const MERGED_BYTES_MAX: number = 128 * 1024 * 1024;
/** Memory that its rows may take while it is written. */
export const MERGED_MEMORY_BYTES_MAX: number = 128 * 1024 * 1024;
/** Neighbours that are worth a merge. */
export const MERGE_SEGMENTS_MIN = 4;
/** How much heavier the segments of a level are than those of the one below. */
const LEVEL_FACTOR = 4;
/** Above the lowest: a segment of this level is as large as one may be. */
const LEVELS = 10;
/** Share of masked rows above which a segment is written again. */
const HOLED_SHARE_MAX: number = 1 / 3;

/** How large merged segments may be. */
export interface MergeBounds {
  readonly rowsMax: number;
  readonly bytesMax: number;
  readonly memoryBytesMax: number;
}

/** What a compaction is to do. */
export interface CompactionWish {
  readonly bounds: MergeBounds;
  /**
   * `due`: what pays, so that a row is written at most once for each level. `all`: as few segments without holes as there can be.
   */
  readonly extent: 'due' | 'all';
  /** Up to which `_seq` the tombstones of a segment have expired. */
  expiredThroughSeq(segment: Segment): bigint;
}

/** Neighbours that become one segment, by their numbers in order. */
export type MergeRun = readonly number[];

/** The segments of a manifest that are to be merged; a run of one is written again. Runs do not overlap. */
export function planCompaction({ segments }: Manifest, wish: CompactionWish): readonly MergeRun[] {
  return wish.extent === 'all' ? runsOfAll(segments, wish) : runsThatPay(segments, wish);
}

/** Packs neighbours as long as they fit into one. */
function runsOfAll(segments: readonly Segment[], wish: CompactionWish): readonly MergeRun[] {
  return packed(segments, wish.bounds)
    .filter((run) => run.length > 1 || run.some((segment) => segment.masked.size > 0 || hasExpired(segment, wish)))
    .map(numbersOf);
}

function runsThatPay(segments: readonly Segment[], wish: CompactionWish): readonly MergeRun[] {
  const runs: MergeRun[] = [];
  const taken = new Set<Segment>();
  // The largest first: a merge takes the small ones among its inputs with it.
  for (let level = LEVELS - 1; level >= 0; level--) {
    const isLow = (segment: Segment): boolean => !taken.has(segment) && levelOf(weightOf(segment, wish.bounds)) <= level;
    for (const stretch of stretches(segments, isLow)) {
      for (const run of packed(stretch, wish.bounds)) {
        if (!rises(run, wish.bounds)) continue;
        for (const segment of run) taken.add(segment);
        runs.push(numbersOf(run));
      }
    }
  }
  for (const segment of segments) {
    if (!taken.has(segment) && (isHoled(segment) || hasExpired(segment, wish))) runs.push([segment.number]);
  }
  return runs;
}

/** Whether what comes of a run is of a higher level than each of its segments: so a row is written again at most {@link LEVELS} times. */
function rises(run: readonly Segment[], bounds: MergeBounds): boolean {
  if (run.length < MERGE_SEGMENTS_MIN) return false;
  const weights = run.map((segment) => weightOf(segment, bounds));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return levelOf(sum) > levelOf(Math.max(...weights));
}

/** The longest runs of neighbours that pass a test. */
function stretches(segments: readonly Segment[], test: (segment: Segment) => boolean): readonly (readonly Segment[])[] {
  const found: Segment[][] = [];
  let current: Segment[] = [];
  for (const segment of segments) {
    if (test(segment)) {
      if (current.length === 0) found.push(current);
      current.push(segment);
    } else current = [];
  }
  return found;
}

/** Cuts neighbours into runs each of which fits into one segment, if it is not a single one. */
function packed(segments: readonly Segment[], bounds: MergeBounds): readonly (readonly Segment[])[] {
  const runs: Segment[][] = [];
  let [run, weight]: [Segment[], number] = [[], 0];
  for (const segment of segments) {
    const more = weightOf(segment, bounds);
    if (run.length === 0 || weight + more > 1) {
      [run, weight] = [[], 0];
      runs.push(run);
    }
    run.push(segment);
    weight += more;
  }
  return runs;
}

/** How much of a merged segment the rows of a segment that are not masked take: above 1 they do not fit into one. */
function weightOf({ rows, masked, bytes, memoryBytes }: Segment, { rowsMax, bytesMax, memoryBytesMax }: MergeBounds): number {
  const kept = (rows - masked.size) / rows;
  return kept * Math.max(rows / rowsMax, bytes / bytesMax, memoryBytes / memoryBytesMax);
}

function levelOf(weight: number): number {
  if (weight <= 0) return 0;
  return Math.max(0, Math.min(LEVELS, Math.floor(LEVELS + Math.log2(weight) / Math.log2(LEVEL_FACTOR))));
}

function isHoled({ rows, masked }: Segment): boolean {
  return masked.size > rows * HOLED_SHARE_MAX;
}

/** Whether every tombstone of a segment has expired: then it is written again once because of them. */
function hasExpired(segment: Segment, { extent, expiredThroughSeq }: CompactionWish): boolean {
  if (segment.tombstones - segment.maskedTombstones === 0) return false;
  return expiredThroughSeq(segment) >= (extent === 'all' ? segment.minSeq : segment.maxSeq);
}

function numbersOf(run: readonly Segment[]): MergeRun {
  return run.map(({ number }) => number);
}
