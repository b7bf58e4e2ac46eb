import type { Buffer } from 'node:buffer';
import type { CommitRows } from '../log/commit-rows.ts';
import { BatchPartitions } from './batch-partitions.ts';
import { compareKeys, KeyOrder, type PlacedKeys } from './key-order.ts';

const ROWS_FIRST = 4_096;
const PARTITIONS_FIRST = 64;
/** Bits of a row: the batch has a newer version of it, an older one. */
const HAS_NEWER = 1;
const HAS_OLDER = 2;

/** A partition that the batch writes to, and what it writes. */
export interface BatchPartition {
  readonly tableId: number;
  /** The UTF-8 at `start` of `source`. */
  readonly owner: { readonly source: Buffer; readonly start: number; readonly bytes: number };
  /** The batch's rows of the partition, in commit order. */
  readonly rows: Int32Array;
  /** The newest versions of them, in the order of their keys. */
  readonly newest: Int32Array;
}

/** How the rows of a batch came. */
export interface BatchShape {
  readonly rows: number;
  readonly partitions: number;
  /** Whether the rows of each partition came in the order of their keys, no two of one key. */
  readonly isSorted: boolean;
}

const grown = (numbers: Int32Array): Int32Array => {
  const larger = new Int32Array(2 * numbers.length);
  larger.set(numbers);
  return larger;
};

/**
 * The rows of a batch of commits, in the order of the hot tier's tables: written so, each page is touched once, and of many versions of a
 * row only the newest is written. A row takes 24 to 36 bytes here and no object.
 */
export class BatchRows {
  readonly #partitions = new BatchPartitions();
  readonly #blocks: Buffer[] = [];
  #rows = 0;
  /** Row -> its partition. */
  #partition: Int32Array = new Int32Array(ROWS_FIRST);
  /** Row -> index of its block, and where in the block it begins. */
  #places: Int32Array = new Int32Array(2 * ROWS_FIRST);
  /** Row -> where in the block its key begins, and the bytes of that. */
  #keys: Int32Array = new Int32Array(2 * ROWS_FIRST);
  /** Partition -> its rows so far, and the last of them; the count is below 0 when they did not come in the order of their keys. */
  #counts: Int32Array = new Int32Array(2 * PARTITIONS_FIRST);
  /** Row -> {@link HAS_NEWER}, {@link HAS_OLDER}; made when a row has two versions. */
  #versions: Uint8Array | undefined;
  #isSorted = true;

  get shape(): BatchShape {
    return { rows: this.#rows, partitions: this.#partitions.count, isSorted: this.#isSorted };
  }

  /** Takes all rows of the commit that `commit` was opened on, which lies in `block`; walks over it to its end. */
  add(block: Buffer, commit: CommitRows): void {
    if (this.#blocks.at(-1) !== block) this.#blocks.push(block);
    while (commit.nextPart()) {
      const partition = this.#partitions.numberOf(commit);
      while (2 * partition >= this.#counts.length) this.#counts = grown(this.#counts);
      for (let place = commit.place; commit.nextRow(); place = commit.place) this.#addRow(commit, place, partition);
    }
  }

  /** The partitions in the order of their prefixes, each with its rows in order. Nothing may be added any more. */
  arrange(): readonly BatchPartition[] {
    const { count } = this.#partitions;
    const ends = new Int32Array(count);
    for (let partition = 1; partition < count; partition += 1) ends[partition] = (ends[partition - 1] ?? 0) + this.#countOf(partition - 1);
    const all = new Int32Array(this.#rows);
    for (let row = 0; row < this.#rows; row += 1) {
      const partition = this.#partition[row] ?? 0;
      const at = ends[partition] ?? 0;
      all[at] = row;
      ends[partition] = at + 1;
    }
    const keys: PlacedKeys = { blocks: this.#blocks, places: this.#places, keys: this.#keys };
    const order = new KeyOrder(keys);
    return this.#partitions.inOrder().map((partition) => {
      const end = ends[partition] ?? 0;
      const rows = all.subarray(end - this.#countOf(partition), end);
      const isSorted = (this.#counts[2 * partition] ?? 0) > 0;
      return { ...this.#partitions.place(partition), rows, newest: isSorted ? rows : this.#newest(rows, order, keys) };
    });
  }

  /** Opens `commit` on a row. */
  open(commit: CommitRows, row: number): void {
    const source = this.#blocks[this.#places[2 * row] ?? 0];
    if (source !== undefined) commit.openRow(source, this.#places[2 * row + 1] ?? 0);
  }

  /** Whether the batch has no newer version of the row. */
  isNewest(row: number): boolean {
    return this.#versions === undefined || ((this.#versions[row] ?? 0) & HAS_NEWER) === 0;
  }

  /** Whether the batch has no older version of the row: what it replaces, if anything, was there before the batch. */
  isOldest(row: number): boolean {
    return this.#versions === undefined || ((this.#versions[row] ?? 0) & HAS_OLDER) === 0;
  }

  #countOf(partition: number): number {
    return Math.abs(this.#counts[2 * partition] ?? 0);
  }

  #newest(rows: Int32Array, order: KeyOrder, keys: PlacedKeys): Int32Array {
    const sorted = rows.slice();
    order.sort(sorted);
    let kept = 0;
    for (let index = 0; index < sorted.length; index += 1) {
      const row = sorted[index] ?? 0;
      const next = sorted[index + 1];
      if (next === undefined || compareKeys(keys, row, next, 0) !== 0) sorted[kept++] = row;
      else {
        this.#versions ??= new Uint8Array(this.#rows);
        this.#versions[row] = (this.#versions[row] ?? 0) | HAS_NEWER;
        this.#versions[next] = HAS_OLDER;
      }
    }
    return sorted.subarray(0, kept);
  }

  #addRow(commit: CommitRows, place: number, partition: number): void {
    const row = this.#rows;
    if (row === this.#partition.length) {
      this.#partition = grown(this.#partition);
      this.#places = grown(this.#places);
      this.#keys = grown(this.#keys);
    }
    this.#partition[row] = partition;
    this.#places[2 * row] = this.#blocks.length - 1;
    this.#places[2 * row + 1] = place;
    this.#keys[2 * row] = commit.keyStart;
    this.#keys[2 * row + 1] = commit.keyBytes;
    this.#rows += 1;
    const count = this.#counts[2 * partition] ?? 0;
    const isSorted = count === 0 || (count > 0 && this.#isAfter(commit, this.#counts[2 * partition + 1] ?? 0));
    if (!isSorted) this.#isSorted = false;
    this.#counts[2 * partition] = isSorted ? count + 1 : -(Math.abs(count) + 1);
    this.#counts[2 * partition + 1] = row;
  }

  /** Whether the key that `commit` stands on is above that of a row. */
  #isAfter({ source, keyStart, keyBytes }: CommitRows, last: number): boolean {
    const block = this.#blocks[this.#places[2 * last] ?? 0];
    const [start, bytes] = [this.#keys[2 * last] ?? 0, this.#keys[2 * last + 1] ?? 0];
    const shared = Math.min(keyBytes, bytes);
    for (let at = 0; at < shared; at += 1) {
      const difference = (source[keyStart + at] ?? 0) - (block?.[start + at] ?? 0);
      if (difference !== 0) return difference > 0;
    }
    return keyBytes > bytes;
  }
}
