import { performance } from 'node:perf_hooks';
import { Auth, createClient } from '@kalamdb/client';
import { Arrivals } from './cases.ts';
import { type Measurement, summary } from './measure.ts';
import { cpuMicros } from './server-figures.ts';
import { at, run, type Target, withConnections } from './target.ts';

const EVENTS_PER_SECOND = 10_000;
/** Events of one INSERT. */
const INSERT_EVENTS = 10;
const CONNECTIONS = 16;
/** Seconds that are not measured: a server that has just started is slower. */
const WARM_UP_SECONDS = 2;

/** What events of a stream cost. */
export interface StreamFigures {
  /** From the time at which an event is due to the callback of the subscriber. */
  readonly measured: Measurement;
  /** Processor time of the server for one event with one subscriber. */
  readonly micros: number;
}

/** Events at a fixed rate into one of the streams, one subscriber in this process; every event must arrive once. */
export async function streamEvents(target: Target, pid: number): Promise<StreamFigures> {
  const { url, user, password } = target;
  const client = createClient({ url, authProvider: async () => Auth.basic(user, password) });
  try {
    return await withConnections(url, CONNECTIONS, async (connections) => {
      const options = "retention = '10s', ephemeral = true, max_buffer = 1000";
      await run(at(connections, 0), target, `CREATE STREAM TABLE bench.events (id BIGINT, body TEXT) WITH (${options})`);
      const arrivals = new Arrivals();
      await client.subscribeWithSql('SELECT * FROM bench.events', (event) => {
        if (event.type === 'change') for (const row of event.rows ?? []) arrivals.note(Number(row['id']?.asString()));
      });
      const before = cpuMicros(pid);
      const total = EVENTS_PER_SECOND * (WARM_UP_SECONDS + target.seconds);
      const start = performance.now();
      const due = (event: number): number => start + ((event - (event % INSERT_EVENTS)) * 1000) / EVENTS_PER_SECOND;
      let next = 0;
      await Promise.all(
        connections.map(async (connection) => {
          while (next < total) {
            const first = next;
            next += INSERT_EVENTS;
            const wait = due(first) - performance.now();
            if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
            const values = Array.from({ length: INSERT_EVENTS }, (_, index) => `(${first + index}, 'event ${first + index}')`);
            await run(connection, target, `INSERT INTO bench.events (id, body) VALUES ${values.join(', ')}`);
          }
        }),
      );
      const samples: number[] = [];
      for (let event = 0; event < total; event++) {
        const arrived = await arrivals.of(event);
        if (event >= EVENTS_PER_SECOND * WARM_UP_SECONDS) samples.push(arrived - due(event));
      }
      const perSecond = (total * 1000) / (performance.now() - start);
      const name = `event due to callback at ${EVENTS_PER_SECOND} events/s`;
      return { measured: summary(name, samples, perSecond), micros: (cpuMicros(pid) - before) / total };
    });
  } finally {
    await client.shutdown();
  }
}
