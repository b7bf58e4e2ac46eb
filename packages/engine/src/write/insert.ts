import { type ErrorCode, KalamError, kalamError, type Row } from '@kalamdb/protocol';
import type { EvalContext, InsertPlan } from '@kalamdb/sql';
import { type RowKey, rowKeyBytesMax } from '@kalamdb/storage';
import type { Grant } from '../access/grant.ts';
import type { Table } from '../catalog/table.ts';
import { LARGE_COMMIT_ROWS } from '../sequencer/large-commit.ts';
import { finishSteps, STEP_ROWS, StepMeter, type Steps, textUnits } from '../slices/steps.ts';
import { insertSteps, type RowsToInsert, type TakenRows } from './insert-steps.ts';
import { keyParameters } from './key-parameters.ts';
import { type Written, written } from './returned-rows.ts';
import { checkNotNull, type WriteContext } from './write-context.ts';
import type { RowWriter } from './write-target.ts';

/** Rows that are evaluated and checked without leaving the turn of the event loop. */
const ROWS_AT_ONCE_MAX = 200;
/** Failures of turning a value into what its column holds. */
const COERCION_ERRORS: ReadonlySet<ErrorCode> = new Set(['INVALID_TEXT', 'VALUE_OUT_OF_RANGE', 'EMBEDDING_DIMENSION', 'TYPE_MISMATCH']);

/**
 * Inserts the rows of a plan, all or none, and resolves with their number (or the rows of RETURNING) when the target has taken them;
 * `selected` are the rows of its SELECT. Throws NOT_NULL, DUPLICATE_KEY, DUPLICATE_KEY_IN_STATEMENT, CONFLICT_TWICE, KEY_TOO_LONG and
 * COERCION_FAILED; a tombstone's key may be inserted again. Events of an ephemeral stream that nobody hears are not inserted.
 */
export function insertRows(context: WriteContext, plan: InsertPlan, selected: readonly Row[] | undefined): Promise<Written> {
  const prepared = prepareRows(context, plan, selected);
  return prepared instanceof Promise ? prepared.then((rows) => writeRows(context, plan, rows)) : writeRows(context, plan, prepared);
}

/** The rows of a plan, evaluated and checked by themselves; see {@link insertRows}. */
export function prepareRows(
  context: WriteContext,
  plan: InsertPlan,
  selected: readonly Row[] | undefined,
): RowsToInsert | Promise<RowsToInsert> {
  const steps = rowsToInsert(context, plan, selected);
  const isShort = (selected?.length ?? plan.values?.count ?? 0) <= ROWS_AT_ONCE_MAX;
  return isShort ? finishSteps(steps) : Promise.resolve(context.queries.run(steps));
}

/** Writes what {@link prepareRows} gave; `taken` says what becomes of rows that are in the way when the plan leaves that open. */
export function writeRows(context: WriteContext, plan: InsertPlan, prepared: RowsToInsert, taken?: TakenRows): Promise<Written> {
  const { table, partition } = context.grant;
  const { conflict, returning } = plan;
  if (table.kind === 'stream' && table.options.ephemeral === true && !context.isHeard(partition)) {
    return Promise.resolve(returning === undefined ? 0 : []);
  }
  const { rows, keys } = prepared;
  // One row cannot be cut, and many are anyway.
  const units = rows.length > 1 && rows.length <= LARGE_COMMIT_ROWS ? rows.reduce((sum, cells) => sum + textUnits(cells), 0) : 0;
  const size = { table, partition, rowsMax: rows.length, textUnits: units, keys };
  if (conflict !== undefined || returning !== undefined) {
    return context.target.write(size, (writer) => insertSteps(writer, context, { plan, prepared, taken })).then(written);
  }
  return context.target.write(size, (writer) => writeSteps(writer, context.grant, prepared));
}

// A generator function made for each statement would cost more than all the rest of an INSERT of one row: each has a prototype.
function* writeSteps(writer: RowWriter, { table, partition }: Grant, { rows, keys }: RowsToInsert): Steps<number> {
  const meter = new StepMeter();
  for (let index = 0; index < rows.length; index++) {
    const cells = rows[index] ?? [];
    const key = keys?.[index];
    if (key !== undefined) {
      const existing = writer.latest(table, partition, key);
      if (existing !== undefined && !existing.deleted) throw kalamError('DUPLICATE_KEY', keyParameters(table, cells));
    }
    writer.put(table, partition, { key, cells });
    if (meter.passed(cells)) yield;
  }
  return rows.length;
}

function* rowsToInsert(
  { grant: { table }, evaluation }: WriteContext,
  plan: InsertPlan,
  selected: readonly Row[] | undefined,
): Steps<RowsToInsert> {
  const rows = yield* evaluatedInSteps(plan, evaluation, selected);
  for (let index = 0; index < rows.length; index++) {
    checkNotNull(table, rows[index] ?? [], index + 1, plan.missing);
    if (index % STEP_ROWS === STEP_ROWS - 1) yield;
  }
  return { rows, keys: table.keyIndexes.length === 0 ? undefined : yield* keysOf(table, rows, plan.conflict !== undefined) };
}

function* evaluatedInSteps(plan: InsertPlan, evaluation: EvalContext, selected: readonly Row[] | undefined): Steps<readonly Row[]> {
  const { values } = plan;
  const count = selected?.length ?? values?.count ?? 0;
  if (count <= STEP_ROWS) return evaluated(() => plan.rowsFor(evaluation, selected));
  const rows: Row[] = [];
  for (let from = 0; from < count; from += STEP_ROWS) {
    const to = Math.min(from + STEP_ROWS, count);
    const some = evaluated(() => values?.rows(evaluation, from, to) ?? plan.rowsFor(evaluation, selected?.slice(from, to)));
    for (const row of some) rows.push(row);
    yield;
  }
  return rows;
}

/** A value that its column cannot hold is COERCION_FAILED, which every role reads in full: it tells nothing but what the caller has sent. */
function evaluated(rows: () => readonly Row[]): readonly Row[] {
  try {
    return rows();
  } catch (error) {
    if (!(error instanceof KalamError) || !COERCION_ERRORS.has(error.code)) throw error;
    const reason = error.message.replace(/^Execution error: /, '');
    throw kalamError('COERCION_FAILED', { reason }, { cause: error, position: error.position });
  }
}

/** The keys of the rows; one that comes twice is an error unless that may be. */
function* keysOf(table: Table, rows: readonly Row[], mayRepeat: boolean): Steps<readonly RowKey[]> {
  const seen = new Set<RowKey>();
  const keys: RowKey[] = [];
  for (const cells of rows) {
    const key = table.keyOf(cells, 0n);
    if (key.length > rowKeyBytesMax) throw kalamError('KEY_TOO_LONG', { bytes: key.length, bytesMax: rowKeyBytesMax });
    if (rows.length > 1 && !mayRepeat) {
      if (seen.has(key)) throw kalamError('DUPLICATE_KEY_IN_STATEMENT', keyParameters(table, cells));
      seen.add(key);
    }
    if (keys.push(key) % STEP_ROWS === 0) yield;
  }
  return keys;
}
