import type { Clock } from '@kalamdb/protocol';
import type { PartitionId } from '@kalamdb/storage';
import type { Catalog } from '../catalog/catalog.ts';
import { MANIFESTS, manifestRepository } from '../catalog/system-tables/manifests.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { Table } from '../catalog/table.ts';
import type { ColdTier } from '../cold/cold-tier.ts';
import type { ChangeSet } from '../contract.ts';
import { partitionName } from '../partition/overlay.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import { compactKey, createCompaction } from './compact.ts';
import type { JobLedger } from './job-ledger.ts';
import { createRetention, retentionKey } from './retention.ts';

/** Milliseconds between two looks for segments that should be merged, unless set (`compaction.check_interval_seconds`). */
export const COMPACTION_CHECK_MILLIS = 60_000;
/** Milliseconds between two looks for tombstones that have been kept long enough. */
export const RETENTION_CHECK_MILLIS = 3_600_000;

/** What {@link Upkeep} works with. */
export interface UpkeepSources {
  readonly catalog: Catalog;
  readonly cold: ColdTier;
  readonly sequencer: Pick<Sequencer, 'observe'>;
  readonly ledger: JobLedger;
  readonly clock: Clock;
  commit<T>(turn: (writer: SystemWriter) => T): Promise<T>;
}

/**
 * Queues compactions of tables whose segments have become many or full of holes, and the removal of tombstones that have been kept long
 * enough. Segments are looked at after they have changed, and all of them once an hour, because tombstones grow old.
 */
export class Upkeep {
  readonly #sources: UpkeepSources;
  /** Partitions whose segments have changed since they were looked at. */
  readonly #changed = new Map<string, PartitionId>();
  #nextRetentionMillis = 0;

  constructor(sources: UpkeepSources) {
    this.#sources = sources;
    sources.sequencer.observe((change) => this.#note(change));
  }

  /** One look at what has changed (rounds.ts). */
  async look(closing: AbortSignal): Promise<void> {
    const { cold, clock } = this.#sources;
    const isRetentionDue = clock.elapsed() >= this.#nextRetentionMillis;
    if (isRetentionDue) {
      this.#nextRetentionMillis = clock.elapsed() + RETENTION_CHECK_MILLIS;
      for (const partition of cold.manifests.partitions()) this.#changed.set(partitionName(partition), partition);
    }
    await this.#queueCompactions(closing);
    if (isRetentionDue) await this.#queueRetentions(closing);
  }

  #note({ parts }: ChangeSet): void {
    for (const { partition, rows } of parts) {
      if (partition.tableId !== MANIFESTS.id) continue;
      for (const row of rows) {
        const { tableId, owner } = manifestRepository.read(row);
        this.#changed.set(partitionName({ tableId, owner }), { tableId, owner });
      }
    }
  }

  async #queueCompactions(closing: AbortSignal): Promise<void> {
    const { catalog, cold, ledger, commit } = this.#sources;
    const due = new Set<Table>();
    for (const [name, partition] of [...this.#changed]) {
      if (closing.aborted) return;
      this.#changed.delete(name);
      const table = catalog.tableById(partition.tableId);
      if (table !== undefined && !due.has(table) && (await cold.compactor.isDue(table, partition))) due.add(table);
    }
    for (const table of due) {
      await commit((writer) => {
        if (!ledger.isActive(writer, compactKey(table)) && ledger.hasRoom) createCompaction(ledger, writer, table, true);
      });
    }
  }

  async #queueRetentions(closing: AbortSignal): Promise<void> {
    const { catalog, ledger, commit } = this.#sources;
    for (const table of [...catalog.tables()]) {
      if (closing.aborted) return;
      const hours = this.#sources.cold.retention.hours(table);
      if (hours === undefined || table.kind === 'stream' || table.kind === 'system' || !(await this.#hasExpired(table, closing))) continue;
      await commit((writer) => {
        if (!ledger.isActive(writer, retentionKey(table)) && ledger.hasRoom) createRetention(ledger, writer, table, hours);
      });
    }
  }

  async #hasExpired(table: Table, closing: AbortSignal): Promise<boolean> {
    const { cold } = this.#sources;
    for (const owner of cold.pendingOwners(table)) {
      if (closing.aborted) return false;
      if (await cold.hotTombstones.isDue(table, table.partitionFor(owner))) return true;
    }
    return false;
  }
}
