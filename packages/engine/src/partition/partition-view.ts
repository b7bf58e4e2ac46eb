import type { Row } from '@kalamdb/protocol';
import type { HotSnapshot, KeyRange, Manifest, PartitionId, RowKey, StoredRow } from '@kalamdb/storage';
import type { RowVersion } from '../contract.ts';
import type { BegunCount } from './kept-counts.ts';
import { PartitionOverlay } from './overlay.ts';
import { type RowCache, WHOLE_PARTITION_ROWS_MAX } from './row-cache.ts';
import type { RowLayout } from './row-layout.ts';

/** Which rows of a partition a scan gives, and how. */
export interface ScanRange extends KeyRange {
  /** The reader looks at no cell (a count): rows may come with none, which spares decoding them. */
  readonly cellsUnused?: boolean | undefined;
}

/**
 * The rows of one partition at one watermark: the newest version of each key, tombstones included; of a partition with segments
 * only those that no segment holds. Valid as long as the snapshot it came from is open.
 */
export interface PartitionView {
  /** What the cold tier holds of the partition; `undefined`: nothing. */
  readonly manifest?: Manifest | undefined;
  get(key: RowKey): RowVersion | undefined;
  /** In key order. */
  scan(range?: ScanRange): Iterable<RowVersion>;
  /** Rows whose newest version is above `afterSeq`, in `_seq` order. */
  scanBySeq(afterSeq: bigint): Iterable<RowVersion>;
  /** How many rows are not deleted, wherever they lie, if that is known. */
  keptCount?(): number | undefined;
  /** Whoever is about to count them is told here whom to tell; `undefined`: nobody keeps it. */
  beginCount?(): BegunCount | undefined;
}

/** Where a {@link MergedView} reads: one hot snapshot and the overlay above it, at one watermark. */
export interface MergedSource {
  readonly layout: RowLayout;
  readonly partition: PartitionId;
  readonly hot: HotSnapshot;
  readonly overlay: PartitionOverlay | undefined;
  readonly watermark: bigint;
  /** The segments of the partition at the watermark; what they hold is passed over here. */
  readonly manifest?: Manifest | undefined;
  /** Called before each read; throws when the view must not be read any more. */
  readonly check?: (() => void) | undefined;
  /** Decoded rows kept between reads; absent where there are none, as in worker threads. */
  readonly cache?: RowCache | undefined;
  /** Whether nothing was published since the watermark: what is read then may be kept. */
  readonly isNewest?: (() => boolean) | undefined;
}

/** Decodes a stored row; its cells follow the layout's newest schema version. */
export function decodeStored(layout: RowLayout, stored: StoredRow): RowVersion {
  return {
    key: stored.key,
    seq: stored.seq,
    createdSeq: stored.createdSeq,
    deleted: stored.deleted,
    cells: layout.codec.decode(stored.bytes),
    masks: stored.masks,
  };
}

/** A row for a reader that does not look at the cells. */
function withoutCells(_layout: RowLayout, { key, seq, createdSeq, deleted, masks }: StoredRow): RowVersion {
  return { key, seq, createdSeq, deleted, cells: NO_CELLS, masks };
}

const NO_CELLS: Row = [];
const NO_OVERLAY = new PartitionOverlay();

/** The overlay's part of a scan. */
type Recent = Generator<RowVersion, undefined>;

/** Leaves out what was decoded for an older version of the table: the hot tier has it. */
function laidOutAs({ sinceSeq }: RowLayout, recent: Recent): Recent {
  return sinceSeq === 0n ? recent : newerThan(sinceSeq, recent);
}

function* newerThan(sinceSeq: bigint, recent: Recent): Recent {
  for (const version of recent) if (version.seq >= sinceSeq) yield version;
}

function* above(seq: bigint, rows: Iterable<RowVersion>): Iterable<RowVersion> {
  for (const row of rows) if (row.seq > seq) yield row;
}

const isWhole = (range: ScanRange): boolean =>
  range.from === undefined && range.before === undefined && range.reverse !== true && range.cellsUnused !== true;

/** Hot tier plus overlay. Where both have a key, the overlay's version wins: it is the same or a newer one. */
export class MergedView implements PartitionView {
  readonly manifest: Manifest | undefined;
  readonly #source: MergedSource;
  /** A segment holds what is at or below it. */
  readonly #flushedSeq: bigint;

  constructor(source: MergedSource) {
    this.#source = source;
    this.manifest = source.manifest;
    this.#flushedSeq = source.manifest?.flushedSeq ?? 0n;
  }

