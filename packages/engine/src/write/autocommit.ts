import type { Table } from '../catalog/table.ts';
import type { QueryRunner } from '../read/query-runner.ts';
import type { OpenSource } from '../read/select-steps.ts';
import { LARGE_COMMIT_ROWS } from '../sequencer/large-commit.ts';
import type { LatchTable } from '../sequencer/latch-table.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import { finishSteps, type Steps } from '../slices/steps.ts';
import { StalePlan } from './write-context.ts';
import type { RowWriter, WriteSize, WriteTarget } from './write-target.ts';

/** What {@link Autocommit} works with. */
export interface AutocommitSources {
  readonly sequencer: Sequencer;
  readonly latches: LatchTable;
  /** Prepares large commits in slices. */
  readonly queries: Pick<QueryRunner, 'run'>;
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

  write<T>(size: WriteSize, work: (writer: RowWriter) => Steps<T>): Promise<T> {
    const { partition, rowsMax } = size;
    const { latches } = this.#sources;
    if (rowsMax > LARGE_COMMIT_ROWS) return this.#writeLarge(size, work);
    if (!latches.isPartitionHeld(partition)) return this.#writeSmall(size, work);
    return latches.free([], [partition]).then(() => this.#writeSmall(size, work));
  }

  #writeSmall<T>({ table, partition }: WriteSize, work: (writer: RowWriter) => Steps<T>): Promise<T> {
    const { sequencer, latches } = this.#sources;
    return sequencer.submit((draft) => {
      if (latches.isPartitionHeld(partition) || !this.#sources.isCurrent(table)) throw new StalePlan();
      return finishSteps(work(draft));
    });
  }

  #writeLarge<T>({ table, partition }: WriteSize, work: (writer: RowWriter) => Steps<T>): Promise<T> {
    const { sequencer, latches, queries } = this.#sources;
    return latches.holdPartitions([partition], () => {
      if (!this.#sources.isCurrent(table)) throw new StalePlan();
      return sequencer.submitLarge(work, { run: (steps) => queries.run(steps) });
    });
  }
}
