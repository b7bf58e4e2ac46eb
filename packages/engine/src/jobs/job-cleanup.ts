import type { Clock } from '@kalamdb/protocol';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { JobExecutor } from './executor.ts';
import type { JobEntry, JobIndex } from './job-index.ts';
import type { JobLedger } from './job-ledger.ts';

/** Days for which the row of a job is kept after its end, unless the database says otherwise (catalog A1). */
export const JOB_RETENTION_DAYS = 7;
/** Rows removed in one commit. */
const FORGET_ROWS_MAX = 500;
const DAY_MILLIS = 86_400_000;

/** What the removal of old rows works with. */
export interface JobCleanupSources {
  readonly clock: Clock;
  readonly index: JobIndex;
  readonly ledger: JobLedger;
  readonly retentionDays: number;
  commit<T>(turn: (writer: SystemWriter) => T): Promise<T>;
}

/** Jobs that ended longer ago than their rows are kept. */
export function outdatedJobs({
  clock,
  index,
  retentionDays,
}: Pick<JobCleanupSources, 'clock' | 'index' | 'retentionDays'>): readonly JobEntry[] {
  return index.endedBefore(BigInt(Math.trunc(clock.now() - retentionDays * DAY_MILLIS)) * 1000n);
}

/** Removes the rows of jobs that ended long ago. */
export function jobCleanupExecutor(sources: JobCleanupSources): JobExecutor {
  const { ledger, retentionDays, commit } = sources;
  return {
    type: 'job_cleanup',
    cancellable: true,
    runningMax: 1,
    onRestart: 'resume',
    isNeeded: () => outdatedJobs(sources).length > 0,
    run: async (_job, { signal, progress }) => {
      const outdated = outdatedJobs(sources);
      for (let at = 0; at < outdated.length; at += FORGET_ROWS_MAX) {
        signal.throwIfAborted();
        await commit((writer) => {
          for (const entry of outdated.slice(at, at + FORGET_ROWS_MAX)) ledger.forget(writer, entry);
        });
        progress(`${Math.min(at + FORGET_ROWS_MAX, outdated.length)} of ${outdated.length} job rows deleted`);
      }
      return { message: `Deleted ${outdated.length} jobs that ended more than ${retentionDays} days ago` };
    },
  };
}
