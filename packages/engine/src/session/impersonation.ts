import { kalamError } from '@kalamdb/protocol';
import type { Statement } from '@kalamdb/sql';
import { hasRole, roleTitle } from '../access/grant.ts';
import { userNameProblem } from '../access/user-name.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Principal, Role } from '../contract.ts';

/** The highest role that each role may act for; a role that is missing may act for itself only. */
const HIGHEST_TARGET: Readonly<Partial<Record<Role, Role>>> = { service: 'service', dba: 'dba', system: 'system' };

/**
 * Whose statement the inner one of an EXECUTE AS USER is. It runs with the target's id and always with role `user`. A name
 * that is not in the users table counts as a regular user; a dropped user keeps its rank. Throws
 * EXECUTE_AS_DENIED, and INVALID_NAME for what cannot be a user's name.
 */
export function impersonated(
  statement: Extract<Statement, { kind: 'execute-as-user' }>,
  actor: Principal,
  catalog: Catalog,
): { readonly principal: Principal; readonly sql: string } {
  const target = statement.user;
  const problem = userNameProblem(target);
  if (problem !== undefined) throw kalamError('INVALID_NAME', { what: 'user', name: target, reason: problem });
  const targetRole = catalog.user(target)?.role ?? 'user';
  const highest = HIGHEST_TARGET[actor.role];
  const allowed = target === actor.userId || (highest !== undefined && hasRole(highest, targetRole));
  if (!allowed) {
    throw kalamError('EXECUTE_AS_DENIED', {
      actor: actor.userId,
      actorRole: roleTitle(actor.role),
      target,
      targetRole: roleTitle(targetRole),
    });
  }
  return { principal: { userId: target, role: 'user' }, sql: statement.inner };
}
