import { kalamError } from '@kalamdb/protocol';
import type { InputRow } from '@kalamdb/sql';
import type { Catalog, ScanProvider } from '../catalog.ts';
import { optional, required, systemTable } from '../system-tables/system-table.ts';
import type { Table } from '../table.ts';
import { optionsJson } from '../table-json.ts';
import { computedRow } from './computed-row.ts';

const TABLES: Table = systemTable({
  id: 100,
  name: 'tables',
  comment: 'The newest version of every table',
  columns: [
    required('namespace_id', 'text', 'Namespace'),
    required('table_name', 'text', 'Name'),
    required('table_type', 'text', 'user, shared or stream'),
    optional('storage_id', 'text', 'Storage of the cold rows'),
    required('version', 'bigint', 'Schema version'),
    optional('options', 'text', 'Options by table type, JSON'),
    optional('comment', 'text', 'Comment'),
    required('updated_at', 'timestamp', 'When this version was made'),
    required('created_at', 'timestamp', 'When the table was created'),
  ],
});

/** `system.tables` (catalog B4). */
export function tablesView(catalog: Catalog): ScanProvider {
  return {
    table: TABLES,
    *rows(_, demanded): IterableIterator<InputRow> {
      for (const table of catalog.tables(demanded?.get('namespace_id'), demanded?.get('table_name'))) yield rowOf(table);
    },
  };
}

/** Tables are immutable, so that their rows can be kept as long as they are. */
const ROWS = new WeakMap<Table, InputRow>();

function rowOf(table: Table): InputRow {
  let row = ROWS.get(table);
  if (row === undefined) {
    row = makeRow(table);
    ROWS.set(table, row);
  }
  return row;
}

function makeRow(table: Table): InputRow {
  const { kind, options, accessLevel } = table;
  if (kind === 'system') throw kalamError('INTERNAL_ERROR', { reason: `system table ${table.name} among the tables that users made` });
  return computedRow([
    table.namespace,
    table.name,
    kind,
    kind === 'stream' ? null : (options.storageId ?? 'local'),
    BigInt(table.version),
    optionsJson({ kind, options, accessLevel }),
    table.comment ?? null,
    table.updatedAtMicros,
    table.createdAtMicros,
  ]);
}
