import type { Statement } from '@kalamdb/sql';
import type { StatementResult } from '../contract.ts';
import type { DdlContext } from './ddl-context.ts';
import { flushOrCompactAll, flushOrCompactTable } from './flush-statements.ts';
import { showStorages } from './show-statements.ts';
import { alterStorage, checkStorageNow, createStorage, dropStorage } from './storages.ts';

type StorageStatement = Extract<Statement, { kind: `storage-${string}` | `${string}-storage` | 'show-storages' }>;

/** Whether a statement is about storages or what lies in them. */
export function isStorageStatement(statement: Statement): statement is StorageStatement {
  return /^storage-|-storages?$/.test(statement.kind);
}

/** Runs the statements about storages and what lies in them (sql-dialect B21, B22). */
export async function runStorageStatement(statement: StorageStatement, context: DdlContext): Promise<StatementResult> {
  switch (statement.kind) {
    case 'show-storages':
      return showStorages(context);
    case 'create-storage':
      return createStorage(statement, context);
    case 'alter-storage':
      return alterStorage(statement, context);
    case 'drop-storage':
      return dropStorage(statement, context);
    case 'storage-check':
      return checkStorageNow(statement, context);
    case 'storage-flush-table':
    case 'storage-compact-table':
      return flushOrCompactTable(statement, context);
    case 'storage-flush-all':
    case 'storage-compact-all':
      return flushOrCompactAll(statement, context);
    default:
      return statement satisfies never;
  }
}
