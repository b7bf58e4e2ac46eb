import type { Row } from '@kalamdb/protocol';

/** What a secret reads as to whoever may not see it. */
export const MASK = '***';

/** The row with `***` in the cells at `indexes`, NULLs excepted; the very row when there are none. */
export function maskRow<R extends { readonly cells: Row }>(row: R, indexes: readonly number[]): R {
  if (indexes.length === 0) return row;
  const cells = [...row.cells];
  for (const index of indexes) if (cells[index] !== null) cells[index] = MASK;
  return { ...row, cells };
}
