import { performance } from 'node:perf_hooks';
import { type Measurement, summary } from '../measure.ts';
import { firstWrite, type Stage, type Subject, withStage } from './stage.ts';
import { idSum, type Written, writeOneByOne, writePaced } from './writer.ts';

/** Commits per second while the way to the callback is measured under load. */
export const COMMITS_PER_SECOND = 2000;
/** Seconds that are not measured. */
const WARM_UP_SECONDS = 2;

/** From writing a row to the callback of a client in another process, on each kind of table; every row once and in order. */
export async function commitToCallback(subject: Subject): Promise<readonly Measurement[]> {
  const measured: Measurement[] = [];
  for (const kind of ['SHARED', 'USER'] as const) {
    await withFollower(subject, { kind, table: `bench.callback_${kind.toLowerCase()}` }, async (stage) => {
      const { measurement } = await alone(stage, `${kind} table: INSERT sent to callback, one at a time`);
      measured.push(measurement, await paced(stage, `${kind} table: INSERT due to callback at ${COMMITS_PER_SECOND} commits/s`));
    });
  }
  return measured;
}

/** Makes a table that is followed through the client library for as long as `work` takes. */
export function withFollower<T>(
  subject: Subject,
  parts: { readonly kind: 'SHARED' | 'USER'; readonly table: string },
  work: (stage: Stage) => Promise<T>,
): Promise<T> {
  return withStage(subject, parts, async (stage) => {
    const { url, user, password } = subject.target;
    await stage.subscribers.order({ kind: 'follow', url, user, password, sql: `SELECT * FROM ${stage.table}` });
    return work(stage);
  });
}

let nextId = 0;

/** Ids that no other case has used. */
function newIds(count: number): Written {
  nextId += count;
  return { first: nextId - count, count };
}

/** Commits that were waited for. */
export interface AloneFigures {
  readonly measurement: Measurement;
  /** All of them, also those that were not measured. */
  readonly commits: number;
}

/** One commit at a time: each is waited for. */
export async function alone(stage: Stage, name: string): Promise<AloneFigures> {
  const { subscribers, table, seconds } = stage;
  const write = firstWrite(stage);
  const samples: number[] = [];
  let commits = 0;
  const measureFrom = performance.now() + WARM_UP_SECONDS * 1000;
  for (const end = measureFrom + seconds * 1000; performance.now() < end; commits++) {
    const written = newIds(1);
    await subscribers.order({ kind: 'expect', events: 1, idSum: written.first });
    const start = performance.now();
    await writeOneByOne(write, table, written);
    const { latencies } = await subscribers.order({ kind: 'arrived' });
    if (start >= measureFrom) samples.push(...latencies);
  }
  return { measurement: summary(name, samples, samples.length / seconds), commits };
}

/** At a fixed rate, whatever becomes of the commits before. */
export async function paced({ subscribers, table, writes, seconds }: Stage, name: string): Promise<Measurement> {
  const once = async (duration: number): Promise<Measurement> => {
    const written = newIds(COMMITS_PER_SECOND * duration);
    await subscribers.order({ kind: 'expect', events: written.count, idSum: idSum(written) });
    const perSecond = await writePaced(writes, { table, perSecond: COMMITS_PER_SECOND, each: 1 }, written);
    const { latencies } = await subscribers.order({ kind: 'arrived' });
    return summary(name, latencies, perSecond);
  };
  await once(WARM_UP_SECONDS);
  return once(seconds);
}
