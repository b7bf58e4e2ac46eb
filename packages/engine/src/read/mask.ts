import type { Cell, Row } from '@kalamdb/protocol';

/** What a secret text reads as to whoever may not see it. */
export const MASK = '***';

/** What a secret cell reads as to whoever may not see it: `***`, or NULL where its type has no such value. */
export function maskedCell(cell: Cell): Cell {
  return typeof cell === 'string' ? MASK : null;
}

/** Cells that expressions made of a masked row: a secret that was not assigned stays what it is. */
export function unmaskCells(before: Row, after: Row, indexes: readonly number[]): Row {
  if (indexes.length === 0) return after;
  return after.map((cell, index) => {
    const secret = indexes.includes(index) ? (before[index] ?? null) : null;
    return secret !== null && cell === maskedCell(secret) ? secret : cell;
  });
}

/** The row with the cells at `indexes` masked; the very row when there are none. */
export function maskRow<R extends { readonly cells: Row }>(row: R, indexes: readonly number[]): R {
  if (indexes.length === 0) return row;
  const cells = [...row.cells];
  for (const index of indexes) cells[index] = maskedCell(cells[index] ?? null);
  return { ...row, cells };
}
