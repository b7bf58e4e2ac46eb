import { type Clock, KalamError, type Random, type Timer, type Timers } from '@kalamdb/protocol';
import type { JobRecord, JobType } from '../catalog/system-tables/jobs.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { JobExecutor, JobOutcome } from './executor.ts';
import type { JobChange, JobIndex } from './job-index.ts';
import type { JobLedger } from './job-ledger.ts';
import { JobQueue, type QueuedJob } from './job-queue.ts';
import { isOver, isWaiting, messageText, traceOf } from './job-states.ts';
import { ProgressNotes } from './progress-notes.ts';

/** Jobs that run at the same time, of all types (catalog B15). */
export const RUNNING_JOBS_MAX = 10;
/** Wait before the first retry; it doubles from one to the next, and up to half of it is added by chance. */
export const RETRY_MILLIS = 100;
/** Longest wait before a retry. */
export const RETRY_MILLIS_MAX = 30_000;

/** What a scheduler works with. */
export interface SchedulerSources {
  readonly index: JobIndex;
  readonly ledger: JobLedger;
  readonly executors: ReadonlyMap<JobType, JobExecutor>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly runningMax?: number | undefined;
  readonly warn: (text: string, detail: object) => void;
  commit<T>(turn: (writer: SystemWriter) => T): Promise<T>;
}

interface Run {
  readonly job: QueuedJob;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/** Errors of a commit that did not happen, or of which nobody knows: it is tried again. */
const COMMIT_FAILURES: ReadonlySet<string> = new Set(['LOG_WRITE_FAILED', 'COMMIT_OUTCOME_UNKNOWN', 'WRITES_BUSY']);

/**
 * Runs jobs. It follows the commits: a job is queued when the commit that made it is durable, and every state is a row before it
 * is acted on. States, invariants and what a crash leaves: SPEC.md beside this file.
 */
export class Scheduler {
  readonly #sources: SchedulerSources;
  readonly #queue = new JobQueue();
  readonly #runs = new Map<string, Run>();
  readonly #runningOfType = new Map<JobType, number>();
  /** Jobs whose key belongs to a run that has not come to its end, although its job may have. */
  readonly #behindKey = new Map<string, QueuedJob>();
  readonly #waits = new Set<{ readonly timer: Timer; wake(): void }>();
  #waking = false;
  #closing = false;

  constructor(sources: SchedulerSources) {
    this.#sources = sources;
    sources.index.onChange((change) => this.#follow(change));
  }

  /** Jobs that wait for their turn. */
  get queued(): number {
    return this.#queue.size + this.#behindKey.size;
  }

  /** Begins with the jobs that are there. */
  start(): void {
    for (const job of this.#sources.index.active()) if (isWaiting(job.status)) this.#queue.push(job);
    this.#wake();
  }

  /** Stops every run at its next good point; their rows say what is left to do. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const { timer, wake } of [...this.#waits]) {
      timer.cancel();
      wake();
    }
    for (const { abort } of this.#runs.values()) abort.abort();
    await Promise.all([...this.#runs.values()].map(({ done }) => done));
  }

  #follow({ job }: JobChange): void {
    if (job.status === 'new' || job.status === 'queued') this.#queue.push(job);
    else if (isOver(job.status)) {
      this.#queue.remove(job);
      if (job.status === 'cancelled') this.#runs.get(job.jobId)?.abort.abort();
    }
    this.#wake();
  }

  /** Never within an observer of commits: what runs there keeps every other observer waiting. */
  #wake(): void {
    if (this.#waking) return;
    this.#waking = true;
    this.#sources.timers.soon(() => {
      this.#waking = false;
      this.#fill();
    });
  }

  #fill(): void {
    const { runningMax = RUNNING_JOBS_MAX } = this.#sources;
    while (!this.#closing && this.#runs.size < runningMax) {
      const job = this.#queue.take((type) => this.#mayRun(type));
      if (job === undefined) return;
      if (this.#isKeyHeld(job.key)) this.#behindKey.set(job.jobId, job);
      else this.#begin(job);
    }
  }

  #mayRun(type: JobType): boolean {
    const running = this.#runningOfType.get(type) ?? 0;
    return running < (this.#sources.executors.get(type)?.runningMax ?? 1);
  }

  #isKeyHeld(key: string | undefined): boolean {
    return key !== undefined && [...this.#runs.values()].some(({ job }) => job.key === key);
  }

