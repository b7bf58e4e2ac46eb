import { type JsonValue, kalamError, type Random } from '@kalamdb/protocol';
import { JOB_TYPE_PREFIXES, type JobRecord, type JobType, jobNodeRepository, jobRepository } from '../catalog/system-tables/jobs.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { JobExecutor } from './executor.ts';
import type { JobEntry, JobIndex } from './job-index.ts';
import { afterStep, isCancellable, isOver, type JobStep, messageText } from './job-states.ts';

/** Jobs that have not ended; further ones are refused with JOBS_BUSY. */
export const ACTIVE_JOBS_MAX = 10_000;
/** Retries of a job unless the database says otherwise (catalog B12). */
export const JOB_RETRIES_MAX = 3;
const ID_BYTES = 6;

/** A job to be made. */
export interface JobRequest {
  readonly type: JobType;
  readonly parameters: Readonly<Record<string, JsonValue>>;
  /** Refused with JOB_CONFLICT while another job with this key has not ended. */
  readonly key?: string | undefined;
}

/** What a ledger works with. */
export interface LedgerSources {
  readonly index: JobIndex;
  readonly random: Random;
  readonly nodeId: number;
  readonly retriesMax?: number | undefined;
  readonly executors: ReadonlyMap<JobType, Pick<JobExecutor, 'cancellable'>>;
}

/**
 * Writes jobs. Everything here happens inside a turn of the sequencer, so that of two that want the same job the second sees
 * the first, and a job made in the commit of a statement is there exactly when the statement has happened.
 */
export class JobLedger {
  readonly #sources: LedgerSources;
  /** Where the last job of a key was written; the row says whether it is there and has not ended. */
  readonly #slotByKey = new Map<string, bigint>();

  constructor(sources: LedgerSources) {
    this.#sources = sources;
    for (const { key, slot } of sources.index.active()) if (key !== undefined) this.#slotByKey.set(key, slot);
    sources.index.onChange(({ job }) => {
      if (job.key !== undefined && isOver(job.status) && this.#slotByKey.get(job.key) === job.slot) this.#slotByKey.delete(job.key);
    });
  }

  /** Whether another job would not be refused with JOBS_BUSY. */
  get hasRoom(): boolean {
    return this.#sources.index.activeCount < ACTIVE_JOBS_MAX;
  }

  /** Queues a job and answers its id; it runs when the commit is durable. Throws JOB_CONFLICT, JOBS_BUSY. */
  create(writer: SystemWriter, request: JobRequest): string {
    if (!this.hasRoom) throw kalamError('JOBS_BUSY', { jobsMax: ACTIVE_JOBS_MAX });
    if (request.key !== undefined && this.isActive(writer, request.key)) throw kalamError('JOB_CONFLICT', { key: request.key });
    const job = this.#newJob(writer, request);
    if (job.key !== undefined) this.#noteKey(job.key, job.slot);
    write(writer, job);
    return job.jobId;
  }

  /** Writes down work that is done already, as a job that has completed. */
  record(writer: SystemWriter, request: JobRequest, message: string): void {
    const nowMicros = writer.nowMicros;
    const job = this.#newJob(writer, request);
    write(writer, {
      ...job,
      status: 'completed',
      message: messageText(message),
      startedAtMicros: nowMicros,
      finishedAtMicros: nowMicros,
    });
  }

  /** Whether a job with this key has not ended, as the turn sees it. */
  isActive(writer: SystemWriter, key: string): boolean {
    const slot = this.#slotByKey.get(key);
    const job = slot === undefined ? undefined : jobRepository.latest(writer, slot);
    return job !== undefined && job.key === key && !isOver(job.status);
  }

  /** The job as the turn sees it; `undefined` when its row is gone. */
  job(writer: SystemWriter, { slot, jobId }: Pick<JobEntry, 'slot' | 'jobId'>): JobRecord | undefined {
    const job = jobRepository.latest(writer, slot);
    return job?.jobId === jobId ? job : undefined;
  }

  /** Takes a job, just read in this turn, one step on. */
  step(writer: SystemWriter, job: JobRecord, step: JobStep, nodeError?: string): JobRecord {
    const next = afterStep(job, step, writer.nowMicros);
    write(writer, next, nodeError);
    return next;
  }

  /** Shows how far a running job has come. */
  showProgress(writer: SystemWriter, job: JobRecord, text: string): void {
    write(writer, { ...job, message: messageText(text), updatedAtMicros: writer.nowMicros });
  }

  /** `KILL JOB`: throws JOB_NOT_FOUND, and INVALID_OPERATION when it has ended or must not be ended. */
  cancel(writer: SystemWriter, jobId: string): void {
    const entry = this.#sources.index.find(jobId);
    const job = entry === undefined ? undefined : this.job(writer, entry);
    if (job === undefined) throw kalamError('JOB_NOT_FOUND', { jobId });
    if (!isCancellable(job.status))
      throw kalamError('INVALID_OPERATION', { reason: `Cannot cancel job in status ${capitalised(job.status)}` });
    if (this.#sources.executors.get(job.type)?.cancellable === false) {
      throw kalamError('INVALID_OPERATION', { reason: `${capitalised(job.type)} jobs cannot be safely cancelled` });
    }
    this.step(writer, job, { status: 'cancelled', message: 'Cancelled by user' });
  }

  /** Removes the row of a job that has ended; its place is used again. */
  forget(writer: SystemWriter, entry: JobEntry): void {
    const job = this.job(writer, entry);
    if (job === undefined || !isOver(job.status)) return;
    jobRepository.remove(writer, job);
    jobNodeRepository.remove(writer, { ...job, errorMessage: undefined });
  }

  #newJob(writer: SystemWriter, { type, parameters, key }: JobRequest): JobRecord {
    const { random, nodeId, retriesMax = JOB_RETRIES_MAX } = this.#sources;
    const nowMicros = writer.nowMicros;
    return {
      slot: this.#takeSlot(writer, type),
      jobId: `${JOB_TYPE_PREFIXES[type]}-${Buffer.from(random.bytes(ID_BYTES)).toString('hex')}`,
      type,
      status: 'queued',
      parameters: JSON.stringify(parameters),
      message: undefined,
      trace: undefined,
      key,
      retryCount: 0,
      retriesMax,
      createdAtMicros: nowMicros,
      updatedAtMicros: nowMicros,
      startedAtMicros: undefined,
      finishedAtMicros: undefined,
      nodeId: BigInt(nodeId),
    };
  }

  #noteKey(key: string, slot: bigint): void {
    this.#slotByKey.delete(key);
    this.#slotByKey.set(key, slot);
    if (this.#slotByKey.size <= 2 * ACTIVE_JOBS_MAX) return;
    // What commits that failed have left behind.
    const active = new Set(this.#sources.index.active().map((job) => job.slot));
    for (const [other, place] of this.#slotByKey) {
      if (this.#slotByKey.size <= ACTIVE_JOBS_MAX) break;
      if (!active.has(place)) this.#slotByKey.delete(other);
    }
  }

  #takeSlot(writer: SystemWriter, type: JobType): bigint {
    for (;;) {
      const slot = this.#sources.index.takeSlot(type);
      const there = jobRepository.latest(writer, slot);
      if (there === undefined || isOver(there.status)) return slot;
    }
  }
}

function write(writer: SystemWriter, job: JobRecord, nodeError?: string): void {
  jobRepository.put(writer, job);
  const errorMessage = nodeError ?? (job.status === 'failed' || job.status === 'retrying' ? job.trace : undefined);
  jobNodeRepository.put(writer, { ...job, errorMessage });
}

const capitalised = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
