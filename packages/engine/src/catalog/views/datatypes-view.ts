import type { ScanProvider } from '../catalog.ts';
import { required, systemTable } from '../system-tables/system-table.ts';
import type { Table } from '../table.ts';
import { computedRow } from './computed-row.ts';

const DATATYPES: Table = systemTable({
  id: 102,
  name: 'datatypes',
  comment: 'How Arrow types, KalamDB types and SQL names go together',
  columns: [
    required('arrow_type', 'text', 'Arrow type'),
    required('kalam_type', 'text', 'Type in schemas'),
    required('sql_name', 'text', 'Name in SQL'),
    required('description', 'text', 'What it holds'),
  ],
});

const ROWS: readonly (readonly [string, string, string, string])[] = [
  ['Boolean', 'Boolean', 'BOOLEAN', 'True or false'],
  ['Int16', 'SmallInt', 'SMALLINT', '16-bit signed integer'],
  ['Int32', 'Int', 'INT', '32-bit signed integer'],
  ['Int64', 'BigInt', 'BIGINT', '64-bit signed integer'],
  ['Float32', 'Float', 'FLOAT', '32-bit floating point number'],
  ['Float64', 'Double', 'DOUBLE', '64-bit floating point number'],
  ['Decimal128', 'Decimal', 'DECIMAL', 'Exact number with a fixed scale'],
  ['Utf8', 'Text', 'TEXT', 'Text'],
  ['Utf8', 'Json', 'JSON', 'JSON document'],
  ['Utf8', 'File', 'FILE', 'Reference to a stored file'],
  ['Binary', 'Bytes', 'BYTES', 'Bytes'],
  ['Timestamp(µs)', 'Timestamp', 'TIMESTAMP', 'Point in time, microseconds'],
  ['Timestamp(µs, "UTC")', 'DateTime', 'DATETIME', 'Point in time in UTC, microseconds'],
  ['Date32', 'Date', 'DATE', 'Calendar day'],
  ['Time64(µs)', 'Time', 'TIME', 'Time of day, microseconds'],
  ['FixedSizeBinary(16)', 'Uuid', 'UUID', 'UUID'],
  ['FixedSizeList', 'Embedding', 'EMBEDDING', 'Vector of 32-bit floating point numbers'],
];

/** `system.datatypes`: the types that tables can have. */
export function datatypesView(): ScanProvider {
  return { table: DATATYPES, rows: () => ROWS.map(computedRow) };
}
