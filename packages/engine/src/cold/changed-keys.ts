import { kalamError } from '@kalamdb/protocol';
import type { PartitionId, RowKey } from '@kalamdb/storage';
import type { ChangeSet } from '../contract.ts';

/** Keys that may change while one segment is written; a flush that is overtaken by more is given up and tried again. */
export const CHANGED_KEYS_MAX = 1_000_000;

/** The keys of a partition that have changed since this was made. Whoever makes one closes it. */
export class ChangedKeys {
  readonly #partition: PartitionId;
  readonly #stop: () => void;
  #keys = new Set<RowKey>();
  #overflown = false;

  constructor(partition: PartitionId, commits: { observe(listener: (change: ChangeSet) => void): () => void }) {
    this.#partition = partition;
    this.#stop = commits.observe((change) => this.#take(change));
  }

  /** How many keys {@link take} would give. */
  get size(): number {
    return this.#keys.size;
  }

  /** The keys since the last call; some may come again. Throws WRITES_BUSY when there were too many. */
  take(): ReadonlySet<RowKey> {
    if (this.#overflown) throw kalamError('WRITES_BUSY', { millis: 0 });
    const keys = this.#keys;
    this.#keys = new Set();
    return keys;
  }

  close(): void {
    this.#stop();
  }

  #take({ parts }: ChangeSet): void {
    for (const { partition, rows } of parts) {
      if (partition.tableId !== this.#partition.tableId || partition.owner !== this.#partition.owner) continue;
      for (const { key } of rows) this.#keys.add(key);
    }
    if (this.#keys.size <= CHANGED_KEYS_MAX) return;
    this.#overflown = true;
    this.#keys.clear();
  }
}
