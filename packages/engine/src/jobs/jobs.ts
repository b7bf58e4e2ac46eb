import type { Clock, Random, Timer, Timers } from '@kalamdb/protocol';
import type { HotStore } from '@kalamdb/storage';
import type { Catalog } from '../catalog/catalog.ts';
import type { DroppedTableRecord } from '../catalog/system-tables/dropped-tables.ts';
import { JOBS } from '../catalog/system-tables/jobs.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { ColdTier } from '../cold/cold-tier.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import { adoptOrphans, cleanupExecutor } from './cleanup.ts';
import { compactExecutor } from './compact.ts';
import type { JobExecutor } from './executor.ts';
import { flushExecutor } from './flush.ts';
import { FLUSH_CHECK_MILLIS, FlushPolicies } from './flush-policies.ts';
import { JOB_RETENTION_DAYS, jobCleanupExecutor, outdatedJobs } from './job-cleanup.ts';
import { type JobCounts, JobIndex } from './job-index.ts';
import { JobLedger } from './job-ledger.ts';
import { isWaiting } from './job-states.ts';
import { retentionExecutor } from './retention.ts';
import { Rounds } from './rounds.ts';
import { Scheduler } from './scheduler.ts';
import { StreamEviction } from './stream-eviction.ts';
import { COMPACTION_CHECK_MILLIS, Upkeep } from './upkeep.ts';
import { userCleanupExecutor } from './user-cleanup.ts';

/** Milliseconds between two rounds of eviction: an event is gone at most this long after its TTL. */
export const EVICTION_MILLIS = 1000;
/** Milliseconds between two looks for work that nobody has asked for. */
export const HOUSEKEEPING_MILLIS = 60_000;
const DAY_MILLIS = 86_400_000;

/** Bounds of jobs; each has a default. */
export interface JobOptions {
  /** Jobs that run at the same time. */
  readonly runningMax?: number | undefined;
  /** Retries of a job that fails. */
  readonly retriesMax?: number | undefined;
  /** Days for which the row of a job is kept after its end. */
  readonly retentionDays?: number | undefined;
  /** Milliseconds between two looks at the flush policies. */
  readonly flushCheckMillis?: number | undefined;
  /** Milliseconds between two looks for segments to merge. */
  readonly compactionCheckMillis?: number | undefined;
  /** Bytes of hot rows at which a partition of a table with a policy is flushed in any case. */
  readonly flushBytesMax?: number | undefined;
}

/** What jobs work with. */
export interface JobSources extends JobOptions {
  readonly catalog: Catalog;
  readonly sequencer: Sequencer;
  readonly hot: HotStore;
  /** Absent: there is nothing to flush to. */
  readonly cold?: ColdTier | undefined;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly nodeId: number;
  readonly warn: (text: string, detail: object) => void;
  /** Executors beside those of this room. */
  readonly executors?: readonly JobExecutor[] | undefined;
}

/** The jobs of a database: what writes them, what runs them, and what makes them when nobody asks. */
export class Jobs {
  readonly ledger: JobLedger;
  readonly #sources: JobSources;
  readonly #index = new JobIndex();
  readonly #executors: Map<string, JobExecutor>;
  readonly #scheduler: Scheduler;
  readonly #eviction: StreamEviction;
  readonly #rounds: readonly Rounds[];
  #evictionTimer: Timer | undefined;
  #nextJobCleanupMillis: number;

