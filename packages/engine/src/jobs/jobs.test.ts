import { type KalamError, kalamError } from '@kalamdb/protocol';
import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { droppedTableRepository } from '../catalog/system-tables/dropped-tables.ts';
import type { JobRecord, JobStatus, JobType } from '../catalog/system-tables/jobs.ts';
import { open, stored, withHot } from '../sequencer/sequencer-world.fixture.ts';
import { createCleanup } from './cleanup.ts';
import type { JobContext, JobExecutor, JobOutcome } from './executor.ts';
import { JOB_ROWS_OF_TYPE_MAX, JobIndex } from './job-index.ts';
import { ACTIVE_JOBS_MAX, JobLedger } from './job-ledger.ts';
import { HOUSEKEEPING_MILLIS } from './jobs.ts';
import { type JobsWorld, openJobs, pass, settled } from './jobs-world.fixture.ts';
import { RUNNING_JOBS_MAX } from './scheduler.ts';

const create = (world: JobsWorld, type: JobType, parameters: Record<string, string | number> = {}, key?: string): Promise<string> =>
  world.sequencer.submit((writer) => world.jobs.ledger.create(writer, { type, parameters, key }));
const kill = (world: JobsWorld, jobId: string): Promise<void> =>
  world.sequencer.submit((writer) => world.jobs.ledger.cancel(writer, jobId));
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: KalamError) => error.code,
  );
const row = (world: JobsWorld, jobId: string): JobRecord | undefined => world.rows().find((job) => job.jobId === jobId);

function executor(type: JobType, run: JobExecutor['run'], rest: Partial<JobExecutor> = {}): JobExecutor {
  return { type, cancellable: true, runningMax: RUNNING_JOBS_MAX, onRestart: 'resume', ...rest, run };
}

/** What may follow what, as the original has it; written down apart from the code. */
const FOLLOWS: Readonly<Record<JobStatus | 'nothing', string>> = {
  nothing: 'queued',
  new: 'queued cancelled',
  queued: 'running skipped cancelled failed',
  running: 'running completed failed cancelled retrying skipped queued',
  retrying: 'running skipped failed',
  completed: '',
  failed: '',
  cancelled: '',
  skipped: '',
};

type Step =
  | {
      readonly kind: 'submit';
      readonly type: 'flush' | 'compact';
      readonly failures: number;
      readonly millis: number;
      readonly key: number;
    }
  | { readonly kind: 'kill'; readonly which: number }
  | { readonly kind: 'pass'; readonly millis: number }
  | { readonly kind: 'fail log' }
  | { readonly kind: 'crash' };

const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('submit' as const),
        type: fc.constantFrom('flush' as const, 'compact' as const),
        failures: fc.nat(5),
        millis: fc.nat(300),
        key: fc.nat(3),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('kill' as const), which: fc.nat(30) }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('pass' as const), millis: fc.integer({ min: 1, max: 400 }) }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'fail log' } as const) },
    { weight: 1, arbitrary: fc.constant({ kind: 'crash' } as const) },
  ),
  { maxLength: 25 },
);

interface Script {
  readonly type: 'flush' | 'compact';
  readonly failures: number;
  readonly key: string | undefined;
  /** Runs that began, that threw, and that came to their end, over all lives of the process. */
  began: number;
  threw: number;
  ended: number;
  interrupted: number;
  killed: boolean;
}

const [RETRIES_MAX, RUNNING_MAX, COMPACTS_MAX] = [2, 3, 1];

/** Plays a program and checks what can be said of every job, whatever the order of things was. */
class Program {
  readonly #stored = stored();
  readonly #scripts = new Map<string, Script>();
  readonly #history: JobRecord[] = [];
  #world: JobsWorld | undefined;
  #life = 0;
  #running: string[] = [];

