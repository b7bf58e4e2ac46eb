import type { Catalog } from '../catalog/catalog.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { Table } from '../catalog/table.ts';
import type { ColdTier } from '../cold/cold-tier.ts';
import type { JobContext, JobExecutor, JobOutcome } from './executor.ts';
import { KIND_NAMES, tableOf } from './flush.ts';
import type { JobLedger } from './job-ledger.ts';

/** Tables whose tombstones are removed at the same time; they share one applier. */
const RETENTIONS_MAX = 1;

/** The key of a table's retention: at most one is queued or runs. */
export function retentionKey({ namespace, name }: Pick<Table, 'namespace' | 'name'>): string {
  return `retention-${namespace}-${name}`;
}

/** Queues the removal of a table's tombstones that were kept for so many hours. Throws JOB_CONFLICT, JOBS_BUSY. */
export function createRetention(ledger: JobLedger, writer: SystemWriter, table: Table, hours: number): string {
  const parameters = { table_id: `${table.namespace}.${table.name}`, table_type: KIND_NAMES[table.kind], retention_hours: hours };
  return ledger.create(writer, { type: 'retention', parameters, key: retentionKey(table) });
}

/** Removes tombstones of the hot tier that have been kept long enough; those in segments go with compactions. */
export function retentionExecutor(catalog: Catalog, cold: ColdTier): JobExecutor {
  return {
    type: 'retention',
    cancellable: true,
    runningMax: RETENTIONS_MAX,
    onRestart: 'resume',
    run: (job, context) => removeTombstones(tableOf(catalog, job), { cold, context }),
  };
}

async function removeTombstones(
  table: Table | undefined,
  { cold, context }: { readonly cold: ColdTier; readonly context: JobContext },
): Promise<JobOutcome> {
  if (table === undefined) return { message: 'The table is gone', skipped: true };
  let removed = 0;
  for (const owner of cold.pendingOwners(table)) {
    removed += await cold.hotTombstones.remove(table, table.partitionFor(owner), context.signal);
    context.progress(`${removed} tombstones removed`);
  }
  const hours = cold.retention.hours(table);
  return { message: `Removed ${removed} expired tombstones from ${table.namespace}:${table.name} (retention: ${hours ?? 'off'} hours)` };
}
