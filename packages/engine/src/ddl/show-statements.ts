import { plainType, type Row } from '@kalamdb/protocol';
import type { Statement } from '@kalamdb/sql';
import { grantFor, isAdmin } from '../access/grant.ts';
import { STORAGES, storageRepository } from '../catalog/system-tables/storages.ts';
import { arrowTypeName } from '../catalog/views/arrow-type.ts';
import { MANIFEST } from '../catalog/views/manifest-view.ts';
import type { ResultColumn, StatementResult } from '../contract.ts';
import { type DdlContext, requireUser } from './ddl-context.ts';
import { namedRelation, namedTable } from './named-relation.ts';
import { resultColumns } from './result-columns.ts';

const text = (name: string): ResultColumn => ({ name, type: plainType('text'), flags: [] });

function rowsResult(context: DdlContext, columns: readonly ResultColumn[], rows: readonly Row[]): StatementResult {
  return { kind: 'rows', columns, rows, asUser: context.principal.userId };
}

/** `SHOW STORAGES`: the rows of `system.storages`, credentials masked. */
export async function showStorages(context: DdlContext): Promise<StatementResult> {
  requireUser(context, 'SHOW STORAGES');
  const rows = [...context.catalog.storages()].map((record) => storageRepository.toRow(record).slice(0, STORAGES.columns.length));
  return rowsResult(context, resultColumns(STORAGES), rows);
}

/** `SHOW MANIFEST`: the rows of `system.manifest`. */
export async function showManifest(context: DdlContext): Promise<StatementResult> {
  requireUser(context, 'SHOW MANIFEST');
  const rows = [...(context.catalog.provider(MANIFEST.id)?.rows(context.principal) ?? [])];
  return rowsResult(
    context,
    resultColumns(MANIFEST),
    rows.map(({ cells }) => cells),
  );
}

/** `DESCRIBE t` and `SHOW COLUMNS FROM t` (sql-dialect B30), of a table or a view: Arrow types, YES and NO. */
export async function showColumns(
  statement: Extract<Statement, { kind: 'describe-columns' | 'show-columns' }>,
  context: DdlContext,
): Promise<StatementResult> {
  const { table } = namedRelation(statement.table, context);
  const described = table.columns.map(({ name, type, nullable }) => [name, arrowTypeName(type), nullable ? 'YES' : 'NO']);
  const columns = ['column_name', 'data_type', 'is_nullable'].map(text);
  if (statement.kind === 'describe-columns') return rowsResult(context, columns, described);
  const place = ['table_catalog', 'table_schema', 'table_name'].map(text);
  const rows = described.map((row) => ['kalam', table.namespace, table.name, ...row]);
  return rowsResult(context, [...place, ...columns], rows);
}

const STATS_COLUMNS: readonly ResultColumn[] = [
  'table_name',
  'namespace',
  'schema_version',
  'logical_rows',
  'flushed_segments',
  'active_streams',
  'memory_bytes',
].map(text);

/**
 * `SHOW STATS FOR TABLE t`: rows and bytes that the caller may read; admins are told of all owners' rows. Refused to whoever
 * may not read the table.
 */
export async function showStats(statement: Extract<Statement, { kind: 'show-stats' }>, context: DdlContext): Promise<StatementResult> {
  requireUser(context, 'SHOW STATS');
  const table = namedTable(statement.table, context);
  const { partition } = grantFor(context.principal, table, 'select');
  const { rows, bytes, streams } = await context.tableFigures(table, isAdmin(context.principal.role) ? undefined : partition.owner);
  const figures = [table.version, rows, 0, streams, bytes].map(String);
  return rowsResult(context, STATS_COLUMNS, [[table.name, table.namespace, ...figures]]);
}
