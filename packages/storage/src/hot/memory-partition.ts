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

const sameKey = (key: RowKey): RowKey => key;
const seqOf = (row: StoredRow): bigint => row.seq;

/** The rows of one partition in memory: by key, and by `_seq`. Mutable; the store copies it before it changes one that a snapshot holds. */
export class MemoryPartition {
  readonly #rows: Map<RowKey, StoredRow>;
  readonly #keys: RowKey[];
  readonly #bySeq: StoredRow[];

  constructor(source?: MemoryPartition) {
    this.#rows = new Map(source === undefined ? [] : source.#rows);
    this.#keys = source === undefined ? [] : source.#keys.slice();
    this.#bySeq = source === undefined ? [] : source.#bySeq.slice();
  }

  get rowCount(): number {
    return this.#rows.size;
  }

  put(change: CommitRow): void {
    const { replacedSeq, ...row } = change;
    if (replacedSeq !== 0n) {
      const at = lowerBound(this.#bySeq, replacedSeq, seqOf);
      if (this.#bySeq[at]?.seq === replacedSeq) this.#bySeq.splice(at, 1);
    }
    if (!this.#rows.has(row.key)) this.#keys.splice(lowerBound(this.#keys, row.key, sameKey), 0, row.key);
    // The payload's memory belongs to the caller.
    const kept: StoredRow = { ...row, bytes: Uint8Array.from(row.bytes) };
    this.#rows.set(row.key, kept);
    this.#bySeq.splice(lowerBound(this.#bySeq, row.seq, seqOf), 0, kept);
  }

  /** Removes at most `rowsMax` rows and answers them. */
  purge(rowsMax: number): readonly StoredRow[] {
    const removed: StoredRow[] = [];
    for (const key of this.#keys.splice(0, rowsMax)) {
      const row = this.#rows.get(key);
      this.#rows.delete(key);
      if (row === undefined) continue;
      removed.push(row);
      const at = this.#bySeq.indexOf(row);
      if (at !== -1) this.#bySeq.splice(at, 1);
    }
    return removed;
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
      if (row !== undefined) yield row;
    }
  }
}