  async run(program: readonly Step[]): Promise<void> {
    await this.#open();
    for (const step of program) await this.#step(step);
    for (let round = 0; round < 40 && this.world.jobs.counts().running + this.world.jobs.counts().queued > 0; round++) {
      await pass(this.world.time, 2000, 100);
    }
    this.#history.push(...this.world.history);
    for (const [jobId, script] of this.#scripts) this.#check(jobId, script);
    await this.world.jobs.close();
  }

  get world(): JobsWorld {
    if (this.#world === undefined) throw new Error('not open');
    return this.#world;
  }

  async #open(): Promise<void> {
    const life = ++this.#life;
    const run: JobExecutor['run'] = (job, context) => (life === this.#life ? this.#execute(job, context) : new Promise(() => undefined));
    const executors = [
      executor('flush', run, { runningMax: RUNNING_MAX }),
      executor('compact', run, { runningMax: COMPACTS_MAX, onRestart: 'fail' }),
    ];
    const time = new VirtualTime(this.#world?.time.now());
    this.#world = await openJobs(this.#stored, { time, executors, runningMax: RUNNING_MAX, retriesMax: RETRIES_MAX, seed: life });
  }

  async #step(step: Step): Promise<void> {
    const { world } = this;
    if (step.kind === 'pass') await pass(world.time, step.millis);
    else if (step.kind === 'fail log') world.log.failNext(kalamError('LOG_WRITE_FAILED', { reason: 'no space' }));
    else if (step.kind === 'crash') await this.#crash();
    else if (step.kind === 'kill') await this.#kill(step.which);
    else await this.#submit(step);
  }

  async #submit({ type, failures, millis, key: number }: Extract<Step, { kind: 'submit' }>): Promise<void> {
    const key = number === 0 ? undefined : `k${number}`;
    const active = (): boolean => this.world.rows().some((job) => job.key === key && job.finishedAtMicros === undefined);
    const conflicts = key !== undefined && active();
    try {
      const jobId = await create(this.world, type, { failures, millis }, key);
      this.#scripts.set(jobId, { type, failures, key, began: 0, threw: 0, ended: 0, interrupted: 0, killed: false });
      expect(conflicts).toBe(false);
    } catch (error) {
      const { code } = error as KalamError;
      expect(code).toBe(conflicts && code !== 'LOG_WRITE_FAILED' ? 'JOB_CONFLICT' : 'LOG_WRITE_FAILED');
    }
  }

  async #kill(which: number): Promise<void> {
    const jobId = [...this.#scripts.keys()][which % Math.max(1, this.#scripts.size)];
    const script = this.#scripts.get(jobId ?? '');
    if (jobId === undefined || script === undefined) return;
    const before = row(this.world, jobId)?.status;
    const code = await codeOf(kill(this.world, jobId));
    if (code === 'done') script.killed = true;
    else if (code !== 'LOG_WRITE_FAILED') expect(['queued', 'running', 'new']).not.toContain(before);
  }

  /** What the log has not taken is gone, and nothing of this life is heard of again. */
  async #crash(): Promise<void> {
    const { world } = this;
    this.#life += 1;
    for (const jobId of this.#running) {
      const script = this.#scripts.get(jobId);
      if (script !== undefined) script.interrupted += 1;
    }
    this.#running = [];
    world.sequencer.stop();
    await settled();
    this.#history.push(...world.history);
    await this.#open();
  }

  async #execute(job: JobRecord, { signal, progress }: JobContext): Promise<JobOutcome> {
    const life = this.#life;
    const script = this.#scripts.get(job.jobId);
    if (script === undefined) throw new Error('nobody asked for it');
    script.began += 1;
    this.#running.push(job.jobId);
    this.#checkBounds();
    const { millis } = JSON.parse(job.parameters) as { readonly millis: number };
    const { time } = this.world;
    progress('begun');
    await new Promise<void>((resolve) => {
      time.after(millis, resolve);
      signal.addEventListener('abort', () => resolve());
    });
    if (life !== this.#life) return new Promise(() => undefined);
    this.#running = this.#running.filter((other) => other !== job.jobId);
    signal.throwIfAborted();
    if (script.threw < script.failures) {
      script.threw += 1;
      throw new Error('not this time');
    }
    script.ended += 1;
    return { message: 'well done' };
  }

