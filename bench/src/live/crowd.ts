import { setTimeout as sleep } from 'node:timers/promises';
import type { Measurement } from '../measure.ts';
import { residentMiB } from '../server-figures.ts';
import { alone, COMMITS_PER_SECOND, paced, withFollower } from './commit-to-callback.ts';
import type { Report } from './orders.ts';
import { type Stage, type Subject, withStage } from './stage.ts';
import { Subscribers } from './subscribers.ts';

/** Many subscriptions that no change concerns. */
const SOCKETS = 1000;
const EACH = 100;
/** Subscriptions of a crowd. */
export const CROWD_SIZE: number = SOCKETS * EACH;
/** After it, memory that is only waiting to be collected is smaller. */
const SETTLE_MILLIS = 4000;
/** Commits that take longer one at a time are not tried at the fixed rate. */
const PACED_MILLIS_MAX = 4;
/** Filters of which every subscription of a crowd has its own, and no row matches; `undefined`: there is no crowd. */
const FILTERS = [undefined, 'grp = #', 'grp IN (#, 1#)', 'grp > #', 'abs(grp) = #'] as const;

/** What subscriptions cost that do nothing. */
export interface CrowdFigures {
  /** Until the last of them was acknowledged, in seconds, and the server's processor time for it. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Memory of one, in bytes: what the server holds more when all are there. */
  readonly bytesEach: number;
  /** How much of a core the generator took meanwhile, in percent. */
  readonly generatorPercent: number;
}

/** Subscriptions with a literal each, on sockets that were there before. */
export function crowdSetUp(subject: Subject): Promise<CrowdFigures> {
  return withStage(subject, { kind: 'SHARED', table: 'bench.crowd' }, async (stage) => {
    const { subscribers: crowd } = stage;
    await openCrowd(subject, crowd);
    await sleep(SETTLE_MILLIS);
    const before = residentMiB(subject.pid);
    const cpu = stage.cpuMicros();
    const { millis, busyMillis } = await joinCrowd(stage, crowd, 'grp = #');
    const cpuSeconds = (stage.cpuMicros() - cpu) / 1_000_000;
    await sleep(SETTLE_MILLIS);
    const bytesEach = ((residentMiB(subject.pid) - before) * 1024 * 1024) / CROWD_SIZE;
    return { seconds: millis / 1000, cpuSeconds, bytesEach, generatorPercent: (100 * busyMillis) / millis };
  });
}

/** What a commit costs beside a crowd. */
export interface BesideFigures {
  readonly measured: readonly Measurement[];
  /** Filter of the crowd; `undefined`: there is none. */
  readonly filter: string | undefined;
  /** The server's processor time for a commit, in microseconds. */
  readonly microsEach: number;
}

/** Commits to the callback of one subscriber, alone and beside a crowd for each kind of filter. */
export async function commitsBesideCrowds(subject: Subject): Promise<readonly BesideFigures[]> {
  const figures: BesideFigures[] = [];
  for (const [number, filter] of FILTERS.entries()) {
    const parts = { kind: 'SHARED', table: `bench.beside_${number}` } as const;
    const found = await withFollower(subject, parts, (stage) => {
      if (filter === undefined) return beside(stage, undefined);
      return Subscribers.with(async (crowd) => {
        await openCrowd(subject, crowd);
        await joinCrowd(stage, crowd, filter);
        await crowd.order({ kind: 'expect', events: 0, idSum: 0 });
        const figure = await beside(stage, filter);
        await crowd.order({ kind: 'arrived' });
        return figure;
      });
    });
    figures.push(found);
  }
  return figures;
}

async function beside(stage: Stage, filter: string | undefined): Promise<BesideFigures> {
  const who = filter === undefined ? 'nobody' : `${CROWD_SIZE} with ${filter}`;
  const cpu = stage.cpuMicros();
  const { measurement, commits } = await alone(stage, `INSERT sent to callback, one at a time, beside ${who}`);
  const microsEach = (stage.cpuMicros() - cpu) / commits;
  if (measurement.p50Millis > PACED_MILLIS_MAX) return { measured: [measurement], filter, microsEach };
  const fast = await paced(stage, `INSERT due to callback at ${COMMITS_PER_SECOND} commits/s, beside ${who}`);
  return { measured: [measurement, fast], filter, microsEach };
}

function openCrowd({ target }: Subject, crowd: Subscribers): Promise<Report> {
  return crowd.order({ kind: 'open', url: target.url, tokens: [target.token], sockets: SOCKETS });
}

function joinCrowd({ table }: Stage, crowd: Subscribers, filter: string): Promise<Report> {
  return crowd.order({ kind: 'subscribe', sql: `SELECT * FROM ${table} WHERE ${filter}`, each: EACH, options: null });
}
