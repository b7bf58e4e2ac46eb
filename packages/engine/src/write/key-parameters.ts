import { cellToText, type Row } from '@kalamdb/protocol';
import type { Table } from '../catalog/table.ts';

/** The key of a row as the messages of DUPLICATE_KEY and its kin show it. */
export function keyParameters(table: Table, cells: Row): { value: string; column: string } {
  const index = table.keyIndex;
  const cell = cells[index] ?? null;
  const column = table.storedColumns[index];
  return { value: cell === null || column === undefined ? 'NULL' : cellToText(cell, column.type), column: column?.name ?? '' };
}
