import { cellToText, type ErrorCode, KalamError, kalamError, type Row } from '@kalamdb/protocol';
import type { EvalContext, InsertPlan } from '@kalamdb/sql';
import { type RowKey, rowKeyBytesMax } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import { LARGE_COMMIT_ROWS } from '../sequencer/large-commit.ts';
import { finishSteps, STEP_ROWS, type Steps } from '../slices/steps.ts';
import { checkNotNull, type WriteContext } from './write-context.ts';

/** Failures of turning a value into what its column holds. */
const COERCION_ERRORS: ReadonlySet<ErrorCode> = new Set(['INVALID_TEXT', 'VALUE_OUT_OF_RANGE', 'EMBEDDING_DIMENSION', 'TYPE_MISMATCH']);

/**
 * Inserts the rows of a plan, all or none, and resolves with their number when the target has taken them; `selected` are the rows of
 * its SELECT. Throws NOT_NULL, DUPLICATE_KEY, DUPLICATE_KEY_IN_STATEMENT, KEY_TOO_LONG and COERCION_FAILED; a tombstone's key
 * may be inserted again.
 */
export async function insertRows(context: WriteContext, plan: InsertPlan, selected: readonly Row[] | undefined): Promise<number> {
  const { table, partition } = context.grant;
  const steps = rowsToInsert(context, plan, selected);
  const isLarge = selected !== undefined && selected.length > LARGE_COMMIT_ROWS;
  const { rows, keys } = isLarge ? await context.queries.run(steps) : finishSteps(steps);
  return context.target.write({ table, partition, rowsMax: keys === undefined ? 0 : rows.length }, function* (writer) {
    for (let index = 0; index < rows.length; index++) {
      const cells = rows[index] ?? [];
      const key = keys?.[index];
      if (key !== undefined) {
        const existing = writer.latest(table, partition, key);
        if (existing !== undefined && !existing.deleted) throw kalamError('DUPLICATE_KEY', keyParameters(table, cells));
      }
      writer.put(table, partition, { key, cells });
      if (index % STEP_ROWS === STEP_ROWS - 1) yield;
    }
    return rows.length;
  });
}

interface RowsToInsert {
  /** Every stored column, coerced and with defaults. */
  readonly rows: readonly Row[];
  /** `undefined`: the table has no key. */
  readonly keys: readonly RowKey[] | undefined;
}

function* rowsToInsert(
  { grant: { table }, evaluation }: WriteContext,
  plan: InsertPlan,
  selected: readonly Row[] | undefined,
): Steps<RowsToInsert> {
  const rows = selected === undefined ? evaluated(plan, evaluation, undefined) : yield* evaluatedInSteps(plan, evaluation, selected);
  for (let index = 0; index < rows.length; index++) {
    checkNotNull(table, rows[index] ?? [], index + 1);
    if (index % STEP_ROWS === STEP_ROWS - 1) yield;
  }
  return { rows, keys: table.keyIndexes.length === 0 ? undefined : yield* distinctKeys(table, rows) };
}

function* evaluatedInSteps(plan: InsertPlan, evaluation: EvalContext, selected: readonly Row[]): Steps<readonly Row[]> {
  const rows: Row[] = [];
  for (let from = 0; from < selected.length; from += STEP_ROWS) {
    for (const row of evaluated(plan, evaluation, selected.slice(from, from + STEP_ROWS))) rows.push(row);
    yield;
  }
  return rows;
}

/** A value that its column cannot hold is COERCION_FAILED, which every role reads in full: it tells nothing but what the caller has sent. */
function evaluated(plan: InsertPlan, evaluation: EvalContext, selected: readonly Row[] | undefined): readonly Row[] {
  try {
    return plan.rowsFor(evaluation, selected);
  } catch (error) {
    if (!(error instanceof KalamError) || !COERCION_ERRORS.has(error.code)) throw error;
    const reason = error.message.replace(/^Execution error: /, '');
    throw kalamError('COERCION_FAILED', { reason }, { cause: error, position: error.position });
  }
}

function* distinctKeys(table: Table, rows: readonly Row[]): Steps<readonly RowKey[]> {
  const seen = new Set<RowKey>();
  const keys: RowKey[] = [];
  for (const cells of rows) {
    const key = table.keyOf(cells, 0n);
    if (key.length > rowKeyBytesMax) throw kalamError('KEY_TOO_LONG', { bytes: key.length, bytesMax: rowKeyBytesMax });
    if (seen.has(key)) throw kalamError('DUPLICATE_KEY_IN_STATEMENT', keyParameters(table, cells));
    seen.add(key);
    if (keys.push(key) % STEP_ROWS === 0) yield;
  }
  return keys;
}

/** The key of a row as the messages of DUPLICATE_KEY and its kin show it. */
export function keyParameters(table: Table, cells: Row): { value: string; column: string } {
  const index = table.keyIndex;
  const cell = cells[index] ?? null;
  const column = table.storedColumns[index];
  return { value: cell === null || column === undefined ? 'NULL' : cellToText(cell, column.type), column: column?.name ?? '' };
}
