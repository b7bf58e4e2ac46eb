import type { InputRow, TableInfo } from '@kalamdb/sql';
import type { Principal } from '../../contract.ts';
import type { Catalog, DemandedTexts, ScanProvider } from '../catalog.ts';
import { optional, systemTable } from '../system-tables/system-table.ts';
import type { Table } from '../table.ts';
import { defaultText } from '../table-json.ts';
import { arrowTypeName } from './arrow-type.ts';
import { computedRow } from './computed-row.ts';

/** Name of the only catalog. */
const CATALOG_NAME = 'kalam';

const TABLES: Table = systemTable({
  id: 120,
  namespace: 'information_schema',
  name: 'tables',
  comment: 'Tables that the reader may read',
  columns: [
    optional('table_catalog', 'text', 'Always kalam'),
    optional('table_schema', 'text', 'Namespace'),
    optional('table_name', 'text', 'Name'),
    optional('table_type', 'text', 'BASE TABLE or VIEW'),
  ],
});

const COLUMNS: Table = systemTable({
  id: 121,
  namespace: 'information_schema',
  name: 'columns',
  comment: 'Columns of the tables that the reader may read',
  columns: [
    optional('table_catalog', 'text', 'Always kalam'),
    optional('table_schema', 'text', 'Namespace'),
    optional('table_name', 'text', 'Table'),
    optional('column_name', 'text', 'Name'),
    optional('ordinal_position', 'bigint', 'Place from 0'),
    optional('column_default', 'text', 'Default as SQL'),
    optional('is_nullable', 'text', 'YES or NO'),
    optional('data_type', 'text', 'Arrow type'),
  ],
});

const SCHEMATA: Table = systemTable({
  id: 122,
  namespace: 'information_schema',
  name: 'schemata',
  comment: 'Namespaces',
  columns: [
    optional('catalog_name', 'text', 'Always kalam'),
    optional('schema_name', 'text', 'Namespace'),
    optional('schema_owner', 'text', 'Always NULL'),
  ],
});

/** Says whether a principal may read a table at all; the database passes what access decides. */
export type MayRead = (principal: Principal, table: Table) => boolean;

/** Who may read what. */
export interface ReadingRights {
  readonly mayRead: MayRead;
  /** Whether a principal may read all that a view reads. */
  readonly mayReadView: (principal: Principal, view: TableInfo) => boolean;
}

/** `information_schema.tables`, `.columns`, `.schemata` (catalog B8). Open to every role: each sees the tables it may read. */
export function informationSchemaViews(catalog: Catalog, { mayRead, mayReadView }: ReadingRights): readonly ScanProvider[] {
  function* readable(principal: Principal, demanded: DemandedTexts | undefined): IterableIterator<Table> {
    const place = [demanded?.get('table_schema'), demanded?.get('table_name')] as const;
    for (const table of catalog.tables(...place)) if (mayRead(principal, table)) yield table;
    for (const table of catalog.systemTables(...place)) if (mayRead(principal, table)) yield table;
  }
  function* readableViews(principal: Principal, demanded: DemandedTexts | undefined): IterableIterator<TableInfo> {
    const views = catalog.views(demanded?.get('table_schema'), demanded?.get('table_name'));
    for (const { info } of views) if (mayReadView(principal, info)) yield info;
  }
  return [
    {
      table: TABLES,
      *rows(principal, demanded): IterableIterator<InputRow> {
        for (const table of readable(principal, demanded)) {
          const kind = catalog.provider(table.id) === undefined ? 'BASE TABLE' : 'VIEW';
          yield computedRow([CATALOG_NAME, table.namespace, table.name, kind]);
        }
        for (const { namespace, name } of readableViews(principal, demanded)) yield computedRow([CATALOG_NAME, namespace, name, 'VIEW']);
      },
    },
    {
      table: COLUMNS,
      *rows(principal, demanded): IterableIterator<InputRow> {
        for (const table of readable(principal, demanded)) yield* columnRows(table);
        for (const view of readableViews(principal, demanded)) yield* columnRows(view);
      },
    },
    {
      table: SCHEMATA,
      *rows(): IterableIterator<InputRow> {
        const names = [...catalog.namespaces().map((record) => record.namespaceId), 'information_schema', 'system'].sort();
        for (const name of names) yield computedRow([CATALOG_NAME, name, null]);
      },
    },
  ];
}

function* columnRows(table: Pick<TableInfo, 'namespace' | 'name' | 'columns'>): IterableIterator<InputRow> {
  let position = 0n;
  for (const column of table.columns) {
    yield computedRow([
      CATALOG_NAME,
      table.namespace,
      table.name,
      column.name,
      position,
      defaultText(column.default) ?? null,
      column.nullable ? 'YES' : 'NO',
      arrowTypeName(column.type),
    ]);
    position += 1n;
  }
}
