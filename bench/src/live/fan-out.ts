import { type Measurement, summary } from '../measure.ts';
import { firstWrite, type Stage } from './stage.ts';
import { idSum, writeOneByOne } from './writer.ts';

/** Changes before anything is measured. */
const WARM_UP_CHANGES = 5;
/** Changes that are waited for one after the other. */
const CHANGES = 20;
/** Changes that are written without waiting for their subscribers. */
const STREAMED_CHANGES = 50;

/** Who hears of one change. */
export interface Audience {
  readonly sockets: number;
  /** Subscriptions of each socket, all the same but for their names. */
  readonly each: number;
}

/** What it costs to tell everybody. */
export interface FanOutFigures {
  readonly audience: Audience;
  /** From writing the change to every arrival, one change at a time. */
  readonly measured: Measurement;
  /** 95 of 100 arrivals took at most so long, in milliseconds. */
  readonly p95Millis: number;
  /** Processor time of the server for a frame, one change at a time. */
  readonly microsAlone: number;
  /** While changes follow one another. */
  readonly framesPerSecond: number;
  /** Processor time of the server for a frame then. */
  readonly microsPerFrame: number;
  /** How much of a core the generator took then, in percent: near 100 it is the generator that was measured. */
  readonly generatorPercent: number;
}

/** One change to many subscribers, over and over, who have subscribed to the stage's table. Each must get every change once and in order. */
export async function fanOut(stage: Stage, audience: Audience): Promise<FanOutFigures> {
  const { subscribers, table } = stage;
  const write = firstWrite(stage);
  const subscriptions = audience.sockets * audience.each;
  const latencies: number[] = [];
  let begun = Number.NaN;
  for (let id = 0; id < WARM_UP_CHANGES + CHANGES; id++) {
    if (id === WARM_UP_CHANGES) begun = stage.cpuMicros();
    await subscribers.order({ kind: 'expect', events: 1, idSum: id });
    await writeOneByOne(write, table, { first: id, count: 1 });
    const arrived = await subscribers.order({ kind: 'arrived' });
    if (id >= WARM_UP_CHANGES) for (const latency of arrived.latencies) latencies.push(latency);
  }
  const microsAlone = (stage.cpuMicros() - begun) / (subscriptions * CHANGES);
  const written = { first: WARM_UP_CHANGES + CHANGES, count: STREAMED_CHANGES };
  await subscribers.order({ kind: 'expect', events: written.count, idSum: idSum(written) });
  const before = stage.cpuMicros();
  await writeOneByOne(write, table, written);
  const { millis, busyMillis } = await subscribers.order({ kind: 'arrived' });
  const frames = subscriptions * written.count;
  latencies.sort((a, b) => a - b);
  return {
    audience,
    measured: summary(`one change to ${subscriptions} subscriptions on ${audience.sockets} sockets`, latencies, (frames * 1000) / millis),
    p95Millis: latencies[Math.floor(latencies.length * 0.95)] ?? Number.NaN,
    microsAlone,
    framesPerSecond: (frames * 1000) / millis,
    microsPerFrame: (stage.cpuMicros() - before) / frames,
    generatorPercent: (100 * busyMillis) / millis,
  };
}
