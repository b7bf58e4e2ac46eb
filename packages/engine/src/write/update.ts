import { cellsEqual, kalamError, type Row } from '@kalamdb/protocol';
import type { UpdatePlan } from '@kalamdb/sql';
import { maskRow, unmaskCells } from '../read/mask.ts';
import type { Steps } from '../slices/steps.ts';
import { ReturnedRows, type WriteOutcome, type Written, written } from './returned-rows.ts';
import { findCandidates, matchesAmong, sizeOf } from './row-set.ts';
import { checkNotNull, type WriteContext } from './write-context.ts';
import type { RowWriter } from './write-target.ts';

/**
 * Updates the rows that match, all or none, and resolves with the number of rows that changed, 0 included, when the target
 * has taken them. Expressions see the newest version of each row at the turn, so concurrent updates of one row all take effect.
 * RETURNING tells of all that match, those that stay what they were too.
 */
export async function updateRows(context: WriteContext, plan: UpdatePlan): Promise<Written> {
  const { grant, evaluation } = context;
  const { table, partition, maskedCells } = grant;
  const { returning } = plan;
  if (table.kind === 'stream') throw kalamError('STREAM_UPDATE');
  const finding = findCandidates(context, plan);
  const found = finding instanceof Promise ? await finding : finding;
  const work = function* (writer: RowWriter): Steps<WriteOutcome> {
    const returned = returning === undefined ? undefined : new ReturnedRows(returning, grant, evaluation);
    let changed = 0;
    let matched = 0;
    for (const row of matchesAmong(writer, context, { plan, candidates: found.candidates })) {
      if (row === undefined) {
        yield;
        continue;
      }
      const cells = unmaskCells(row.cells, plan.apply(maskRow(row, maskedCells), evaluation), maskedCells);
      checkNotNull(table, cells, ++matched);
      const isSame = sameCells(row.cells, cells);
      const version = isSame ? row : writer.put(table, partition, { key: row.key, cells });
      returned?.add(version);
      if (!isSame) changed += 1;
    }
    return { count: changed, returned };
  };
  return written(await context.target.write(sizeOf(context.grant, found), work));
}

/** Whether an UPDATE changes nothing. */
export function sameCells(before: Row, after: Row): boolean {
  return before.every((cell, index) => cellsEqual(cell, after[index] ?? null));
}
