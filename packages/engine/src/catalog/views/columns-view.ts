import { sqlTypeName } from '@kalamdb/protocol';
import type { InputRow } from '@kalamdb/sql';
import type { Catalog, ScanProvider } from '../catalog.ts';
import { optional, required, systemTable } from '../system-tables/system-table.ts';
import type { Table } from '../table.ts';
import { defaultText } from '../table-json.ts';
import { computedRow } from './computed-row.ts';

const COLUMNS: Table = systemTable({
  id: 101,
  name: 'columns',
  comment: 'The columns of the newest version of every table',
  columns: [
    required('namespace_id', 'text', 'Namespace'),
    required('table_name', 'text', 'Table'),
    required('version', 'bigint', 'Schema version'),
    required('column_id', 'bigint', 'Never given twice within a table'),
    required('column_name', 'text', 'Name'),
    optional('comment', 'text', 'Comment'),
    required('data_type', 'text', 'SQL name of the type'),
    optional('default_value', 'text', 'Default as SQL'),
    required('ordinal', 'bigint', 'Place from 1'),
    required('nullable', 'boolean', 'Whether it may be NULL'),
    required('primary_key', 'boolean', 'Whether it is part of the key'),
    optional('primary_key_pos', 'bigint', 'Place in the key from 1'),
  ],
});

/** `system.columns` (catalog B4). */
export function columnsView(catalog: Catalog): ScanProvider {
  return {
    table: COLUMNS,
    *rows(_, demanded): IterableIterator<InputRow> {
      for (const table of catalog.tables(demanded?.get('namespace_id'), demanded?.get('table_name'))) yield* rowsOf(table);
    },
  };
}

function* rowsOf(table: Table): IterableIterator<InputRow> {
  let keyPosition = 0n;
  for (const column of table.columns) {
    if (column.primaryKey) keyPosition += 1n;
    yield computedRow([
      table.namespace,
      table.name,
      BigInt(table.version),
      BigInt(column.id),
      column.name,
      column.comment ?? null,
      sqlTypeName(column.type),
      defaultText(column.default) ?? null,
      BigInt(column.ordinal),
      column.nullable,
      column.primaryKey,
      column.primaryKey ? keyPosition : null,
    ]);
  }
}
