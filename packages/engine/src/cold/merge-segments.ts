import {
  type ColdRow,
  decodePositions,
  type HotReader,
  type OpenDuckDb,
  type RowPositions,
  type Segment,
  SegmentReader,
  type SegmentRow,
  SegmentWriter,
  systemFiles,
  withRows,
} from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import type { CompactOrder, MergedSegment, MergedSegments } from './cold-messages.ts';
import { readHot } from './disk-failure.ts';
import { type SegmentRows, scanRows } from './segment-merge.ts';

/** What a merge works with. */
export interface MergeSources {
  readonly hot: HotReader;
  readonly table: Table;
  /** Memory of DuckDB, for errors. */
  readonly memoryBytesMax: number;
  /** DuckDB for the files of a folder. */
  instance(folder: string): Promise<OpenDuckDb>;
}

/** What a merge has come to so far. */
interface Progress {
  rows: number;
  expired: number;
  expiredSeq: bigint;
}

/**
 * Writes the rows of several segments that neither the manifest nor the hot tier masks into one, in the newest version of the table, but
 * for tombstones that have expired. Holds a batch of each segment; DuckDB holds what is written.
 */
export async function mergeSegments(sources: MergeSources, order: CompactOrder): Promise<MergedSegments> {
  const { table } = sources;
  const { directory, number, createdAtMillis, root, segments } = order;
  const masks = readHot(order, () => hotMasks(sources.hot, order));
  const progress: Progress = { rows: 0, expired: 0, expiredSeq: 0n };
  const layout = table.segmentLayout(table.version);
  const writer = await SegmentWriter.open(await sources.instance(root), { files: systemFiles, directory, number, layout, createdAtMillis });
  const tombstones = new Uint8Array((segments.reduce((sum, { segment }) => sum + segment.rows, 0) + 7) >>> 3);
  try {
    const open = (input: MergedSegment): Promise<SegmentRows<SegmentRow | undefined>> => openRows(sources, { input, masks, progress });
    for await (const batch of scanRows(segments, {}, open)) {
      const kept = batch.filter((row) => row !== undefined);
      for (const [index, { deleted }] of kept.entries()) if (deleted) setBit(tombstones, writer.rows + index);
      writer.add(kept);
    }
    if (writer.rows === 0) {
      await writer.discard();
      return { merged: undefined, ...progress };
    }
    const { segment, keys, path, bloomPath } = await writer.finish();
    const { masked: _, ...sent } = segment;
    const used = tombstones.slice(0, (segment.rows + 7) >>> 3);
    return { merged: { segment: sent, keys: keys.image, tombstones: used, path, bloomPath }, ...progress };
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

/** The rows of each segment that versions of the hot tier have taken the place of. */
function hotMasks(hot: HotReader, { partition, flushedSeq, segments }: CompactOrder): ReadonlyMap<number, readonly number[]> {
  const masks = new Map<number, number[]>(segments.map(({ segment }) => [segment.number, []]));
  const snapshot = hot.snapshot();
  try {
    for (const { masks: mask } of snapshot.scanBySeq(partition, flushedSeq)) {
      if (mask !== undefined) masks.get(mask.segment)?.push(mask.row);
    }
  } finally {
    snapshot.close();
  }
  return masks;
}

interface OneInput {
  readonly input: MergedSegment;
  readonly masks: ReadonlyMap<number, readonly number[]>;
  readonly progress: Progress;
}

async function openRows(
  { table, instance, memoryBytesMax }: MergeSources,
  { input, masks, progress }: OneInput,
): Promise<SegmentRows<SegmentRow | undefined>> {
  const { path, root, expiredThroughSeq } = input;
  const reader = new SegmentReader(await instance(root), { memoryBytesMax });
  const { number, rows, schemaVersion } = input.segment;
  const before: RowPositions = decodePositions(input.masked, rows, `the masks of segment ${number}`);
  const masked = withRows(before, masks.get(number) ?? []);
  const segment: Segment = { ...input.segment, stats: new Map(), masked, maskedTombstones: 0 };
  const made = (row: ColdRow): SegmentRow | undefined => {
    progress.rows += 1;
    if (row.deleted && row.seq <= expiredThroughSeq) {
      progress.expired += 1;
      if (row.seq > progress.expiredSeq) progress.expiredSeq = row.seq;
      return undefined;
    }
    return { ...row, cells: table.upgraded(schemaVersion, row.cells) };
  };
  // The main thread holds the file.
  const file = { path, close: () => undefined };
  return { batches: reader.scan(file, segment, table.segmentLayout(schemaVersion)), made };
}

function setBit(bits: Uint8Array, index: number): void {
  bits[index >>> 3] = (bits[index >>> 3] ?? 0) | (1 << (index & 7));
}
