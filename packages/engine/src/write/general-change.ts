import { kalamError, type NonNullCell, type Row } from '@kalamdb/protocol';
import type { GeneralChangePlan } from '@kalamdb/sql';
import type { RowKey } from '@kalamdb/storage';
import type { RowVersion } from '../contract.ts';
import { maskRow, unmaskCells } from '../read/mask.ts';
import { STEP_ROWS, type Steps } from '../slices/steps.ts';
import type { GeneralQueryRun } from './general-query-run.ts';
import { LostRace, racing } from './lost-race.ts';
import { ReturnedRows, type WriteOutcome, type Written, written } from './returned-rows.ts';
import { sameCells } from './update.ts';
import { checkNotNull, type WriteContext } from './write-context.ts';
import type { RowWriter } from './write-target.ts';

/** A row that the statement is about, as its query has read it. */
interface FoundRow {
  readonly key: RowKey;
  readonly seq: bigint;
  /** All that the query gave for it. */
  readonly found: Row;
}

/**
 * UPDATE … FROM, DELETE … USING and their kin: the general executor computes the whole row set at one snapshot, new values included; in its
 * turn each row must still have the version that was read, else all of it is computed again ({@link racing}). Counts as `updateRows` and
 * `deleteRows` do. Throws what they throw, what the query throws, and CONFLICT.
 */
export function changeRows(context: WriteContext, plan: GeneralChangePlan, run: GeneralQueryRun): Promise<Written> {
  const { table, partition } = context.grant;
  return racing(context, async (target) => {
    const { rows } = await run.query(plan.rows);
    const found = await context.queries.run(foundRows(context, rows));
    const size = { table, partition, rowsMax: found.length, keys: found.map(({ key }) => key) };
    return written(await target.write(size, (writer) => changeSteps(writer, context, { plan, found })));
  });
}

function* foundRows({ grant: { table } }: WriteContext, rows: readonly Row[]): Steps<readonly FoundRow[]> {
  const found: FoundRow[] = [];
  for (const row of rows) {
    const [key, seq] = row;
    if (key === null || key === undefined || typeof seq !== 'bigint')
      throw kalamError('INTERNAL_ERROR', { reason: 'a row set without keys' });
    if (found.push({ key: table.encodeKey([key as NonNullCell]), seq, found: row }) % STEP_ROWS === 0) yield;
  }
  return found;
}

function* changeSteps(
  writer: RowWriter,
  context: WriteContext,
  { plan, found }: { readonly plan: GeneralChangePlan; readonly found: readonly FoundRow[] },
): Steps<WriteOutcome> {
  const { grant, evaluation } = context;
  const { table, partition } = grant;
  const { returning } = plan;
  const returned = returning === undefined ? undefined : new ReturnedRows(returning, grant, evaluation);
  let count = 0;
  for (const [index, row] of found.entries()) {
    const before = writer.latest(table, partition, row.key);
    if (before === undefined || before.deleted || before.seq !== row.seq) throw new LostRace();
    const version = changed(writer, context, { plan, before, found: row.found, rowNumber: index + 1 });
    if (version !== before || plan.apply === undefined) count += 1;
    returned?.add(version, returning === undefined ? [] : row.found.slice(returning.besideFrom));
    if (index % STEP_ROWS === STEP_ROWS - 1) yield;
  }
  return { count, returned };
}

interface RowChange {
  readonly plan: GeneralChangePlan;
  readonly before: RowVersion;
  readonly found: Row;
  /** 1-based within the statement. */
  readonly rowNumber: number;
}

/** Writes one row; answers what RETURNING tells of: the row as it is now, of DELETE as it was. */
function changed(writer: RowWriter, { grant, evaluation }: WriteContext, { plan, before, found, rowNumber }: RowChange): RowVersion {
  const { table, partition, maskedCells } = grant;
  const { key } = before;
  if (plan.apply === undefined) {
    writer.put(table, partition, { key, cells: before.cells, deleted: true });
    return before;
  }
  const cells = unmaskCells(before.cells, plan.apply(maskRow(before, maskedCells).cells, found, evaluation), maskedCells);
  checkNotNull(table, cells, rowNumber);
  return sameCells(before.cells, cells) ? before : writer.put(table, partition, { key, cells });
}
