import { kalamError } from '@kalamdb/protocol';
import {
  type ColdPosition,
  noRows,
  type RelationColumn,
  type RelationSegment,
  type Segment,
  segmentRelation,
  withRows,
} from '@kalamdb/storage';
import type { Table } from '../../catalog/table.ts';
import { MASK } from '../mask.ts';
import type { ColdSource, SentFile, SourceColumn } from './query-messages.ts';

/** Rows of segments that hot versions have taken the place of, by the number of the segment. */
export type HotMasks = ReadonlyMap<number, ReadonlySet<number>>;

/** Gathers {@link HotMasks}. */
export class MaskCollector {
  readonly masks: Map<number, Set<number>> = new Map();

  add(masks: ColdPosition): void {
    const known = this.masks.get(masks.segment);
    if (known === undefined) this.masks.set(masks.segment, new Set([masks.row]));
    else known.add(masks.row);
  }

  /** Takes in what others have gathered. */
  addAll(masks: HotMasks): void {
    for (const [segment, rows] of masks) for (const row of rows) this.add({ segment, row });
  }
}

/**
 * The rows of a partition's segments that count, as a reader may see them: a query of DuckDB in parentheses, whose files must be held until what uses it has
 * ended. Its columns are `columns`, with the types that the hot rows have.
 */
export function coldRelation(
  table: Table,
  columns: readonly SourceColumn[],
  { cold, masks }: { readonly cold: ColdSource; readonly masks: HotMasks },
): string {
  const relation = segmentRelation(
    cold.files.map((file) => relationSegment(table, file, masks)),
    columns.map((column) => relationColumn(table, column)),
    { liveOnly: true },
  );
  if (!columns.some(({ masked }) => masked)) return relation;
  return `(SELECT ${columns.map(shownText).join(', ')} FROM ${relation} AS s)`;
}

function relationSegment(table: Table, { path, segment, masked }: SentFile, hot: HotMasks): RelationSegment {
  const whole: Segment = { ...segment, stats: new Map(), masked: noRows, maskedTombstones: 0 };
  const rows = [...masked, ...(hot.get(segment.number) ?? [])];
  return { path, segment: { ...whole, masked: withRows(noRows, rows) }, layout: table.segmentLayout(segment.schemaVersion) };
}

function relationColumn(table: Table, { name, type, place }: SourceColumn): RelationColumn {
  if (typeof place !== 'number') return { name, system: place };
  const column = table.storedColumns[place];
  if (column === undefined) throw kalamError('INTERNAL_ERROR', { reason: `no column at ${place} of a table` });
  return { name, id: column.id, type, fill: column.fill };
}

/** As `putCell` has it. */
function shownText({ name, type, masked }: SourceColumn): string {
  const column = `"${name.replaceAll('"', '""')}"`;
  if (!masked) return column;
  const isText = type.kind === 'text' || type.kind === 'json' || type.kind === 'file';
  // What is no text is NULL whatever it is, and keeps its type.
  const shown = isText ? `CASE WHEN ${column} IS NULL THEN NULL ELSE '${MASK}' END` : `CASE WHEN false THEN ${column} END`;
  return `${shown} AS ${column}`;
}