  #checkBounds(): void {
    const running = this.#running.map((jobId) => this.#scripts.get(jobId));
    expect(running.length).toBeLessThanOrEqual(RUNNING_MAX);
    expect(running.filter((script) => script?.type === 'compact').length).toBeLessThanOrEqual(COMPACTS_MAX);
    const keys = running.flatMap((script) => script?.key ?? []);
    expect(new Set(keys).size).toBe(keys.length);
  }

  #check(jobId: string, script: Script): void {
    const job = row(this.world, jobId);
    const states = this.#history.filter((entry) => entry.jobId === jobId);
    let before: JobStatus | 'nothing' = 'nothing';
    for (const { status } of states) {
      expect(FOLLOWS[before].split(' ')).toContain(status);
      before = status;
    }
    expect(job).toEqual(states.at(-1));
    expect(job?.retryCount).toBeLessThanOrEqual(RETRIES_MAX);
    expect(this.world.nodes().find((node) => node.jobId === jobId)).toMatchObject({ status: job?.status, nodeId: 1n });
    if (script.killed) expect(job).toMatchObject({ status: 'cancelled', message: 'Cancelled by user' });
    else if (job?.message === 'Server restarted') {
      expect(job).toMatchObject({ status: 'failed', trace: 'Job was running when server shut down' });
      expect(script.type).toBe('compact');
      expect(states.at(-2)?.status).toBe('running');
    } else if (job?.status === 'completed') {
      expect(job.message).toBe('{"message":"well done"}');
      expect(script.ended).toBeGreaterThan(0);
    } else {
      expect(job).toMatchObject({ status: 'failed', message: 'Max retries exceeded', retryCount: RETRIES_MAX });
      expect(script.threw).toBeGreaterThan(RETRIES_MAX);
    }
    if (script.interrupted === 0 && this.#life === 1 && !script.killed) {
      expect(script.threw).toBe(Math.min(script.failures, RETRIES_MAX + 1));
      expect(job?.status).toBe(script.failures > RETRIES_MAX ? 'failed' : 'completed');
    }
    expect(job?.finishedAtMicros).toBeGreaterThanOrEqual(job?.startedAtMicros ?? job?.createdAtMicros ?? 0n);
  }
}

describe('any program of jobs', () => {
  it('keeps to the states, the bounds and the keys through failures, kills, full disks and crashes', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (program) => new Program().run(program)),
      { numRuns: 150 },
    );
  });
});

describe('the queue', () => {
  it('takes 1,000 jobs at once, runs as many as it may, and lets no type wait for another', async () => {
    const order: JobType[] = [];
    let [running, most] = [0, 0];
    const run: JobExecutor['run'] = async ({ type }) => {
      most = Math.max(most, ++running);
      order.push(type);
      await settled();
      running -= 1;
      return { message: 'done' };
    };
    const world = await openJobs(stored(), { executors: [executor('flush', run), executor('backup', run, { runningMax: 1 })] });
    await world.sequencer.submit((writer) => {
      for (let n = 0; n < 1000; n++) world.jobs.ledger.create(writer, { type: 'flush', parameters: { n } });
      for (let n = 0; n < 3; n++) world.jobs.ledger.create(writer, { type: 'backup', parameters: { n } });
    });
    expect(world.jobs.counts()).toMatchObject({ total: 1003, queued: 1003 });
    while (order.length < 1003) await settled();
    expect(most).toBe(RUNNING_JOBS_MAX);
    expect(order.lastIndexOf('backup')).toBeLessThan(100);
    await settled();
    expect(world.jobs.counts()).toEqual({ total: 1003, running: 0, queued: 0, failed: 0 });
    await world.jobs.close();
  });

  it('refuses more jobs than it may hold, and keeps a bounded number of those that have ended', async () => {
    const world = await openJobs(stored(), { runningMax: 0 });
    for (let n = 0; n < ACTIVE_JOBS_MAX; n += 1000) {
      await world.sequencer.submit((writer) => {
        for (let m = 0; m < 1000; m++) world.jobs.ledger.create(writer, { type: 'flush', parameters: {} });
      });
    }
    expect(await codeOf(create(world, 'flush'))).toBe('JOBS_BUSY');
    for (let n = 0; n < 3; n++) {
      await world.sequencer.submit((writer) => {
        for (let m = 0; m < 1000; m++) {
          world.jobs.ledger.record(writer, { type: 'stream_eviction', parameters: { n: n * 1000 + m } }, 'Evicted');
        }
      });
    }
    const kept = world.rows().filter(({ type }) => type === 'stream_eviction');
    expect(kept).toHaveLength(JOB_ROWS_OF_TYPE_MAX);
    expect(Math.min(...kept.map(({ parameters }) => JSON.parse(parameters).n))).toBe(1000);
    await world.jobs.close();
  });
});

