import type { Row } from '@kalamdb/protocol';
import type { EvalContext, InputRow, SelectPlan } from '@kalamdb/sql';
import { SelectRun } from './select-run.ts';

const EMPTY_ROW: InputRow = { cells: [], seq: 0n, deleted: false };

/**
 * Runs a SELECT at once over the rows of its table ({@link SelectRun}). They are read once and no further than the answer
 * needs; a plan without a table does not look at them.
 */
export function executeSelect(plan: SelectPlan, rows: Iterable<InputRow>, context: EvalContext): Row[] {
  const run = new SelectRun(plan, context);
  if (run.isEmpty) return [];
  if (plan.table === undefined) run.push(EMPTY_ROW);
  else for (const row of rows) if (!run.push(row)) break;
  return run.finish();
}
