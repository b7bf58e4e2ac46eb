import type { ChangeSet } from '../contract.ts';

/** Approximate heap weight of the ChangeSets kept for exact replay. */
export const TAIL_BYTES_MAX: number = 64 * 1024 * 1024;

/** What lies in a slot that was dropped: its commit may have held many rows. */
const DROPPED: ChangeSet = { seq: 0n, parts: [], bytes: 0 };

/** The newest ChangeSets in commit order, under a byte bound. */
export class Tail {
  readonly #bytesMax: number;
  #changes: ChangeSet[] = [];
  /** Index of the oldest one that is still kept; the slots before it are dropped in bulk. */
  #head = 0;
  #bytes = 0;
  /** Everything above this name is here. */
  #floor: bigint;

  constructor(floor: bigint, bytesMax: number = TAIL_BYTES_MAX) {
    this.#floor = floor;
    this.#bytesMax = bytesMax;
  }

  /** Heap weight of what is kept. */
  get bytes(): number {
    return this.#bytes;
  }

  push(change: ChangeSet): void {
    this.#changes.push(change);
    this.#bytes += change.bytes;
    while (this.#bytes > this.#bytesMax) this.#dropOldest();
    if (this.#head > 1024 && this.#head * 2 > this.#changes.length) {
      this.#changes = this.#changes.slice(this.#head);
      this.#head = 0;
    }
  }

  /** The commits above `afterSeq`, oldest first, all or at most so many; `undefined` when some of them are not kept any more. */
  after(afterSeq: bigint, commitsMax: number = Number.POSITIVE_INFINITY): readonly ChangeSet[] | undefined {
    if (afterSeq < this.#floor) return undefined;
    let low = this.#head;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#changes[middle]?.seq ?? 0n) > afterSeq) high = middle;
      else low = middle + 1;
    }
    return this.#changes.slice(low, low + commitsMax);
  }

  #dropOldest(): void {
    const oldest = this.#changes[this.#head];
    if (oldest === undefined) return;
    this.#changes[this.#head++] = DROPPED;
    this.#bytes -= oldest.bytes;
    this.#floor = oldest.seq;
  }
}
