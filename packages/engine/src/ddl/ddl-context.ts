import { kalamError, type Random } from '@kalamdb/protocol';
import type { EvalContext, ResultColumnInfo } from '@kalamdb/sql';
import { hasRole } from '../access/grant.ts';
import type { Users } from '../access/users.ts';
import type { Backups } from '../backup/backups.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { Table } from '../catalog/table.ts';
import type { ColdTier } from '../cold/cold-tier.ts';
import type { Principal, Role, RowVersion, StatementResult } from '../contract.ts';
import type { JobLedger } from '../jobs/job-ledger.ts';
import type { Live } from '../live/live.ts';
import type { StorageRegistry } from '../stores/storage-registry.ts';

/** How much there is of a table. */
export interface TableFigures {
  readonly rows: number;
  readonly bytes: number;
  /** Stream partitions that hold events. */
  readonly streams: number;
}

/** What the handlers of statements that are not plans work with. One per statement. */
export interface DdlContext {
  readonly principal: Principal;
  /** Where unqualified names are looked up. */
  readonly namespace: string;
  /** Where the request came from, for the audit log. */
  readonly clientAddress?: string | undefined;
  readonly catalog: Catalog;
  readonly users: Users;
  readonly random: Random;
  readonly jobs: JobLedger;
  readonly storages: StorageRegistry;
  readonly backups: Backups;
  /** `undefined` in memory: nothing can be flushed. */
  readonly cold: ColdTier | undefined;
  /** Runs one turn as DDL: alone in its group, synced. Resolves when it is durable and the catalog has seen it. */
  commit<T>(turn: (writer: SystemWriter) => T): Promise<T>;
  /** Runs `work` while no other DDL runs. */
  exclusive<T>(work: () => Promise<T>): Promise<T>;
  /** Resolves when the hot tier holds everything that was committed before the call. Throws WRITES_BUSY when it does not come to that. */
  settle(): Promise<void>;
  /** Whether the hot tier holds a row of the table, of any owner, that is not deleted and passes the test. */
  someRow(table: Table, test: (row: RowVersion) => boolean): Promise<boolean>;
  /** How much there is of a table, of one owner or of all, as far as it has left the log. */
  tableFigures(table: Table, owner: string | undefined): Promise<TableFigures>;
  /** The live queries that are running. */
  readonly live: Pick<Live, 'kill' | 'explain' | 'explainRow'>;
  /**
   * The columns that a query without parameters gives, bound to what there is now; it must not read `view`, which it is to
   * become, not even through other views. Throws INVALID_OPERATION for anything but a query, and what binding throws.
   */
  bindQuery(query: string, view: { readonly namespace: string; readonly name: string }): Promise<readonly ResultColumnInfo[]>;
  /** What expressions of this statement draw on. */
  evaluation(): EvalContext;
  /** Runs `work` while nobody writes to the tables. Throws WRITES_BUSY when large commits to them do not end. */
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
