import { kalamError, type Row } from '@kalamdb/protocol';
import type { ConflictPlan, InsertPlan } from '@kalamdb/sql';
import type { RowKey } from '@kalamdb/storage';
import type { RowVersion } from '../contract.ts';
import { maskRow, unmaskCells } from '../read/mask.ts';
import { StepMeter, type Steps } from '../slices/steps.ts';
import { keyParameters } from './key-parameters.ts';
import { ReturnedRows, type WriteOutcome } from './returned-rows.ts';
import { checkNotNull, type WriteContext } from './write-context.ts';
import type { RowWriter } from './write-target.ts';

/** The rows of an INSERT, ready to be written. */
export interface RowsToInsert {
  /** Every stored column, coerced and with defaults. */
  readonly rows: readonly Row[];
  /** `undefined`: the table has no key. */
  readonly keys: readonly RowKey[] | undefined;
}

/** The new cells of a row that is in the way of the one to be inserted with this number, 0-based; `undefined`: it stays. */
export type TakenRows = (existing: RowVersion, index: number) => Row | undefined;

/** Writes the rows of an INSERT with ON CONFLICT or RETURNING. Throws DUPLICATE_KEY, CONFLICT_TWICE, NOT_NULL and what expressions throw. */
export function* insertSteps(
  writer: RowWriter,
  context: WriteContext,
  insert: { readonly plan: InsertPlan; readonly prepared: RowsToInsert; readonly taken?: TakenRows | undefined },
): Steps<WriteOutcome> {
  const { table, partition } = context.grant;
  const { conflict, returning } = insert.plan;
  const { rows, keys } = insert.prepared;
  const returned = returning === undefined ? undefined : new ReturnedRows(returning, context.grant, context.evaluation);
  const taken = insert.taken ?? (conflict?.kind === 'update' ? compiledTaken(context, conflict, rows) : undefined);
  const conflicting = taken === undefined ? undefined : new ConflictingRows(writer, context, taken);
  const meter = new StepMeter();
  let count = 0;
  for (let index = 0; index < rows.length; index++) {
    const cells = rows[index] ?? [];
    const key = keys?.[index];
    const existing = key === undefined ? undefined : writer.latest(table, partition, key);
    let version: RowVersion | undefined;
    if (existing === undefined || existing.deleted) {
      version = writer.put(table, partition, { key, cells, upsert: conflict !== undefined });
      if (rows.length > 1 && key !== undefined) conflicting?.written.add(key);
    } else if (conflict === undefined) throw kalamError('DUPLICATE_KEY', keyParameters(table, cells));
    else version = conflicting?.update(existing, cells, index);
    if (version !== undefined) {
      count += 1;
      returned?.add(version);
    }
    if (meter.passed(cells)) yield;
  }
  return { count, returned };
}

/** DO UPDATE as the compiled executor makes it. */
function compiledTaken({ grant, evaluation }: WriteContext, conflict: ConflictPlan & { kind: 'update' }, rows: readonly Row[]): TakenRows {
  return (existing, index) => conflict.apply(maskRow(existing, grant.maskedCells), rows[index] ?? [], evaluation);
}

/** DO UPDATE of one statement. */
class ConflictingRows {
  /** Keys that the statement has written: it may not come back to them. */
  readonly written = new Set<RowKey>();
  readonly #writer: RowWriter;
  readonly #context: WriteContext;
  readonly #taken: TakenRows;

  constructor(writer: RowWriter, context: WriteContext, taken: TakenRows) {
    this.#writer = writer;
    this.#context = context;
    this.#taken = taken;
  }

  /** Updates the row that is in the way of `proposed`, the row with this number; `undefined` when its WHERE clause does not want that. */
  update(existing: RowVersion, proposed: Row, index: number): RowVersion | undefined {
    const { table, partition, maskedCells } = this.#context.grant;
    if (this.written.has(existing.key)) throw kalamError('CONFLICT_TWICE', keyParameters(table, proposed));
    const after = this.#taken(existing, index);
    if (after === undefined) return undefined;
    const cells = unmaskCells(existing.cells, after, maskedCells);
    checkNotNull(table, cells, index + 1);
    this.written.add(existing.key);
    return this.#writer.put(table, partition, { key: existing.key, cells, upsert: true });
  }
}
