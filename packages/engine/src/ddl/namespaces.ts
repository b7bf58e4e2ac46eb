import { kalamError } from '@kalamdb/protocol';
import type { Statement } from '@kalamdb/sql';
import { INITIAL_NAMESPACES } from '../catalog/bootstrap.ts';
import { NAMESPACES, namespaceRepository } from '../catalog/system-tables/namespaces.ts';
import { viewRepository } from '../catalog/system-tables/views.ts';
import type { StatementResult } from '../contract.ts';
import { type DdlContext, messageResult, requireAdmin, requireUser } from './ddl-context.ts';
import { dropTables } from './drop-table.ts';
import { checkName, isReservedNamespace } from './object-name.ts';
import { resultColumns } from './result-columns.ts';

/** Tables that the refusal to drop a namespace names at most. */
const TABLES_NAMED_MAX = 20;
/** Characters of a namespace's options, as JSON. */
const OPTIONS_CHARS_MAX = 65_536;

/** `CREATE NAMESPACE [IF NOT EXISTS] n` (sql-dialect B8). */
export function createNamespace(
  statement: Extract<Statement, { kind: 'create-namespace' }>,
  context: DdlContext,
): Promise<StatementResult> {
  requireAdmin(context, 'create namespaces');
  const namespaceId = statement.name.toLowerCase();
  return context.exclusive(async () => {
    if (context.catalog.namespace(namespaceId) !== undefined && statement.ifNotExists) {
      return messageResult(context, `Namespace '${namespaceId}' already exists`);
    }
    if (isReservedNamespace(namespaceId)) throw kalamError('NAMESPACE_RESERVED', { namespace: namespaceId });
    checkName('namespace', namespaceId);
    await context.commit((writer) => {
      if (namespaceRepository.latest(writer, namespaceId) !== undefined) throw kalamError('NAMESPACE_EXISTS', { namespace: namespaceId });
      namespaceRepository.put(writer, { namespaceId, createdAtMicros: writer.nowMicros, options: '{}' });
    });
    return messageResult(context, `Namespace '${namespaceId}' created successfully`);
  });
}

/** `ALTER NAMESPACE n SET OPTIONS (…)`: the options given are merged into those there are. */
export function alterNamespace(statement: Extract<Statement, { kind: 'alter-namespace' }>, context: DdlContext): Promise<StatementResult> {
  requireAdmin(context, 'alter namespaces');
  const namespaceId = statement.name.toLowerCase();
  return context.exclusive(async () => {
    const namespace = context.catalog.namespace(namespaceId);
    if (namespace === undefined) throw kalamError('NAMESPACE_MISSING', { namespace: namespaceId });
    const options = JSON.stringify({ ...JSON.parse(namespace.options), ...Object.fromEntries(statement.options) });
    if (options.length > OPTIONS_CHARS_MAX) {
      throw kalamError('INVALID_OPERATION', { reason: `the options of a namespace hold at most ${OPTIONS_CHARS_MAX} characters` });
    }
    await context.commit((writer) => namespaceRepository.put(writer, { ...namespace, options }));
    return messageResult(context, `Namespace '${namespaceId}' altered successfully`);
  });
}

/** `DROP NAMESPACE [IF EXISTS] n [CASCADE]`: a namespace with tables is dropped only with CASCADE, and then with them. */
export function dropNamespace(statement: Extract<Statement, { kind: 'drop-namespace' }>, context: DdlContext): Promise<StatementResult> {
  requireAdmin(context, 'drop namespaces');
  const namespaceId = statement.name.toLowerCase();
  return context.exclusive(async () => {
    if (isReservedNamespace(namespaceId) || INITIAL_NAMESPACES.includes(namespaceId)) {
      throw kalamError('INVALID_OPERATION', { reason: `Namespace '${namespaceId}' belongs to the server and cannot be dropped` });
    }
    const namespace = context.catalog.namespace(namespaceId);
    if (namespace === undefined) {
      if (statement.ifExists) return messageResult(context, `Namespace '${namespaceId}' does not exist`);
      throw kalamError('NAMESPACE_MISSING', { namespace: namespaceId });
    }
    const tables = [...context.catalog.tables(namespaceId)];
    const views = context.catalog.views(namespaceId);
    const inside = [...tables, ...views.map(({ info }) => info)];
    if (inside.length > 0 && !statement.cascade) {
      const names = inside.slice(0, TABLES_NAMED_MAX).map(({ name }) => name);
      if (inside.length > names.length) names.push(`and ${inside.length - names.length} more`);
      throw kalamError('NAMESPACE_NOT_EMPTY', { namespace: namespaceId, tables: names.join(', ') });
    }
    const ids = tables.map(({ id }) => id);
    await context.latch(ids, () =>
      context.commit((writer) => {
        if (tables.length > 0) dropTables(writer, tables, { context, namespace: namespaceId });
        for (const { record } of views) viewRepository.remove(writer, record);
        namespaceRepository.remove(writer, namespace);
      }),
    );
    return messageResult(context, `Namespace '${namespaceId}' dropped successfully`);
  });
}

/** `USE n`: the session that ran it moves when this succeeds. */
export async function useNamespace(
  statement: Extract<Statement, { kind: 'use-namespace' }>,
  context: DdlContext,
): Promise<StatementResult> {
  requireUser(context, 'USE');
  const namespace = statement.name.toLowerCase();
  if (!context.catalog.hasNamespace(namespace)) throw kalamError('NAMESPACE_NOT_FOUND', { namespace });
  return messageResult(context, `Namespace switched to '${namespace}'`);
}

/** `SHOW NAMESPACES`. */
export async function showNamespaces(context: DdlContext): Promise<StatementResult> {
  requireUser(context, 'SHOW NAMESPACES');
  const rows = context.catalog.namespaces().map((record) => namespaceRepository.toRow(record));
  return { kind: 'rows', columns: resultColumns(NAMESPACES), rows, asUser: context.principal.userId };
}
