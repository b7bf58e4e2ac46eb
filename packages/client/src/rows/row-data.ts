import type { JsonValue } from '@kalamdb/protocol';
import type { SchemaField } from '../messages/schema-field.ts';
import { KalamCellValue } from './cell-value.ts';

/** A row by column name; with the names given (`RowData<'id' | 'name'>`) every one of them is there. */
export type RowData<C extends string = string> = Record<C, KalamCellValue>;

/** A row as the wire sends it over the socket: JSON values by column name. */
export type WireRow = Readonly<Record<string, JsonValue>>;

const typesOf = (schema: readonly SchemaField[]): ReadonlyMap<string, SchemaField['data_type']> =>
  new Map(schema.map((field) => [field.name, field.data_type]));

/** Wraps rows of a subscription; the schema of its acknowledgement tells the types. */
export function rowWrapper(schema: readonly SchemaField[]): (row: WireRow) => RowData {
  const types = typesOf(schema);
  return (row) => Object.fromEntries(Object.entries(row).map(([name, cell]) => [name, KalamCellValue.from(cell, types.get(name))]));
}

/** Wraps the positional rows of an HTTP answer. A name that occurs twice keeps its last column. */
export function namedRows(schema: readonly SchemaField[], rows: readonly (readonly JsonValue[])[]): RowData[] {
  return rows.map((row) => Object.fromEntries(schema.map((field) => [field.name, KalamCellValue.from(row[field.index], field.data_type)])));
}
