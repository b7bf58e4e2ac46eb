import { JOBS, type JobRecord, type JobStatus, type JobType, jobRepository } from '../catalog/system-tables/jobs.ts';
import type { ChangeSet, RowVersion } from '../contract.ts';
import { isOver } from './job-states.ts';

/** Rows of one type that are kept; above it a new job takes the place of the oldest that has ended. */
export const JOB_ROWS_OF_TYPE_MAX = 2000;

/** What is known of each job in memory. */
export type JobEntry = Pick<JobRecord, 'slot' | 'jobId' | 'type' | 'status' | 'key' | 'finishedAtMicros'>;

/** A change of a job as a commit made it. */
export interface JobChange {
  readonly before: JobEntry | undefined;
  readonly job: JobEntry;
}

/** How many jobs there are. */
export interface JobCounts {
  /** Rows of `system.jobs`. */
  readonly total: number;
  readonly running: number;
  /** New, queued or waiting for their next try. */
  readonly queued: number;
  readonly failed: number;
}

/**
 * The rows of `system.jobs` in memory, as far as decisions need them: a fold over them, loaded once and moved by every commit.
 * It stands at the watermark; whoever decides in a turn looks at the row itself.
 */
export class JobIndex {
  readonly #bySlot = new Map<bigint, JobEntry>();
  readonly #slotById = new Map<string, bigint>();
  readonly #active = new Map<bigint, JobEntry>();
  /** Slots of those that have ended, oldest first. */
  readonly #over = new Map<JobType, Set<bigint>>();
  readonly #rowsOfType = new Map<JobType, number>();
  readonly #counts = new Map<JobStatus, number>();
  readonly #listeners = new Set<(change: JobChange) => void>();
  readonly #rowsOfTypeMax: number;
  readonly #freeSlots = new Set<bigint>();
  #nextSlot = 0n;

  /** @param rowsOfTypeMax the same for the life of a database */
  constructor(rowsOfTypeMax: number = JOB_ROWS_OF_TYPE_MAX) {
    this.#rowsOfTypeMax = rowsOfTypeMax;
  }

  /** Reads all rows at open, tombstones included. */
  load(rows: Iterable<RowVersion>): void {
    const jobs = [...rows].filter(({ deleted }) => !deleted).map((row) => jobRepository.read(row));
    jobs.sort((a, b) => Number((a.finishedAtMicros ?? 0n) - (b.finishedAtMicros ?? 0n)));
    for (const job of jobs) {
      this.#put(job);
      if (job.slot >= this.#nextSlot) this.#nextSlot = job.slot + 1n;
    }
    for (let slot = 0n; slot < this.#nextSlot; slot++) if (!this.#bySlot.has(slot)) this.#freeSlots.add(slot);
  }

  /** Takes in a commit. Called for each, in order. */
  observe(change: ChangeSet): void {
    for (const { partition, rows } of change.parts) {
      if (partition.tableId !== JOBS.id) continue;
      for (const row of rows) {
        const job = jobRepository.read(row);
        const before = this.#bySlot.get(job.slot);
        if (before !== undefined) this.#remove(before);
        if (row.deleted) {
          if (before !== undefined) this.#freeSlots.add(job.slot);
          continue;
        }
        const entry = this.#put(job);
        for (const listener of this.#listeners) listener({ before: before?.jobId === job.jobId ? before : undefined, job: entry });
      }
    }
  }

  /** Calls `listener` for each job that a commit made or changed. */
  onChange(listener: (change: JobChange) => void): void {
    this.#listeners.add(listener);
  }

  find(jobId: string): JobEntry | undefined {
    return this.#bySlot.get(this.#slotById.get(jobId) ?? -1n);
  }

  /** Those that have not ended. */
  active(): readonly JobEntry[] {
    return [...this.#active.values()];
  }

  get activeCount(): number {
    return this.#active.size;
  }

  /** Those that ended before a time. */
  endedBefore(micros: bigint): readonly JobEntry[] {
    return [...this.#bySlot.values()].filter(({ finishedAtMicros: at }) => at !== undefined && at < micros);
  }

  /**
   * A place for the row of a new job. The turn looks whether another turn, not durable yet, has put a job there. A place whose
   * commit fails is not given out again before the next start: that is rare, and costs nothing but a number.
   */
  takeSlot(type: JobType): bigint {
    const over = this.#over.get(type);
    const [oldest] = over ?? [];
    if (oldest !== undefined && (this.#rowsOfType.get(type) ?? 0) >= this.#rowsOfTypeMax) {
      over?.delete(oldest);
      return oldest;
    }
    const [free] = this.#freeSlots;
    if (free === undefined) return this.#nextSlot++;
    this.#freeSlots.delete(free);
    return free;
  }

  counts(): JobCounts {
    const of = (status: JobStatus): number => this.#counts.get(status) ?? 0;
    return {
      total: this.#bySlot.size,
      running: of('running'),
      queued: of('new') + of('queued') + of('retrying'),
      failed: of('failed'),
    };
  }

  #put({ slot, jobId, type, status, key, finishedAtMicros }: JobRecord): JobEntry {
    const entry: JobEntry = { slot, jobId, type, status, key, finishedAtMicros };
    this.#bySlot.set(slot, entry);
    this.#freeSlots.delete(slot);
    this.#slotById.set(jobId, slot);
    this.#count(entry, 1);
    if (isOver(status)) {
      const over = this.#over.get(type) ?? new Set();
      this.#over.set(type, over.add(slot));
    } else {
      this.#active.set(slot, entry);
    }
    return entry;
  }

  #remove(entry: JobEntry): void {
    const { slot, jobId, type } = entry;
    this.#bySlot.delete(slot);
    this.#slotById.delete(jobId);
    this.#active.delete(slot);
    this.#over.get(type)?.delete(slot);
    this.#count(entry, -1);
  }

  #count({ type, status }: JobEntry, by: 1 | -1): void {
    this.#rowsOfType.set(type, (this.#rowsOfType.get(type) ?? 0) + by);
    this.#counts.set(status, (this.#counts.get(status) ?? 0) + by);
  }
}
