import { kalamError } from '@kalamdb/protocol';
import type { PartitionId, RowKey } from '@kalamdb/storage';
import type { ChangeSet, RowVersion } from '../contract.ts';
import type { Slices } from '../slices/slices.ts';
import { STEP_ROWS, type Steps } from '../slices/steps.ts';

/** Keys that may change while one segment is written; a flush that is overtaken by more is given up and tried again. */
export const CHANGED_KEYS_MAX = 1_000_000;
/** Rows of a commit whose keys are noted while it is told of; those of larger ones are noted in slices. */
const ROWS_AT_ONCE_MAX = 1000;

/** Where commits are heard of, and who slices long work. */
export interface ObservedCommits {
  observe(listener: (change: ChangeSet) => void): () => void;
  readonly slices: Pick<Slices, 'runFirst'>;
}

/** The keys of a partition that have changed since this was made. Whoever makes one closes it. */
export class ChangedKeys {
  readonly #partition: PartitionId;
  readonly #slices: ObservedCommits['slices'];
  readonly #stop: () => void;
  #keys = new Set<RowKey>();
  /** Of large commits that are being noted. */
  #comingRows = 0;
  #noting: Promise<unknown> = Promise.resolve();
  #overflown = false;
  #closed = false;

  constructor(partition: PartitionId, commits: ObservedCommits) {
    this.#partition = partition;
    this.#slices = commits.slices;
    this.#stop = commits.observe((change) => this.#take(change));
  }

  /** At least how many keys {@link take} would give, those that are not noted yet included. */
  get size(): number {
    return this.#keys.size + this.#comingRows;
  }

  /** Resolves when the keys of every commit so far are noted. */
  async noted(): Promise<void> {
    await this.#noting;
  }

  /** The keys since the last call that are noted; some may come again. Throws WRITES_BUSY when there were too many. */
  take(): ReadonlySet<RowKey> {
    if (this.#overflown) throw kalamError('WRITES_BUSY', { millis: 0 });
    const keys = this.#keys;
    this.#keys = new Set();
    return keys;
  }

  close(): void {
    this.#closed = true;
    this.#stop();
  }

  #take({ parts }: ChangeSet): void {
    for (const { partition, rows } of parts) {
      if (partition.tableId !== this.#partition.tableId || partition.owner !== this.#partition.owner) continue;
      if (rows.length <= ROWS_AT_ONCE_MAX) for (const { key } of rows) this.#keys.add(key);
      else {
        this.#comingRows += rows.length;
        this.#noting = Promise.all([this.#noting, this.#slices.runFirst(this.#note(rows))]);
      }
    }
    this.#bound();
  }

  *#note(rows: readonly RowVersion[]): Steps<void> {
    for (const [index, { key }] of rows.entries()) {
      if (this.#closed || this.#overflown) break;
      this.#keys.add(key);
      if (index % STEP_ROWS === STEP_ROWS - 1) yield;
    }
    this.#comingRows -= rows.length;
    this.#bound();
  }

  #bound(): void {
    if (this.#keys.size <= CHANGED_KEYS_MAX) return;
    this.#overflown = true;
    this.#keys.clear();
  }
}
