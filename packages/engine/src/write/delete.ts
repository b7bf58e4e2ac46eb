import type { DeletePlan } from '@kalamdb/sql';
import type { Steps } from '../slices/steps.ts';
import { ReturnedRows, type WriteOutcome, type Written, written } from './returned-rows.ts';
import { findCandidates, matchesAmong, sizeOf } from './row-set.ts';
import type { WriteContext } from './write-context.ts';
import type { RowWriter } from './write-target.ts';

/**
 * Deletes the rows that match, all or none, and resolves with their number when the target has taken it. A tombstone keeps the cells
 * of its row; events of a stream are gone at once. RETURNING tells of the rows as they were.
 */
export async function deleteRows(context: WriteContext, plan: DeletePlan): Promise<Written> {
  const { table, partition } = context.grant;
  const finding = findCandidates(context, plan);
  const found = finding instanceof Promise ? await finding : finding;
  const { returning } = plan;
  const work = function* (writer: RowWriter): Steps<WriteOutcome> {
    const returned = returning === undefined ? undefined : new ReturnedRows(returning, context.grant, context.evaluation);
    let deleted = 0;
    for (const row of matchesAmong(writer, context, { plan, candidates: found.candidates })) {
      if (row === undefined) yield;
      else {
        writer.put(table, partition, { key: row.key, cells: row.cells, deleted: true });
        returned?.add(row);
        deleted += 1;
      }
    }
    return { count: deleted, returned };
  };
  return written(await context.target.write(sizeOf(context.grant, found), work));
}
