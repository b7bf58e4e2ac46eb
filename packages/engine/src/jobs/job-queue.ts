import type { JobType } from '../catalog/system-tables/jobs.ts';
import type { JobEntry } from './job-index.ts';

/** What the queue knows of a job. */
export type QueuedJob = Pick<JobEntry, 'slot' | 'jobId' | 'type' | 'key'>;

/**
 * Jobs that wait to run: first come, first served within a type, and one type after the other, so that many jobs of one type do
 * not keep those of another waiting. As long as the number of jobs that have not ended, which is bounded.
 */
export class JobQueue {
  /** In the order in which the types have their turn. */
  readonly #byType = new Map<JobType, Map<string, QueuedJob>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Does nothing when the job is there already. */
  push(job: QueuedJob): void {
    let jobs = this.#byType.get(job.type);
    if (jobs === undefined) {
      jobs = new Map();
      this.#byType.set(job.type, jobs);
    }
    if (jobs.has(job.jobId)) return;
    jobs.set(job.jobId, job);
    this.#size += 1;
  }

  remove({ type, jobId }: Pick<QueuedJob, 'type' | 'jobId'>): void {
    if (this.#byType.get(type)?.delete(jobId) === true) this.#size -= 1;
  }

  /** Takes the next job of a type that `mayRun`; that type has its next turn after all others. */
  take(mayRun: (type: JobType) => boolean): QueuedJob | undefined {
    for (const [type, jobs] of this.#byType) {
      const [job] = jobs.values();
      if (job === undefined || !mayRun(type)) continue;
      this.remove(job);
      this.#byType.delete(type);
      this.#byType.set(type, jobs);
      return job;
    }
    return undefined;
  }
}