  /** Reads the rows there are and follows every commit from now on; nothing runs before {@link start}. */
  constructor(sources: JobSources) {
    this.#sources = sources;
    const { sequencer, catalog, clock, timers, random, nodeId, warn, retriesMax, runningMax } = sources;
    const { retentionDays = JOB_RETENTION_DAYS, executors: more = [] } = sources;
    const index = this.#index;
    sequencer.snapshots.read((snapshot) => index.load(snapshot.view(JOBS, JOBS.partitionFor('')).scan()));
    sequencer.observe((change) => index.observe(change));
    const commit = this.#commit;
    const executors = new Map<JobExecutor['type'], JobExecutor>();
    this.#executors = executors;
    this.ledger = new JobLedger({ index, random, nodeId, retriesMax, executors });
    const own = [
      cleanupExecutor(sources),
      userCleanupExecutor(catalog),
      jobCleanupExecutor({ clock, index, ledger: this.ledger, retentionDays, commit }),
    ];
    const { cold } = sources;
    const tiers =
      cold === undefined ? [] : [flushExecutor(catalog, cold), compactExecutor(catalog, cold), retentionExecutor(catalog, cold)];
    for (const executor of [...own, ...tiers, ...more]) executors.set(executor.type, executor);
    this.#scheduler = new Scheduler({ index, ledger: this.ledger, executors, clock, timers, random, warn, runningMax, commit });
    this.#eviction = new StreamEviction({ catalog, sequencer, ledger: this.ledger, clock, warn, commit });
    this.#nextJobCleanupMillis = clock.elapsed();
    const failure = 'work for jobs could not be queued';
    const housekeeping = new Rounds({ look: () => this.#findWork(), millis: HOUSEKEEPING_MILLIS, failure, timers, warn });
    this.#rounds = [housekeeping, ...(cold === undefined ? [] : this.#tierRounds(cold))];
  }

  readonly #commit = <T>(turn: (writer: SystemWriter) => T): Promise<T> => this.#sources.sequencer.submit(turn);

  /** Settles what the last run of the database has left, then begins. */
  async start(): Promise<void> {
    const interrupted = this.#index.active().filter(({ status }) => status === 'running');
    const orphans = this.#orphans();
    if (interrupted.length + orphans.length > 0) {
      await this.#commit((writer) => {
        for (const { jobId } of interrupted) this.#recover(writer, jobId);
        adoptOrphans(writer, this.ledger, orphans);
      });
    }
    this.#scheduler.start();
    this.#evictionTimer = this.#sources.timers.every(EVICTION_MILLIS, () => this.#eviction.round());
    for (const rounds of this.#rounds) rounds.start();
  }

  counts(): JobCounts {
    return this.#index.counts();
  }

  /** Stops every run at its next good point; the next start takes up what is left. */
  async close(): Promise<void> {
    this.#evictionTimer?.cancel();
    // All of them at once: none begins a round while another comes to its end.
    const rounds = this.#rounds.map((each) => each.close());
    await this.#scheduler.close();
    await this.#eviction.close();
    await Promise.all(rounds);
  }

  /** What looks for flushes, compactions and expired tombstones. */
  #tierRounds(cold: ColdTier): readonly Rounds[] {
    const { timers, warn, flushCheckMillis = FLUSH_CHECK_MILLIS, compactionCheckMillis = COMPACTION_CHECK_MILLIS } = this.#sources;
    const sources = { ...this.#sources, cold, ledger: this.ledger, commit: this.#commit };
    const policies = new FlushPolicies(sources);
    const upkeep = new Upkeep(sources);
    return [
      new Rounds({
        look: (closing) => policies.look(closing),
        millis: flushCheckMillis,
        failure: 'flushes could not be queued',
        timers,
        warn,
      }),
      new Rounds({
        look: (closing) => upkeep.look(closing),
        millis: compactionCheckMillis,
        failure: 'upkeep of tables could not be queued',
        timers,
        warn,
      }),
    ];
  }

  #recover(writer: SystemWriter, jobId: string): void {
    const entry = this.#index.find(jobId);
    const job = entry === undefined ? undefined : this.ledger.job(writer, entry);
    if (job === undefined) return;
    if (this.#executors.get(job.type)?.onRestart === 'resume') {
      this.ledger.step(writer, job, { status: 'queued' }, 'Node restarted');
    } else {
      this.ledger.step(writer, job, { status: 'failed', message: 'Server restarted', trace: 'Job was running when server shut down' });
    }
  }

  /** Dropped tables whose rows no job is to remove. */
  #orphans(): readonly DroppedTableRecord[] {
    return this.#sources.catalog.droppedTables().filter(({ jobId }) => {
      const job = this.#index.find(jobId);
      return job === undefined || !(isWaiting(job.status) || job.status === 'running');
    });
  }

  async #findWork(): Promise<void> {
    const { clock, retentionDays = JOB_RETENTION_DAYS } = this.#sources;
    const orphans = this.#orphans();
    if (orphans.length > 0) await this.#commit((writer) => adoptOrphans(writer, this.ledger, orphans));
    if (clock.elapsed() < this.#nextJobCleanupMillis) return;
    this.#nextJobCleanupMillis = clock.elapsed() + DAY_MILLIS;
    if (outdatedJobs({ clock, index: this.#index, retentionDays }).length === 0) return;
    await this.#commit((writer) => {
      const key = 'job-cleanup';
      if (this.ledger.isActive(writer, key)) return;
      this.ledger.create(writer, { type: 'job_cleanup', parameters: { retention_days: retentionDays }, key });
    });
  }
}
