import { kalamError, type Row } from '@kalamdb/protocol';
import type { Statement } from '@kalamdb/sql';
import type { Table } from '../catalog/table.ts';
import { DESCRIBE, describeRow } from '../catalog/views/describe-view.ts';
import type { StatementResult } from '../contract.ts';
import { type DdlContext, requireUser } from './ddl-context.ts';
import { resultColumns } from './result-columns.ts';

/** `DESCRIBE TABLE t [HISTORY]` (sql-dialect B30). With HISTORY the columns of every version, oldest version first. */
export async function describeTable(
  statement: Extract<Statement, { kind: 'describe-table' }>,
  context: DdlContext,
): Promise<StatementResult> {
  requireUser(context, 'DESCRIBE TABLE');
  const namespace = (statement.table.namespace ?? context.namespace).toLowerCase();
  const name = statement.table.name.toLowerCase();
  const table = context.catalog.table(namespace, name);
  if (table === undefined) throw kalamError('TABLE_MISSING', { namespace, name });
  const rows = statement.history ? historyRows(table, context) : versionRows(table, table.version);
  return { kind: 'rows', columns: resultColumns(DESCRIBE), rows, asUser: context.principal.userId };
}

function versionRows({ columns }: Pick<Table, 'columns'>, version: number): Row[] {
  return columns.map((column) => describeRow(column, version));
}

function historyRows(table: Table, { catalog }: DdlContext): Row[] {
  const versions = catalog.versionsOf(table.namespace, table.name);
  if (versions.length === 0) return versionRows(table, table.version);
  return versions.flatMap(({ columns, systemColumns, version }) => versionRows({ columns: [...columns, ...systemColumns] }, version));
}
