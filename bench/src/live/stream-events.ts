import { type Measurement, summary } from '../measure.ts';
import { login } from '../processes.ts';
import { cpuMicros } from '../server-figures.ts';
import { at, run, type Target, withConnections } from '../target.ts';
import { FOLLOWED_COLUMNS, type Subject } from './stage.ts';
import { Subscribers } from './subscribers.ts';
import { idSum, type Written, writePaced } from './writer.ts';

const EVENTS_PER_SECOND = 10_000;
/** Events of one INSERT. */
const INSERT_EVENTS = 10;
const CONNECTIONS = 16;
const SUBSCRIBERS = 100;
/** Seconds that are not measured: a server that has just started is slower. */
const WARM_UP_SECONDS = 2;
/** Owners of events in the stream in which each sees only its own. */
const OWNERS = 10;
const OWNER_PASSWORD = 'Bench-only-password-1';

/** What events of a stream cost. */
export interface StreamFigures {
  /** From the time at which an event is due to each subscriber. */
  readonly measured: Measurement;
  /** Processor time of the server for an event. */
  readonly microsPerEvent: number;
  /** How much of a core the generator took, in percent. */
  readonly generatorPercent: number;
}

/** Events that everybody sees, at a fixed rate, with one subscriber and with many. */
export async function sharedEvents(subject: Subject): Promise<readonly StreamFigures[]> {
  const figures: StreamFigures[] = [];
  for (const sockets of [1, SUBSCRIBERS]) {
    const table = `bench.events_${sockets}`;
    const name = `STREAM, ${EVENTS_PER_SECOND} events/s, each to ${sockets} subscriber(s)`;
    figures.push(await events(subject, { name, table, scope: 'SHARED', owners: [subject.target], sockets }));
  }
  return figures;
}

/** Events that only their owners see, at the same rate all together and with as many subscribers. */
export async function ownEvents(subject: Subject): Promise<StreamFigures> {
  const { target } = subject;
  const owners: Target[] = [];
  for (let number = 0; number < OWNERS; number++) {
    const user = `owner_${number}`;
    await withConnections(target.url, 1, (connections) =>
      run(at(connections, 0), target, `CREATE USER '${user}' WITH PASSWORD '${OWNER_PASSWORD}' ROLE user`),
    );
    owners.push({ ...target, user, password: OWNER_PASSWORD, token: await login(target.url, { user, password: OWNER_PASSWORD }) });
  }
  const name = `STREAM of ${OWNERS} owners, ${EVENTS_PER_SECOND} events/s, each to ${SUBSCRIBERS / OWNERS} subscribers`;
  return events(subject, { name, table: 'bench.own_events', scope: 'USER', owners, sockets: SUBSCRIBERS });
}

interface StreamCase {
  readonly name: string;
  readonly table: string;
  readonly scope: 'SHARED' | 'USER';
  /** Who writes, each as much. */
  readonly owners: readonly Target[];
  readonly sockets: number;
}

async function events({ target, pid }: Subject, { name, table, scope, owners, sockets }: StreamCase): Promise<StreamFigures> {
  await withConnections(target.url, 1, (connections) =>
    run(at(connections, 0), target, `CREATE STREAM TABLE ${table} (${FOLLOWED_COLUMNS}) WITH (TTL_SECONDS = 10, SCOPE = '${scope}')`),
  );
  return Subscribers.with(async (subscribers) => {
    const tokens = owners.map(({ token }) => token);
    await subscribers.order({ kind: 'open', url: target.url, tokens, sockets });
    await subscribers.order({ kind: 'subscribe', sql: `SELECT * FROM ${table}`, each: 1, options: null });
    const perSecond = EVENTS_PER_SECOND / owners.length;
    const once = async (written: Written): Promise<StreamFigures> => {
      await subscribers.order({ kind: 'expect', events: written.count, idSum: idSum(written) });
      const before = cpuMicros(pid);
      // Owners write the same ids: their rows are not each other's.
      const rates = await Promise.all(
        owners.map((owner) =>
          withConnections(owner.url, Math.ceil(CONNECTIONS / owners.length), (connections) =>
            writePaced(
              connections.map((connection) => (sql: string) => run(connection, owner, sql)),
              { table, perSecond, each: INSERT_EVENTS },
              written,
            ),
          ),
        ),
      );
      const { latencies, millis, busyMillis } = await subscribers.order({ kind: 'arrived' });
      const total = written.count * owners.length;
      const rate = rates.reduce((sum, one) => sum + one, 0);
      return {
        measured: summary(name, latencies, rate),
        microsPerEvent: (cpuMicros(pid) - before) / total,
        generatorPercent: (100 * busyMillis) / millis,
      };
    };
    const warmUp = perSecond * WARM_UP_SECONDS;
    await once({ first: 0, count: warmUp });
    return once({ first: warmUp, count: perSecond * target.seconds });
  });
}
