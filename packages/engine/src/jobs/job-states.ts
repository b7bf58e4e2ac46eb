import { kalamError } from '@kalamdb/protocol';
import type { JobRecord, JobStatus } from '../catalog/system-tables/jobs.ts';

/** Characters of a message, before it becomes JSON (which may take six for one), and of a trace. */
const MESSAGE_CHARACTERS_MAX = 1000;
const TRACE_CHARACTERS_MAX = 6100;

/** Which state may follow which. */
const NEXT: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  new: ['queued', 'running', 'skipped', 'failed', 'cancelled'],
  queued: ['running', 'skipped', 'failed', 'cancelled'],
  running: ['completed', 'skipped', 'failed', 'cancelled', 'retrying', 'queued'],
  retrying: ['running', 'skipped', 'failed'],
  completed: [],
  failed: [],
  cancelled: [],
  skipped: [],
};

/** Whether a job waits for its turn to run. */
export function isWaiting(status: JobStatus): boolean {
  return status === 'new' || status === 'queued' || status === 'retrying';
}

/** Whether a job has ended. */
export function isOver(status: JobStatus): boolean {
  return NEXT[status].length === 0;
}

/** Whether KILL JOB may find a job in this state. */
export function isCancellable(status: JobStatus): boolean {
  return NEXT[status].includes('cancelled');
}

/** A step of a job from one state to the next. */
export interface JobStep extends Partial<Pick<JobRecord, 'message' | 'trace' | 'retryCount'>> {
  readonly status: JobStatus;
}

/** The job after a step. Throws INTERNAL_ERROR for a step that there is not. */
export function afterStep(job: JobRecord, step: JobStep, nowMicros: bigint): JobRecord {
  if (!NEXT[job.status].includes(step.status)) {
    throw kalamError('INTERNAL_ERROR', { reason: `job ${job.jobId} cannot go from ${job.status} to ${step.status}` });
  }
  return {
    ...job,
    ...step,
    updatedAtMicros: nowMicros,
    startedAtMicros: step.status === 'running' ? (job.startedAtMicros ?? nowMicros) : job.startedAtMicros,
    finishedAtMicros: isOver(step.status) ? nowMicros : undefined,
  };
}

/** What a job did, as `system.jobs.message` has it. */
export function messageText(message: string): string {
  return JSON.stringify({ message: shortened(message, MESSAGE_CHARACTERS_MAX) });
}

/** Why a job failed: the messages of an error and its causes. */
export function traceOf(error: unknown): string {
  const lines: string[] = [];
  for (let cause: unknown = error; cause !== undefined && lines.length < 10; ) {
    lines.push(cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause));
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return shortened(lines.join('\ncaused by '), TRACE_CHARACTERS_MAX);
}

/** At most so many characters, none of them half. */
function shortened(text: string, charactersMax: number): string {
  return text.slice(0, charactersMax).replace(/\p{Surrogate}/gu, '\uFFFD');
}
