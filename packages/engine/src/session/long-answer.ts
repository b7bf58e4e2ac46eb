import type { Row } from '@kalamdb/protocol';
import type { EvalContext, SelectPlan } from '@kalamdb/sql';
import type { ResultColumn, RowStream, StatementAnswer } from '../contract.ts';
import type { QueryRunner } from '../read/query-runner.ts';
import { SelectRun } from '../read/select-run.ts';
import { pushRowsSteps } from '../read/select-steps.ts';
import type { RowBatches } from '../read/thread-rows.ts';

/** Rows of a batch that is cut out of an answer which is held. */
const BATCH_ROWS = 1000;

/** The answer of a SELECT whose rows come in batches: held when one batch has them all, else a stream. */
export async function batchedAnswer(columns: readonly ResultColumn[], batches: RowBatches, asUser: string): Promise<StatementAnswer> {
  try {
    const first = await batches.next();
    const second = first === undefined ? undefined : await batches.next();
    if (first !== undefined && second !== undefined) {
      return { kind: 'stream', stream: new BegunStream(columns, batches, [first, second]), asUser };
    }
    await batches.close();
    return { kind: 'rows', columns, rows: first ?? [], asUser };
  } catch (error) {
    await batches.close();
    throw error;
  }
}

/** A stream of which some batches were taken already. */
class BegunStream implements RowStream {
  readonly columns: readonly ResultColumn[];
  readonly #batches: RowBatches;
  readonly #taken: (readonly Row[])[];

  constructor(columns: readonly ResultColumn[], batches: RowBatches, taken: readonly (readonly Row[])[]) {
    this.columns = columns;
    this.#batches = batches;
    this.#taken = [...taken];
  }

  async next(): Promise<readonly Row[] | undefined> {
    return this.#taken.shift() ?? this.#batches.next();
  }

  close(): Promise<void> {
    this.#taken.length = 0;
    return this.#batches.close();
  }
}

/** What a query over a view is made of. */
export interface ViewReading {
  readonly plan: SelectPlan;
  readonly evaluation: EvalContext;
  /** The rows of the view; closed with the stream. */
  readonly source: RowBatches;
  readonly queries: Pick<QueryRunner, 'run'>;
}

/** A query over the rows of a view that are a stream themselves: it holds no more of them than it has to sort or group. */
export class ViewBatches implements RowBatches {
  readonly #parts: ViewReading;
  readonly #run: SelectRun;
  #rest: readonly Row[] = [];
  #given = 0;
  #readAll: boolean;
  #finished = false;

  constructor(parts: ViewReading) {
    this.#parts = parts;
    this.#run = new SelectRun(parts.plan, parts.evaluation);
    this.#readAll = this.#run.isEmpty;
  }

  async next(): Promise<readonly Row[] | undefined> {
    const { source, queries } = this.#parts;
    while (!this.#readAll) {
      const rows = await source.next();
      this.#readAll = rows === undefined || !(await queries.run(pushRowsSteps(this.#run, rows)));
      const found = this.#run.take();
      if (found.length > 0) return found;
    }
    if (!this.#finished) {
      this.#finished = true;
      await source.close();
      this.#rest = await queries.run(this.#run.finishInSteps());
    }
    const batch = this.#rest.slice(this.#given, this.#given + BATCH_ROWS);
    this.#given += batch.length;
    return batch.length === 0 ? undefined : batch;
  }

  close(): Promise<void> {
    return this.#parts.source.close();
  }
}
