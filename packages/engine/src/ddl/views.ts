import { kalamError } from '@kalamdb/protocol';
import type { ResultColumnInfo, Statement } from '@kalamdb/sql';
import { allocateTableId } from '../catalog/bootstrap.ts';
import { namespaceRepository } from '../catalog/system-tables/namespaces.ts';
import { type View, type ViewColumn, viewRepository } from '../catalog/system-tables/views.ts';
import type { StatementResult } from '../contract.ts';
import { type DdlContext, messageResult, requireRole } from './ddl-context.ts';
import { checkName, checkNotSystem } from './object-name.ts';

/** Characters of a view's query. */
const QUERY_CHARS_MAX = 65_536;

/**
 * `CREATE [OR REPLACE] VIEW v [(columns)] AS SELECT …` (sql-dialect B12). Only the query is stored: it is run for each reader,
 * with what that reader may see.
 */
export function createView(statement: Extract<Statement, { kind: 'create-view' }>, context: DdlContext): Promise<StatementResult> {
  requireRole(context, 'dba', 'Only DBA or System roles can create views');
  const namespace = (statement.table.namespace ?? context.namespace).toLowerCase();
  const name = statement.table.name.toLowerCase();
  checkNotSystem('create', namespace, name);
  checkName('table', name);
  if (statement.query.length > QUERY_CHARS_MAX) {
    throw kalamError('INVALID_OPERATION', { reason: `the query of a view holds at most ${QUERY_CHARS_MAX} characters` });
  }
  const message = `View ${namespace}.${name} created successfully`;
  return context.exclusive(async () => {
    const existing = context.catalog.view(namespace, name);
    if (
      context.catalog.table(namespace, name) !== undefined ||
      (existing !== undefined && !statement.orReplace && !statement.ifNotExists)
    ) {
      throw kalamError('TABLE_EXISTS', { table: `${namespace}.${name}` });
    }
    if (existing !== undefined && !statement.orReplace) return messageResult(context, message);
    const columns = viewColumns(await context.bindQuery(statement.query, { namespace, name }), statement.columns);
    await context.commit((writer) => {
      if (namespaceRepository.latest(writer, namespace) === undefined) throw kalamError('NAMESPACE_NOT_FOUND', { namespace });
      viewRepository.put(writer, {
        tableId: existing?.record.tableId ?? allocateTableId(writer),
        version: (existing?.record.version ?? 0) + 1,
        namespace,
        name,
        query: statement.query,
        queryNamespace: context.namespace,
        columns,
        createdBy: context.principal.userId,
        createdAtMicros: existing?.record.createdAtMicros ?? writer.nowMicros,
        updatedAtMicros: writer.nowMicros,
      });
    });
    return messageResult(context, message);
  });
}

function viewColumns(given: readonly ResultColumnInfo[], names: readonly string[] | undefined): readonly ViewColumn[] {
  if (names !== undefined && names.length !== given.length) {
    throw kalamError('INVALID_OPERATION', { reason: `the view names ${names.length} columns, its query gives ${given.length}` });
  }
  const columns = given.map(({ name, type, flags }, index) => ({
    name: names?.[index] ?? name.toLowerCase(),
    type,
    nullable: flags.length === 0,
    primaryKey: flags.includes('pk'),
  }));
  const twice = columns.find(({ name }, index) => columns.findIndex((other) => other.name === name) < index);
  if (twice !== undefined) {
    throw kalamError('INVALID_OPERATION', { reason: `the view would have two columns '${twice.name}'; name them with AS` });
  }
  return columns;
}

/** `DROP VIEW [IF EXISTS] v` */
export function dropView(statement: Extract<Statement, { kind: 'drop-view' }>, context: DdlContext): Promise<StatementResult> {
  requireRole(context, 'dba', 'Only DBA or System roles can drop views');
  const namespace = (statement.table.namespace ?? context.namespace).toLowerCase();
  const name = statement.table.name.toLowerCase();
  return context.exclusive(async () => {
    const view: View | undefined = context.catalog.view(namespace, name);
    if (view === undefined) {
      if (statement.ifExists) return messageResult(context, `View ${namespace}.${name} does not exist (skipped)`);
      throw kalamError('VIEW_MISSING', { namespace, name });
    }
    await context.commit((writer) => viewRepository.remove(writer, view.record));
    return messageResult(context, `View ${namespace}.${name} dropped successfully`);
  });
}
