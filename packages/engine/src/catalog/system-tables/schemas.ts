import type { Row } from '@kalamdb/protocol';
import type { Table } from '../table.ts';
import { readTableRecord, type TableRecord, tableRecordCells } from '../table-record.ts';
import { CellReader } from './cell-reader.ts';
import { Repository } from './repository.ts';
import { key, optional, required, systemTable, timeOfWriting } from './system-table.ts';

/**
 * `system.schemas` (catalog B4): one row per version of a table, so its key is (`table_id`, `schema_version`) although only
 * the first is shown as key. Behind the 14 visible columns each row stores the storage layer's table id and the exact
 * definition (column ids, literal kinds, every option), from which alone tables are built.
 */
export const SCHEMAS: Table = systemTable({
  id: 2,
  name: 'schemas',
  comment: 'Every version of every table',
  columns: [
    key('table_id', 'text', 'namespace:table'),
    required('table_name', 'text', 'Name of the table'),
    required('namespace_id', 'text', 'Its namespace'),
    required('table_type', 'text', 'user, shared or stream'),
    timeOfWriting('created_at', 'When the table was created'),
    required('schema_version', 'int', 'From 1'),
    required('columns', 'json', 'The columns of this version'),
    optional('table_comment', 'text', 'Comment'),
    timeOfWriting('updated_at', 'When this version was made'),
    optional('options', 'json', 'Options by table type'),
    optional('access_level', 'text', 'public, private, restricted or dba; SHARED tables only'),
    required('is_latest', 'boolean', 'True on the newest version'),
    optional('storage_id', 'text', 'Storage of the cold rows'),
    optional('use_user_storage', 'boolean', 'USER tables only'),
  ],
  hidden: [required('table_number', 'bigint', 'Table id of the storage layer'), required('definition', 'text', 'The exact definition')],
  keyIndexes: [0, 5],
});

const TABLE_NUMBER_INDEX = 14;

/** What names a row of `system.schemas`, read without its definition. */
export interface SchemaRowName {
  readonly namespace: string;
  readonly name: string;
  readonly version: number;
  /** Table id of the storage layer. */
  readonly tableId: number;
}

/** Reads the name of a row; much cheaper than the record, which parses JSON. */
export function schemaRowName(cells: Row): SchemaRowName {
  const reader = new CellReader(SCHEMAS.name, cells);
  reader.skip();
  const name = reader.text();
  const namespace = reader.text();
  reader.skip(2);
  const version = reader.number();
  reader.skip(TABLE_NUMBER_INDEX - 6);
  return { namespace, name, version, tableId: Number(reader.bigint()) };
}

/** Reads and writes `system.schemas`. */
export const tableRepository: Repository<TableRecord> = new Repository<TableRecord>(SCHEMAS, {
  toRow: tableRecordCells,
  fromRow: (cells) => readTableRecord(new CellReader(SCHEMAS.name, cells)),
});
