import type { PartitionId, RowKey } from '@kalamdb/storage';
import type { ChangeSet, PartitionChanges, RowVersion } from '../contract.ts';

/** One text per partition, for maps. */
export function partitionName(partition: PartitionId): string {
  return `${partition.tableId}/${partition.owner}`;
}

/** The versions of one partition that the hot tier does not hold yet, and the commits still on their way to the log. */
export class PartitionOverlay {
  /** Versions of a key in `_seq` order, newest last; never empty. */
  readonly #chains = new Map<RowKey, RowVersion[]>();
  #sortedKeys: readonly RowKey[] | undefined;

  get isEmpty(): boolean {
    return this.#chains.size === 0;
  }

  /** The newest version, commits that are not durable yet included. For writers inside their turn only. */
  newest(key: RowKey): RowVersion | undefined {
    return this.#chains.get(key)?.at(-1);
  }

  /** The newest version that a reader at `watermark` may see. */
  at(key: RowKey, watermark: bigint): RowVersion | undefined {
    const chain = this.#chains.get(key);
    if (chain === undefined) return undefined;
    for (let index = chain.length - 1; index >= 0; index--) {
      const version = chain[index];
      if (version !== undefined && version.seq <= watermark) return version;
    }
    return undefined;
  }

  /** The keys that have a version here, in key order. The array is shared: do not change it. */
  sortedKeys(): readonly RowKey[] {
    this.#sortedKeys ??= [...this.#chains.keys()].sort((a, b) => (a < b ? -1 : 1));
    return this.#sortedKeys;
  }

  keys(): IterableIterator<RowKey> {
    return this.#chains.keys();
  }

  add(version: RowVersion): void {
    const chain = this.#chains.get(version.key);
    if (chain !== undefined) {
      chain.push(version);
      return;
    }
    this.#chains.set(version.key, [version]);
    this.#sortedKeys = undefined;
  }

  /** Forgets one version: it has reached the hot tier, or its commit failed. */
  remove(key: RowKey, seq: bigint): void {
    const chain = this.#chains.get(key);
    if (chain === undefined) return;
    const index = chain.findIndex((version) => version.seq === seq);
    if (index >= 0) chain.splice(index, 1);
    if (chain.length > 0) return;
    this.#chains.delete(key);
    this.#sortedKeys = undefined;
  }
}

/**
 * The ChangeSets in (A, newest turn]: what readers add to a hot snapshot, and what writers see of each other.
 * Owned by the sequencer; readers only look.
 */
export class Overlay {
  readonly #partitions = new Map<string, PartitionOverlay>();

  partition(partition: PartitionId): PartitionOverlay | undefined {
    return this.#partitions.get(partitionName(partition));
  }

  add(change: ChangeSet): void {
    for (const part of change.parts) {
      const name = partitionName(part.partition);
      let overlay = this.#partitions.get(name);
      if (overlay === undefined) {
        overlay = new PartitionOverlay();
        this.#partitions.set(name, overlay);
      }
      for (const row of part.rows) overlay.add(row);
    }
  }

  remove(change: ChangeSet): void {
    for (const part of change.parts) this.removePart(part);
  }

  /** Forgets what a commit wrote into one partition; what is not here any more is passed over. */
  removePart(part: PartitionChanges): void {
    const name = partitionName(part.partition);
    const overlay = this.#partitions.get(name);
    if (overlay === undefined) return;
    for (const row of part.rows) overlay.remove(row.key, row.seq);
    if (overlay.isEmpty) this.#partitions.delete(name);
  }
}
