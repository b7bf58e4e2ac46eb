import type { Table } from '../catalog/table.ts';
import type { OpenSource } from '../read/select-steps.ts';
import type { LatchTable } from '../sequencer/latch-table.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import { StalePlan } from './write-context.ts';
import type { RowWriter, WriteTarget } from './write-target.ts';

/** What {@link Autocommit} works with. */
export interface AutocommitSources {
  readonly sequencer: Sequencer;
  readonly latches: LatchTable;
  /** Whether this is the newest version of the table. */
  isCurrent(table: Table): boolean;
}

/** Every write is a turn of the sequencer and a commit of its own; `write` resolves when it is durable. */
export class Autocommit implements WriteTarget {
  readonly #sources: AutocommitSources;

  constructor(sources: AutocommitSources) {
    this.#sources = sources;
  }

  open(): OpenSource {
    return this.#sources.sequencer.snapshots.open();
  }

  async write<T>(table: Table, work: (writer: RowWriter) => T): Promise<T> {
    const { sequencer, latches } = this.#sources;
    if (latches.isHeld(table.id)) await latches.free(table.id);
    return sequencer.submit((draft) => {
      if (latches.isHeld(table.id) || !this.#sources.isCurrent(table)) throw new StalePlan();
      return work(draft);
    });
  }
}
