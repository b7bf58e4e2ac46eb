import { cellToText, type DataType, plainType, type Row } from '@kalamdb/protocol';
import type { ColumnInfo, FlushPolicy, Statement, TableOptions } from '@kalamdb/sql';
import type { View } from '../catalog/system-tables/views.ts';
import type { Table, TableColumn } from '../catalog/table.ts';
import { DESCRIBE, describeRow } from '../catalog/views/describe-view.ts';
import type { ResultColumn, StatementResult } from '../contract.ts';
import { STREAM_EVENTS_MAX } from '../partition/stream-store.ts';
import { type DdlContext, requireUser } from './ddl-context.ts';
import { namedRelation } from './named-relation.ts';
import { resultColumns } from './result-columns.ts';

/**
 * `DESCRIBE TABLE t [HISTORY | EXTENDED]` (sql-dialect A9, B30) of a table or a view. With HISTORY the columns of every version, oldest version first; with
 * EXTENDED pairs of a property and its value.
 */
export async function describeTable(
  statement: Extract<Statement, { kind: 'describe-table' }>,
  context: DdlContext,
): Promise<StatementResult> {
  requireUser(context, 'DESCRIBE TABLE');
  const asUser = context.principal.userId;
  const relation = namedRelation(statement.table, context);
  const { table } = relation;
  if (statement.extended) {
    const properties = relation.kind === 'view' ? viewProperties(relation.view) : propertyRows(relation.table);
    return { kind: 'rows', columns: PROPERTY_COLUMNS, rows: properties, asUser };
  }
  const rows = statement.history && relation.kind === 'table' ? historyRows(relation.table, context) : versionRows(table, table.version);
  return { kind: 'rows', columns: resultColumns(DESCRIBE), rows, asUser };
}

/** Without an ordinal of its own a column stands where it stands. */
function versionRows({ columns }: { readonly columns: readonly (ColumnInfo | TableColumn)[] }, version: number): Row[] {
  return columns.map((column, index) => describeRow({ ordinal: index + 1, comment: undefined, ...column }, version));
}

function historyRows(table: Table, { catalog }: DdlContext): Row[] {
  const versions = catalog.versionsOf(table.namespace, table.name);
  if (versions.length === 0) return versionRows(table, table.version);
  return versions.flatMap(({ columns, systemColumns, version }) => versionRows({ columns: [...columns, ...systemColumns] }, version));
}

const TEXT: DataType = plainType('text');
const PROPERTY_COLUMNS: readonly ResultColumn[] = [
  { name: 'property', type: TEXT, flags: [] },
  { name: 'value', type: TEXT, flags: [] },
];
const NOT_APPLICABLE = 'N/A';

function propertyRows(table: Table): readonly Row[] {
  const isStream = table.kind === 'stream';
  const { options } = table;
  const rows: [string, string][] = [
    ['table_id', `${table.namespace}:${table.name}`],
    ['table_name', table.name],
    ['namespace', table.namespace],
    ['table_type', table.kind],
    ['storage_location', isStream ? NOT_APPLICABLE : (options.storageId ?? 'local')],
    ['flush_policy', isStream ? NOT_APPLICABLE : flushPolicyText(options.flushPolicy)],
    ['schema_version', String(table.version)],
    ['deleted_retention_hours', isStream ? NOT_APPLICABLE : String(options.deletedRetentionHours ?? 'default')],
    ['created_at', cellToText(table.createdAtMicros, plainType('timestamp'))],
  ];
  return isStream ? [...rows, ...streamRows(options)] : rows;
}

function viewProperties({ record }: View): readonly Row[] {
  return [
    ['table_id', `${record.namespace}:${record.name}`],
    ['table_name', record.name],
    ['namespace', record.namespace],
    ['table_type', 'view'],
    ['schema_version', String(record.version)],
    ['created_at', cellToText(record.createdAtMicros, plainType('timestamp'))],
  ];
}

function flushPolicyText(policy: FlushPolicy | undefined): string {
  if (policy === undefined) return 'default';
  const { rows, intervalSeconds } = policy;
  return [rows === undefined ? [] : [`rows:${rows}`], intervalSeconds === undefined ? [] : [`interval:${intervalSeconds}`]]
    .flat()
    .join(',');
}

function streamRows({ streamScope, ttlSeconds, ephemeral, maxBuffer }: TableOptions): readonly [string, string][] {
  return [
    ['scope', streamScope ?? 'user'],
    ['retention', ttlSeconds === undefined ? 'none' : `${ttlSeconds}s`],
    ['ephemeral', String(ephemeral ?? false)],
    ['max_buffer', String(maxBuffer ?? STREAM_EVENTS_MAX)],
    ['note', 'Events are in memory: they are never flushed or backed up, and gone after a restart'],
  ];
}
