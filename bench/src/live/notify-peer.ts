import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Measurement } from '../measure.ts';
import type { PostgresPeer } from '../postgres-peer.ts';
import { cpuMicros } from '../server-figures.ts';
import { alone, COMMITS_PER_SECOND, paced } from './commit-to-callback.ts';
import { type Audience, type FanOutFigures, fanOut } from './fan-out.ts';
import { FOLLOWED_COLUMNS, type Stage } from './stage.ts';
import { Subscribers } from './subscribers.ts';

/** Connections that write, as many as the cases of this product use. */
const WRITERS = 16;

/** What the peer makes of the same cases. */
export interface NotifyFigures {
  readonly callbacks: readonly Measurement[];
  readonly fanOuts: readonly FanOutFigures[];
}

/** The live cases with PostgreSQL: a trigger notifies of every row, and a relay hands that on to WebSockets. */
export async function notifyCases(peer: PostgresPeer, seconds: number, audiences: readonly Audience[]): Promise<NotifyFigures> {
  await peer.pool.query(`CREATE SCHEMA bench;
    CREATE TABLE bench.followed (${FOLLOWED_COLUMNS});
    CREATE FUNCTION bench.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('bench', row_to_json(NEW)::text); RETURN NEW; END $$;
    CREATE TRIGGER told AFTER INSERT ON bench.followed FOR EACH ROW EXECUTE FUNCTION bench.tell()`);
  const callbacks = await withRelay(peer, seconds, { sockets: 1, each: 1 }, async (stage) => {
    const { measurement } = await alone(stage, 'INSERT sent to subscriber, one at a time');
    return [measurement, await paced(stage, `INSERT due to subscriber at ${COMMITS_PER_SECOND} commits/s`)];
  });
  const fanOuts: FanOutFigures[] = [];
  for (const audience of audiences) {
    await peer.pool.query('TRUNCATE bench.followed');
    fanOuts.push(await withRelay(peer, seconds, audience, (stage) => fanOut(stage, audience)));
  }
  return { callbacks, fanOuts };
}

/** Starts a relay with subscribers for as long as `work` takes. */
async function withRelay<T>(
  { pool, host }: PostgresPeer,
  seconds: number,
  { sockets, each }: Audience,
  work: (stage: Stage) => Promise<T>,
): Promise<T> {
  const relay = fork(join(import.meta.dirname, 'notify-relay.js'), [host]);
  const ended = once(relay, 'exit');
  try {
    const [port] = await Promise.race([
      once(relay, 'message'),
      ended.then(([code]) => Promise.reject(new Error(`the relay has ended: ${code}`))),
    ]);
    return await Subscribers.with(async (subscribers) => {
      await subscribers.order({ kind: 'open', url: `http://127.0.0.1:${port}`, tokens: ['none'], sockets });
      await subscribers.order({ kind: 'subscribe', sql: '', each, options: null });
      const write = (sql: string): Promise<unknown> => pool.query(sql);
      const writes = Array.from({ length: WRITERS }, () => write);
      return work({ table: 'bench.followed', writes, subscribers, seconds, cpuMicros: () => cpuMicros(relay.pid ?? 0) });
    });
  } finally {
    if (relay.connected) relay.disconnect();
    await ended;
  }
}
