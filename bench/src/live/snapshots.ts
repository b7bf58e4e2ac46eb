import { type Measurement, summary } from '../measure.ts';
import { firstWrite, type Subject, withStage } from './stage.ts';
import { idSum, insertText, writeOneByOne } from './writer.ts';

const SNAPSHOT_ROWS = 1000;
/** Snapshots, and those before that are not measured. */
const SNAPSHOTS = 200;
const WARM_UP_SNAPSHOTS = 50;
/** Clients that come back together. */
const RETURNING = 10_000;
/** Changes that they have seen, and changes that they have missed. */
const SEEN_CHANGES = 2;
const MISSED_CHANGES = 10;

/** From the message that subscribes to the last row of the snapshot, in the subscriber's process, the rows understood. */
export function snapshots(subject: Subject): Promise<Measurement> {
  return withStage(subject, { kind: 'SHARED', table: 'bench.snapshot' }, async (stage) => {
    const { subscribers, table } = stage;
    const { url, token } = subject.target;
    const rows = { first: 0, count: SNAPSHOT_ROWS };
    await firstWrite(stage)(insertText(table, rows));
    await subscribers.order({ kind: 'open', url, tokens: [token], sockets: 1 });
    const samples: number[] = [];
    for (let round = 0; round < WARM_UP_SNAPSHOTS + SNAPSHOTS; round++) {
      await subscribers.order({ kind: 'expect', events: SNAPSHOT_ROWS, idSum: idSum(rows) });
      const asked = await subscribers.order({ kind: 'subscribe', sql: `SELECT * FROM ${table}`, each: 1, options: {} });
      await subscribers.order({ kind: 'arrived' });
      if (round >= WARM_UP_SNAPSHOTS) samples.push(asked.millis);
    }
    return summary(`snapshot of ${SNAPSHOT_ROWS} rows`, samples, (samples.length * 1000) / samples.reduce((sum, one) => sum + one, 0));
  });
}

/** What it costs that everybody comes back. */
export interface ReturnFigures {
  /** Until the last of them has what it missed, in seconds. */
  readonly seconds: number;
  /** The server's processor time for one: accepted, authenticated, subscribed, caught up. */
  readonly microsEach: number;
  /** How much of a core the generator took meanwhile, in percent. */
  readonly generatorPercent: number;
}

/** Clients that lose their connections at once and come back at once, each from where it was, while changes have gone on. */
export function reconnectStorm(subject: Subject): Promise<ReturnFigures> {
  return withStage(subject, { kind: 'SHARED', table: 'bench.returning' }, async (stage) => {
    const { subscribers, table } = stage;
    const { url, token } = subject.target;
    await subscribers.order({ kind: 'open', url, tokens: [token], sockets: RETURNING });
    await subscribers.order({ kind: 'subscribe', sql: `SELECT * FROM ${table}`, each: 1, options: null });
    const seen = { first: 0, count: SEEN_CHANGES };
    await subscribers.order({ kind: 'expect', events: seen.count, idSum: idSum(seen) });
    await writeOneByOne(firstWrite(stage), table, seen);
    await subscribers.order({ kind: 'arrived' });
    await subscribers.order({ kind: 'cut' });
    const missed = { first: SEEN_CHANGES, count: MISSED_CHANGES };
    await writeOneByOne(firstWrite(stage), table, missed);
    await subscribers.order({ kind: 'expect', events: missed.count, idSum: idSum(missed) });
    const before = stage.cpuMicros();
    await subscribers.order({ kind: 'resume' });
    const { millis, busyMillis } = await subscribers.order({ kind: 'arrived' });
    return {
      seconds: millis / 1000,
      microsEach: (stage.cpuMicros() - before) / RETURNING,
      generatorPercent: (100 * busyMillis) / millis,
    };
  });
}