  keptCount(): number | undefined {
    this.#source.check?.();
    return this.#source.cache?.counts.at(this.#source.partition, this.#source.watermark);
  }

  beginCount(): BegunCount | undefined {
    const { cache, isNewest, partition, watermark } = this.#source;
    return isNewest?.() === true ? cache?.counts.begin(partition, watermark) : undefined;
  }

  get(key: RowKey): RowVersion | undefined {
    const found = this.#newest(key);
    return found === undefined || found.seq <= this.#flushedSeq ? undefined : found;
  }

  #newest(key: RowKey): RowVersion | undefined {
    this.#source.check?.();
    const { layout, partition, hot, overlay, watermark } = this.#source;
    const recent = overlay?.at(key, watermark);
    if (recent !== undefined && recent.seq >= layout.sinceSeq) return recent;
    const { cache, isNewest } = this.#source;
    const cached = cache?.get(partition, key, watermark);
    if (cached !== undefined) return cached === 'absent' ? undefined : cached;
    const stored = hot.get(partition, key);
    if (stored === undefined) return undefined;
    const row = decodeStored(layout, stored);
    if (row.seq > this.#flushedSeq && isNewest?.() === true) cache?.put(partition, row, watermark);
    return row;
  }

  *scan(range: ScanRange = {}): Iterable<RowVersion> {
    this.#source.check?.();
    const { cache, partition, watermark } = this.#source;
    const cached = cache?.scan(partition, range, watermark);
    if (cached !== undefined) yield* cached;
    else if (cache !== undefined && isWhole(range)) yield* this.#keeping(this.#scanStored(range), cache);
    else yield* this.#scanStored(range);
  }

  /** Gives the rows of a whole scan on and keeps them, if the partition is small enough and nothing is published meanwhile. */
  *#keeping(rows: Iterable<RowVersion>, cache: RowCache): Iterable<RowVersion> {
    const { partition, watermark, isNewest } = this.#source;
    let kept: RowVersion[] | undefined = [];
    for (const row of rows) {
      yield row;
      if (kept === undefined) continue;
      kept.push(row);
      if (kept.length > WHOLE_PARTITION_ROWS_MAX) kept = undefined;
    }
    if (kept !== undefined && isNewest?.() === true) cache.putWhole(partition, kept, watermark);
  }

  #scanStored(range: ScanRange): Iterable<RowVersion> {
    const rows = this.#scanMerged(range);
    return this.#flushedSeq === 0n ? rows : above(this.#flushedSeq, rows);
  }

  *#scanMerged(range: ScanRange): Iterable<RowVersion> {
    const { layout, partition, hot, overlay, watermark } = this.#source;
    const stored = hot.scan(partition, range);
    if (overlay !== undefined && !overlay.isEmpty) {
      yield* this.#merge(stored, laidOutAs(layout, overlay.inKeyOrder(range, watermark)), range);
      return;
    }
    const decode = range.cellsUnused === true ? withoutCells : decodeStored;
    for (const row of stored) yield decode(layout, row);
  }

  *scanBySeq(after: bigint): Iterable<RowVersion> {
    this.#source.check?.();
    const afterSeq = after > this.#flushedSeq ? after : this.#flushedSeq;
    const { layout, partition, hot, overlay, watermark } = this.#source;
    const recent = laidOutAs(layout, (overlay ?? NO_OVERLAY).above(afterSeq, watermark));
    let next = recent.next().value;
    for (const stored of hot.scanBySeq(partition, afterSeq)) {
      // A version that the hot view holds too may leave the overlay at any time: it is given from there, and only newer ones from here.
      if ((overlay?.at(stored.key, watermark)?.seq ?? 0n) > stored.seq) continue;
      for (; next !== undefined && next.seq < stored.seq; next = recent.next().value) yield next;
      if (next?.seq === stored.seq) next = recent.next().value;
      yield decodeStored(layout, stored);
    }
    for (; next !== undefined; next = recent.next().value) yield next;
  }

  *#merge(stored: Iterable<StoredRow>, recent: Recent, { reverse, cellsUnused }: ScanRange): Iterable<RowVersion> {
    const { layout } = this.#source;
    const decode = cellsUnused === true ? withoutCells : decodeStored;
    let next = recent.next().value;
    for (const row of stored) {
      while (next !== undefined && (reverse === true ? next.key > row.key : next.key < row.key)) {
        yield next;
        next = recent.next().value;
      }
      if (next !== undefined && next.key === row.key) continue;
      yield decode(layout, row);
    }
    for (; next !== undefined; next = recent.next().value) yield next;
  }
}
