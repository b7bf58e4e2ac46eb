import { kalamError } from '@kalamdb/protocol';
import { redactStatement, type Statement } from '@kalamdb/sql';
import type { AuditTrail } from '../access/audit-trail.ts';
import { hasRole, roleTitle } from '../access/grant.ts';
import { userNameProblem } from '../access/user-name.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Principal, Role } from '../contract.ts';

/** Characters of the inner statement that the audit log keeps. */
const STATEMENT_CHARACTERS_MAX = 300;

/** The highest role that each role may act for; a role that is missing may act for itself only. */
const HIGHEST_TARGET: Readonly<Partial<Record<Role, Role>>> = { service: 'service', dba: 'dba', system: 'system' };

/** Who wants to act for somebody else. */
interface ImpersonatingCaller {
  readonly principal: Principal;
  readonly clientAddress?: string | undefined;
}

/**
 * Whose statement the inner one of an EXECUTE AS USER is. It runs with the target's id and in the role `user`, whatever the
 * actor's; only `anonymous` stays what it is. A name that is not in the users table counts as a regular user; a dropped user
 * keeps its rank. Allowed or not, the audit log is told, the statement without its values; acting for oneself is nothing to be told. Throws EXECUTE_AS_DENIED, and INVALID_NAME
 * for what cannot be a user's name.
 */
export function impersonated(
  statement: Extract<Statement, { kind: 'execute-as-user' }>,
  { principal: actor, clientAddress: address }: ImpersonatingCaller,
  { catalog, audit }: { readonly catalog: Catalog; readonly audit: Pick<AuditTrail, 'note'> },
): { readonly principal: Principal; readonly sql: string } {
  const target = statement.user;
  const problem = userNameProblem(target);
  if (problem !== undefined) throw kalamError('INVALID_NAME', { what: 'user', name: target, reason: problem });
  const targetRole = catalog.user(target)?.role ?? 'user';
  const highest = HIGHEST_TARGET[actor.role];
  const allowed = target === actor.userId || (highest !== undefined && hasRole(highest, targetRole));
  const event = { actor: actor.userId, target: `user:${target}`, subject: target, address };
  if (!allowed) {
    const details = `role_not_allowed: ${roleTitle(actor.role)} for ${roleTitle(targetRole)}`;
    audit.note({ ...event, action: 'EXECUTE_AS_USER_DENIED', details });
    throw kalamError('EXECUTE_AS_DENIED', {
      actor: actor.userId,
      actorRole: roleTitle(actor.role),
      target,
      targetRole: roleTitle(targetRole),
    });
  }
  if (target !== actor.userId)
    audit.note({ ...event, action: 'EXECUTE_AS_USER', details: redactStatement(statement.inner, STATEMENT_CHARACTERS_MAX) });
  // Whoever is nobody stays nobody: acting for oneself must not give a role.
  const role = actor.role === 'anonymous' ? 'anonymous' : 'user';
  return { principal: { userId: target, role }, sql: statement.inner };
}