describe('a job', () => {
  it('is tried again after 100, 200 and 400 ms and up to half as much, and has failed then', async () => {
    const world = await openJobs(stored(), { executors: [executor('flush', () => Promise.reject(new Error('no', { cause: 'disk' })))] });
    const jobId = await create(world, 'flush');
    await pass(world.time, 2000, 1);
    const tries = world.history.filter(({ status }) => status === 'running' || status === 'retrying');
    const times = tries.map(({ updatedAtMicros }) => Number(updatedAtMicros / 1000n));
    const waits = [1, 3, 5].map((at) => (times[at + 1] ?? 0) - (times[at] ?? 0));
    for (const [n, wait] of waits.entries()) {
      expect(wait).toBeGreaterThanOrEqual(100 * 2 ** n);
      expect(wait).toBeLessThanOrEqual(150 * 2 ** n + 1);
    }
    expect(row(world, jobId)).toMatchObject({
      status: 'failed',
      message: 'Max retries exceeded',
      retryCount: 3,
      trace: 'Error: no\ncaused by disk',
    });
    expect(world.nodes()).toMatchObject([{ jobId, status: 'failed', errorMessage: 'Error: no\ncaused by disk' }]);
    await world.jobs.close();
  });

  it('shows its progress at most once a second', async () => {
    const world = await openJobs(stored(), {
      executors: [
        executor('flush', async (_job, { progress }) => {
          for (let n = 0; n < 350; n++) {
            progress(`${n}`);
            await new Promise<void>((resolve) => void world.time.after(10, resolve));
          }
          return { message: 'done' };
        }),
      ],
    });
    await create(world, 'flush');
    await pass(world.time, 5000, 10);
    const messages = world.history.map(({ message }) => message).filter((message) => message !== undefined);
    expect(messages).toHaveLength(4);
    expect(messages.at(-1)).toBe('{"message":"done"}');
    await world.jobs.close();
  });

  it('that there is no use for is skipped; one that nobody can run has failed', async () => {
    const world = await openJobs(stored(), {
      executors: [executor('flush', () => Promise.reject(new Error('ran')), { isNeeded: () => false })],
    });
    const [flush, backup] = [await create(world, 'flush'), await create(world, 'backup')];
    await settled();
    const message = `Job ${flush} skipped: pre-validation returned false (nothing to do)`;
    expect(row(world, flush)).toMatchObject({ status: 'skipped', message: JSON.stringify({ message }) });
    expect(row(world, backup)).toMatchObject({ status: 'failed', trace: 'No executor for jobs of type backup' });
    expect(flush).toMatch(/^FL-[0-9a-f]{12}$/);
    expect(backup).toMatch(/^BK-[0-9a-f]{12}$/);
    await world.jobs.close();
  });

  it('ends with what its executor writes at the end, or without it when it was cancelled before', async () => {
    const ends: (() => void)[] = [];
    const finished: string[] = [];
    const aborted: string[] = [];
    const world = await openJobs(stored(), {
      executors: [
        executor('flush', async ({ jobId }, { signal }) => {
          signal.addEventListener('abort', () => void aborted.push(jobId));
          await new Promise<void>((resolve) => void ends.push(resolve));
          return { message: 'done', finish: () => void finished.push(jobId) };
        }),
      ],
    });
    const [kept, killed] = [await create(world, 'flush', {}, 'a'), await create(world, 'flush', {}, 'b')];
    await settled();
    await kill(world, killed);
    // Its key is free at once, but nobody works on the same thing before the run has really ended.
    const next = await create(world, 'flush', {}, 'b');
    await settled();
    expect(row(world, next)?.status).toBe('queued');
    for (const end of ends) end();
    await settled();
    expect(aborted).toEqual([killed]);
    expect(finished).toEqual([kept]);
    expect(row(world, killed)).toMatchObject({ status: 'cancelled', message: 'Cancelled by user' });
    expect(row(world, next)?.status).toBe('running');
    for (const end of ends) end();
    await settled();
    expect(await codeOf(kill(world, kept))).toBe('INVALID_OPERATION');
    expect(await codeOf(kill(world, 'FL-000000000000'))).toBe('JOB_NOT_FOUND');
    await world.jobs.close();
  });

  it('two turns that nobody has heard of yet do not get one key, nor one place', async () => {
    const world = await openJobs(stored(), { runningMax: 0 });
    world.log.hold();
    const made = [create(world, 'flush', {}, 'k'), create(world, 'flush', {}, 'k'), create(world, 'flush'), create(world, 'flush')];
    await settled();
    world.log.releaseAppends();
    expect(await Promise.all(made.map(codeOf))).toEqual(['done', 'JOB_CONFLICT', 'done', 'done']);
    expect(world.rows()).toHaveLength(3);
    world.log.failNext(kalamError('LOG_WRITE_FAILED', { reason: 'no space' }));
    expect(await codeOf(create(world, 'flush', {}, 'other'))).toBe('LOG_WRITE_FAILED');
    expect(await codeOf(create(world, 'flush', {}, 'other'))).toBe('done');
    await world.jobs.close();
  });
});

