import { type DataType, decodeKeyCells, keyStart, type NonNullCell } from '@kalamdb/protocol';
import { cellLiteral, int64Literal, pathPattern, textLiteral } from '../columns/cell-literal.ts';
import type { KeyRange, RowKey } from '../contract.ts';
import type { SegmentLayout, SegmentScan } from './contract.ts';
import { keyTypes } from './segment-schema.ts';

/** What queries over a segment call the columns of its layout, so that no user's name meets one of DuckDB's. */
export function columnAlias(index: number): string {
  return `c${index}`;
}

/** What queries call the row's number in its file. */
export const ROW_NUMBER = 'file_row_number';

/** The files of segments of one layout as DuckDB's SQL reads them: columns `c0` …, `_seq`, `_created_seq`, `_deleted`, and {@link ROW_NUMBER}. */
export function filesText(paths: readonly string[], { columns }: SegmentLayout): string {
  const names = [...columns.map((_, index) => columnAlias(index)), '_seq', '_created_seq', '_deleted'];
  return `read_parquet([${paths.map((path) => textLiteral(pathPattern(path))).join(', ')}], hive_partitioning = false) AS s(${names.join(', ')})`;
}

/** The condition that rows of some keys meet, and perhaps others: their first cells decide which row groups are read. */
export function lookupCondition(layout: SegmentLayout, keys: readonly RowKey[]): string {
  const types = keyTypes(layout);
  const rows = keys.flatMap((key) => decodeKeyCells(key, types) ?? []);
  const conditions = types.flatMap((type, at) => {
    const cells = rows.filter((_, index) => index % types.length === at);
    return oneOf(keyColumn(layout, at), cells, type) ?? [];
  });
  return conditions.length === 0 ? 'true' : conditions.join(' AND ');
}

/** The condition that the rows of a scan meet; those of a range of keys are not the only ones. */
export function scanCondition(layout: SegmentLayout, { keys, afterSeq }: SegmentScan): string {
  const conditions = keys === undefined ? [] : rangeConditions(layout, keys);
  if (afterSeq !== undefined) conditions.push(`_seq > ${int64Literal(afterSeq)}`);
  return conditions.length === 0 ? 'true' : conditions.join(' AND ');
}

function rangeConditions(layout: SegmentLayout, { from, before }: KeyRange): string[] {
  const type = keyTypes(layout)[0];
  if (type === undefined || type.kind === 'embedding') return [];
  const column = keyColumn(layout, 0);
  const least = from === undefined ? undefined : keyStart(from, type).least;
  const most = before === undefined ? undefined : keyStart(before, type).most;
  return [...compared(`${column} >=`, least, type), ...compared(`${column} <=`, most, type)];
}

function compared(start: string, cell: NonNullCell | undefined, type: DataType): string[] {
  const literal = cell === undefined ? undefined : cellLiteral(cell, type);
  return literal === undefined ? [] : [`${start} ${literal}`];
}

function keyColumn({ keyIndexes }: SegmentLayout, at: number): string {
  const index = keyIndexes[at];
  return index === undefined ? '_seq' : columnAlias(index);
}

/** `undefined` when it cannot be said. */
function oneOf(column: string, cells: readonly NonNullCell[], type: DataType): string | undefined {
  if (type.kind === 'embedding') return undefined;
  const literals: string[] = [];
  for (const cell of cells) {
    const literal = cellLiteral(cell, type);
    if (literal === undefined) return undefined;
    literals.push(literal);
  }
  return literals.length === 0 ? 'false' : `${column} IN (${literals.join(', ')})`;
}
