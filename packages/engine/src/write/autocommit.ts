import type { PartitionId } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import type { ColdLookUps } from '../cold/cold-look-ups.ts';
import type { LookedUp } from '../partition/cold-rows.ts';
import type { QueryRunner } from '../read/query-runner.ts';
import type { OpenSource } from '../read/select-steps.ts';
import { LARGE_COMMIT_ROWS, LARGE_COMMIT_TEXT_UNITS } from '../sequencer/large-commit.ts';
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
  /** Absent: there is no cold tier. */
  readonly cold?: ColdLookUps | undefined;
  /** Told the name of each commit. */
  readonly committed?: ((seq: bigint) => void) | undefined;
  /** Whether this is the newest version of the table. */
  isCurrent(table: Table): boolean;
}

/** Every write is a turn of the sequencer and a commit of its own; `write` resolves when it is durable. */
export class Autocommit implements WriteTarget {
  readonly #sources: AutocommitSources;

  constructor(sources: AutocommitSources) {
    this.#sources = sources;
  }

  /** The same for one statement, which is told the name of its commit. */
  telling(committed: (seq: bigint) => void): Autocommit {
    return new Autocommit({ ...this.#sources, committed });
  }

  open(): OpenSource {
    return this.#sources.sequencer.snapshots.open();
  }

  write<T>(size: WriteSize, work: (writer: RowWriter) => Steps<T>): Promise<T> {
    const { partition } = size;
    const { latches, cold } = this.#sources;
    if (cold?.mayHave(partition) === true) return this.#writeOverCold(cold, size, work);
    if (isLarge(size)) return this.#writeLarge(size, work);
    if (!latches.isPartitionHeld(partition)) return this.#writeSmall(size, work);
    return latches.whenFree([], [partition], () => this.#writeSmall(size, work));
  }

  alone<T>(partition: PartitionId, statement: (target: WriteTarget) => Promise<T>): Promise<T> {
    const target: WriteTarget = {
      open: () => this.open(),
      write: (size, work) => this.#writeLatched(size, work),
      alone: (_partition, inner) => inner(target),
    };
    return this.#sources.latches.holdPartitions([partition], async () => {
      // What took its turn before the latch is seen by readers when this one is answered.
      await this.#sources.sequencer.submit(() => undefined);
      return statement(target);
    });
  }

  /** With the latch of the partition held by the statement. */
  #writeLatched<T>(size: WriteSize, work: (writer: RowWriter) => Steps<T>): Promise<T> {
    const write = (cold: LookedUp | undefined): Promise<T> =>
      isLarge(size) ? this.#commitLarge(size, work, cold) : this.#writeSmall(size, work, { cold, latched: true });
    const { cold } = this.#sources;
    if (cold?.mayHave(size.partition) !== true) return write(undefined);
    return cold.latched([{ ...size, keys: size.keys ?? [] }], write);
  }

  #writeSmall<T>({ table, partition }: WriteSize, work: (writer: RowWriter) => Steps<T>, own?: OwnTurn): Promise<T> {
    const { sequencer, latches, committed } = this.#sources;
    const options = committed === undefined ? own : { ...own, committed };
    return sequencer.submit((draft) => {
      if ((own?.latched !== true && latches.isPartitionHeld(partition)) || !this.#sources.isCurrent(table)) throw new StalePlan();
      return finishSteps(work(draft));
    }, options);
  }

  /** Rows of the partition may lie in segments: those that the statement may look at are looked up before its turn. */
  async #writeOverCold<T>(lookUps: ColdLookUps, size: WriteSize, work: (writer: RowWriter) => Steps<T>): Promise<T> {
    const { latches } = this.#sources;
    const { partition, keys = [] } = size;
    const wanted = [{ ...size, keys }];
    if (isLarge(size)) {
      return latches.holdPartitions([partition], () => lookUps.latched(wanted, (cold) => this.#commitLarge(size, work, cold)));
    }
    return lookUps.writing(wanted, (cold, latched) => {
      const write = (): Promise<T> => this.#writeSmall(size, work, { cold, latched });
      return latched ? write() : latches.whenFree([], [partition], write);
    });
  }

  #writeLarge<T>(size: WriteSize, work: (writer: RowWriter) => Steps<T>): Promise<T> {
    return this.#sources.latches.holdPartitions([size.partition], () => this.#commitLarge(size, work, undefined));
  }

  /** With the latch of the partition held. */
  #commitLarge<T>({ table }: WriteSize, work: (writer: RowWriter) => Steps<T>, cold: LookedUp | undefined): Promise<T> {
    const { sequencer, queries, committed } = this.#sources;
    if (!this.#sources.isCurrent(table)) throw new StalePlan();
    return sequencer.submitLarge(work, { run: (steps) => queries.run(steps), cold, committed });
  }
}

/** Whether a write is worth being prepared in slices. One row cannot be cut. */
function isLarge({ rowsMax, textUnits = 0 }: WriteSize): boolean {
  return rowsMax > LARGE_COMMIT_ROWS || (rowsMax > 1 && textUnits > LARGE_COMMIT_TEXT_UNITS);
}

/** How a turn over cold rows is taken. */
interface OwnTurn {
  readonly cold: LookedUp | undefined;
  /** The writer holds the latch of the partition. */
  readonly latched: boolean;
}
