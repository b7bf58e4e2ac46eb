import { cellToText, type ErrorCode, KalamError, kalamError, type Row } from '@kalamdb/protocol';
import type { EvalContext, InsertPlan } from '@kalamdb/sql';
import { type RowKey, rowKeyBytesMax } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import { checkNotNull, type WriteContext } from './write-context.ts';

/** Failures of turning a value into what its column holds. */
const COERCION_ERRORS: ReadonlySet<ErrorCode> = new Set(['INVALID_TEXT', 'VALUE_OUT_OF_RANGE', 'EMBEDDING_DIMENSION', 'TYPE_MISMATCH']);

/**
 * The rows of an INSERT, evaluated. A value that its column cannot hold is COERCION_FAILED, which every role reads in full:
 * it tells nothing but what the caller has sent.
 */
export function rowsToInsert(plan: InsertPlan, evaluation: EvalContext, selected: readonly Row[] | undefined): readonly Row[] {
  try {
    return plan.rowsFor(evaluation, selected);
  } catch (error) {
    if (!(error instanceof KalamError) || !COERCION_ERRORS.has(error.code)) throw error;
    const reason = error.message.replace(/^Execution error: /, '');
    throw kalamError('COERCION_FAILED', { reason }, { cause: error, position: error.position });
  }
}

/**
 * Inserts rows, all or none, and resolves with their number when the target has taken them. Rows hold every stored column, coerced and
 * with defaults. Throws NOT_NULL, DUPLICATE_KEY, DUPLICATE_KEY_IN_STATEMENT; a tombstone's key may be inserted again.
 */
export async function insertRows(context: WriteContext, rows: readonly Row[]): Promise<number> {
  const { table, partition } = context.grant;
  for (let index = 0; index < rows.length; index++) checkNotNull(table, rows[index] ?? [], index + 1);
  const keys = table.keyIndexes.length === 0 ? undefined : distinctKeys(table, rows);
  return context.target.write(table, (writer) => {
    for (let index = 0; index < rows.length; index++) {
      const cells = rows[index] ?? [];
      const key = keys?.[index];
      if (key !== undefined) {
        const existing = writer.latest(table, partition, key);
        if (existing !== undefined && !existing.deleted) throw kalamError('DUPLICATE_KEY', keyParameters(table, cells));
      }
      writer.put(table, partition, { key, cells });
    }
    return rows.length;
  });
}

function distinctKeys(table: Table, rows: readonly Row[]): readonly RowKey[] {
  const seen = new Set<RowKey>();
  return rows.map((cells) => {
    const key = table.keyOf(cells, 0n);
    if (key.length > rowKeyBytesMax) throw kalamError('KEY_TOO_LONG', { bytes: key.length, bytesMax: rowKeyBytesMax });
    if (seen.has(key)) throw kalamError('DUPLICATE_KEY_IN_STATEMENT', keyParameters(table, cells));
    seen.add(key);
    return key;
  });
}

/** The key of a row as the messages of DUPLICATE_KEY and its kin show it. */
export function keyParameters(table: Table, cells: Row): { value: string; column: string } {
  const index = table.keyIndex;
  const cell = cells[index] ?? null;
  const column = table.storedColumns[index];
  return { value: cell === null || column === undefined ? 'NULL' : cellToText(cell, column.type), column: column?.name ?? '' };
}
