import { type Durability, GOALS } from '../goals.ts';
import type { Measurement } from '../measure.ts';
import { startPostgres } from '../postgres-peer.ts';
import { withFolder, withServer } from '../processes.ts';
import { type Figure, printCases, printFigures } from '../report.ts';
import { waitPercent } from '../server-figures.ts';
import { at, run, withConnections } from '../target.ts';
import { commitToCallback } from './commit-to-callback.ts';
import { CROWD_SIZE, commitsBesideCrowds, crowdSetUp } from './crowd.ts';
import { type Audience, type FanOutFigures, fanOut } from './fan-out.ts';
import { notifyCases } from './notify-peer.ts';
import { reconnectStorm, snapshots } from './snapshots.ts';
import { type Subject, withStage } from './stage.ts';
import { ownEvents, sharedEvents } from './stream-events.ts';

/** Who hears of one change; the goals are set for exactly these. */
const FEW_SOCKETS: Audience = { sockets: 100, each: 100 };
const MANY_SOCKETS: Audience = { sockets: 10_000, each: 1 };

/**
 * Live queries: how long a change takes to those who follow it, alone and beside others, and what many of them cost. Subscribers are in a
 * process of their own and check every event; PostgreSQL with a relay is the peer.
 */
export async function measureLive(modes: readonly Durability[], seconds: number): Promise<void> {
  for (const durability of modes) {
    await withSubject(durability, seconds, async (subject) => {
      const measured = await commitToCallback(subject);
      printCases(`durability ${durability}; live queries`, measured, durability);
      const goal = durability === 'relaxed' ? GOALS.callbackP99Millis : undefined;
      printFigures(measured.map(({ name, p99Millis }): Figure => ({ name: `${name}: p99`, value: p99Millis, unit: 'ms', goal })));
    });
  }
  await withSubject('relaxed', seconds, measureFanOut);
  await withSubject('relaxed', seconds, measureCrowd);
  await withSubject('relaxed', seconds, measureStreams);
  await measurePeer(seconds);
}

async function measureFanOut(subject: Subject): Promise<void> {
  const found: FanOutFigures[] = [];
  for (const audience of [FEW_SOCKETS, MANY_SOCKETS]) {
    const parts = { kind: 'SHARED', table: `bench.fan_out_${audience.sockets}` } as const;
    found.push(
      await withStage(subject, parts, async (stage) => {
        const { url, token } = subject.target;
        await stage.subscribers.order({ kind: 'open', url, tokens: [token], sockets: audience.sockets });
        await stage.subscribers.order({ kind: 'subscribe', sql: `SELECT * FROM ${stage.table}`, each: audience.each, options: null });
        return fanOut(stage, audience);
      }),
    );
  }
  printFanOuts('fan-out', found);
  const storm = await reconnectStorm(subject);
  printCases('snapshot', [await snapshots(subject)], 'relaxed');
  printFigures([
    {
      name: 'reconnect storm: 10000 clients are back and have what they missed',
      value: storm.seconds,
      unit: 's',
      goal: GOALS.returnSeconds,
    },
    { name: 'processor time of the server for one of them', value: storm.microsEach, unit: 'us', goal: undefined },
    { name: 'generator meanwhile', value: storm.generatorPercent, unit: '% of a core', goal: undefined },
  ]);
}

async function measureCrowd(subject: Subject): Promise<void> {
  const setUp = await crowdSetUp(subject);
  const [nobody, ...beside] = await commitsBesideCrowds(subject);
  const all = [nobody, ...beside].flatMap((figures): readonly Measurement[] => figures?.measured ?? []);
  printCases(`beside ${CROWD_SIZE} subscriptions that do not match`, all, 'relaxed');
  printFigures([
    { name: `set-up of ${CROWD_SIZE} subscriptions`, value: setUp.seconds, unit: 's', goal: GOALS.crowdSeconds },
    { name: 'processor time of the server for it', value: setUp.cpuSeconds, unit: 's', goal: undefined },
    { name: 'generator meanwhile', value: setUp.generatorPercent, unit: '% of a core', goal: undefined },
    { name: 'memory of a subscription', value: setUp.bytesEach, unit: 'bytes', goal: GOALS.subscriptionBytes },
    ...beside.map(({ filter, microsEach }): Figure => {
      const nanos = (1000 * (microsEach - (nobody?.microsEach ?? Number.NaN))) / CROWD_SIZE;
      return {
        name: `processor time for a commit and a subscription with ${filter}`,
        value: nanos,
        unit: 'ns',
        goal: GOALS.predicateNanos,
      };
    }),
  ]);
}

async function measureStreams(subject: Subject): Promise<void> {
  const figures = [...(await sharedEvents(subject)), await ownEvents(subject)];
  const measured = figures.map((one) => one.measured);
  printCases('streams', measured, 'relaxed');
  printFigures(
    figures.flatMap(({ measured: { name, p99Millis }, microsPerEvent, generatorPercent }): readonly Figure[] => [
      { name: `${name}: p99`, value: p99Millis, unit: 'ms', goal: GOALS.streamP99Millis },
      { name: `${name}: processor time of the server for an event`, value: microsPerEvent, unit: 'us', goal: GOALS.eventMicros },
      { name: `${name}: generator`, value: generatorPercent, unit: '% of a core', goal: undefined },
    ]),
  );
}

async function measurePeer(seconds: number): Promise<void> {
  const peer = startPostgres();
  if (peer === undefined) {
    console.log('\nNo PostgreSQL on this machine: no peer.');
    return;
  }
  try {
    const { callbacks, fanOuts } = await notifyCases(peer, seconds, [FEW_SOCKETS, MANY_SOCKETS]);
    printCases('the same with PostgreSQL, a trigger that notifies and a WebSocket relay', callbacks);
    printFanOuts('fan-out of the relay; processor time without that of PostgreSQL', fanOuts);
  } finally {
    await peer.stop();
  }
}

function printFanOuts(title: string, found: readonly FanOutFigures[]): void {
  printCases(
    title,
    found.map(({ measured }) => measured),
  );
  printFigures(
    found.flatMap(({ audience, measured: { name }, ...figures }): readonly Figure[] => {
      const goal = audience === FEW_SOCKETS ? GOALS.fewSocketsMillis : GOALS.manySocketsMillis;
      return [
        { name: `${name}: p95`, value: figures.p95Millis, unit: 'ms', goal },
        { name: `${name}: processor time for a frame`, value: figures.microsAlone, unit: 'us', goal: undefined },
        { name: `${name}: many changes`, value: figures.framesPerSecond, unit: 'frames/s', goal: GOALS.framesPerSecond },
        { name: `${name}: many changes, processor time for a frame`, value: figures.microsPerFrame, unit: 'us', goal: undefined },
        { name: `${name}: many changes, generator`, value: figures.generatorPercent, unit: '% of a core', goal: undefined },
      ];
    }),
  );
}

function withSubject(durability: Durability, seconds: number, work: (subject: Subject) => Promise<void>): Promise<void> {
  return withFolder((folder) =>
    withServer({ folder, durability, seconds }, async (target, pid) => {
      await withConnections(target.url, 1, (connections) => run(at(connections, 0), target, 'CREATE NAMESPACE bench'));
      const percent = await waitPercent(pid, () => work({ target, pid }));
      printFigures([{ name: 'server waiting for a core meanwhile', value: percent, unit: '% of the time', goal: undefined }]);
    }),
  );
}
