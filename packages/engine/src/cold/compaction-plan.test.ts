import { type Manifest, noRows, type RowKey, rowPositions, type Segment } from '@kalamdb/storage';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CompactionWish, MERGE_SEGMENTS_MIN, planCompaction } from './compaction-plan.ts';

const bounds = { rowsMax: 1 << 20, bytesMax: 1 << 27, memoryBytesMax: 1 << 27 };
const wish = (extent: CompactionWish['extent'], expired = 0n): CompactionWish => ({ bounds, extent, expiredThroughSeq: () => expired });

let lastNumber = 0;

function segment(rows: number, change: Partial<Segment> = {}): Segment {
  lastNumber += 1;
  return {
    number: lastNumber,
    path: `batch-${lastNumber}.parquet`,
    schemaVersion: 1,
    rows,
    tombstones: 0,
    bytes: rows * 20,
    memoryBytes: rows * 100,
    checksum: 0,
    minSeq: BigInt(lastNumber * 10),
    maxSeq: BigInt(lastNumber * 10 + 9),
    minKey: 'a' as RowKey,
    maxKey: 'b' as RowKey,
    createdAtMillis: 0,
    stats: new Map(),
    bloom: { path: `batch-${lastNumber}.bloom`, bytes: 1, checksum: 0 },
    masked: noRows,
    maskedTombstones: 0,
    ...change,
  };
}

function manifestOf(segments: readonly Segment[]): Manifest {
  return { version: 1, flushedSeq: 0n, expiredSeq: 0n, nextNumber: lastNumber + 1, segments };
}

/** Carries a plan out on rows that nothing is deleted from; answers what was written. */
function carriedOut(
  segments: readonly Segment[],
  extent: CompactionWish['extent'],
): { readonly segments: Segment[]; readonly rows: number } {
  let written = 0;
  let result = [...segments];
  for (const run of planCompaction(manifestOf(segments), wish(extent))) {
    const inputs = result.filter(({ number }) => run.includes(number));
    const rows = inputs.reduce((sum, input) => sum + input.rows, 0);
    written += rows;
    const [first] = inputs;
    if (first === undefined) throw new Error('a run without segments');
    const output = segment(rows, { minSeq: first.minSeq, maxSeq: inputs.at(-1)?.maxSeq ?? 0n });
    result = result.flatMap((one) => (one === first ? [output] : inputs.includes(one) ? [] : [one]));
  }
  return { segments: result, rows: written };
}

describe('what pays', () => {
  it('writes a row a few times however its segments came, and leaves few segments', () => {
    const sizes = fc.array(fc.oneof(fc.constantFrom(1, 10, 10_000, 65_536), fc.integer({ min: 1, max: 65_536 })), {
      minLength: 1,
      maxLength: 120,
    });
    fc.assert(
      fc.property(sizes, (flushes) => {
        let segments: Segment[] = [];
        let [flushed, written] = [0, 0];
        for (const rows of flushes) {
          flushed += rows;
          segments.push(segment(rows));
          for (let result = carriedOut(segments, 'due'); result.rows > 0; result = carriedOut(segments, 'due')) {
            segments = result.segments;
            written += result.rows;
          }
        }
        expect(segments.reduce((sum, { rows }) => sum + rows, 0)).toBe(flushed);
        expect(written / flushed).toBeLessThan(4);
        expect(segments.length).toBeLessThan(30 + flushed / 200_000);
      }),
      { numRuns: 60 },
    );
  });

  it('writes each of 10 million rows less than twice more when they came 65,536 at a time, less than three times more at 10,000', () => {
    const amplification = (rows: number): number => {
      let segments: Segment[] = [];
      let written = 0;
      for (let flushed = 0; flushed < 10_000_000; flushed += rows) {
        segments.push(segment(rows));
        const result = carriedOut(segments, 'due');
        segments = result.segments;
        written += result.rows;
      }
      expect(segments.length).toBeLessThan(50);
      return written / 10_000_000;
    };
    expect(amplification(65_536)).toBeLessThan(2);
    expect(amplification(10_000)).toBeLessThan(3);
  });

  it('leaves large segments, and small ones that are too few', () => {
    expect(planCompaction(manifestOf([segment(600_000), segment(600_000), segment(600_000), segment(600_000)]), wish('due'))).toEqual([]);
    expect(planCompaction(manifestOf(Array.from({ length: MERGE_SEGMENTS_MIN - 1 }, () => segment(10))), wish('due'))).toEqual([]);
  });

  it('never merges what does not fit into one segment, by rows, bytes or memory', () => {
    const wide = segment(100, { bytes: 40 * 1024 * 1024 });
    const merged = planCompaction(manifestOf([wide, ...[1, 2, 3, 4, 5].map(() => segment(100, { bytes: 40 * 1024 * 1024 }))]), wish('all'));
    expect(merged.map((run) => run.length)).toEqual([3, 3]);
    const large = Array.from({ length: 4 }, () => segment(100, { memoryBytes: 60 * 1024 * 1024 }));
    expect(planCompaction(manifestOf(large), wish('all')).map((run) => run.length)).toEqual([2, 2]);
  });

  it('takes segments with many holes, and those whose tombstones have all expired', () => {
    const holed = segment(90, { masked: rowPositions(Array.from({ length: 31 }, (_, row) => row)) });
    const sound = segment(90, { masked: rowPositions([1, 2, 3]) });
    const old = segment(90, { tombstones: 2, masked: rowPositions([1]), maskedTombstones: 1 });
    const gone = segment(90, { tombstones: 1, masked: rowPositions([1]), maskedTombstones: 1 });
    const all = manifestOf([holed, sound, old, gone]);
    const alone = (expired: bigint) =>
      planCompaction({ ...all, segments: [holed, sound, segment(700_000), old, gone] }, wish('due', expired));
    expect(alone(0n)).toEqual([[holed.number]]);
    expect(alone(old.maxSeq - 1n)).toEqual([[holed.number]]);
    expect(alone(old.maxSeq)).toEqual([[holed.number], [old.number]]);
  });
});

describe('everything', () => {
  it('becomes as few segments as fit, and then there is nothing left to do', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 900_000 }), { maxLength: 20 }), (sizes) => {
        const { segments } = carriedOut(
          sizes.map((rows) => segment(rows)),
          'all',
        );
        for (const [index, { rows }] of segments.entries()) {
          const next = segments[index + 1];
          if (next !== undefined) expect(rows + next.rows).toBeGreaterThan(bounds.rowsMax);
        }
        expect(planCompaction(manifestOf(segments), wish('all'))).toEqual([]);
      }),
    );
    expect(planCompaction(manifestOf([segment(10, { masked: rowPositions([3]) })]), wish('all'))).toHaveLength(1);
  });
});
