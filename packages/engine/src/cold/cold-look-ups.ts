import type { PartitionId, RowKey } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import { ColdRows, ColdRowsNeeded, LookedUp } from '../partition/cold-rows.ts';
import type { Snapshot, SnapshotSource } from '../partition/snapshot.ts';
import type { LatchTable } from '../sequencer/latch-table.ts';
import type { ColdReader } from './cold-reader.ts';
import type { Manifests } from './manifests.ts';

/** Times that a write is tried whose segments have changed between its look-up and its turn, before it keeps them from changing. */
const COLD_TRIES_MAX = 3;

/** The rows that a writer may look at in one partition. */
export interface KeysOfPartition {
  readonly table: Table;
  readonly partition: PartitionId;
  readonly keys: readonly RowKey[];
  /** What the writer has read from the cold tier already. */
  readonly known?: ColdRows | undefined;
}

/** What look-ups for writers have come to, for tests and metrics. */
export interface ColdLookUpCounts {
  /** Look-ups before a turn. */
  lookUps: number;
  /** Those that read segments. */
  reads: number;
  /** Turns that came too late: the manifest had changed. */
  lost: number;
  /** Writes that latched their partition in the end. */
  latched: number;
}

/** What {@link ColdLookUps} works with. */
export interface ColdLookUpSources {
  readonly manifests: Manifests;
  readonly reader: ColdReader;
  readonly snapshots: Pick<SnapshotSource, 'open'>;
  readonly latches: LatchTable;
}

/**
 * Looks up, before a turn, what the turn may need of the cold tier: a turn is synchronous. What changes in between the turn notices by
 * the version of the manifest, and the writer tries again.
 */
export class ColdLookUps {
  readonly counts: ColdLookUpCounts = { lookUps: 0, reads: 0, lost: 0, latched: 0 };
  readonly #sources: ColdLookUpSources;

  constructor(sources: ColdLookUpSources) {
    this.#sources = sources;
  }

  /** Whether a partition may have segments. */
  mayHave(partition: PartitionId): boolean {
    return this.#sources.manifests.mayHave(partition);
  }

  /** What the cold tier holds at the present watermark under the keys that the hot tier has nothing newer for. */
  lookUp(wanted: readonly KeysOfPartition[]): LookedUp | Promise<LookedUp> {
    const snapshot = this.#sources.snapshots.open();
    const found = new LookedUp();
    let pending: Promise<unknown>[] | undefined;
    try {
      for (const one of wanted) {
        const reading = this.lookUpAt(snapshot, one, found);
        if (reading !== undefined) {
          pending ??= [];
          pending.push(reading);
        }
      }
    } catch (error) {
      // Others are being read already: nobody waits for them any more, but they need the snapshot.
      void Promise.allSettled(pending ?? []).then(() => snapshot.close());
      throw error;
    }
    if (pending === undefined) {
      snapshot.close();
      return found;
    }
    const reading = pending;
    return Promise.all(reading)
      .then(() => found)
      .finally(() => void Promise.allSettled(reading).then(() => snapshot.close()));
  }

  /** {@link lookUp} at a snapshot, which stays open until the answer is there; `undefined` when it is there at once. */
  lookUpAt(snapshot: Snapshot, { table, partition, keys, known }: KeysOfPartition, into: LookedUp): Promise<void> | undefined {
    if (!this.mayHave(partition)) return undefined;
    const view = snapshot.view(table, partition);
    const { manifest } = view;
    if (manifest === undefined) return undefined;
    const rows = known?.manifestVersion === manifest.version ? known : new ColdRows(manifest.version);
    into.put(partition, rows);
    this.counts.lookUps += 1;
    const skip = (key: RowKey): boolean => rows.has(key) || view.get(key) !== undefined;
    const reading = this.#sources.reader.lookUp({ table, partition, manifest }, { keys, skip }, rows);
    if (reading !== undefined) this.counts.reads += 1;
    return reading;
  }

  /**
   * Runs a write that throws {@link ColdRowsNeeded} when what was looked up for it is not what its turn needs, until it does not. In the end
   * the partitions are latched, so that no segment is published before it has had its turn; then `latched` is set.
   */
  async writing<T>(wanted: readonly KeysOfPartition[], write: (cold: LookedUp, latched: boolean) => Promise<T>): Promise<T> {
    for (let tries = 0; tries < COLD_TRIES_MAX; tries++) {
      try {
        return await write(await this.lookUp(wanted), false);
      } catch (error) {
        this.#lost(error);
      }
    }
    this.counts.latched += 1;
    const partitions = wanted.map(({ partition }) => partition);
    return this.#sources.latches.holdPartitions(partitions, () => this.latched(wanted, (cold) => write(cold, true)));
  }

  /** {@link writing} for a writer that holds the latches of its partitions. */
  async latched<T>(wanted: readonly KeysOfPartition[], write: (cold: LookedUp) => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries++) {
      try {
        return await write(await this.lookUp(wanted));
      } catch (error) {
        // A segment whose turn came before the latch may still be on its way to the log.
        if (tries === COLD_TRIES_MAX) throw error;
        this.#lost(error);
      }
    }
  }

  #lost(error: unknown): void {
    if (!(error instanceof ColdRowsNeeded)) throw error;
    this.counts.lost += 1;
  }
}
