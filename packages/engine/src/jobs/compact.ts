import type { Catalog } from '../catalog/catalog.ts';
import type { JobRecord } from '../catalog/system-tables/jobs.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { Table } from '../catalog/table.ts';
import type { ColdTier } from '../cold/cold-tier.ts';
import { MERGED_BYTES_MAX } from '../cold/compaction-plan.ts';
import type { JobContext, JobExecutor, JobOutcome } from './executor.ts';
import { KIND_NAMES, tableOf } from './flush.ts';
import type { JobLedger } from './job-ledger.ts';

/** Compactions that run at the same time; one thread writes their segments, and those of flushes. */
const COMPACTIONS_MAX = 1;
const MEBIBYTE: number = 1024 * 1024;
/** In the parameters of a job that nobody has asked for: it does what pays. */
const SCHEDULED = 'scheduled';

/** The key of the compaction of a table: at most one is queued or runs (catalog B12). */
export function compactKey({ namespace, name }: Pick<Table, 'namespace' | 'name'>): string {
  return `compact-${namespace}-${name}`;
}

/** Queues the compaction of a table: all of it, or what pays. Throws JOB_CONFLICT, JOBS_BUSY. */
export function createCompaction(ledger: JobLedger, writer: SystemWriter, table: Table, isScheduled: boolean): string {
  const parameters = {
    table_id: `${table.namespace}.${table.name}`,
    table_type: KIND_NAMES[table.kind],
    target_file_size_mb: MERGED_BYTES_MAX / MEBIBYTE,
    ...(isScheduled ? { [SCHEDULED]: true } : {}),
  };
  return ledger.create(writer, { type: 'compact', parameters, key: compactKey(table) });
}

/** Merges the segments of a table, those of each owner. What was merged stays merged, so it can be taken up again at any point. */
export function compactExecutor(catalog: Catalog, cold: ColdTier): JobExecutor {
  return {
    type: 'compact',
    cancellable: true,
    runningMax: COMPACTIONS_MAX,
    onRestart: 'resume',
    run: (job, context) => compactTable(job, tableOf(catalog, job), { cold, context }),
  };
}

async function compactTable(
  { parameters }: JobRecord,
  table: Table | undefined,
  { cold, context }: { readonly cold: ColdTier; readonly context: JobContext },
): Promise<JobOutcome> {
  if (table === undefined) return { message: 'The table is gone', skipped: true };
  const extent = Object.hasOwn(JSON.parse(parameters), SCHEDULED) ? 'due' : 'all';
  let merged = 0;
  const progress = (inputs: number): void => {
    merged += inputs;
    context.progress(`${merged} segments merged`);
  };
  let failure: { readonly error: unknown } | undefined;
  for (const owner of cold.manifests.owners(table.id)) {
    context.signal.throwIfAborted();
    try {
      await cold.compactor.compactPartition(table.partitionFor(owner), { extent, signal: context.signal, progress });
    } catch (error) {
      // The segments of others are merged all the same.
      failure ??= { error };
    }
  }
  if (failure !== undefined) throw failure.error;
  return { message: `Compaction completed for ${table.namespace}:${table.name}` };
}
