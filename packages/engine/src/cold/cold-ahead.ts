import type { Manifest, PartitionId } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import type { RowVersion } from '../contract.ts';
import type { PartitionView } from '../partition/partition-view.ts';
import type { SnapshotSource } from '../partition/snapshot.ts';
import type { ColdReader } from './cold-reader.ts';

/** Cold rows that are read before they are looked at. */
const AHEAD_ROWS = 1000;

/** What a {@link ColdAhead} works with. */
export interface ColdAheadSources {
  readonly reader: Pick<ColdReader, 'scan'>;
  readonly snapshots: Pick<SnapshotSource, 'open'>;
  readonly table: Table;
  readonly partition: PartitionId;
}

/** Cold rows in `_seq` order, of one version of the manifest. */
interface Stretch {
  readonly afterSeq: bigint;
  readonly rows: readonly RowVersion[];
  /** Everything above `afterSeq` and up to here that segments held is among the rows. */
  readonly throughSeq: bigint;
}

/**
 * The rows of a partition in `_seq` order for a reader that takes a new snapshot for each slice of its work: the cold ones are read ahead,
 * and in the slice it turns out which of them are still the newest. Whoever makes one closes it.
 */
export class ColdAhead {
  readonly #sources: ColdAheadSources;
  #scan: { readonly rows: AsyncIterator<readonly RowVersion[]>; readonly manifest: Manifest } | undefined;
  #stretch: Stretch | undefined;
  #closed = false;

  constructor(sources: ColdAheadSources) {
    this.#sources = sources;
  }

  /** Reads what comes after `afterSeq`; `undefined` when nothing has to be read. */
  read(afterSeq: bigint): Promise<void> | undefined {
    const stretch = this.#stretch;
    if (stretch !== undefined && afterSeq >= stretch.afterSeq && afterSeq < stretch.throughSeq) return undefined;
    const { snapshots, partition } = this.#sources;
    const snapshot = snapshots.open();
    let reading: Promise<void> | undefined;
    try {
      const manifest = snapshot.manifest(partition);
      // Until the first rows are there, and the files open, the snapshot keeps them.
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
      if (stretch === undefined || afterSeq < stretch.afterSeq || afterSeq >= stretch.throughSeq) return afterSeq;
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
    this.#stretch = undefined;
    return throughSeq;
  }

  async #readOn(manifest: Manifest, afterSeq: bigint): Promise<void> {
    const { reader, table, partition } = this.#sources;
    if (this.#scan === undefined || this.#stretch?.throughSeq !== afterSeq) {
      this.#end();
      const rows = reader.scan({ table, partition, manifest }, { afterSeq, order: 'seq' })[Symbol.asyncIterator]();
      this.#scan = { rows, manifest };
    }
    const scan = this.#scan;
    // Until there are rows: nobody goes on with one that has failed, which would seem to have come to its end.
    this.#scan = undefined;
    const found: RowVersion[] = [];
    let throughSeq = scan.manifest.flushedSeq;
    let isEnd = false;
    while (!isEnd && found.length < AHEAD_ROWS) {
      const step = await scan.rows.next();
      isEnd = step.done === true;
      if (step.done === true) throughSeq = scan.manifest.flushedSeq;
      else {
        for (const row of step.value) found.push(row);
        throughSeq = found.at(-1)?.seq ?? throughSeq;
      }
    }
    if (!isEnd) this.#scan = scan;
    this.#stretch = { afterSeq, rows: found, throughSeq };
    if (this.#closed) this.#end();
  }

  #end(): void {
    const scan = this.#scan;
    this.#scan = undefined;
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
