import { kalamError } from '@kalamdb/protocol';
import type { Statement } from '@kalamdb/sql';
import { droppedTableRepository } from '../catalog/system-tables/dropped-tables.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import { tableRepository } from '../catalog/system-tables/schemas.ts';
import type { Table } from '../catalog/table.ts';
import type { StatementResult } from '../contract.ts';
import { type DdlContext, messageResult, requireRole } from './ddl-context.ts';
import { checkNotSystem } from './object-name.ts';

const JOB_ID_BYTES = 6;

/** `DROP TABLE [IF EXISTS] t` (sql-dialect B11). The rows go later; the answer names the job that removes them. */
export function dropTable(statement: Extract<Statement, { kind: 'drop-table' }>, context: DdlContext): Promise<StatementResult> {
  requireRole(context, 'dba', 'Insufficient privileges to drop this table');
  const namespace = (statement.table.namespace ?? context.namespace).toLowerCase();
  const name = statement.table.name.toLowerCase();
  checkNotSystem('drop', namespace, name);
  return context.exclusive(async () => {
    const table = context.catalog.table(namespace, name);
    if (table === undefined) {
      if (statement.ifExists) return messageResult(context, `Table ${namespace}.${name} does not exist (skipped)`);
      throw kalamError('TABLE_MISSING', { namespace, name });
    }
    const jobId = await context.latch([table.id], () => context.commit((writer) => dropTables(writer, [table], context)));
    return messageResult(context, `Table ${namespace}.${name} dropped successfully. Cleanup job: ${jobId}`);
  });
}

/** Takes tables out of the catalog and notes their rows for removal, within a turn; returns the id of the cleanup job. */
export function dropTables(writer: SystemWriter, tables: readonly Table[], context: DdlContext): string {
  const jobId = `CL-${Buffer.from(context.random.bytes(JOB_ID_BYTES)).toString('hex')}`;
  for (const { id, namespace, name, kind } of tables) {
    if (kind === 'system') throw kalamError('INTERNAL_ERROR', { reason: `system table ${name} among the tables to drop` });
    for (const record of context.catalog.versionsOf(namespace, name)) tableRepository.remove(writer, record);
    droppedTableRepository.put(writer, { tableId: id, namespace, name, kind, jobId, droppedAtMicros: writer.nowMicros });
  }
  return jobId;
}
