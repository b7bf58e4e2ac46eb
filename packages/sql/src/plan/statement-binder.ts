import type { Statement } from '../statement/ast.ts';
import { bindDelete, bindUpdate } from './change.ts';
import { bindInsert } from './insert.ts';
import type { Plan } from './plans.ts';
import type { BindRequest } from './scope.ts';
import { bindSelect } from './select.ts';

/** The statements that have a plan. */
export type PlannedStatement = Extract<Statement, { kind: 'select' | 'insert' | 'update' | 'delete' }>;

/** Whether a statement is one that has a plan. */
export function isPlanned(statement: Statement): statement is PlannedStatement {
  return statement.kind === 'select' || statement.kind === 'insert' || statement.kind === 'update' || statement.kind === 'delete';
}

/** Binds a SELECT, INSERT, UPDATE or DELETE. */
export function bindStatement(statement: PlannedStatement, request: BindRequest): Plan {
  switch (statement.kind) {
    case 'select':
      return bindSelect(statement.query, request);
    case 'insert':
      return bindInsert(statement, request);
    case 'update':
      return bindUpdate(statement, request);
    case 'delete':
      return bindDelete(statement, request);
    default:
      return statement satisfies never;
  }
}

/** The tables that a plan was bound to. */
export function plannedTables(plan: Plan): readonly (Plan['table'] & object)[] {
  const own = plan.table === undefined ? [] : [plan.table];
  return plan.kind === 'insert' && plan.source !== undefined ? [...own, ...plannedTables(plan.source)] : own;
}
