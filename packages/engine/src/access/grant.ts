import { kalamError } from '@kalamdb/protocol';
import type { PartitionId } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import type { Principal, Role } from '../contract.ts';

/** What a statement wants to do with a table. */
export type TableAction = 'select' | 'insert' | 'update' | 'delete' | 'subscribe';

/**
 * What one principal may do with one table: the only way to a partition. There is no other code path from the text of a
 * statement to an owner's rows.
 */
export interface Grant {
  readonly table: Table;
  readonly partition: PartitionId;
  /** Positions in `cells` that read as `***`. */
  readonly maskedCells: readonly number[];
}

const RANK: Readonly<Record<Role, number>> = { anonymous: 0, user: 1, service: 2, dba: 3, system: 4 };

/** Names of text columns that hold secrets, in whatever table they stand (wire-protocol 3.7). */
const SECRET_COLUMNS: ReadonlySet<string> = new Set(['password_hash', 'credentials']);

/** Whether a column of this name reads as `***` below dba, if it holds texts. */
export function isSecretColumn(name: string): boolean {
  return SECRET_COLUMNS.has(name);
}

/** Whether a role is at least another one. */
export function hasRole(role: Role, least: Role): boolean {
  return RANK[role] >= RANK[least];
}

/** dba and system. */
export function isAdmin(role: Role): boolean {
  return hasRole(role, 'dba');
}

/** The role as messages write it. */
export function roleTitle(role: Role): string {
  return role.charAt(0).toUpperCase() + role.slice(1);
}

/**
 * The grant of a principal on a table for one action (sql-dialect B3, B13). USER tables and user-scoped streams always
 * give the principal's own partition, whatever the role. Throws ACCESS_DENIED, INSUFFICIENT_PRIVILEGES or
 * SYSTEM_TABLE_WRITE.
 */
export function grantFor(principal: Principal, table: Table, action: TableAction): Grant {
  const reading = action === 'select' || action === 'subscribe';
  switch (table.kind) {
    case 'system':
      checkSystem(principal, table, action);
      break;
    case 'shared':
      checkShared(principal, table, reading);
      break;
    case 'user':
    case 'stream':
      if (principal.role === 'anonymous') {
        throw kalamError('INSUFFICIENT_PRIVILEGES', { reason: 'Anonymous users can only SELECT from public tables.' });
      }
      break;
    default:
      table.kind satisfies never;
  }
  return {
    table,
    partition: table.partitionFor(principal.userId),
    maskedCells: isAdmin(principal.role) ? [] : secretCells(table),
  };
}

function checkSystem(principal: Principal, table: Table, action: TableAction): void {
  // Everybody may look at information_schema: it shows each reader only the tables that the reader may read.
  if (table.namespace === 'information_schema' && action === 'select') return;
  if (!isAdmin(principal.role)) throw denied(principal, table, "System tables require 'dba' or 'system' role.");
  if (action === 'insert' || action === 'update' || action === 'delete') {
    throw kalamError('SYSTEM_TABLE_WRITE', { verb: action, table: `${table.namespace}.${table.name}` });
  }
}

function checkShared(principal: Principal, table: Table, reading: boolean): void {
  const level = table.accessLevel ?? 'private';
  const least: Role = level === 'dba' ? 'dba' : level === 'public' && reading ? 'anonymous' : 'service';
  if (hasRole(principal.role, least)) return;
  if (principal.role === 'anonymous' && !reading) {
    throw kalamError('INSUFFICIENT_PRIVILEGES', { reason: 'Anonymous users can only SELECT from public tables.' });
  }
  throw denied(
    principal,
    table,
    `Shared table ${reading ? 'access' : 'write'} denied (access_level=${level.charAt(0).toUpperCase()}${level.slice(1)})`,
  );
}

function denied(principal: Principal, table: Table, reason: string): Error {
  return kalamError('ACCESS_DENIED', { role: roleTitle(principal.role), table: `${table.namespace}.${table.name}`, reason });
}

function secretCells(table: Table): readonly number[] {
  return table.storedColumns.flatMap(({ name }, index) => (isSecretColumn(name) ? [index] : []));
}
