import { type JsonValue, kalamError } from '@kalamdb/protocol';
import type { HotStore } from '@kalamdb/storage';
import type { Catalog } from '../catalog/catalog.ts';
import { type DroppedTableRecord, droppedTableRepository } from '../catalog/system-tables/dropped-tables.ts';
import type { JobRecord } from '../catalog/system-tables/jobs.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { ColdTier } from '../cold/cold-tier.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import type { JobContext, JobExecutor, JobOutcome } from './executor.ts';
import type { JobLedger, JobRequest } from './job-ledger.ts';

/** Rows of a dropped table removed in one step, so that commits waiting for the applier are not held up. */
export const PURGE_ROWS_MAX = 5000;
/** Cleanups that run at the same time; they share one applier. */
const CLEANUPS_MAX = 2;

/** A table that is being dropped. */
export type DoomedTable = Pick<DroppedTableRecord, 'tableId' | 'namespace' | 'name' | 'kind'>;

/** What a cleanup is made for. */
export interface CleanupOptions {
  /** Set when a whole namespace goes. */
  readonly namespace?: string | undefined;
  /** Where the table's cold rows are, by table; shown with the job. */
  readonly storage?: ((table: DoomedTable) => JsonValue) | undefined;
}

/**
 * Queues the removal of what tables leave behind, in the commit that takes them out of the catalog: neither is there without the
 * other. Answers the job's id. Throws JOBS_BUSY.
 */
export function createCleanup(
  ledger: JobLedger,
  writer: SystemWriter,
  doomed: { readonly tables: readonly DoomedTable[]; readonly options: CleanupOptions },
): string {
  const jobId = ledger.create(writer, cleanupRequest(ledger, writer, doomed));
  for (const { tableId, namespace, name, kind } of doomed.tables) {
    droppedTableRepository.put(writer, { tableId, namespace, name, kind, jobId, droppedAtMicros: writer.nowMicros });
  }
  return jobId;
}

function cleanupRequest(
  ledger: JobLedger,
  writer: SystemWriter,
  { tables, options }: { readonly tables: readonly DoomedTable[]; readonly options: CleanupOptions },
): JobRequest {
  const [table] = tables;
  if (table === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a cleanup of no table' });
  const { namespace, storage } = options;
  if (namespace !== undefined || tables.length > 1) {
    const parameters = { namespace_id: namespace ?? table.namespace, table_count: tables.length, operation: 'drop_namespace' };
    return { type: 'cleanup', parameters };
  }
  const parameters: Record<string, JsonValue> = {
    table_id: `${table.namespace}.${table.name}`,
    table_type: table.kind,
    operation: 'drop_table',
  };
  if (storage !== undefined && table.kind !== 'stream') parameters['storage'] = storage(table);
  // A table may be made again and dropped again while the rows of the first one are still going.
  const key = `drop-${table.namespace}-${table.name}`;
  return { type: 'cleanup', parameters, key: ledger.isActive(writer, key) ? `${key}-${table.tableId}` : key };
}

/** What a cleanup works on. */
export interface CleanupSources {
  readonly catalog: Catalog;
  readonly sequencer: Pick<Sequencer, 'flush' | 'streams' | 'rowCache'>;
  readonly hot: Pick<HotStore, 'purge'>;
  /** Absent: there are no segments. */
  readonly cold?: ColdTier | undefined;
}

/** Removes the rows of dropped tables in small steps. What was removed stays removed, so it can be taken up again at any point. */
export function cleanupExecutor(sources: CleanupSources): JobExecutor {
  return {
    type: 'cleanup',
    cancellable: false,
    runningMax: CLEANUPS_MAX,
    onRestart: 'resume',
    run: (job, context) => cleanUp(sources, job, context),
  };
}

async function cleanUp({ catalog, sequencer, hot, cold }: CleanupSources, job: JobRecord, context: JobContext): Promise<JobOutcome> {
  const records = catalog.droppedTables().filter(({ jobId }) => jobId === job.jobId);
  // Rows that were committed before the DROP may still be on their way from the log.
  await unlessAborted(sequencer.flush(), context.signal);
  const removed = { rows: 0, bytes: 0, cached: 0 };
  const ends: ((writer: SystemWriter) => void)[] = [];
  for (const { tableId, kind } of records) {
    if (kind === 'stream') removed.rows += sequencer.streams.tableFigures(tableId, undefined).events;
    sequencer.streams.drop(tableId);
    removed.cached += sequencer.rowCache.forgetTable(tableId);
    for (let more = true; more; ) {
      context.signal.throwIfAborted();
      const step = await hot.purge(tableId, PURGE_ROWS_MAX);
      removed.rows += step.rows;
      removed.bytes += step.bytes;
      more = step.more;
      context.progress(`${removed.rows} rows deleted`);
    }
    const segments = await cold?.tables.remove(tableId, context.signal);
    if (segments === undefined) continue;
    removed.rows += segments.rows;
    removed.bytes += segments.bytes;
    ends.push((writer) => segments.finish(writer));
  }
  const message = `Cleaned up ${subjectOf(records, job)} successfully - ${removed.rows} rows deleted, ${removed.bytes} bytes freed, ${removed.cached} cache entries invalidated`;
  return {
    message,
    finish: (writer) => {
      for (const end of ends) end(writer);
      for (const { tableId } of records) cold?.expirations.remove(writer, tableId);
      for (const record of records) droppedTableRepository.remove(writer, record);
    },
  };
}

/** A hot tier that takes nothing must not keep a database from closing. */
function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}

function subjectOf(records: readonly DroppedTableRecord[], { parameters }: JobRecord): string {
  const [first] = records;
  if (first === undefined) return `what ${parameters} names`;
  return records.length === 1 ? `table ${first.namespace}:${first.name}` : `${records.length} tables of namespace ${first.namespace}`;
}

/**
 * Tables whose rows are still there although no job is to remove them: their job has failed, or a release without jobs dropped
 * them. They get a new job. Answers how many tables there were.
 */
export function adoptOrphans(writer: SystemWriter, ledger: JobLedger, orphans: readonly DroppedTableRecord[]): number {
  const byJob = new Map<string, DroppedTableRecord[]>();
  for (const orphan of orphans) {
    const now = droppedTableRepository.latest(writer, BigInt(orphan.tableId));
    if (now?.jobId !== orphan.jobId) continue;
    const group = byJob.get(now.jobId) ?? [];
    group.push(now);
    byJob.set(now.jobId, group);
  }
  for (const tables of byJob.values()) createCleanup(ledger, writer, { tables, options: {} });
  return [...byJob.values()].reduce((count, tables) => count + tables.length, 0);
}
