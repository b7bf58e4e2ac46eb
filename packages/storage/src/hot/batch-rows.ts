import type { Buffer } from 'node:buffer';
import { checksumOfBytes } from '../log/checksum.ts';
import type { CommitRows } from '../log/commit-rows.ts';

const ROWS_FIRST = 4_096;
/** No further row, or no further partition. */
const NONE = -1;

/** A partition that the batch writes to. Its owner is the UTF-8 at `ownerStart` of `source`. */
export interface BatchPartition {
  readonly tableId: number;
  readonly source: Buffer;
  readonly ownerStart: number;
  readonly ownerBytes: number;
}

interface PartitionRows extends BatchPartition {
  readonly first: number;
  last: number;
  /** Another partition with the same checksum. */
  readonly twin: number;
}

const grown = (numbers: Int32Array): Int32Array => {
  const larger = new Int32Array(2 * numbers.length);
  larger.set(numbers);
  return larger;
};

/**
 * The rows of a batch of commits, by partition: within one in commit order. Written in this order they come to pages that lie
 * close to each other; in the order of the commits each row of another partition comes to another page. A row takes twelve bytes
 * here and no object.
 */
export class BatchRows {
  readonly #partitions: PartitionRows[] = [];
  readonly #byChecksum = new Map<number, number>();
  readonly #blocks: Buffer[] = [];
  #rows = 0;
  #block: Int32Array = new Int32Array(ROWS_FIRST);
  #place: Int32Array = new Int32Array(ROWS_FIRST);
  #next: Int32Array = new Int32Array(ROWS_FIRST);
  /** The partition of the part before: commits that follow one another often write to the same. */
  #current = NONE;

  /** Takes all rows of the commit that `commit` was opened on, which lies in `block`; walks over it to its end. */
  add(block: Buffer, commit: CommitRows): void {
    if (this.#blocks.at(-1) !== block) this.#blocks.push(block);
    while (commit.nextPart()) {
      for (let place = commit.place; commit.nextRow(); place = commit.place) this.#addRow(commit, place);
    }
  }

  /** The partitions, each with its rows. */
  get partitions(): readonly BatchPartition[] {
    return this.#partitions;
  }

  /** Calls `visit` for each row of the partition, having opened `row` on it. */
  each(partition: BatchPartition, row: CommitRows, visit: (row: CommitRows) => void): void {
    const { first } = partition as PartitionRows;
    for (let at = first; at !== NONE; at = this.#next[at] ?? NONE) {
      const source = this.#blocks[this.#block[at] ?? 0];
      if (source !== undefined) row.openRow(source, this.#place[at] ?? 0);
      visit(row);
    }
  }

  #addRow(commit: CommitRows, place: number): void {
    const at = this.#rows;
    this.#rows += 1;
    if (at === this.#place.length) {
      this.#block = grown(this.#block);
      this.#place = grown(this.#place);
      this.#next = grown(this.#next);
    }
    this.#block[at] = this.#blocks.length - 1;
    this.#place[at] = place;
    this.#next[at] = NONE;
    const known = this.#find(commit);
    if (known === undefined) this.#begin(commit, at);
    else {
      this.#next[known.last] = at;
      known.last = at;
    }
  }

  /** The partition of the part that `commit` stands in, if it has rows here. */
  #find(commit: CommitRows): PartitionRows | undefined {
    let index = this.#current;
    if (!this.#isOf(index, commit)) index = this.#byChecksum.get(checksumOfPartition(commit)) ?? NONE;
    while (index !== NONE && !this.#isOf(index, commit)) index = this.#partitions[index]?.twin ?? NONE;
    if (index !== NONE) this.#current = index;
    return this.#partitions[index];
  }

  #begin(commit: CommitRows, at: number): void {
    const { tableId, source, ownerStart, ownerBytes } = commit;
    const checksum = checksumOfPartition(commit);
    this.#current = this.#partitions.length;
    this.#partitions.push({ tableId, source, ownerStart, ownerBytes, first: at, last: at, twin: this.#byChecksum.get(checksum) ?? NONE });
    this.#byChecksum.set(checksum, this.#current);
  }

  #isOf(index: number, { tableId, source, ownerStart, ownerBytes }: CommitRows): boolean {
    const partition = this.#partitions[index];
    if (partition === undefined || partition.tableId !== tableId || partition.ownerBytes !== ownerBytes) return false;
    for (let at = 0; at < ownerBytes; at += 1) {
      if (partition.source[partition.ownerStart + at] !== source[ownerStart + at]) return false;
    }
    return true;
  }
}

const checksumOfPartition = ({ tableId, source, ownerStart, ownerBytes }: CommitRows): number =>
  checksumOfBytes(source, ownerStart, ownerStart + ownerBytes, tableId);
