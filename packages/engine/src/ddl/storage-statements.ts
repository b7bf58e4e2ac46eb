import { kalamError } from '@kalamdb/protocol';
import type { Statement } from '@kalamdb/sql';
import type { StatementResult } from '../contract.ts';
import { type DdlContext, requireRole } from './ddl-context.ts';

/** `STORAGE {FLUSH|COMPACT} TABLE ns.t` (sql-dialect B22): streams never leave memory; the others have no cold tier yet. */
export async function storageTable(
  statement: Extract<Statement, { kind: 'storage-flush-table' | 'storage-compact-table' }>,
  context: DdlContext,
): Promise<StatementResult> {
  const what = statement.kind === 'storage-flush-table' ? 'STORAGE FLUSH TABLE' : 'STORAGE COMPACT TABLE';
  requireRole(context, 'service', `${what} requires Service, DBA, or System role`);
  const namespace = (statement.table.namespace ?? context.namespace).toLowerCase();
  const name = statement.table.name.toLowerCase();
  const table = context.catalog.table(namespace, name);
  if (table === undefined) throw kalamError('TABLE_MISSING', { namespace, name });
  if (table.kind === 'stream') throw kalamError('INVALID_OPERATION', { reason: `${what} is not supported for STREAM tables` });
  throw kalamError('NOT_IMPLEMENTED', { what });
}
