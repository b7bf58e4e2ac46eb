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
    *rows(): IterableIterator<InputRow> {
      for (const table of catalog.tables()) {
        if (table.kind === 'system') continue;
        const { kind, options, accessLevel } = table;
        yield computedRow([
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
    },
  };
}
