import { kalamError, type Random } from '@kalamdb/protocol';
import type { Accounts } from '../access/accounts.ts';
import { hasRole } from '../access/grant.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { Principal, Role, StatementResult } from '../contract.ts';

/** What the handlers of statements that are not plans work with. One per statement. */
export interface DdlContext {
  readonly principal: Principal;
  /** Where unqualified names are looked up. */
  readonly namespace: string;
  readonly catalog: Catalog;
  readonly accounts: Accounts;
  readonly random: Random;
  /** Runs one turn as DDL: alone in its group, synced. Resolves when it is durable and the catalog has seen it. */
  commit<T>(turn: (writer: SystemWriter) => T): Promise<T>;
  /** Runs `work` while no other DDL runs. */
  exclusive<T>(work: () => Promise<T>): Promise<T>;
  /** Runs `work` while nobody writes to the tables. */
  latch<T>(tableIds: readonly number[], work: () => Promise<T>): Promise<T>;
}

/** The answer of a statement that has only a text. */
export function messageResult(context: DdlContext, message: string): StatementResult {
  return { kind: 'message', message, rowCount: 0, dml: undefined, asUser: context.principal.userId };
}

/** Refuses roles below `least` with INSUFFICIENT_PRIVILEGES. */
export function requireRole(context: DdlContext, least: Role, reason: string): void {
  if (!hasRole(context.principal.role, least)) throw kalamError('INSUFFICIENT_PRIVILEGES', { reason });
}

/** Refuses everybody below dba; `action` as in `create namespaces`. */
export function requireAdmin(context: DdlContext, action: string): void {
  requireRole(context, 'dba', `Insufficient privileges to ${action}. DBA or System role required.`);
}

/** The statements that only look at the catalog are for everybody who has logged in. */
export function requireUser(context: DdlContext, statement: string): void {
  requireRole(context, 'user', `Anonymous users can only SELECT from public tables. ${statement} needs a login.`);
}
