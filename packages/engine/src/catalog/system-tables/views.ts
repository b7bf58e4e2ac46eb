import { fromWireType, type WireType, wireType } from '@kalamdb/protocol';
import type { ColumnInfo, TableInfo } from '@kalamdb/sql';
import type { Table } from '../table.ts';
import { CellReader } from './cell-reader.ts';
import { Repository } from './repository.ts';
import { key, required, systemTable, timeOfWriting } from './system-table.ts';

/** `system.views`: queries that have a name. Behind the visible columns lies what the view's columns are. */
export const VIEWS: Table = systemTable({
  id: 13,
  name: 'views',
  comment: 'Views',
  columns: [
    key('view_id', 'text', 'namespace:view'),
    required('namespace_id', 'text', 'Namespace'),
    required('view_name', 'text', 'Name'),
    required('definition', 'text', 'The query'),
    required('created_by', 'text', 'Who made it'),
    timeOfWriting('created_at', 'When it was first made'),
    timeOfWriting('updated_at', 'When it was last made'),
  ],
  hidden: [
    required('view_number', 'bigint', 'Id among all tables'),
    required('version', 'int', 'Rises when it is made anew'),
    required('columns', 'text', 'Its columns as JSON'),
    required('query_namespace', 'text', 'Where its query looks up names without one'),
  ],
});

/** A column of a view. */
export type ViewColumn = Pick<ColumnInfo, 'name' | 'type' | 'nullable' | 'primaryKey'>;

/** One view. */
export interface ViewRecord {
  readonly tableId: number;
  readonly version: number;
  readonly namespace: string;
  readonly name: string;
  readonly query: string;
  /** Where the query looks up names without one. */
  readonly queryNamespace: string;
  readonly columns: readonly ViewColumn[];
  readonly createdBy: string;
  readonly createdAtMicros: bigint;
  readonly updatedAtMicros: bigint;
}

interface StoredViewColumn extends Omit<ViewColumn, 'type'> {
  readonly type: WireType;
}

/** Reads and writes `system.views`. */
export const viewRepository: Repository<ViewRecord> = new Repository<ViewRecord>(VIEWS, {
  toRow: (record) => [
    viewIdText(record.namespace, record.name),
    record.namespace,
    record.name,
    record.query,
    record.createdBy,
    record.createdAtMicros,
    record.updatedAtMicros,
    BigInt(record.tableId),
    record.version,
    JSON.stringify(record.columns.map((column): StoredViewColumn => ({ ...column, type: wireType(column.type) }))),
    record.queryNamespace,
  ],
  fromRow: (cells) => {
    const reader = new CellReader(VIEWS.name, cells);
    reader.skip();
    const [namespace, name, query, createdBy] = [reader.text(), reader.text(), reader.text(), reader.text()];
    const [createdAtMicros, updatedAtMicros, tableId] = [reader.bigint(), reader.bigint(), Number(reader.bigint())];
    const version = reader.number();
    const stored = JSON.parse(reader.text()) as readonly StoredViewColumn[];
    const columns = stored.map((column): ViewColumn => ({ ...column, type: fromWireType(column.type) }));
    return {
      tableId,
      version,
      namespace,
      name,
      query,
      queryNamespace: reader.text(),
      columns,
      createdBy,
      createdAtMicros,
      updatedAtMicros,
    };
  },
});

/** `namespace:view`, the key of a view in `system.views`. */
export function viewIdText(namespace: string, name: string): string {
  return `${namespace}:${name}`;
}

/** A view as statements are bound to it. */
export interface View {
  readonly record: ViewRecord;
  readonly info: TableInfo;
}

/** Makes the view of a record. */
export function viewOf(record: ViewRecord): View {
  const { tableId: id, version, namespace, name } = record;
  const columns = record.columns.map((column, index): ColumnInfo => ({ ...column, id: index + 1, default: undefined, system: undefined }));
  return { record, info: { id, version, namespace, name, kind: 'view', columns } };
}
