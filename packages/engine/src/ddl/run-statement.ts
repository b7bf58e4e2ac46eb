import { kalamError } from '@kalamdb/protocol';
import type { Statement } from '@kalamdb/sql';
import type { StatementResult } from '../contract.ts';
import { createTable } from './create-table.ts';
import type { DdlContext } from './ddl-context.ts';
import { describeTable } from './describe-table.ts';
import { dropTable } from './drop-table.ts';
import { createNamespace, dropNamespace, showNamespaces, useNamespace } from './namespaces.ts';
import { refuseNotBuilt } from './not-built.ts';
import { showTables } from './show-tables.ts';
import { createUser, dropUser } from './users.ts';

/** Runs a statement that is not a plan: DDL, SHOW, DESCRIBE, USE, users. */
export async function runDdl(statement: Statement, context: DdlContext): Promise<StatementResult> {
  switch (statement.kind) {
    case 'create-namespace':
      return createNamespace(statement, context);
    case 'drop-namespace':
      return dropNamespace(statement, context);
    case 'show-namespaces':
      return showNamespaces(context);
    case 'use-namespace':
      return useNamespace(statement, context);
    case 'create-table':
      return createTable(statement, context);
    case 'drop-table':
      return dropTable(statement, context);
    case 'show-tables':
      return showTables(statement, context);
    case 'describe-table':
      return describeTable(statement, context);
    case 'create-user':
      return createUser(statement, context);
    case 'drop-user':
      return dropUser(statement, context);
    case 'not-implemented':
      return refuseNotBuilt(statement, context);
    case 'select':
    case 'insert':
    case 'update':
    case 'delete':
    case 'execute-as-user':
    case 'begin':
    case 'commit':
    case 'rollback':
    case 'savepoint':
    case 'rollback-to-savepoint':
    case 'release-savepoint':
      throw kalamError('INTERNAL_ERROR', { reason: `${statement.kind} is not run here` });
    default:
      return statement satisfies never;
  }
}
