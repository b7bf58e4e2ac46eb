import type { Clock } from '@kalamdb/protocol';
import type { Catalog } from '../catalog/catalog.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { Table } from '../catalog/table.ts';
import type { ColdTier } from '../cold/cold-tier.ts';
import { partitionName } from '../partition/overlay.ts';
import { createFlush, flushKey } from './flush.ts';
import type { JobLedger } from './job-ledger.ts';

/** Milliseconds between two looks at the policies, unless set (`flush.check_interval_seconds`). */
export const FLUSH_CHECK_MILLIS = 60_000;
/** Bytes of hot rows at which a partition whose table has a policy is flushed in any case. */
export const FLUSH_BYTES_MAX: number = 64 * 1024 * 1024;

/** What {@link FlushPolicies} works with. */
export interface FlushPolicySources {
  readonly catalog: Catalog;
  readonly cold: ColdTier;
  readonly ledger: JobLedger;
  readonly clock: Clock;
  /** {@link FLUSH_BYTES_MAX} unless given. */
  readonly flushBytesMax?: number | undefined;
  commit<T>(turn: (writer: SystemWriter) => T): Promise<T>;
}

/**
 * Queues a flush for each table one of whose partitions has as many hot rows as its policy says, has had some for as long as it
 * says, or has too many bytes of them. Tables without a policy stay hot until somebody flushes them.
 */
export class FlushPolicies {
  readonly #sources: FlushPolicySources;
  /** Since when partitions have rows that are not flushed, as far as was noticed. */
  #pendingSince = new Map<string, number>();

  constructor(sources: FlushPolicySources) {
    this.#sources = sources;
  }

  /** One look at all tables (rounds.ts). */
  async look(closing: AbortSignal): Promise<void> {
    const { catalog, ledger, commit } = this.#sources;
    const before = this.#pendingSince;
    // Those that have nothing to flush any more are forgotten.
    this.#pendingSince = new Map();
    for (const table of [...catalog.tables()]) {
      if (closing.aborted) return;
      const { flushPolicy } = table.options;
      if (flushPolicy === undefined || table.kind === 'stream' || !(await this.#isDue(table, flushPolicy, before))) continue;
      await commit((writer) => {
        if (!ledger.isActive(writer, flushKey(table)) && ledger.hasRoom) createFlush(ledger, writer, table);
      });
    }
  }

  async #isDue(table: Table, policy: NonNullable<Table['options']['flushPolicy']>, before: ReadonlyMap<string, number>): Promise<boolean> {
    const { cold, clock, flushBytesMax: bytesMax = FLUSH_BYTES_MAX } = this.#sources;
    const { rows: rowsMax = Number.POSITIVE_INFINITY, intervalSeconds } = policy;
    for (const owner of cold.pendingOwners(table)) {
      const partition = table.partitionFor(owner);
      const name = partitionName(partition);
      const since = before.get(name) ?? clock.elapsed();
      this.#pendingSince.set(name, since);
      const isOld = intervalSeconds !== undefined && clock.elapsed() - since >= intervalSeconds * 1000;
      if (!isOld && !(await cold.exceeds(table, partition, { rowsMax, bytesMax }))) continue;
      // Counted from the next look on: whatever comes meanwhile may wait as long again.
      this.#pendingSince.delete(name);
      return true;
    }
    return false;
  }
}
