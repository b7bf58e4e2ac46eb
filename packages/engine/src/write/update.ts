import { cellsEqual, kalamError, type Row } from '@kalamdb/protocol';
import type { UpdatePlan } from '@kalamdb/sql';
import { MASK, maskRow } from '../read/mask.ts';
import { findCandidates, matchesAmong } from './row-set.ts';
import { checkNotNull, type WriteContext } from './write-context.ts';

/**
 * Updates the rows that match, all or none, and resolves with the number of rows that changed, 0 included, when the target
 * has taken them. Expressions see the newest version of each row at the turn, so concurrent updates of one row all take effect.
 */
export async function updateRows(context: WriteContext, plan: UpdatePlan): Promise<number> {
  const { table, partition, maskedCells } = context.grant;
  if (table.kind === 'stream') throw kalamError('STREAM_UPDATE');
  const found = findCandidates(context, plan);
  const candidates = found instanceof Promise ? await found : found;
  return context.target.write({ table, partition, rowsMax: candidates.length }, function* (writer) {
    let changed = 0;
    let matched = 0;
    for (const row of matchesAmong(writer, context, { plan, candidates })) {
      if (row === undefined) {
        yield;
        continue;
      }
      const cells = unmasked(row.cells, plan.apply(maskRow(row, maskedCells), context.evaluation), maskedCells);
      checkNotNull(table, cells, ++matched);
      if (sameCells(row.cells, cells)) continue;
      writer.put(table, partition, { key: row.key, cells });
      changed += 1;
    }
    return changed;
  });
}

/** Expressions read secrets as `***`; a secret that was not assigned stays what it is. */
function unmasked(before: Row, after: Row, indexes: readonly number[]): Row {
  if (indexes.length === 0) return after;
  return after.map((cell, index) => (cell === MASK && indexes.includes(index) ? (before[index] ?? null) : cell));
}

function sameCells(before: Row, after: Row): boolean {
  return before.every((cell, index) => cellsEqual(cell, after[index] ?? null));
}
