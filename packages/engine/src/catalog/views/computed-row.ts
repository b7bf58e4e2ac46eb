import type { Row } from '@kalamdb/protocol';
import type { InputRow } from '@kalamdb/sql';

/** A row that no commit wrote. */
export function computedRow(cells: Row): InputRow {
  return { cells, seq: 0n, deleted: false };
}
