import type { Row } from '@kalamdb/protocol';
import type { EvalContext, SelectPlan } from '@kalamdb/sql';
import type { Grant } from '../access/grant.ts';
import { STEP_ROWS, type Steps } from '../slices/steps.ts';
import { type RowAccess, rowsAt, shownRow } from './granted-rows.ts';
import type { RowSource } from './row-source.ts';
import { SelectRun } from './select-run.ts';

/** A source that was opened for one statement; whoever opened it closes it. */
export interface OpenSource extends RowSource {
  close(): void;
}

/** One SELECT over the rows of one granted partition. */
export interface GrantedSelect {
  readonly plan: SelectPlan;
  readonly grant: Pick<Grant, 'table' | 'partition' | 'maskedCells'>;
  readonly access: RowAccess;
  readonly evaluation: EvalContext;
}

/** What is known of a SELECT between its steps. */
export interface ScanProgress {
  /** Rows read so far, tombstones included. */
  rows: number;
}

/** Takes rows of an answer as they are found. */
export type RowTaker = (rows: readonly Row[]) => void;

/** Runs a SELECT in steps. The source is opened at the first step and closed on every path before the answer is sorted. */
export function* selectSteps(select: GrantedSelect, open: () => OpenSource, progress?: ScanProgress): Steps<Row[]> {
  const run = new SelectRun(select.plan, select.evaluation);
  yield* readSteps({ select, open, run, progress, take: undefined });
  return yield* run.finishInSteps();
}

/** {@link selectSteps} whose rows are handed on after each step, so that it holds only what sorting and grouping need. */
export function* selectStepsTo(select: GrantedSelect, open: () => OpenSource, take: RowTaker, progress?: ScanProgress): Steps<void> {
  const run = new SelectRun(select.plan, select.evaluation);
  yield* readSteps({ select, open, run, progress, take });
  const rest = run.finishInSteps();
  for (let step = rest.next(); ; step = rest.next()) {
    if (step.done === true) {
      take(step.value);
      return;
    }
    take(run.take());
    yield;
  }
}

interface Reading {
  readonly select: GrantedSelect;
  readonly open: () => OpenSource;
  readonly run: SelectRun;
  readonly progress: ScanProgress | undefined;
  readonly take: RowTaker | undefined;
}

/** Feeds a run with the rows of its source. */
function* readSteps({ select, open, run, progress, take }: Reading): Steps<void> {
  const { plan, grant, access } = select;
  const { maskedCells } = grant;
  if (run.isEmpty) return;
  const source = open();
  try {
    let left = STEP_ROWS;
    for (const row of rowsAt(source.view(grant.table, grant.partition), access)) {
      const shown = shownRow(row, maskedCells, plan.mentionsDeleted);
      if (shown !== undefined && !run.push(shown)) break;
      if (--left > 0) continue;
      left = STEP_ROWS;
      if (progress !== undefined) progress.rows += STEP_ROWS;
      if (take !== undefined) take(run.take());
      yield;
    }
  } finally {
    source.close();
  }
}

/** Runs a SELECT in steps over rows that are there already: those of a view's query. */
export function* selectRowsSteps(plan: SelectPlan, rows: readonly Row[], evaluation: EvalContext): Steps<Row[]> {
  const run = new SelectRun(plan, evaluation);
  if (run.isEmpty) return [];
  yield* pushRowsSteps(run, rows);
  return yield* run.finishInSteps();
}

/** Feeds a run with rows in steps; answers whether it wants more. */
export function* pushRowsSteps(run: SelectRun, rows: readonly Row[]): Steps<boolean> {
  let left = STEP_ROWS;
  for (const cells of rows) {
    if (!run.push({ cells, seq: 0n, deleted: false })) return false;
    if (--left > 0) continue;
    left = STEP_ROWS;
    yield;
  }
  return true;
}