  #begin(job: QueuedJob): void {
    // One that was queued again while its last run comes to an end waits for that.
    if (this.#runs.has(job.jobId)) {
      this.#behindKey.set(job.jobId, job);
      return;
    }
    const abort = new AbortController();
    this.#runningOfType.set(job.type, (this.#runningOfType.get(job.type) ?? 0) + 1);
    const run = this.#run(job, abort.signal).catch((error: unknown) => {
      this.#sources.warn('a job could not be carried on', { job: job.jobId, error });
      return undefined;
    });
    const done = run.then((retryMillis) => this.#ended(job, retryMillis));
    this.#runs.set(job.jobId, { job, abort, done });
  }

  #ended(job: QueuedJob, retryMillis: number | undefined): void {
    this.#runs.delete(job.jobId);
    this.#runningOfType.set(job.type, (this.#runningOfType.get(job.type) ?? 1) - 1);
    for (const behind of this.#behindKey.values()) this.#queue.push(behind);
    this.#behindKey.clear();
    if (retryMillis !== undefined) {
      void this.#wait(retryMillis).then(() => {
        this.#queue.push(job);
        this.#wake();
      });
    }
    this.#wake();
  }

  /** One try; answers after how long there is to be another one. */
  async #run(queued: QueuedJob, signal: AbortSignal): Promise<number | undefined> {
    const executor = this.#sources.executors.get(queued.type);
    const job = await this.#commit((writer) => this.#startJob(writer, queued, executor));
    if (job === undefined || executor === undefined) return undefined;
    const { ledger, clock, timers } = this.#sources;
    const notes = new ProgressNotes({ clock, timers, write: (text) => this.#showProgress(queued, text) });
    try {
      const outcome = await executor.run(job, { signal, progress: (text) => notes.note(text) });
      await this.#commit((writer) => {
        const now = ledger.job(writer, queued);
        if (now?.status === 'running') finishJob(writer, { ledger, job: now, outcome });
      });
      return undefined;
    } catch (error) {
      if (this.#closing) return undefined;
      return await this.#commit((writer) => this.#failJob(writer, queued, error));
    } finally {
      notes.close();
    }
  }

  #startJob(writer: SystemWriter, queued: QueuedJob, executor: JobExecutor | undefined): JobRecord | undefined {
    const { ledger } = this.#sources;
    const job = ledger.job(writer, queued);
    if (job === undefined || !isWaiting(job.status)) return undefined;
    if (executor === undefined) {
      ledger.step(writer, job, { status: 'failed', message: 'Not supported', trace: `No executor for jobs of type ${job.type}` });
      return undefined;
    }
    if (executor.isNeeded?.(job) === false) {
      const message = `Job ${job.jobId} skipped: pre-validation returned false (nothing to do)`;
      ledger.step(writer, job, { status: 'skipped', message: messageText(message) });
      return undefined;
    }
    return ledger.step(writer, job, { status: 'running' });
  }

  #failJob(writer: SystemWriter, queued: QueuedJob, error: unknown): number | undefined {
    const { ledger, random } = this.#sources;
    const job = ledger.job(writer, queued);
    if (job?.status !== 'running') return undefined;
    const trace = traceOf(error);
    const isFinal = this.#sources.executors.get(job.type)?.isFinal?.(error) === true;
    if (isFinal || job.retryCount >= job.retriesMax) {
      ledger.step(writer, job, { status: 'failed', message: isFinal ? 'Failed' : 'Max retries exceeded', trace });
      return undefined;
    }
    ledger.step(writer, job, { status: 'retrying', retryCount: job.retryCount + 1, trace });
    return backOff(job.retryCount, random);
  }

  #showProgress(queued: QueuedJob, text: string): void {
    const { ledger, commit, warn } = this.#sources;
    const written = commit((writer) => {
      const job = ledger.job(writer, queued);
      if (job?.status === 'running') ledger.showProgress(writer, job, text);
    });
    written.catch((error: unknown) => {
      if (!isShuttingDown(error)) warn('the progress of a job could not be written', { job: queued.jobId, error });
    });
  }

  /** A commit of the scheduler's own, tried again until it happens or the database closes. */
  async #commit<T>(turn: (writer: SystemWriter) => T): Promise<T | undefined> {
    for (let failures = 0; !this.#closing; failures++) {
      try {
        return await this.#sources.commit(turn);
      } catch (error) {
        if (isShuttingDown(error)) return undefined;
        if (!(error instanceof KalamError) || !COMMIT_FAILURES.has(error.code)) throw error;
        if (failures === 0) this.#sources.warn('the state of a job could not be written; trying again', { error });
        await this.#wait(backOff(failures, this.#sources.random));
      }
    }
    return undefined;
  }

  /** Resolves after the time, or when the scheduler closes. */
  #wait(millis: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waits.delete(wait);
        resolve();
      };
      const wait = { timer: this.#sources.timers.after(millis, wake), wake };
      this.#waits.add(wait);
    });
  }
}

function isShuttingDown(error: unknown): boolean {
  return error instanceof KalamError && error.code === 'SHUTTING_DOWN';
}

interface Finish {
  readonly ledger: JobLedger;
  readonly job: JobRecord;
  readonly outcome: JobOutcome;
}

function finishJob(writer: SystemWriter, { ledger, job, outcome }: Finish): void {
  outcome.finish?.(writer);
  ledger.step(writer, job, { status: outcome.skipped === true ? 'skipped' : 'completed', message: messageText(outcome.message) });
}

function backOff(failures: number, random: Random): number {
  return Math.min(RETRY_MILLIS * 2 ** failures, RETRY_MILLIS_MAX) * (1 + random.uniform() / 2);
}
