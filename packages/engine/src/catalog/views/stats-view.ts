import type { Catalog, ScanProvider } from '../catalog.ts';
import { required, systemTable } from '../system-tables/system-table.ts';
import type { Table } from '../table.ts';
import { computedRow } from './computed-row.ts';

const STATS: Table = systemTable({
  id: 104,
  name: 'stats',
  comment: 'Figures of the running server',
  columns: [required('metric_name', 'text', 'Name'), required('metric_value', 'text', 'Value')],
});

/** A figure; numbers are shown as text. */
export type Metric = readonly [name: string, value: string | number | bigint];

/** `system.stats` (catalog B6): what the catalog can count, then what `source` adds. A later figure of the same name wins. */
export function statsView(catalog: Catalog, source: () => Iterable<Metric>): ScanProvider {
  return {
    table: STATS,
    rows: () => {
      const { namespaces, tables, users, storages } = catalog.counts();
      const metrics = new Map<string, string>([
        ['total_users', String(users)],
        ['total_namespaces', String(namespaces)],
        ['total_tables', String(tables)],
        ['total_storages', String(storages)],
        ['schema_cache_size', String(tables)],
        ['schema_registry_size', String(tables)],
      ]);
      for (const [name, value] of source()) metrics.set(name, String(value));
      return [...metrics].map(computedRow);
    },
  };
}
