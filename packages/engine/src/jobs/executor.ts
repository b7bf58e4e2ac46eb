import type { JobRecord, JobType } from '../catalog/system-tables/jobs.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';

/** What a running job is told and may tell. */
export interface JobContext {
  /** Aborted when the job is cancelled or the database closes: the executor stops at the next good point and throws. */
  readonly signal: AbortSignal;
  /** Says how far the job has come. May be called as often as wanted: `system.jobs` shows the newest text, at most one a second. */
  progress(text: string): void;
}

/** What a job came to. */
export interface JobOutcome {
  /** For `system.jobs.message`. */
  readonly message: string;
  /** There was nothing to do. */
  readonly skipped?: boolean | undefined;
  /** Written in the commit that ends the job, and not at all when the job was cancelled before. */
  readonly finish?: ((writer: SystemWriter) => void) | undefined;
}

/**
 * How jobs of one type are done. `run` may be called again for the same job, after an error and, with `onRestart: 'resume'`, after
 * a crash at any point: it must find what is left to do.
 */
export interface JobExecutor {
  readonly type: JobType;
  /** Whether KILL JOB may end one. */
  readonly cancellable: boolean;
  /** Jobs of this type that run at the same time. */
  readonly runningMax: number;
  /** What becomes of a job that was running when the process ended. */
  readonly onRestart: 'resume' | 'fail';
  /** Asked before each run, in a turn; `false`: there is nothing to do, and the job is skipped. */
  isNeeded?(job: JobRecord): boolean;
  /** Whether trying again is of no use; absent: it always may be. */
  isFinal?(error: unknown): boolean;
  /** Does the work. What it throws makes the job retry. */
  run(job: JobRecord, context: JobContext): Promise<JobOutcome>;
}
