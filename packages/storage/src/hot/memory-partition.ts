import type { CommitRow, KeyRange, RowKey, StoredRow } from '../contract.ts';

/** First index in `items` whose value is not below `wanted`. */
const lowerBound = <T, V>(items: readonly T[], wanted: V, orderOf: (item: T) => V): number => {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const item = items[middle];
    if (item !== undefined && orderOf(item) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
};

/** Rows that may be gone and still stand in the order by `_seq`, beside as many as are there. */
const STALE_MAX = 1024;

const sameKey = (key: RowKey): RowKey => key;
const seqOf = (row: StoredRow): bigint => row.seq;

/** The rows of one partition in memory: by key, and by `_seq`. Mutable; the store copies it before it changes one that a snapshot holds. */
export class MemoryPartition {
  readonly #rows: Map<RowKey, StoredRow>;
  readonly #keys: RowKey[];
  /** In `_seq` order; rows that were replaced or removed stay until they are half of it, because taking one out moves all behind it. */
  #bySeq: StoredRow[];

  constructor(source?: MemoryPartition) {
    this.#rows = new Map(source === undefined ? [] : source.#rows);
    this.#keys = source === undefined ? [] : source.#keys.slice();
    this.#bySeq = source === undefined ? [] : source.#bySeq.slice();
  }

  get rowCount(): number {
    return this.#rows.size;
  }

  put(change: CommitRow): void {
    const { replacedSeq: _, ...row } = change;
    if (!this.#rows.has(row.key)) this.#keys.splice(lowerBound(this.#keys, row.key, sameKey), 0, row.key);
    // The payload's memory belongs to the caller.
    const kept: StoredRow = { ...row, bytes: Uint8Array.from(row.bytes) };
    this.#rows.set(row.key, kept);
    this.#bySeq.splice(lowerBound(this.#bySeq, row.seq, seqOf), 0, kept);
    this.#tidy();
  }

  /** Removes at most `rowsMax` rows and answers them. */
  purge(rowsMax: number): readonly StoredRow[] {
    const removed: StoredRow[] = [];
    for (const key of this.#keys.splice(0, rowsMax)) {
      const row = this.#rows.get(key);
      this.#rows.delete(key);
      if (row === undefined) continue;
      removed.push(row);
    }
    this.#tidy();
    return removed;
  }

  /** Removes at most `rowsMax` rows with a `_seq` at or below `throughSeq` and answers them. */
  purgeThrough(throughSeq: bigint, rowsMax: number): readonly StoredRow[] {
    const removed: StoredRow[] = [];
    for (const row of this.scanBySeq(0n)) {
      if (row.seq > throughSeq || removed.length === rowsMax) break;
      removed.push(row);
    }
    for (const row of removed) this.remove(row);
    return removed;
  }

  /** Removes a row that is there. */
  remove({ key }: StoredRow): void {
    this.#rows.delete(key);
    this.#keys.splice(lowerBound(this.#keys, key, sameKey), 1);
    this.#tidy();
  }

  get(key: RowKey): StoredRow | undefined {
    return this.#rows.get(key);
  }

  *scan(range: KeyRange): IterableIterator<StoredRow> {
    const first = range.from === undefined ? 0 : lowerBound(this.#keys, range.from, sameKey);
    const end = range.before === undefined ? this.#keys.length : lowerBound(this.#keys, range.before, sameKey);
    for (let step = 0; step < end - first; step += 1) {
      const key = this.#keys[range.reverse === true ? end - 1 - step : first + step];
      const row = key === undefined ? undefined : this.#rows.get(key);
      if (row !== undefined) yield row;
    }
  }

  *scanBySeq(afterSeq: bigint): IterableIterator<StoredRow> {
    for (let at = lowerBound(this.#bySeq, afterSeq + 1n, seqOf); at < this.#bySeq.length; at += 1) {
      const row = this.#bySeq[at];
      if (row !== undefined && this.#rows.get(row.key) === row) yield row;
    }
  }

  #tidy(): void {
    if (this.#bySeq.length > 2 * this.#rows.size + STALE_MAX) this.#bySeq = [...this.scanBySeq(0n)];
  }
}
