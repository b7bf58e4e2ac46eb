import type { KeyRange, Manifest, RowKey } from '@kalamdb/storage';
import type { RowVersion } from '../contract.ts';
import type { PartitionView } from '../partition/partition-view.ts';
import type { OwnPartition } from './own-writes.ts';

/**
 * A partition as a transaction sees it: its snapshot with its own writes on top. An own version replaces the snapshot's,
 * and its provisional `_seq` is above every one of the snapshot.
 */
export class OwnView implements PartitionView {
  readonly manifest: Manifest | undefined;
  readonly #snapshot: PartitionView;
  readonly #own: OwnPartition;

  constructor(snapshot: PartitionView, own: OwnPartition) {
    this.manifest = snapshot.manifest;
    this.#snapshot = snapshot;
    this.#own = own;
  }

  get(key: RowKey): RowVersion | undefined {
    return this.#own.get(key)?.version ?? this.#snapshot.get(key);
  }

  *scan(range: KeyRange = {}): Iterable<RowVersion> {
    const own = this.#own.inKeyOrder(range);
    const reverse = range.reverse === true;
    let next = own.next().value;
    for (const row of this.#snapshot.scan(range)) {
      while (next !== undefined && (reverse ? next.key > row.key : next.key < row.key)) {
        yield next;
        next = own.next().value;
      }
      if (next?.key !== row.key) yield row;
    }
    for (; next !== undefined; next = own.next().value) yield next;
  }

  *scanBySeq(afterSeq: bigint): Iterable<RowVersion> {
    for (const row of this.#snapshot.scanBySeq(afterSeq)) if (!this.#own.has(row.key)) yield row;
    const own = [...this.#own.values()].map(({ version }) => version).filter(({ seq }) => seq > afterSeq);
    yield* own.sort((a, b) => (a.seq < b.seq ? -1 : 1));
  }
}
