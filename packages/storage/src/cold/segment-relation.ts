import { type Cell, type DataType, duckdbType, kalamError } from '@kalamdb/protocol';
import { bytesLiteral, cellLiteral, nameLiteral } from '../columns/cell-literal.ts';
import type { Segment, SegmentLayout, SegmentScan } from './contract.ts';
import { columnAlias, filesText, ROW_NUMBER, scanCondition } from './segment-query.ts';

/** Masked rows up to this many are named one by one; a bit for each row is faster beyond. */
const NAMED_ROWS_MAX = 32;

/** The place of a row's file among those of its scan. */
const FILE_INDEX = 'file_index';

/** A segment with its file on this machine. */
export interface RelationSegment {
  readonly path: string;
  readonly segment: Segment;
  readonly layout: SegmentLayout;
}

/**
 * A column of the relation: a stored one, found by its id and cast to the type it has today, `fill` standing where a segment is older than the
 * column; or one that the system keeps; or the place of the row, as in `ColdPosition`.
 */
export type RelationColumn =
  | { readonly name: string; readonly id: number; readonly type: DataType; readonly fill?: Cell | undefined }
  | { readonly name: string; readonly system: '_seq' | '_created_seq' | '_deleted' | 'segment' | 'row' };

/** Which rows of the segments. */
export interface RelationRows extends Pick<SegmentScan, 'afterSeq' | 'keys'> {
  /** Tombstones are left out. */
  readonly liveOnly?: boolean | undefined;
}

/**
 * The rows of segments, of any versions of a table's schema, that are not masked, as a query of DuckDB in parentheses: for the engine's own text, in a
 * FROM clause or in a view. Nothing in it comes from a user but names and values, which are quoted; DuckDB pushes columns and filters
 * of the query around it down into the files. Rows come in no order. A range of keys lets rows outside of it through. No segment is
 * no row. The files must be held until the query has ended.
 */
export function segmentRelation(segments: readonly RelationSegment[], columns: readonly RelationColumn[], rows: RelationRows = {}): string {
  const parts = grouped(segments, columns).map((group) => groupText(group, columns, rows));
  if (parts.length === 0) parts.push(`SELECT ${columns.map((column) => noCell(column)).join(', ')} WHERE false`);
  return `(${parts.join(' UNION ALL ')})`;
}

/** Segments of one version are one scan of many files, which costs far less than a scan for each; but those with masks cost more. */
function grouped(segments: readonly RelationSegment[], columns: readonly RelationColumn[]): readonly (readonly RelationSegment[])[] {
  if (columns.some((column) => 'system' in column && column.system === 'segment')) return segments.map((one) => [one]);
  const together = new Map<string, RelationSegment[]>();
  for (const one of segments) {
    const { masked, schemaVersion } = one.segment;
    const name = `${schemaVersion} ${masked.size > 0}`;
    const group = together.get(name);
    if (group === undefined) together.set(name, [one]);
    else group.push(one);
  }
  return [...together.values()];
}

function groupText(group: readonly RelationSegment[], columns: readonly RelationColumn[], rows: RelationRows): string {
  const [first] = group;
  if (first === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a group without segments' });
  const { layout } = first;
  const selected = columns.map((column) => `${columnText(column, first)} AS ${nameLiteral(column.name)}`);
  const conditions = [scanCondition(layout, rows)];
  if (rows.liveOnly === true && group.some(({ segment }) => segment.tombstones > 0)) conditions.push('NOT _deleted');
  const masks = unmasked(group);
  if (masks !== undefined) conditions.push(masks);
  const paths = group.map(({ path }) => path);
  return `SELECT ${selected.join(', ')} FROM ${filesText(paths, layout)} WHERE ${conditions.join(' AND ')}`;
}

function columnText(column: RelationColumn, { layout, segment }: RelationSegment): string {
  if ('system' in column) {
    if (column.system === 'segment') return `CAST(${segment.number} AS BIGINT)`;
    return column.system === 'row' ? ROW_NUMBER : column.system;
  }
  const index = layout.columns.findIndex(({ id }) => id === column.id);
  const stored = layout.columns[index];
  if (stored === undefined) return fillText(column);
  const held = duckdbType(column.type);
  // A vector is a list in Parquet.
  return duckdbType(stored.type) === held && column.type.kind !== 'embedding'
    ? columnAlias(index)
    : `CAST(${columnAlias(index)} AS ${held})`;
}

function fillText({ name, type, fill }: Extract<RelationColumn, { readonly id: number }>): string {
  const held = duckdbType(type);
  if (fill === undefined || fill === null) return `CAST(NULL AS ${held})`;
  const literal = cellLiteral(fill, type);
  if (literal === undefined) throw kalamError('VALUE_OUT_OF_RANGE', { value: `the default of ${name}`, type: held });
  return `CAST(${literal} AS ${held})`;
}

function noCell(column: RelationColumn): string {
  if (!('system' in column)) return `CAST(NULL AS ${duckdbType(column.type)}) AS ${nameLiteral(column.name)}`;
  return `CAST(NULL AS ${column.system === '_deleted' ? 'BOOLEAN' : 'BIGINT'}) AS ${nameLiteral(column.name)}`;
}

/**
 * The condition that rows are not masked, of several files by their index in the scan; `undefined`: none is. DuckDB numbers the bits of a bit string from the
 * highest of the first byte.
 */
function unmasked(group: readonly RelationSegment[]): string | undefined {
  const stride = group.reduce((most, { segment: { rows } }) => Math.max(most, rows), 0);
  const size = group.reduce((sum, { segment: { masked } }) => sum + masked.size, 0);
  if (size === 0) return undefined;
  const place = group.length === 1 ? ROW_NUMBER : `(${FILE_INDEX} * ${stride} + ${ROW_NUMBER})`;
  if (size <= NAMED_ROWS_MAX) return `${place} NOT IN (${[...maskedPlaces(group, stride)].join(', ')})`;
  const bits = new Uint8Array(Math.ceil((stride * group.length) / 8));
  for (const row of maskedPlaces(group, stride)) bits[row >>> 3] = (bits[row >>> 3] ?? 0) | (0x80 >> (row & 7));
  return `get_bit(CAST(${bytesLiteral(bits)} AS BIT), CAST(${place} AS INTEGER)) = 0`;
}

function* maskedPlaces(group: readonly RelationSegment[], stride: number): Iterable<number> {
  for (const [index, { segment }] of group.entries()) for (const row of segment.masked) yield index * stride + row;
}
