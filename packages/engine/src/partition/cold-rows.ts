import type { Manifest, PartitionId, RowKey } from '@kalamdb/storage';
import type { RowVersion } from '../contract.ts';
import { partitionName } from './overlay.ts';

/**
 * Rows of the cold tier are needed that were not looked up, or were looked up in segments that have changed since: nothing was
 * written. Whoever gets it looks them up and tries again.
 */
export class ColdRowsNeeded extends Error {
  constructor() {
    super('rows of the cold tier are needed that were not looked up');
    this.name = 'ColdRowsNeeded';
  }
}

/** What the cold tier holds under some keys of a partition, as of one version of its manifest. */
export class ColdRows {
  readonly manifestVersion: number;
  readonly #rows: Map<RowKey, RowVersion | undefined>;

  constructor(manifestVersion: number, rows: Map<RowKey, RowVersion | undefined> = new Map()) {
    this.manifestVersion = manifestVersion;
    this.#rows = rows;
  }

  /** Whether the key was looked up. */
  has(key: RowKey): boolean {
    return this.#rows.has(key);
  }

  get(key: RowKey): RowVersion | undefined {
    return this.#rows.get(key);
  }

  /** Takes in what lies under a key; `undefined`: nothing. */
  set(key: RowKey, row: RowVersion | undefined): void {
    this.#rows.set(key, row);
  }
}

/** What was looked up for one writer. */
export class LookedUp {
  readonly #partitions = new Map<string, ColdRows>();

  put(partition: PartitionId, rows: ColdRows): void {
    this.#partitions.set(partitionName(partition), rows);
  }

  of(partition: PartitionId): ColdRows | undefined {
    return this.#partitions.get(partitionName(partition));
  }

  /** What the cold tier holds under the key. Throws {@link ColdRowsNeeded} when that is not known for this manifest. */
  find(partition: PartitionId, manifest: Manifest, key: RowKey): RowVersion | undefined {
    const rows = this.of(partition);
    if (rows?.manifestVersion !== manifest.version || !rows.has(key)) throw new ColdRowsNeeded();
    return rows.get(key);
  }
}
