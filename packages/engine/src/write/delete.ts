import type { DeletePlan } from '@kalamdb/sql';
import { findCandidates, matchesAmong } from './row-set.ts';
import type { WriteContext } from './write-context.ts';

/**
 * Deletes the rows that match, all or none, and resolves with their number when the target has taken it. A tombstone keeps the cells
 * of its row; events of a stream are gone at once.
 */
export async function deleteRows(context: WriteContext, plan: DeletePlan): Promise<number> {
  const { table, partition } = context.grant;
  const found = findCandidates(context, plan);
  const candidates = found instanceof Promise ? await found : found;
  return context.target.write({ table, partition, rowsMax: candidates.length }, function* (writer) {
    let deleted = 0;
    for (const row of matchesAmong(writer, context, { plan, candidates })) {
      if (row === undefined) yield;
      else {
        writer.put(table, partition, { key: row.key, cells: row.cells, deleted: true });
        deleted += 1;
      }
    }
    return deleted;
  });
}
