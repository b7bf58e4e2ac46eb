import type { ResultColumn } from '@kalamdb/engine';
import { type Cell, jsonCellWriter, jsonString, wireType } from '@kalamdb/protocol';

/** How the rows of one result shape are written: worked out once per shape, because a cached plan answers with the same columns. */
export interface ColumnText {
  /** The array of schema entries (wire-protocol 3.5), as JSON. */
  readonly schema: string;
  /** One writer for each column, chosen by its type. */
  readonly writers: readonly ((cell: Cell) => string)[];
}

const TEXTS = new WeakMap<readonly ResultColumn[], ColumnText>();

/** The text parts of a result shape. */
export function columnText(columns: readonly ResultColumn[]): ColumnText {
  const known = TEXTS.get(columns);
  if (known !== undefined) return known;
  const made: ColumnText = {
    schema: `[${columns.map(schemaEntry).join(',')}]`,
    writers: columns.map((column) => (column.isRawJson === true ? String : jsonCellWriter(column.type))),
  };
  TEXTS.set(columns, made);
  return made;
}

function schemaEntry(column: ResultColumn, index: number): string {
  const flags = column.flags.length === 0 ? '' : `,"flags":${JSON.stringify(column.flags)}`;
  return `{"name":${jsonString(column.name)},"data_type":${JSON.stringify(wireType(column.shownAs ?? column.type))},"index":${index}${flags}}`;
}
