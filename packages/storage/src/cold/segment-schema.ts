import { type Cell, type DataType, duckdbType, encodeKeyCells, kalamError, type NonNullCell, plainType } from '@kalamdb/protocol';
import { nameLiteral } from '../columns/cell-literal.ts';
import type { RowKey } from '../contract.ts';
import type { SegmentLayout } from './contract.ts';

/**
 * The columns that every segment has behind those of its layout, with their Parquet field ids. User columns have the ids of the catalog as field
 * ids, and no name that begins with `_`.
 */
export const SYSTEM_COLUMNS: readonly { readonly name: string; readonly type: DataType; readonly fieldId: number }[] = [
  { name: '_seq', type: plainType('bigint'), fieldId: 2_000_000_001 },
  { name: '_created_seq', type: plainType('bigint'), fieldId: 2_000_000_002 },
  { name: '_deleted', type: plainType('boolean'), fieldId: 2_000_000_003 },
];

const SEQ_TYPES: readonly DataType[] = [plainType('bigint')];

/** The columns of a segment's file: `"id" BIGINT, …`. */
export function columnDefinitions(layout: SegmentLayout): string {
  return [...layout.columns, ...SYSTEM_COLUMNS].map(({ name, type }) => `${nameLiteral(name)} ${duckdbType(type)}`).join(', ');
}

/**
 * The columns as they go into the file. A vector goes as a list: DuckDB 1.5.5 writes an array that is NULL so that other readers find
 * the elements of the rows behind it in the wrong place.
 */
export function fileColumns(layout: SegmentLayout): string {
  const user = layout.columns.map(({ name, type }) => {
    const quoted = nameLiteral(name);
    return type.kind === 'embedding' ? `CAST(${quoted} AS FLOAT[]) AS ${quoted}` : quoted;
  });
  return [...user, ...SYSTEM_COLUMNS.map(({ name }) => nameLiteral(name))].join(', ');
}

/** The field ids of a segment's file as DuckDB's COPY takes them. */
export function fieldIds(layout: SegmentLayout): string {
  const user = layout.columns.map(({ name, id }) => `${nameLiteral(name)}: ${id}`);
  return `{${[...user, ...SYSTEM_COLUMNS.map(({ name, fieldId }) => `${nameLiteral(name)}: ${fieldId}`)].join(', ')}}`;
}

/** The types of the cells that make the key; a table without a key is keyed by `_seq`. */
export function keyTypes({ columns, keyIndexes }: SegmentLayout): readonly DataType[] {
  if (keyIndexes.length === 0) return SEQ_TYPES;
  return keyIndexes.map((index) => {
    const column = columns[index];
    if (column === undefined) throw kalamError('INTERNAL_ERROR', { reason: `a key column at ${index} of ${columns.length}` });
    return column.type;
  });
}

/** Makes the key of a row of the layout; `undefined` when one of its cells is NULL, which no row of a whole file has. */
export function keyMaker(layout: SegmentLayout): (cells: readonly Cell[], seq: bigint) => RowKey | undefined {
  const types = keyTypes(layout);
  const { keyIndexes } = layout;
  if (keyIndexes.length === 0) return (_, seq) => encodeKeyCells([seq], types) as RowKey;
  return (cells) => {
    const key: NonNullCell[] = [];
    for (const index of keyIndexes) {
      const cell = cells[index] ?? null;
      if (cell === null) return undefined;
      key.push(cell);
    }
    return encodeKeyCells(key, types) as RowKey;
  };
}
