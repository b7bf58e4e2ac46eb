import type { Row } from '@kalamdb/protocol';
import type { GeneralCheck, GeneralConflict, GeneralInsertPlan, GeneralSource, InputRow, InsertPlan } from '@kalamdb/sql';
import { maskRow } from '../read/mask.ts';
import { COMMIT_ROWS_MAX } from '../sequencer/draft.ts';
import { STEP_ROWS, type Steps } from '../slices/steps.ts';
import type { GeneralQueryRun } from './general-query-run.ts';
import { prepareRows, writeRows } from './insert.ts';
import type { RowsToInsert, TakenRows } from './insert-steps.ts';
import { LostRace, racing } from './lost-race.ts';
import type { Written } from './returned-rows.ts';
import type { WriteContext } from './write-context.ts';

/** Rows to insert whose keys are looked up one by one; of a table that more may meet in all rows are read. */
const KEYED_ROWS_MAX = 1000;

/**
 * An INSERT whose rows, single values or DO UPDATE the general executor computes. Rows that are in the way of others are updated with what it made
 * of the version that it has read: when that is not the newest one in the turn, all is computed again ({@link racing}). `isCommit`: the
 * statement is a commit of its own, which bounds its rows. Throws what `insertRows` throws, what the queries throw, and CONFLICT.
 */
export function insertGeneralRows(
  context: WriteContext,
  plan: GeneralInsertPlan,
  { run, isCommit }: { readonly run: GeneralQueryRun; readonly isCommit: boolean },
): Promise<Written> {
  return racing(context, async (target) => {
    const found = await foundRows(plan, run, isCommit);
    const inner: WriteContext = { ...context, target, evaluation: found.evaluation ?? context.evaluation };
    const prepared = await prepareRows(inner, found.plan, found.selected);
    const taken = plan.conflict === undefined ? undefined : await takenRows(inner, plan.conflict, { prepared, run });
    return writeRows(inner, found.plan, prepared, taken);
  });
}

interface FoundInsert {
  readonly plan: InsertPlan;
  /** The rows of its SELECT. */
  readonly selected: readonly Row[] | undefined;
  /** With the values that were computed. */
  readonly evaluation: WriteContext['evaluation'] | undefined;
}

async function foundRows({ source, mayConflict }: GeneralInsertPlan, run: GeneralQueryRun, isCommit: boolean): Promise<FoundInsert> {
  if (source.kind === 'rows') {
    // One row more than a commit holds is enough to be refused.
    const rowsMax = isCommit && !mayConflict ? COMMIT_ROWS_MAX + 1 : undefined;
    const { columns, rows } = await run.query(source.query, { rowsMax });
    return { plan: source.plan(columns.map(({ type }) => type)), selected: rows, evaluation: undefined };
  }
  const { query, plan } = source;
  if (query === undefined) return { plan, selected: undefined, evaluation: undefined };
  const { rows } = await run.query(query);
  return { plan, selected: undefined, evaluation: run.withParameters(rows[0] ?? []) };
}

/** What becomes of the rows whose keys are taken, by their numbers. */
async function takenRows(
  context: WriteContext,
  conflict: GeneralConflict,
  { prepared, run }: { readonly prepared: RowsToInsert; readonly run: GeneralQueryRun },
): Promise<TakenRows> {
  const { grant, evaluation, queries } = context;
  const { rows } = await run.query(conflict.query, {
    rows: { source: conflict.excluded, rows: () => numbered(prepared.rows) },
    sources: keyedSources(conflict, prepared.rows, grant.table.keyIndex),
  });
  const byNumber = new Map<number, Row>();
  function* gather(): Steps<void> {
    for (const row of rows) if (byNumber.set(Number(row[0]), row).size % STEP_ROWS === 0) yield;
  }
  await queries.run(gather());
  return (existing, index) => {
    const found = byNumber.get(index);
    if (found === undefined || found[1] !== existing.seq) throw new LostRace();
    return conflict.apply(maskRow(existing, grant.maskedCells).cells, found, evaluation);
  };
}

/** The sources of the query: of the table only the rows whose keys are to be inserted, if the query asks for no others. */
function keyedSources({ query, proposed }: GeneralConflict, rows: readonly Row[], keyIndex: number): readonly GeneralSource[] {
  const cells = rows.length > KEYED_ROWS_MAX ? undefined : rows.flatMap((row) => row[keyIndex] ?? []);
  const filled = (checks: readonly GeneralCheck[]): readonly GeneralCheck[] =>
    checks.flatMap((check) => (check !== proposed ? [check] : cells === undefined ? [] : [{ column: check.column, test: 'in', cells }]));
  return query.sources.map((source) => ({ ...source, checks: source.checks?.map(filled) }));
}

function* numbered(rows: readonly Row[]): Iterable<InputRow> {
  for (const [index, cells] of rows.entries()) yield { cells, seq: BigInt(index), deleted: false };
}
