import { kalamError } from '@kalamdb/protocol';
import type { Statement } from '@kalamdb/sql';
import { SCHEMAS } from '../catalog/system-tables/schemas.ts';
import type { StatementResult } from '../contract.ts';
import { type DdlContext, requireUser } from './ddl-context.ts';
import { resultColumns } from './result-columns.ts';

/** `SHOW TABLES [IN ns]`: the visible columns of `system.schemas`, every version (sql-dialect B30). */
export async function showTables(statement: Extract<Statement, { kind: 'show-tables' }>, context: DdlContext): Promise<StatementResult> {
  requireUser(context, 'SHOW TABLES');
  const namespace = statement.namespace?.toLowerCase();
  if (namespace !== undefined && !context.catalog.hasNamespace(namespace)) throw kalamError('NAMESPACE_MISSING', { namespace });
  const width = SCHEMAS.columns.length;
  const rows = [...context.catalog.tableVersions(namespace)].map((cells) => cells.slice(0, width));
  return { kind: 'rows', columns: resultColumns(SCHEMAS), rows, asUser: context.principal.userId };
}
