import type { Cells } from './row-filter.ts';

/** One version of one row, as its writer read it back. */
export interface Version {
  readonly key: string;
  /** Its place in the order of commits. */
  readonly seq: bigint;
  readonly deleted: boolean;
  /** Empty when deleted. */
  readonly cells: Cells;
  /** The version of the same row before it. */
  readonly previous: Version | undefined;
  /** The number of its commit; `undefined` when it was read back later. */
  readonly commit: number | undefined;
  /** When its statement was sent. */
  readonly sentAt: number;
}

/**
 * The commit order of one partition, as slowly and plainly as can be: every version that its writers have read back. A row has one
 * writer, so that its versions come in their order; those of different writers are sorted by `_seq`.
 */
export class History {
  readonly #versions: Version[] = [];
  readonly #bySeq = new Map<bigint, Version>();
  readonly #newest = new Map<string, Version>();
  readonly #gone = new Set<bigint>();

  /** In the order of commits. */
  get versions(): readonly Version[] {
    return this.#versions;
  }

  /** The highest `_seq` that a writer has been told. */
  get seq(): bigint {
    return this.#versions.at(-1)?.seq ?? 0n;
  }

  at(seq: bigint): Version | undefined {
    return this.#bySeq.get(seq);
  }

  newest(key: string): Version | undefined {
    return this.#newest.get(key);
  }

  /** Takes a version in unless it is known; `false` then. */
  add(read: Omit<Version, 'previous'>): boolean {
    const previous = this.#newest.get(read.key);
    if (previous !== undefined && previous.seq >= read.seq) return false;
    const version: Version = { ...read, previous };
    this.#newest.set(read.key, version);
    this.#bySeq.set(read.seq, version);
    let index = this.#versions.length;
    while (index > 0 && (this.#versions[index - 1]?.seq ?? 0n) > read.seq) index -= 1;
    this.#versions.splice(index, 0, version);
    return true;
  }

  /** An event of a stream is gone: deleted, which has no version of its own, or forgotten by a restart. */
  forget(key: string): void {
    const version = this.#newest.get(key);
    if (version !== undefined) this.#gone.add(version.seq);
  }

  forgetAll(): void {
    for (const key of this.#newest.keys()) this.forget(key);
  }

  isGone(seq: bigint): boolean {
    return this.#gone.has(seq);
  }
}
