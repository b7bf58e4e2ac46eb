import type { Manifest, PartitionId } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import type { RowVersion } from '../contract.ts';
import type { PartitionView } from '../partition/partition-view.ts';
import type { SnapshotSource } from '../partition/snapshot.ts';
import type { ColdReader } from './cold-reader.ts';
import { continues, type RecentStretches, type Stretch } from './recent-stretches.ts';

/** Cold rows that are read before they are looked at. */
const AHEAD_ROWS = 1000;

/** What a {@link ColdAhead} works with. */
export interface ColdAheadSources {
  readonly reader: Pick<ColdReader, 'scan'>;
  readonly snapshots: Pick<SnapshotSource, 'open' | 'keepFiles'>;
  readonly table: Table;
  readonly partition: PartitionId;
  /** What all readers have read last. */
  readonly recent: RecentStretches;
}

interface RunningScan {
  readonly rows: AsyncIterator<readonly RowVersion[]>;
  readonly manifest: Manifest;
  /** Its files need not be kept any more. */
  readonly release: () => void;
}

/**
 * The rows of a partition in `_seq` order for a reader that takes a new snapshot for each slice of its work: the cold ones are read ahead,
 * and in the slice it turns out which of them are still the newest. Whoever makes one closes it.
 */
export class ColdAhead {
  readonly #sources: ColdAheadSources;
  #scan: RunningScan | undefined;
  #stretch: Stretch | undefined;
  #closed = false;

  constructor(sources: ColdAheadSources) {
    this.#sources = sources;
  }

  /** Reads what comes after `afterSeq`; `undefined` when nothing has to be read. */
  read(afterSeq: bigint): Promise<void> | undefined {
    if (this.#stretch !== undefined && continues(this.#stretch, afterSeq)) return undefined;
    const { snapshots, partition, recent } = this.#sources;
    // One who reads on by itself has the scan that its rows came from.
    if (this.#scan === undefined) {
      this.#stretch = recent.find(this.#sources, afterSeq);
      if (this.#stretch !== undefined) return undefined;
    }
    const snapshot = snapshots.open();
    let reading: Promise<void> | undefined;
    try {
      const manifest = snapshot.manifest(partition);
      // Until the first rows are there the snapshot keeps what they are read from.
      if (manifest !== undefined && manifest.flushedSeq > afterSeq)
        reading = this.#readOn(manifest, afterSeq).finally(() => snapshot.close());
      return reading;
    } finally {
      if (reading === undefined) snapshot.close();
    }
  }

  /**
   * In a slice: the rows above `afterSeq` that are the newest of their keys at the view's watermark, the cold ones as far as they were read
   * ahead. Returns up to where that was when there is more.
   */
  *rows(view: PartitionView, afterSeq: bigint): Generator<RowVersion, bigint | undefined> {
    const { manifest } = view;
    if (manifest !== undefined && afterSeq < manifest.flushedSeq) {
      const stretch = this.#stretch;
      if (stretch === undefined || !continues(stretch, afterSeq)) return afterSeq;
      const newest = new NewestRows(view, manifest);
      let throughSeq = afterSeq;
      for (const row of stretch.rows) {
        if (row.seq <= afterSeq) continue;
        const isNewest = newest.has(row);
        if (isNewest === undefined) return this.#forget(throughSeq);
        throughSeq = row.seq;
        if (isNewest) yield row;
      }
      if (stretch.throughSeq < manifest.flushedSeq) return stretch.throughSeq;
    }
    yield* view.scanBySeq(afterSeq);
    return undefined;
  }

  close(): void {
    this.#closed = true;
    this.#end();
  }

  /** A segment that was read is not there any more: it goes on behind the last row with those there are. */
  #forget(throughSeq: bigint): bigint {
    this.#end();
    if (this.#stretch !== undefined) this.#sources.recent.drop(this.#stretch);
    this.#stretch = undefined;
    return throughSeq;
  }

  async #readOn(manifest: Manifest, afterSeq: bigint): Promise<void> {
    const { reader, table, partition, snapshots } = this.#sources;
    if (this.#scan === undefined || this.#stretch?.throughSeq !== afterSeq) {
      this.#end();
      const rows = reader.scan({ table, partition, manifest }, { afterSeq, order: 'seq' })[Symbol.asyncIterator]();
      // It opens its files one after another, long after this snapshot.
      this.#scan = { rows, manifest, release: snapshots.keepFiles() };
    }
    const scan = this.#scan;
    // Until there are rows: nobody goes on with one that has failed, which would seem to have come to its end.
    this.#scan = undefined;
    const found: RowVersion[] = [];
    let throughSeq = scan.manifest.flushedSeq;
    let isEnd = false;
    try {
      while (!isEnd && found.length < AHEAD_ROWS) {
        const step = await scan.rows.next();
        isEnd = step.done === true;
        if (step.done === true) throughSeq = scan.manifest.flushedSeq;
        else {
          for (const row of step.value) found.push(row);
          throughSeq = found.at(-1)?.seq ?? throughSeq;
        }
      }
    } catch (error) {
      scan.release();
      throw error;
    }
    if (isEnd) scan.release();
    else this.#scan = scan;
    this.#stretch = { afterSeq, rows: found, throughSeq };
    this.#sources.recent.put({ table, partition }, this.#stretch);
    if (this.#closed) this.#end();
  }

  #end(): void {
    const scan = this.#scan;
    this.#scan = undefined;
    scan?.release();
    // Whoever reads has what it wanted: how the end goes is nobody's business.
    void scan?.rows.return?.()?.catch(() => undefined);
  }
}

/** Which cold rows are the newest of their keys at a watermark. */
class NewestRows {
  readonly #view: PartitionView;
  readonly #segments: ReadonlyMap<number, Manifest['segments'][number]>;

  constructor(view: PartitionView, { segments }: Manifest) {
    this.#view = view;
    this.#segments = new Map(segments.map((segment) => [segment.number, segment]));
  }

  /** `undefined` when the row's segment is not there any more. */
  has({ key, masks }: RowVersion): boolean | undefined {
    const segment = masks === undefined ? undefined : this.#segments.get(masks.segment);
    if (masks === undefined || segment === undefined) return undefined;
    return !segment.masked.has(masks.row) && this.#view.get(key) === undefined;
  }
}
