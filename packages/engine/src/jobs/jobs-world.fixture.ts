import { type HotStore, openMemoryLog } from '@kalamdb/storage';
import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import { Catalog } from '../catalog/catalog.ts';
import { JOB_NODES, JOBS, type JobNodeRecord, type JobRecord, jobNodeRepository, jobRepository } from '../catalog/system-tables/jobs.ts';
import type { HeldLog } from '../sequencer/held-log.fixture.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import { open, type Stored } from '../sequencer/sequencer-world.fixture.ts';
import type { JobExecutor } from './executor.ts';
import { type JobOptions, Jobs } from './jobs.ts';

/** Jobs on a real sequencer over memory stores, in virtual time. */
export interface JobsWorld {
  readonly time: VirtualTime;
  readonly log: HeldLog;
  readonly hot: HotStore;
  readonly sequencer: Sequencer;
  readonly catalog: Catalog;
  readonly jobs: Jobs;
  readonly warnings: readonly string[];
  /** Rows of `system.jobs`, as they were written. */
  rows(): readonly JobRecord[];
  nodes(): readonly JobNodeRecord[];
  /** Every state of a job that a commit wrote, in order. */
  readonly history: JobRecord[];
}

/** Opens what a process has left behind, the tail of its log applied. */
export async function openJobs(
  stored: Stored,
  options: JobOptions & { readonly executors?: readonly JobExecutor[]; readonly time?: VirtualTime; readonly seed?: number } = {},
): Promise<JobsWorld> {
  const { time = new VirtualTime(), seed = 1 } = options;
  await applyTail(stored);
  const { sequencer, log, hot, warnings } = open(stored, time);
  const catalog = new Catalog();
  sequencer.snapshots.read((snapshot) => catalog.load((table) => snapshot.view(table, table.partitionFor('')).scan()));
  sequencer.observe((change) => catalog.observe(change));
  const history: JobRecord[] = [];
  sequencer.observe(({ parts }) => {
    for (const { partition, rows } of parts) {
      if (partition.tableId === JOBS.id) history.push(...rows.filter(({ deleted }) => !deleted).map((row) => jobRepository.read(row)));
    }
  });
  const random = new SeededRandom(seed);
  const warn = (text: string): void => void warnings.push(text);
  const jobs = new Jobs({ ...options, catalog, sequencer, hot, clock: time, timers: time, random, nodeId: 1, warn });
  await jobs.start();
  const scan = (table: typeof JOBS): { readonly cells: JobCells }[] =>
    sequencer.snapshots.read((snapshot) => [...snapshot.view(table, table.partitionFor('')).scan()].filter(({ deleted }) => !deleted));
  return {
    time,
    log,
    hot,
    sequencer,
    catalog,
    jobs,
    warnings,
    history,
    rows: () => scan(JOBS).map((row) => jobRepository.read(row)),
    nodes: () => scan(JOB_NODES).map((row) => jobNodeRepository.read(row)),
  };
}

type JobCells = Parameters<typeof jobRepository.read>[0]['cells'];

/** The hot tier at the end of the log, as every opening begins. */
export async function applyTail({ image, hot }: Stored): Promise<void> {
  const log = openMemoryLog({ random: new SeededRandom(1), startSeq: hot.appliedSeq, image });
  for await (const entry of log.replay(hot.appliedSeq)) await hot.apply([entry]);
}

/** Lets every promise that can go on do so, those behind a group of commits too. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Moves time in steps, letting everything happen between two. */
export async function pass(time: VirtualTime, millis: number, stepMillis = 25): Promise<void> {
  for (let left = millis; left > 0; left -= stepMillis) {
    time.advance(Math.min(left, stepMillis));
    await settled();
  }
}
