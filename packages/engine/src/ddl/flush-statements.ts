import { kalamError } from '@kalamdb/protocol';
import type { Statement } from '@kalamdb/sql';
import type { Table } from '../catalog/table.ts';
import type { ColdTier } from '../cold/cold-tier.ts';
import type { StatementResult } from '../contract.ts';
import { compactKey, createCompaction } from '../jobs/compact.ts';
import { createFlush, flushKey } from '../jobs/flush.ts';
import { type DdlContext, messageResult, requireRole } from './ddl-context.ts';

type OfTable = Extract<Statement, { kind: 'storage-flush-table' | 'storage-compact-table' }>;
type OfAll = Extract<Statement, { kind: 'storage-flush-all' | 'storage-compact-all' }>;

/** `STORAGE {FLUSH|COMPACT} TABLE ns.t` (sql-dialect B22): begins a job; streams never leave memory. Throws JOB_CONFLICT while one is under way. */
export async function flushOrCompactTable(statement: OfTable, context: DdlContext): Promise<StatementResult> {
  const isFlush = statement.kind === 'storage-flush-table';
  const what = isFlush ? 'STORAGE FLUSH TABLE' : 'STORAGE COMPACT TABLE';
  requireRole(context, 'service', `${what} requires Service, DBA, or System role`);
  const namespace = (statement.table.namespace ?? context.namespace).toLowerCase();
  const name = statement.table.name.toLowerCase();
  const table = context.catalog.table(namespace, name);
  if (table === undefined) throw kalamError('TABLE_MISSING', { namespace, name });
  if (table.kind === 'stream') throw kalamError('INVALID_OPERATION', { reason: `${what} is not supported for STREAM tables` });
  if (!isFlush) {
    coldTierOf(context);
    const jobId = await context.commit((writer) => createCompaction(context.jobs, writer, table, false));
    return messageResult(context, `Storage compaction started for table '${namespace}.${name}'. Job ID: ${jobId}`);
  }
  if (!isPending(table, context)) {
    return messageResult(context, `Storage flush skipped: no pending writes for table '${namespace}.${name}'`);
  }
  const jobId = await context.commit((writer) => createFlush(context.jobs, writer, table));
  return messageResult(context, `Storage flush started for table '${namespace}.${name}'. Job ID: ${jobId}`);
}

/** `STORAGE {FLUSH|COMPACT} ALL [IN ns]`: a job for each table that has something to do and none under way. */
export async function flushOrCompactAll(statement: OfAll, context: DdlContext): Promise<StatementResult> {
  const isFlush = statement.kind === 'storage-flush-all';
  const what = isFlush ? 'STORAGE FLUSH ALL' : 'STORAGE COMPACT ALL';
  requireRole(context, 'service', `${what} requires Service, DBA, or System role`);
  const namespace = statement.namespace ?? context.namespace.toLowerCase();
  const tables = [...context.catalog.tables(namespace)].filter(({ kind }) => kind !== 'stream');
  if (!isFlush) return compactAll(tables, namespace, context);
  const pending = tables.filter((table) => isPending(table, context));
  const jobIds = await context.commit((writer) => {
    const due = pending.filter((table) => !context.jobs.isActive(writer, flushKey(table)));
    return due.map((table) => createFlush(context.jobs, writer, table));
  });
  const answer =
    jobIds.length === 0
      ? `Storage flush skipped: no pending writes in namespace '${namespace}'`
      : `Storage flush started for ${jobIds.length} table(s) in namespace '${namespace}'. Job IDs: [${jobIds.join(', ')}]`;
  return messageResult(context, answer);
}

/** Throws NOTHING_TO_COMPACT when there is no table, or all of them are being compacted. */
async function compactAll(tables: readonly Table[], namespace: string, context: DdlContext): Promise<StatementResult> {
  if (tables.length === 0) throw kalamError('NOTHING_TO_COMPACT', { namespace });
  coldTierOf(context);
  const jobIds = await context.commit((writer) => {
    const due = tables.filter((table) => !context.jobs.isActive(writer, compactKey(table)));
    if (due.length === 0) throw kalamError('NOTHING_TO_COMPACT', { namespace });
    return due.map((table) => createCompaction(context.jobs, writer, table, false));
  });
  const answer = `Storage compaction started for ${jobIds.length} table(s) in namespace '${namespace}'. Job IDs: [${jobIds.join(', ')}]`;
  return messageResult(context, answer);
}

/** Throws INVALID_OPERATION when there is none. */
function coldTierOf({ cold }: DdlContext): ColdTier {
  if (cold === undefined) throw kalamError('INVALID_OPERATION', { reason: 'a database in memory has no place for segments' });
  return cold;
}

/** Whether a table has rows that no segment holds. Throws INVALID_OPERATION when they have nowhere to go. */
function isPending(table: Table, context: DdlContext): boolean {
  if (table.kind === 'system') return false;
  for (const _ of coldTierOf(context).pendingOwners(table)) return true;
  return false;
}
