import { kalamError } from '@kalamdb/protocol';
import type { Statement } from '@kalamdb/sql';
import type { StatementResult } from '../contract.ts';
import { alterTable } from './alter-table.ts';
import { isBackupStatement, runBackupStatement } from './backup-statements.ts';
import { createTable } from './create-table.ts';
import type { DdlContext } from './ddl-context.ts';
import { describeTable } from './describe-table.ts';
import { dropTable } from './drop-table.ts';
import { explainLive } from './explain-live.ts';
import { killJob } from './jobs.ts';
import { killLiveQuery, subscribeTo } from './live-statements.ts';
import { alterNamespace, createNamespace, dropNamespace, showNamespaces, useNamespace } from './namespaces.ts';
import { refuseNotBuilt } from './not-built.ts';
import { showColumns, showManifest, showStats } from './show-statements.ts';
import { showTables } from './show-tables.ts';
import { isStorageStatement, runStorageStatement } from './storage-statements.ts';
import { alterUser, createUser, dropUser } from './users.ts';
import { createView, dropView } from './views.ts';

/** Runs a statement that is not a plan: DDL, SHOW, DESCRIBE, USE, users. */
export async function runDdl(statement: Statement, context: DdlContext): Promise<StatementResult> {
  if (isStorageStatement(statement)) return runStorageStatement(statement, context);
  if (isBackupStatement(statement)) return runBackupStatement(statement, context);
  switch (statement.kind) {
    case 'create-namespace':
      return createNamespace(statement, context);
    case 'alter-namespace':
      return alterNamespace(statement, context);
    case 'drop-namespace':
      return dropNamespace(statement, context);
    case 'show-namespaces':
      return showNamespaces(context);
    case 'use-namespace':
      return useNamespace(statement, context);
    case 'create-table':
      return createTable(statement, context);
    case 'alter-table':
      return alterTable(statement, context);
    case 'create-view':
      return createView(statement, context);
    case 'drop-view':
      return dropView(statement, context);
    case 'drop-table':
      return dropTable(statement, context);
    case 'show-tables':
      return showTables(statement, context);
    case 'show-manifest':
      return showManifest(context);
    case 'show-columns':
    case 'describe-columns':
      return showColumns(statement, context);
    case 'show-stats':
      return showStats(statement, context);
    case 'kill-job':
      return killJob(statement, context);
    case 'kill-live-query':
      return killLiveQuery(statement, context);
    case 'explain-live':
      return explainLive(statement, context);
    case 'subscribe-to':
      return subscribeTo(statement, context);
    case 'describe-table':
      return describeTable(statement, context);
    case 'create-user':
      return createUser(statement, context);
    case 'alter-user':
      return alterUser(statement, context);
    case 'drop-user':
      return dropUser(statement, context);
    case 'not-implemented':
      return refuseNotBuilt(statement, context);
    case 'select':
    case 'insert':
    case 'update':
    case 'delete':
    case 'execute-as-user':
    case 'explain':
    case 'set-option':
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
