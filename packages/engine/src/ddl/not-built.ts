import { kalamError } from '@kalamdb/protocol';
import type { Statement } from '@kalamdb/sql';
import type { Role } from '../contract.ts';
import { type DdlContext, requireRole } from './ddl-context.ts';

type NotBuilt = Extract<Statement, { kind: 'not-implemented' }>;

/** Who may issue a statement whose role is not checked before the request runs (sql-dialect B3). */
const LEAST_ROLES: ReadonlyMap<string, readonly [role: Role, refusal: string]> = new Map([
  ['CONSUME FROM', ['service', 'Only service, dba, or system roles can consume from topics']],
  ['ACK', ['service', 'Only service, dba, or system roles can acknowledge topic offsets']],
] satisfies [string, readonly [Role, string]][]);

/** Refuses a statement that is not built: whoever may not issue it hears that first, everybody else NOT_IMPLEMENTED. */
export function refuseNotBuilt(statement: NotBuilt, context: DdlContext): never {
  const rule = LEAST_ROLES.get(statement.what);
  if (rule !== undefined) requireRole(context, ...rule);
  throw kalamError('NOT_IMPLEMENTED', { what: statement.what });
}
