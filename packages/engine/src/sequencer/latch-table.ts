import { kalamError, systemTimers, type Timers } from '@kalamdb/protocol';
import type { PartitionId } from '@kalamdb/storage';
import { partitionName } from '../partition/overlay.ts';

/** Milliseconds that a writer waits for a latch before it fails with WRITES_BUSY. */
export const LATCH_WAIT_MILLIS = 30_000;
/** Large commits that are prepared at the same time; others wait for their latches. */
export const LARGE_COMMITS_MAX = 4;

interface Held {
  readonly tables: ReadonlySet<number>;
  /** Partition names, and the tables that they belong to. */
  readonly partitions: ReadonlyMap<string, number>;
  /** Settles when the holder is done. */
  readonly done: Promise<void>;
}

/** What somebody waits for. */
type Busy = Pick<Held, 'done'>;

/**
 * Latches on tables and on single partitions. DDL holds its tables while it runs, a large commit its partitions while it is
 * prepared and written; other writers wait outside and then look at the catalog again. A turn is synchronous, so what was
 * free when a turn began stays free until it ends. Whoever wants several latches gets them all at once or none, and nobody
 * waits for a latch while holding one: there is no deadlock.
 */
export class LatchTable {
  readonly #timers: Timers;
  readonly #held = new Set<Held>();
  /** Tables that somebody waits for: their partitions are not taken any more, else there might always be one that is. */
  readonly #wanted = new Set<Pick<Held, 'tables' | 'done'>>();
  /** The statements that want to be the only DDL, one after another. */
  #exclusive: Promise<void> = Promise.resolve();

  constructor(timers: Timers = systemTimers) {
    this.#timers = timers;
  }

  /** Whether a table is held as a whole. */
  isHeld(tableId: number): boolean {
    return this.#held.size > 0 && this.#blocker([tableId], []) !== undefined;
  }

  /** Whether a partition is held, or its whole table. */
  isPartitionHeld(partition: PartitionId): boolean {
    return this.#held.size > 0 && this.#blocker([], [partition]) !== undefined;
  }

  /** Resolves when nobody holds one of the tables as a whole or one of the partitions. Throws WRITES_BUSY after {@link LATCH_WAIT_MILLIS}. */
  async free(tableIds: readonly number[], partitions: readonly PartitionId[]): Promise<void> {
    await this.#when(
      () => this.#blocker(tableIds, partitions),
      () => undefined,
    );
  }

  /** As {@link free}, and calls `then` in the very turn in which nobody holds them. */
  async whenFree<T>(tableIds: readonly number[], partitions: readonly PartitionId[], then: () => Promise<T>): Promise<T> {
    return await this.#when(() => this.#blocker(tableIds, partitions), then);
  }

  /**
   * Runs `work` while the tables are latched. Waits until they and all their partitions are free first, and goes before whoever asks for
   * one of these partitions meanwhile; throws WRITES_BUSY as {@link free}.
   */
  async hold<T>(tableIds: readonly number[], work: () => Promise<T>): Promise<T> {
    const tables = new Set(tableIds);
    const { result } = await this.#wanting(tables, () =>
      this.#when(
        () => this.#holderOf(tableIds),
        () => ({ result: this.#holding(tables, [], work) }),
      ),
    );
    return result;
  }

  /** Runs `work` while the partitions are latched. Waits until they and their tables are free first; throws WRITES_BUSY as {@link free}. */
  async holdPartitions<T>(partitions: readonly PartitionId[], work: () => Promise<T>): Promise<T> {
    const blocker = (): Busy | undefined => this.#blocker([], partitions) ?? this.#wantedAbove(partitions) ?? this.#tooMany();
    const { result } = await this.#when(blocker, () => ({ result: this.#holding(new Set(), partitions, work) }));
    return result;
  }

  /** Runs `work` when every exclusive work before it is done, and before any after it. */
  async exclusive<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#exclusive;
    const { promise, resolve } = settleable();
    this.#exclusive = promise;
    await before;
    try {
      return await work();
    } finally {
      resolve();
    }
  }

  async #holding<T>(tables: ReadonlySet<number>, partitions: readonly PartitionId[], work: () => Promise<T>): Promise<T> {
    const { promise, resolve } = settleable();
    const names = new Map(partitions.map((partition) => [partitionName(partition), partition.tableId]));
    const held: Held = { tables, partitions: names, done: promise };
    this.#held.add(held);
    try {
      return await work();
    } finally {
      this.#held.delete(held);
      resolve();
    }
  }

  async #wanting<T>(tables: ReadonlySet<number>, work: () => Promise<T>): Promise<T> {
    const { promise, resolve } = settleable();
    const wanted = { tables, done: promise };
    this.#wanted.add(wanted);
    try {
      return await work();
    } finally {
      this.#wanted.delete(wanted);
      resolve();
    }
  }

  /** Who waits for the table of one of the partitions. */
  #wantedAbove(partitions: readonly PartitionId[]): Busy | undefined {
    for (const wanted of this.#wanted) if (partitions.some(({ tableId }) => wanted.tables.has(tableId))) return wanted;
    return undefined;
  }

  /** Who holds one of the tables, in whole or in part. */
  #holderOf(tableIds: readonly number[]): Held | undefined {
    for (const held of this.#held) {
      for (const tableId of held.partitions.values()) if (tableIds.includes(tableId)) return held;
    }
    return this.#blocker(tableIds, []);
  }

  /** Who holds one of the tables as a whole, or one of the partitions. */
  #blocker(tableIds: readonly number[], partitions: readonly PartitionId[]): Held | undefined {
    for (const held of this.#held) {
      if (tableIds.some((id) => held.tables.has(id))) return held;
      if (partitions.some((partition) => held.tables.has(partition.tableId) || held.partitions.has(partitionName(partition)))) return held;
    }
    return undefined;
  }

  #tooMany(): Held | undefined {
    const large = [...this.#held].filter(({ partitions }) => partitions.size > 0);
    return large.length < LARGE_COMMITS_MAX ? undefined : large[0];
  }

  /** Calls `then` in the very turn in which there is no blocker: of many that wait together not all may go on. Throws WRITES_BUSY when that takes too long. */
  async #when<T>(blocker: () => Busy | undefined, then: () => T): Promise<T> {
    let busy = blocker();
    if (busy === undefined) return then();
    let late = (): void => undefined;
    const tooLate = new Promise<'late'>((resolve) => {
      late = () => resolve('late');
    });
    const timer = this.#timers.after(LATCH_WAIT_MILLIS, late, { keepAlive: true });
    try {
      for (; busy !== undefined; busy = blocker()) {
        if ((await Promise.race([busy.done, tooLate])) === 'late') throw kalamError('WRITES_BUSY', { millis: LATCH_WAIT_MILLIS });
      }
      return then();
    } finally {
      timer.cancel();
    }
  }
}

function settleable(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
