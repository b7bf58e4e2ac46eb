import { kalamError } from '@kalamdb/protocol';
import type { Catalog } from '../catalog/catalog.ts';
import type { JobRecord } from '../catalog/system-tables/jobs.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { Table } from '../catalog/table.ts';
import type { ColdTier } from '../cold/cold-tier.ts';
import type { JobContext, JobExecutor, JobOutcome } from './executor.ts';
import type { JobLedger, JobRequest } from './job-ledger.ts';

/** Flushes that run at the same time; one thread writes their segments. */
const FLUSHES_MAX = 2;
/** What the parameters of jobs call a table's kind. */
export const KIND_NAMES: Readonly<Record<Table['kind'], string>> = { user: 'User', shared: 'Shared', stream: 'Stream', system: 'System' };

/** The key of the flush of a table: at most one is queued or runs (catalog B12). */
export function flushKey({ namespace, name }: Pick<Table, 'namespace' | 'name'>): string {
  return `flush-${namespace}-${name}`;
}

/** Queues the flush of a table. Throws JOB_CONFLICT, JOBS_BUSY. */
export function createFlush(ledger: JobLedger, writer: SystemWriter, table: Table): string {
  return ledger.create(writer, flushRequest(table));
}

function flushRequest(table: Table): JobRequest {
  const parameters = { table_id: `${table.namespace}.${table.name}`, table_type: KIND_NAMES[table.kind], flush_threshold: null };
  return { type: 'flush', parameters, key: flushKey(table) };
}

/** Moves the rows of a table into segments, those of each owner into their own. What was moved stays moved, so it can be taken up again at any point. */
export function flushExecutor(catalog: Catalog, cold: ColdTier): JobExecutor {
  return {
    type: 'flush',
    cancellable: true,
    runningMax: FLUSHES_MAX,
    onRestart: 'resume',
    run: (job, context) => flushTable(tableOf(catalog, job), { cold, context }),
  };
}

async function flushTable(
  table: Table | undefined,
  { cold, context }: { readonly cold: ColdTier; readonly context: JobContext },
): Promise<JobOutcome> {
  if (table === undefined) return { message: 'The table is gone', skipped: true };
  const done = { rows: 0, files: 0 };
  let failure: { readonly error: unknown } | undefined;
  for (const owner of cold.pendingOwners(table)) {
    context.signal.throwIfAborted();
    try {
      const { rows, files } = await cold.flusher.flushPartition(table.partitionFor(owner), context.signal);
      done.rows += rows;
      done.files += files;
      context.progress(`${done.rows} rows flushed`);
    } catch (error) {
      // The rows of others are flushed all the same.
      failure ??= { error };
    }
  }
  if (failure !== undefined) throw failure.error;
  return { message: `Flushed ${table.namespace}:${table.name} successfully (${done.rows} rows, ${done.files} files)` };
}

/** The table that the parameters of a job name; `undefined` when it is gone. */
export function tableOf(catalog: Catalog, { type, parameters }: JobRecord): Table | undefined {
  const value: unknown = JSON.parse(parameters);
  if (typeof value !== 'object' || value === null || !('table_id' in value)) {
    throw kalamError('INTERNAL_ERROR', { reason: `a ${type} of ${parameters}` });
  }
  const id = String(value.table_id);
  const dot = id.indexOf('.');
  return catalog.table(id.slice(0, dot), id.slice(dot + 1));
}
