import { Buffer } from 'node:buffer';
import type { RecordBlock } from '../contract.ts';
import type { FileCommitLog } from '../log/file-log.ts';
import type { LogFollower } from '../log/log-follower.ts';
import { GatheredCommits } from './gathered-commits.ts';
import type { LmdbStore } from './lmdb-store.ts';

/** When a batch is large enough to be applied, in bytes of the log. */
export interface BatchBounds {
  /** The first one whose keys rise: few, so that the applier begins early. */
  readonly firstBytes: number;
  /** Later ones whose keys rise: they come to few pages, and larger ones gain nothing. */
  readonly risingBytesMax: number;
  /**
   * Every other one. Each writes every page that it touches once: with keys in no order eight batches write the whole store eight times.
   * In memory it lies as it was read, and what it comes to as LMDB's pages.
   */
  readonly otherBytesMax: number;
}

/** What {@link BatchBounds} are unless given. */
export const catchUpBounds: BatchBounds = {
  firstBytes: 2 * 1024 * 1024,
  risingBytesMax: 32 * 1024 * 1024,
  otherBytesMax: 256 * 1024 * 1024,
};
const BATCH_GROWTH = 4;
/** Rows of a partition, on average, from which on rows in the order of their keys come to few pages. */
const RISING_ROWS_MIN = 256;

/**
 * Brings the hot tier to the end of the log while the log is being followed: gathers blocks, and applies those that are known to be on the
 * disk, one batch at a time, while the next one is gathered.
 */
export class CatchUp implements LogFollower {
  readonly #hot: LmdbStore;
  #gathered: GatheredCommits;
  readonly #bounds: BatchBounds;
  #risingBytes: number;
  #applying: Promise<void> | undefined;

  constructor(hot: LmdbStore, bounds: BatchBounds = catchUpBounds) {
    this.#hot = hot;
    this.#bounds = bounds;
    this.#risingBytes = bounds.firstBytes;
    this.#gathered = new GatheredCommits(hot.appliedSeq);
  }

  /** Name of the last commit that was taken. */
  get lastSeq(): bigint {
    return this.#gathered.lastSeq;
  }

  /** As {@link LogFollower}. Throws DAMAGED_DATA when a commit is not what its record says. */
  take({ bytes }: RecordBlock): void {
    this.#gathered.add(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }

  /** As {@link LogFollower}: applies what was taken, if it is worth a batch. Rejects as the batch before does. */
  async confirmed(): Promise<void> {
    const { bytes } = this.#gathered;
    const { risingBytesMax, otherBytesMax } = this.#bounds;
    if (bytes < (this.#isRising() ? this.#risingBytes : otherBytesMax)) return;
    if (this.#applying !== undefined && bytes < risingBytesMax) return;
    await this.#applying;
    this.#begin();
    this.#risingBytes = Math.min(this.#risingBytes * BATCH_GROWTH, risingBytesMax);
  }

  /** Applies the rest. Rejects as `apply` does; what was applied before stays. */
  async finish(): Promise<void> {
    await this.#applying;
    await this.#hot.ready();
    if (this.#gathered.lastSeq > this.#gathered.afterSeq) this.#begin();
    await this.#applying;
  }

  #begin(): void {
    const gathered = this.#gathered;
    this.#gathered = new GatheredCommits(gathered.lastSeq);
    const applying = this.#hot.applyGathered(gathered).finally(() => {
      if (this.#applying === applying) this.#applying = undefined;
    });
    // It is looked at before the next batch; until then its rejection is nobody's.
    applying.catch(() => undefined);
    this.#applying = applying;
  }

  #isRising(): boolean {
    const { rows, partitions, isSorted } = this.#gathered.rows.shape;
    return isSorted && rows >= partitions * RISING_ROWS_MIN;
  }
}

/**
 * Brings the hot tier to the end of the log as it was found at opening; `begun` is what followed the log meanwhile, if anything did. Rejects
 * as reading and applying do; what was applied before stays, and calling it again continues there.
 */
export async function catchUp(log: FileCommitLog, hot: LmdbStore, begun: CatchUp = new CatchUp(hot)): Promise<void> {
  for await (const block of log.replayBlocks(begun.lastSeq)) {
    begun.take(block);
    await begun.confirmed();
  }
  await begun.finish();
  log.release(hot.appliedSeq);
}