describe('rows of dropped tables', () => {
  const table = { tableId: 1005, namespace: 'app', name: 't', kind: 'shared' } as const;

  it('are removed by another job when theirs has failed for good', async () => {
    const places = stored();
    let isFull = true;
    const hot = withHot(places.hot, {
      purge: (tableId, rowsMax) => (isFull ? Promise.reject(new Error('disk full')) : places.hot.purge(tableId, rowsMax)),
    });
    const world = await openJobs({ ...places, hot });
    await world.sequencer.submit((writer) => createCleanup(world.jobs.ledger, writer, { tables: [table], options: {} }));
    await pass(world.time, HOUSEKEEPING_MILLIS - 1000, 1000);
    expect(world.rows()).toMatchObject([{ type: 'cleanup', status: 'failed', trace: 'Error: disk full' }]);
    expect(world.catalog.droppedTables()).toHaveLength(1);
    isFull = false;
    await pass(world.time, 2000, 1000);
    expect(
      world
        .rows()
        .map(({ status }) => status)
        .sort(),
    ).toEqual(['completed', 'failed']);
    expect(world.catalog.droppedTables()).toEqual([]);
    await world.jobs.close();
  });

  it('that a release without jobs has left behind are removed after the start', async () => {
    const places = stored();
    const before = await openJobs(places);
    const record = { ...table, jobId: 'CL-000000000001', droppedAtMicros: 1n };
    await before.sequencer.submit((writer) => droppedTableRepository.put(writer, record));
    await before.jobs.close();
    const world = await openJobs(places);
    await settled();
    expect(world.rows()).toMatchObject([{ status: 'completed', key: 'drop-app-t' }]);
    expect(world.catalog.droppedTables()).toEqual([]);
    await world.jobs.close();
  });
});

describe('rows of jobs', () => {
  it('are not given a place that a job has taken which nobody has heard of yet', async () => {
    const { sequencer, log } = open(stored());
    const index = new JobIndex(2);
    sequencer.observe((change) => index.observe(change));
    const ledger = new JobLedger({ index, random: new SeededRandom(1), nodeId: 1, executors: new Map() });
    const request = { type: 'flush', parameters: {} } as const;
    for (let n = 0; n < 2; n++) await sequencer.submit((writer) => ledger.record(writer, request, 'done'));
    const [first] = index.endedBefore(2n ** 62n);
    if (first === undefined) throw new Error('nothing has ended');
    let last: Promise<string> | undefined;
    sequencer.observe(() => {
      // The first row is gone, the job that takes its place is not known yet.
      last ??= sequencer.submit((writer) => ledger.create(writer, request));
    });
    log.hold();
    const forgotten = sequencer.submit((writer) => ledger.forget(writer, first));
    const made = sequencer.submit((writer) => ledger.create(writer, request));
    log.releaseAppends();
    await Promise.all([forgotten, made]);
    const ids = [await made, await last];
    expect(index.active().map(({ jobId }) => jobId)).toEqual(ids);
    expect(new Set(index.active().map(({ slot }) => slot)).size).toBe(2);
  });

  it('go a week after the job has ended, once a day, and leave their places to others', async () => {
    const places = stored();
    const world = await openJobs(places, { executors: [executor('flush', async () => ({ message: 'done' }))] });
    for (let n = 0; n < 30; n++) await create(world, 'flush');
    await settled();
    world.time.jump(6 * 86_400_000);
    await pass(world.time, HOUSEKEEPING_MILLIS, HOUSEKEEPING_MILLIS);
    expect(world.rows()).toHaveLength(30);
    await create(world, 'flush');
    world.time.jump(86_400_000);
    await pass(world.time, 86_400_000, 3_600_000);
    await pass(world.time, HOUSEKEEPING_MILLIS, HOUSEKEEPING_MILLIS);
    const rows = world.rows();
    expect(rows.map(({ type, status }) => [type, status]).sort()).toEqual([
      ['flush', 'completed'],
      ['job_cleanup', 'completed'],
    ]);
    expect(rows.find(({ type }) => type === 'job_cleanup')).toMatchObject({
      parameters: '{"retention_days":7}',
      message: '{"message":"Deleted 30 jobs that ended more than 7 days ago"}',
    });
    for (let n = 0; n < 20; n++) await create(world, 'flush');
    expect(Math.max(...world.rows().map(({ slot }) => Number(slot)))).toBeLessThan(32);
    await world.jobs.close();
    const again = await openJobs(places, {});
    expect(again.jobs.counts().total).toBe(22);
    await create(again, 'flush');
    expect(Math.max(...again.rows().map(({ slot }) => Number(slot)))).toBeLessThan(32);
    await again.jobs.close();
  });
});
