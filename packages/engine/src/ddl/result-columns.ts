import type { Table } from '../catalog/table.ts';
import type { ResultColumn } from '../contract.ts';

/** The columns of a result that shows a table's rows as they are stored. */
export function resultColumns(table: Table): readonly ResultColumn[] {
  return table.columns.map(({ name, type, nullable, primaryKey }) => ({
    name,
    type,
    flags: primaryKey ? ['pk', 'nn', 'uq'] : nullable ? [] : ['nn'],
  }));
}
