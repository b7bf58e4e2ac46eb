import { type Clock, KalamError } from '@kalamdb/protocol';
import type { Catalog } from '../catalog/catalog.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import type { JobLedger } from './job-ledger.ts';

/** A table gets at most one row in `system.jobs` in this time. */
export const EVICTION_ROW_MILLIS = 60_000;
/** Rows written in one commit. */
const EVICTION_ROWS_MAX = 500;

/** What the eviction works on. */
export interface EvictionSources {
  readonly catalog: Catalog;
  readonly sequencer: Pick<Sequencer, 'evictExpired' | 'streams'>;
  readonly ledger: JobLedger;
  readonly clock: Clock;
  readonly warn: (text: string, detail: object) => void;
  commit<T>(turn: (writer: SystemWriter) => T): Promise<T>;
}

/**
 * Forgets expired events of streams, each second, and writes down as jobs what it has done: a row for a table that lost events, at
 * most one a minute, counting all since the last one. Nothing is written when nothing has expired.
 */
export class StreamEviction {
  readonly #sources: EvictionSources;
  /** Events of each table that no row has counted yet. */
  readonly #uncounted = new Map<number, number>();
  /** When each table had its last row; forgotten when it may have the next. */
  readonly #countedAtMillis = new Map<number, number>();
  #writing: Promise<void> | undefined;

  constructor(sources: EvictionSources) {
    this.#sources = sources;
  }

  /** To be called once a second. */
  round(): void {
    const { sequencer, clock } = this.#sources;
    for (const [tableId, events] of sequencer.streams.takeEvicted()) {
      this.#uncounted.set(tableId, (this.#uncounted.get(tableId) ?? 0) + events);
    }
    sequencer.evictExpired();
    for (const [tableId, atMillis] of this.#countedAtMillis) {
      if (atMillis + EVICTION_ROW_MILLIS <= clock.elapsed()) this.#countedAtMillis.delete(tableId);
    }
    const due = [...this.#uncounted.keys()].filter((tableId) => !this.#countedAtMillis.has(tableId));
    if (due.length === 0 || this.#writing !== undefined) return;
    this.#writing = this.#write(due.slice(0, EVICTION_ROWS_MAX)).finally(() => {
      this.#writing = undefined;
    });
  }

  /** Resolves when nothing is being written. */
  async close(): Promise<void> {
    await this.#writing;
  }

  async #write(tableIds: readonly number[]): Promise<void> {
    const { clock, commit, warn } = this.#sources;
    const counted = new Map(tableIds.map((tableId) => [tableId, this.#uncounted.get(tableId) ?? 0]));
    for (const tableId of tableIds) {
      this.#uncounted.delete(tableId);
      this.#countedAtMillis.set(tableId, clock.elapsed());
    }
    try {
      await commit((writer) => {
        for (const [tableId, events] of counted) this.#record(writer, tableId, events);
      });
    } catch (error) {
      if (error instanceof KalamError && error.code === 'SHUTTING_DOWN') return;
      warn('expired events could not be written down as jobs', { tables: tableIds.length, error });
    }
  }

  #record(writer: SystemWriter, tableId: number, events: number): void {
    const table = this.#sources.catalog.tableById(tableId);
    if (table === undefined) return;
    const ttl = table.options.ttlSeconds ?? 0;
    const parameters = { table_id: `${table.namespace}.${table.name}`, table_type: 'stream', ttl_seconds: ttl };
    const message = `Evicted ${events} expired events from ${table.namespace}:${table.name} (ttl: ${ttl}s)`;
    this.#sources.ledger.record(writer, { type: 'stream_eviction', parameters }, message);
  }
}
