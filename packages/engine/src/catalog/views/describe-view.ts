import { type Row, sqlTypeName } from '@kalamdb/protocol';
import { optional, required, systemTable } from '../system-tables/system-table.ts';
import type { Table, TableColumn } from '../table.ts';
import { defaultText } from '../table-json.ts';

/** The shape of DESCRIBE TABLE (catalog B4), which is also the empty table `system.describe`. */
export const DESCRIBE: Table = systemTable({
  id: 106,
  name: 'describe',
  comment: 'The columns of DESCRIBE TABLE',
  columns: [
    required('column_name', 'text', 'Name'),
    required('ordinal_position', 'int', 'Place from 1'),
    required('column_id', 'bigint', 'Never given twice within a table'),
    required('data_type', 'text', 'SQL name of the type'),
    required('is_nullable', 'boolean', 'Whether it may be NULL'),
    required('is_primary_key', 'boolean', 'Whether it is part of the key'),
    optional('column_default', 'text', 'Default as SQL'),
    optional('column_comment', 'text', 'Comment'),
    required('schema_version', 'int', 'Version of the schema'),
  ],
});

/** The row that describes a column. */
export function describeRow(column: TableColumn, schemaVersion: number): Row {
  return [
    column.name,
    column.ordinal,
    BigInt(column.id),
    sqlTypeName(column.type),
    column.nullable,
    column.primaryKey,
    defaultText(column.default) ?? null,
    column.comment ?? null,
    schemaVersion,
  ];
}
