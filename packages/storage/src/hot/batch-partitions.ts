import { Buffer } from 'node:buffer';
import { checksumOfBytes } from '../log/checksum.ts';
import type { CommitRows } from '../log/commit-rows.ts';
import { copyBytes } from './partition-key.ts';

const PARTITIONS_FIRST = 64;
const OWNER_BYTES_FIRST = 1_024;
const NONE = -1;

const grown = (numbers: Int32Array): Int32Array => {
  const larger = new Int32Array(2 * numbers.length);
  larger.set(numbers);
  return larger;
};

/**
 * Numbers the partitions of a batch in the order in which they come. Everything that is asked for each row lies close together: with many
 * partitions it is waiting for memory that costs time.
 */
export class BatchPartitions {
  #count = 0;
  #tableIds: Int32Array = new Int32Array(PARTITIONS_FIRST);
  #checksums: Int32Array = new Int32Array(PARTITIONS_FIRST);
  /** Partition -> where its owner ends in {@link #owners}; it begins where the one before ends. */
  #ownerEnds: Int32Array = new Int32Array(PARTITIONS_FIRST);
  #owners: Buffer = Buffer.alloc(OWNER_BYTES_FIRST);
  /** Slots by checksum, at least twice as many as partitions: a partition, or none; who finds another one's goes on to the next. */
  #slots: Int32Array = new Int32Array(2 * PARTITIONS_FIRST).fill(NONE);
  /** The partition that was asked for before: commits that follow one another often write to the same. */
  #current = NONE;

  get count(): number {
    return this.#count;
  }

  /** The number of the partition of the part that `commit` stands in. */
  numberOf(commit: CommitRows): number {
    if (this.#current !== NONE && this.#isOf(this.#current, commit)) return this.#current;
    const { source, tableId, ownerStart, ownerBytes } = commit;
    const checksum = checksumOfBytes(source, ownerStart, ownerStart + ownerBytes, tableId);
    let slot = this.#slotOf(checksum);
    for (let found = this.#slots[slot] ?? NONE; found !== NONE; found = this.#slots[slot] ?? NONE) {
      this.#current = found;
      if (this.#checksums[found] === checksum && this.#isOf(found, commit)) return found;
      slot = (slot + 1) & (this.#slots.length - 1);
    }
    this.#current = this.#add(commit, checksum);
    return this.#current;
  }

  /** Table and owner of a partition; the owner is the UTF-8 at `start` of `source`. */
  place(partition: number): { readonly tableId: number; readonly owner: { source: Buffer; start: number; bytes: number } } {
    const start = this.#ownerStart(partition);
    const bytes = (this.#ownerEnds[partition] ?? 0) - start;
    return { tableId: (this.#tableIds[partition] ?? 0) >>> 0, owner: { source: this.#owners, start, bytes } };
  }

  /** The numbers of all partitions in the order of their prefixes. */
  inOrder(): readonly number[] {
    const numbers = Array.from({ length: this.#count }, (_, partition) => partition);
    return numbers.sort((a, b) => this.#compare(a, b));
  }

  #compare(a: number, b: number): number {
    const difference = ((this.#tableIds[a] ?? 0) >>> 0) - ((this.#tableIds[b] ?? 0) >>> 0);
    if (difference !== 0) return difference;
    const [aEnd, bEnd] = [this.#ownerEnds[a] ?? 0, this.#ownerEnds[b] ?? 0];
    return this.#owners.compare(this.#owners, this.#ownerStart(b), bEnd, this.#ownerStart(a), aEnd);
  }

  #ownerStart(partition: number): number {
    return partition === 0 ? 0 : (this.#ownerEnds[partition - 1] ?? 0);
  }

  #slotOf(checksum: number): number {
    return checksum & (this.#slots.length - 1);
  }

  #isOf(partition: number, { tableId, source, ownerStart, ownerBytes }: CommitRows): boolean {
    const start = this.#ownerStart(partition);
    if ((this.#tableIds[partition] ?? 0) !== (tableId | 0) || (this.#ownerEnds[partition] ?? 0) - start !== ownerBytes) return false;
    for (let at = 0; at < ownerBytes; at += 1) if (this.#owners[start + at] !== source[ownerStart + at]) return false;
    return true;
  }

  #add({ tableId, source, ownerStart, ownerBytes }: CommitRows, checksum: number): number {
    const partition = this.#count;
    this.#count += 1;
    if (partition === this.#tableIds.length) this.#grow();
    const start = this.#ownerStart(partition);
    if (start + ownerBytes > this.#owners.length) this.#owners = Buffer.concat([this.#owners], 2 * this.#owners.length + ownerBytes);
    copyBytes(source, ownerStart, { target: this.#owners, at: start, bytes: ownerBytes });
    this.#ownerEnds[partition] = start + ownerBytes;
    this.#tableIds[partition] = tableId;
    this.#checksums[partition] = checksum;
    this.#fill(partition);
    return partition;
  }

  #fill(partition: number): void {
    let slot = this.#slotOf(this.#checksums[partition] ?? 0);
    while ((this.#slots[slot] ?? NONE) !== NONE) slot = (slot + 1) & (this.#slots.length - 1);
    this.#slots[slot] = partition;
  }

  #grow(): void {
    this.#tableIds = grown(this.#tableIds);
    this.#checksums = grown(this.#checksums);
    this.#ownerEnds = grown(this.#ownerEnds);
    this.#slots = new Int32Array(2 * this.#tableIds.length).fill(NONE);
    for (let partition = 0; partition < this.#count - 1; partition += 1) this.#fill(partition);
  }
}
