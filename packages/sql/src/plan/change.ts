import { kalamError } from '@kalamdb/protocol';
import { bindCondition } from '../expression/bind.ts';
import type { Expression, Statement } from '../statement/ast.ts';
import { bindAssignments } from './assignments.ts';
import { notImplemented } from './insert.ts';
import type { DeletePlan, UpdatePlan } from './plans.ts';
import { bindReturning } from './returning.ts';
import { type BindRequest, resolveTable, rowScope } from './scope.ts';
import type { TableInfo } from './table-info.ts';
import { type WhereParts, whereParts } from './where.ts';

type UpdateStatement = Extract<Statement, { kind: 'update' }>;
type DeleteStatement = Extract<Statement, { kind: 'delete' }>;

/** Binds an UPDATE. */
export function bindUpdate(statement: UpdateStatement, request: BindRequest): UpdatePlan {
  if (statement.unsupported !== undefined) throw notImplemented(statement.unsupported, request);
  const table = resolveTable(statement.table, request);
  refuseUnwritable('update', table);
  if (table.kind === 'stream') throw kalamError('STREAM_UPDATE');
  const where = required(statement.where, 'UPDATE');
  const assign = bindAssignments(statement.assignments, table, rowScope(request, { table, alias: undefined }, 'UPDATE'));
  return {
    kind: 'update',
    table,
    ...bindWhere(where, table, request),
    apply: (row, context) => assign(row.cells, row, context),
    returning: bindReturning(statement.returning, { table, alias: statement.alias }, request),
  };
}

/** Binds a DELETE. */
export function bindDelete(statement: DeleteStatement, request: BindRequest): DeletePlan {
  if (statement.unsupported !== undefined) throw notImplemented(statement.unsupported, request);
  const table = resolveTable(statement.table, request);
  refuseUnwritable('delete', table);
  const where = required(statement.where, 'DELETE');
  const returning = bindReturning(statement.returning, { table, alias: statement.alias }, request);
  return { kind: 'delete', table, ...bindWhere(where, table, request), returning };
}

/** Throws SYSTEM_TABLE_WRITE and VIEW_WRITE. */
export function refuseUnwritable(verb: 'update' | 'delete', table: TableInfo): void {
  const name = `${table.namespace}.${table.name}`;
  if (table.kind === 'system') throw kalamError('SYSTEM_TABLE_WRITE', { verb, table: name });
  if (table.kind === 'view') throw kalamError('VIEW_WRITE', { verb, view: name });
}

/** The condition of an UPDATE or DELETE. Throws WHERE_REQUIRED when there is none. */
export function required<T>(where: T | undefined, statement: 'UPDATE' | 'DELETE'): T {
  if (where === undefined) throw kalamError('WHERE_REQUIRED', { statement });
  return where;
}

function bindWhere(where: Expression, table: TableInfo, request: BindRequest): WhereParts {
  return whereParts(bindCondition(where, rowScope(request, { table, alias: undefined }, 'WHERE'), 'WHERE'), table);
}
