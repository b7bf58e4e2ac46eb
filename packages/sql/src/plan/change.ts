import { type Cell, kalamError } from '@kalamdb/protocol';
import { atPosition, bindCondition } from '../expression/bind.ts';
import { constant, type Evaluator } from '../expression/typed.ts';
import type { Expression, Statement } from '../statement/ast.ts';
import { defaultNode } from './default-value.ts';
import { assignedNode, notImplemented, writableColumn } from './insert.ts';
import type { DeletePlan, UpdatePlan } from './plans.ts';
import { type BindRequest, resolveTable, rowScope } from './scope.ts';
import type { TableInfo } from './table-info.ts';
import { type WhereParts, whereParts } from './where.ts';

type UpdateStatement = Extract<Statement, { kind: 'update' }>;
type DeleteStatement = Extract<Statement, { kind: 'delete' }>;

/** Binds an UPDATE. */
export function bindUpdate(statement: UpdateStatement, request: BindRequest): UpdatePlan {
  if (statement.unsupported !== undefined) throw notImplemented(statement.unsupported, request);
  const table = resolveTable(statement.table, request);
  refuseSystemTable('update', table);
  if (table.kind === 'stream') throw kalamError('STREAM_UPDATE');
  const where = required(statement.where, 'UPDATE');
  const assignments = bindAssignments(statement.assignments, table, request);
  return { kind: 'update', table, ...bindWhere(where, table, request), apply: applier(assignments) };
}

/** Binds a DELETE. */
export function bindDelete(statement: DeleteStatement, request: BindRequest): DeletePlan {
  if (statement.unsupported !== undefined) throw notImplemented(statement.unsupported, request);
  const table = resolveTable(statement.table, request);
  refuseSystemTable('delete', table);
  return { kind: 'delete', table, ...bindWhere(required(statement.where, 'DELETE'), table, request) };
}

function refuseSystemTable(verb: 'update' | 'delete', table: TableInfo): void {
  if (table.kind === 'system') throw kalamError('SYSTEM_TABLE_WRITE', { verb, table: `${table.namespace}.${table.name}` });
}

function required(where: Expression | undefined, statement: 'UPDATE' | 'DELETE'): Expression {
  if (where === undefined) throw kalamError('WHERE_REQUIRED', { statement });
  return where;
}

function bindWhere(where: Expression, table: TableInfo, request: BindRequest): WhereParts {
  return whereParts(bindCondition(where, rowScope(request, { table, alias: undefined }, 'WHERE'), 'WHERE'), table);
}

interface Assignment {
  readonly index: number;
  readonly evaluate: Evaluator;
}

function bindAssignments(assignments: UpdateStatement['assignments'], table: TableInfo, request: BindRequest): Assignment[] {
  const scope = rowScope(request, { table, alias: undefined }, 'UPDATE');
  const bound: Assignment[] = [];
  for (const { column: name, value, position } of assignments) {
    const assignment = atPosition(request.text, position, () => {
      const column = writableColumn(name, table);
      if (column.primaryKey) throw kalamError('KEY_UPDATE', { column: name });
      const index = table.columns.indexOf(column);
      if (bound.some((known) => known.index === index)) {
        throw kalamError('INVALID_OPERATION', { reason: `multiple assignments to the same column '${name}'` });
      }
      if (value !== 'default') return { index, evaluate: assignedNode(value, column, scope).evaluate };
      const filler = column.default === undefined ? constant(column.type, null, position) : defaultNode(column.default, column.type);
      return { index, evaluate: filler.evaluate };
    });
    bound.push(assignment);
  }
  return bound;
}

function applier(assignments: readonly Assignment[]): UpdatePlan['apply'] {
  return (row, context) => {
    const cells: Cell[] = row.cells.slice();
    for (const { index, evaluate } of assignments) cells[index] = evaluate(row, context);
    return cells;
  };
}
