import { jsonString, type TypeKind } from '@kalamdb/protocol';
import type { ColumnStats, Manifest, Segment, SegmentColumn } from './contract.ts';

/** Whose manifest it is, as users see it. */
export interface PublicManifestContext {
  /** `namespace.table`. */
  readonly tableId: string;
  /** `undefined` for the partition that all share. */
  readonly userId: string | undefined;
  readonly createdAtMillis: number;
  readonly updatedAtMillis: number;
  /** The columns of the key, as they are today; only their statistics are shown. */
  readonly keyColumns: readonly Pick<SegmentColumn, 'id' | 'type'>[];
}

/** How a least or greatest cell is tagged. */
const TAGS: Readonly<Record<TypeKind, string>> = {
  boolean: 'Boolean',
  smallint: 'Int16',
  int: 'Int32',
  bigint: 'Int64',
  float: 'Float32',
  double: 'Float64',
  text: 'Utf8',
  timestamp: 'TimestampMicrosecond',
  datetime: 'TimestampMicrosecond',
  date: 'Date32',
  time: 'Time64Microsecond',
  json: 'Utf8',
  bytes: 'Binary',
  uuid: 'Utf8',
  file: 'Utf8',
  decimal: 'Decimal128',
  embedding: 'FixedSizeList',
};

/**
 * A manifest as users read it: `system.manifest.manifest_json` and the `manifest.json` beside the files. Nothing reads it back. Sequence
 * numbers are plain JSON numbers beyond 2^53, which is what its readers expect.
 */
export function publicManifest(manifest: Manifest, context: PublicManifestContext): string {
  return object({
    table_id: jsonString(context.tableId),
    user_id: context.userId === undefined ? 'null' : jsonString(context.userId),
    version: String(manifest.version),
    created_at: String(context.createdAtMillis),
    updated_at: String(context.updatedAtMillis),
    segments: `[${manifest.segments.map((segment) => publicSegment(segment, context)).join(',')}]`,
    last_sequence_number: String(manifest.segments.reduce((last, { number }) => Math.max(last, number), 0)),
    files: 'null',
    vector_indexes: '{}',
  });
}

function publicSegment(segment: Segment, { keyColumns }: PublicManifestContext): string {
  const stats = keyColumns.flatMap(({ id, type }) => {
    const found = segment.stats.get(id);
    return found === undefined ? [] : [[String(id), columnStats(found, TAGS[type.kind])] as const];
  });
  return object({
    id: jsonString(segment.path),
    path: jsonString(segment.path),
    min_seq: String(segment.minSeq),
    max_seq: String(segment.maxSeq),
    row_count: String(segment.rows),
    size_bytes: String(segment.bytes),
    created_at: String(segment.createdAtMillis),
    column_stats: object(Object.fromEntries(stats)),
    schema_version: String(segment.schemaVersion),
    status: '"committed"',
  });
}

function columnStats({ min, max, nulls }: ColumnStats, tag: string): string {
  return object({ min: tagged(min, tag), max: tagged(max, tag), null_count: String(nulls) });
}

function tagged(value: unknown, tag: string): string {
  return value === undefined ? 'null' : object({ [tag]: JSON.stringify(value) });
}

/** An object of members that are JSON texts already. */
function object(members: Readonly<Record<string, string>>): string {
  return `{${Object.entries(members)
    .map(([name, text]) => `${jsonString(name)}:${text}`)
    .join(',')}}`;
}
