import type { SeededRandom } from '@kalamdb/testing';
import { type Expected, nextStep } from './program.ts';
import type { TableModel } from './table-model.ts';

/** One table as one user sees it, with the model of its rows. */
export interface TablePlace {
  readonly table: string;
  readonly model: TableModel;
}

/** A transaction as one request: its text, what it must answer, and the models after it. */
export interface PlannedTransaction {
  readonly label: 'commit' | 'rollback' | 'failed transaction';
  readonly sql: string;
  /** The results but for those of DML, in order: rows, or a text that the message contains. */
  readonly results: readonly (Expected | string)[];
  /** The summaries of DML that a batch ends with. */
  readonly summaries: readonly string[];
  /** What the request fails with instead. */
  readonly error: string | undefined;
  /** In the order of the places. */
  readonly after: readonly TableModel[];
}

type Verb = 'Inserted' | 'Updated' | 'Deleted';

/** Draws a transaction of two to four statements over a user's tables; one of them may be taken back to a savepoint. */
export function nextTransaction(random: SeededRandom, places: readonly TablePlace[]): PlannedTransaction {
  const commits = random.integer(4) > 0;
  const takenBack = random.integer(3) === 0 ? random.integer(4) : undefined;
  const texts = ['BEGIN'];
  const results: (Expected | string)[] = ['Transaction started'];
  const totals: Record<Verb, number> = { Inserted: 0, Updated: 0, Deleted: 0 };
  let models = places.map(({ model }) => model.clone());
  let error: string | undefined;
  const count = 2 + random.integer(3);
  for (let index = 0; index < count && error === undefined; index++) {
    const step = nextStep(random);
    const at = random.integer(places.length);
    const before = models.map((model) => model.clone());
    const [place, model] = [places[at], models[at]];
    if (place === undefined || model === undefined) throw new Error('the user has no table');
    const expected = step.run(model);
    const back = index === takenBack;
    texts.push(...(back ? ['SAVEPOINT here', step.sql(place.table), 'ROLLBACK TO here'] : [step.sql(place.table)]));
    if (expected.kind === 'error') error = expected.contains;
    else if (expected.kind === 'count') totals[expected.verb] += expected.count;
    if (back) {
      results.push("Savepoint 'here' created", ...(expected.kind === 'rows' ? [expected] : []), "Rolled back to savepoint 'here'");
      models = before;
    } else if (expected.kind === 'rows') results.push(expected);
  }
  texts.push(commits ? 'COMMIT' : 'ROLLBACK');
  results.push(commits ? 'Transaction committed' : 'Transaction rolled back');
  const verbs: readonly Verb[] = ['Inserted', 'Updated', 'Deleted'];
  return {
    label: error !== undefined ? 'failed transaction' : commits ? 'commit' : 'rollback',
    sql: texts.join('; '),
    results,
    summaries: verbs.filter((verb) => totals[verb] > 0).map((verb) => `${verb} ${totals[verb]} row(s)`),
    error,
    after: error === undefined && commits ? models : places.map(({ model }) => model),
  };
}
