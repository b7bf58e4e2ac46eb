import type { Timer, Timers } from '@kalamdb/protocol';
import type { HotStore } from '@kalamdb/storage';
import type { Catalog } from '../catalog/catalog.ts';
import { droppedTableRepository } from '../catalog/system-tables/dropped-tables.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';

/** Milliseconds between two rounds: an event is gone at most this long after its TTL. */
export const JANITOR_INTERVAL_MILLIS = 1000;
/** Rows of a dropped table removed in one step, so that commits waiting for the applier are not held up. */
export const PURGE_ROWS_MAX = 5000;

/** What the janitor works on. */
export interface JanitorSources {
  readonly catalog: Catalog;
  readonly sequencer: Sequencer;
  readonly hot: HotStore;
  readonly timers: Timers;
  readonly warn: (text: string, detail: object) => void;
}

/** Removes what nobody can see any more: expired events, and the rows of dropped tables in small steps. */
export class Janitor {
  readonly #sources: JanitorSources;
  readonly #timer: Timer;
  #purging: Promise<void> | undefined;
  #closing = false;

  constructor(sources: JanitorSources) {
    this.#sources = sources;
    this.#timer = sources.timers.every(JANITOR_INTERVAL_MILLIS, () => this.#round());
  }

  /** Stops after the step it is in; what is left is found again at the next start. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#timer.cancel();
    await this.#purging;
  }

  #round(): void {
    this.#sources.sequencer.streams.evictExpired();
    if (this.#purging !== undefined || this.#sources.catalog.droppedTables().length === 0) return;
    this.#purging = this.#purgeDropped()
      .catch((error: unknown) => this.#sources.warn('the rows of a dropped table could not be removed; trying again', { error }))
      .finally(() => {
        this.#purging = undefined;
      });
  }

  async #purgeDropped(): Promise<void> {
    const { catalog, sequencer, hot } = this.#sources;
    const dropped = catalog.droppedTables();
    // Rows that were committed before the DROP may still be on their way from the log.
    await sequencer.flush();
    for (const record of dropped) {
      sequencer.streams.drop(record.tableId);
      for (let more = true; more; ) {
        if (this.#closing) return;
        more = await hot.purge(record.tableId, PURGE_ROWS_MAX);
      }
      if (this.#closing) return;
      await sequencer.submit((draft) => droppedTableRepository.remove(draft, record));
    }
  }
}
