import type { Table } from '../catalog/table.ts';
import type { RowVersion } from '../contract.ts';

/** Stretches that are kept, of whatever partitions. */
const STRETCHES_MAX = 16;

/** Cold rows in `_seq` order, of one version of the manifest. */
export interface Stretch {
  readonly afterSeq: bigint;
  readonly rows: readonly RowVersion[];
  /** Everything above `afterSeq` and up to here that segments held is among the rows. */
  readonly throughSeq: bigint;
}

/** Whether the rows behind `afterSeq` are in a stretch. */
export function continues(stretch: Stretch, afterSeq: bigint): boolean {
  return afterSeq >= stretch.afterSeq && afterSeq < stretch.throughSeq;
}

/** Whose rows a stretch holds, in the form of one version of the table. */
export interface StretchPlace {
  readonly table: Table;
  readonly partition: { readonly owner: string };
}

/**
 * What was read ahead of segments last, for whoever goes on where another reader stopped: a client that takes its rows in small pages, or many
 * that resume at the same place. A stretch stays right for as long as the segments of its rows are there, which its readers find out.
 */
export class RecentStretches {
  /** The one that was read or used last comes last. */
  #kept: readonly { readonly place: StretchPlace; readonly stretch: Stretch }[] = [];

  /** A stretch with the rows behind `afterSeq`. */
  find({ table, partition }: StretchPlace, afterSeq: bigint): Stretch | undefined {
    const found = this.#kept.find(
      ({ place, stretch }) => place.table === table && place.partition.owner === partition.owner && continues(stretch, afterSeq),
    );
    if (found !== undefined) this.#kept = [...this.#kept.filter((other) => other !== found), found];
    return found?.stretch;
  }

  put(place: StretchPlace, stretch: Stretch): void {
    this.#kept = [...this.#kept.slice(1 - STRETCHES_MAX), { place, stretch }];
  }

  /** A segment of its rows is not there any more. */
  drop(stretch: Stretch): void {
    this.#kept = this.#kept.filter((other) => other.stretch !== stretch);
  }
}
