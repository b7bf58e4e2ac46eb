import type { PartitionId } from '@kalamdb/storage';
import type { ChangeSet, RowChange } from '../contract.ts';
import { partitionName } from './overlay.ts';

/** Partitions whose rows are kept counted; those asked for longest ago are counted anew. */
export const COUNTS_MAX = 10_000;

/** The count of a partition, known or under way. */
interface KeptCount {
  readonly tableId: number;
  /** What commits have added since it was begun, and what was counted then, once that is known. */
  rows: number;
  isKnown: boolean;
  /** Newest commit that touched the partition, at first the watermark at which it was begun. */
  changedSeq: bigint;
}

/** A count that was begun: it is told what there was at the watermark it began at. */
export type BegunCount = (rows: number) => void;

/**
 * How many rows of a partition are not deleted, for partitions that were counted once: every commit says how many come and go, wherever the rows
 * lie, and moving them between tiers changes none of it. So they are counted row by row once.
 */
export class KeptCounts {
  /** In the order of their last use. */
  readonly #counts = new Map<string, KeptCount>();

  /** The count as a snapshot at `watermark` sees it; `undefined`: it has to be counted. */
  at(partition: PartitionId, watermark: bigint): number | undefined {
    const name = partitionName(partition);
    const count = this.#counts.get(name);
    if (count?.isKnown !== true || count.changedSeq > watermark) return undefined;
    this.#counts.delete(name);
    this.#counts.set(name, count);
    return count.rows;
  }

  /** Somebody counts the rows as they are at `watermark`, which must be the newest: nothing was published since. */
  begin(partition: PartitionId, watermark: bigint): BegunCount {
    const name = partitionName(partition);
    const count: KeptCount = { tableId: partition.tableId, rows: 0, isKnown: false, changedSeq: watermark };
    this.#counts.delete(name);
    this.#counts.set(name, count);
    const [oldest] = this.#counts.keys();
    if (this.#counts.size > COUNTS_MAX && oldest !== undefined) this.#counts.delete(oldest);
    return (rows) => {
      count.rows += rows;
      count.isKnown = true;
    };
  }

  /** Follows a commit; called for each, in order, when the watermark passes it. */
  observe({ seq, parts }: ChangeSet): void {
    if (this.#counts.size === 0) return;
    for (const { partition, rows } of parts) {
      const count = this.#counts.get(partitionName(partition));
      if (count === undefined) continue;
      count.changedSeq = seq;
      for (const row of rows) count.rows += added(row);
    }
  }

  /** Follows a commit of many rows: what it has changed is counted anew. */
  observeLarge({ parts }: ChangeSet): void {
    for (const { partition } of parts) this.#counts.delete(partitionName(partition));
  }

  /** Forgets a table that was dropped. */
  forgetTable(tableId: number): void {
    for (const [name, count] of this.#counts) if (count.tableId === tableId) this.#counts.delete(name);
  }
}

function added({ deleted, previous }: RowChange): number {
  return (deleted ? 0 : 1) - (previous === undefined || previous.deleted ? 0 : 1);
}
