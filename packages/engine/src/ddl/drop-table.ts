import { type JsonValue, kalamError } from '@kalamdb/protocol';
import type { Statement } from '@kalamdb/sql';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import { tableRepository } from '../catalog/system-tables/schemas.ts';
import type { Table } from '../catalog/table.ts';
import { DEFAULT_STORAGE } from '../catalog/table-record.ts';
import type { StatementResult } from '../contract.ts';
import { createCleanup, type DoomedTable } from '../jobs/cleanup.ts';
import { type DdlContext, messageResult, requireRole } from './ddl-context.ts';
import { checkNotSystem } from './object-name.ts';

/** `DROP TABLE [IF EXISTS] t` (sql-dialect B11). The rows go later; the answer names the job that removes them. */
export function dropTable(statement: Extract<Statement, { kind: 'drop-table' }>, context: DdlContext): Promise<StatementResult> {
  requireRole(context, 'dba', 'Insufficient privileges to drop this table');
  const namespace = (statement.table.namespace ?? context.namespace).toLowerCase();
  const name = statement.table.name.toLowerCase();
  checkNotSystem('drop', namespace, name);
  return context.exclusive(async () => {
    const table = context.catalog.table(namespace, name);
    if (table === undefined && context.catalog.view(namespace, name) !== undefined) {
      throw kalamError('INVALID_OPERATION', { reason: `'${namespace}.${name}' is a view; use DROP VIEW` });
    }
    if (table === undefined) {
      if (statement.ifExists) return messageResult(context, `Table ${namespace}.${name} does not exist (skipped)`);
      throw kalamError('TABLE_MISSING', { namespace, name });
    }
    const jobId = await context.latch([table.id], () => context.commit((writer) => dropTables(writer, [table], { context })));
    return messageResult(context, `Table ${namespace}.${name} dropped successfully. Cleanup job: ${jobId}`);
  });
}

/** Where tables are dropped from. */
interface DropOptions {
  readonly context: DdlContext;
  /** Set when a whole namespace goes. */
  readonly namespace?: string | undefined;
}

/**
 * Takes tables, at least one, out of the catalog and queues the job that removes their rows, within a turn; returns the id of the
 * job. Throws JOBS_BUSY.
 */
export function dropTables(writer: SystemWriter, tables: readonly Table[], { context, namespace }: DropOptions): string {
  const { catalog, jobs } = context;
  const doomed = tables.map((table): DoomedTable => {
    if (table.kind === 'system') throw kalamError('INTERNAL_ERROR', { reason: `system table ${table.name} among the tables to drop` });
    // Without their columns: however often a table was altered, it can be dropped in one short commit.
    for (const record of catalog.versionsOf(table.namespace, table.name)) {
      tableRepository.remove(writer, { ...record, columns: [], systemColumns: [] });
    }
    return { tableId: table.id, namespace: table.namespace, name: table.name, kind: table.kind };
  });
  const storage = ({ kind }: DoomedTable): JsonValue => {
    const found = catalog.storage(tables[0]?.options.storageId ?? DEFAULT_STORAGE);
    return {
      storage_id: found?.storageId ?? DEFAULT_STORAGE,
      base_directory: found?.baseDirectory ?? '',
      relative_path_template: (kind === 'user' ? found?.userTablesTemplate : found?.sharedTablesTemplate) ?? '',
    };
  };
  return createCleanup(jobs, writer, { tables: doomed, options: { namespace, storage } });
}
