import { performance } from 'node:perf_hooks';
import { Auth, createClient } from '@kalamdb/client';
import type { HttpConnection } from './http-connection.ts';
import { load, type Measurement, summary } from './measure.ts';
import { at, expectCount, run, type Target, withConnections } from './target.ts';

/** Rows of one multi-row INSERT. */
const BATCH_ROWS = 50;
/** Commits per second while the way to the callback is measured under load. */
const PACED_COMMITS_PER_SECOND = 2000;

/** An empty handler under the same load: the floor. */
export function emptyHandler(target: Target, clients: number): Promise<Measurement> {
  const body = JSON.stringify({ sql: "INSERT INTO bench.t1 (id, name, score, active) VALUES (123456, 'name 123456', 1.5, true)" });
  return withConnections(target.url, clients, (connections) =>
    load({ name: `empty handler, ${clients} client(s)`, clients, seconds: target.seconds }, async (client) => {
      await at(connections, client).post('/v1/api/sql', body, target.token);
    }),
  );
}

/** Single-row INSERTs. */
export function insertOne(target: Target, clients: number): Promise<Measurement> {
  return withConnections(target.url, clients, async (connections) => {
    const table = `bench.insert_${clients}`;
    await run(at(connections, 0), target, `CREATE TABLE ${table} (id INT PRIMARY KEY, name TEXT, score DOUBLE, active BOOLEAN)`);
    let next = 0;
    const measured = await load({ name: `INSERT, ${clients} client(s)`, clients, seconds: target.seconds }, async (client) => {
      const id = next++;
      await run(at(connections, client), target, `INSERT INTO ${table} (id, name, score, active) VALUES (${id}, 'name ${id}', 1.5, true)`);
    });
    await expectCount(at(connections, 0), target, { table, rows: next });
    return measured;
  });
}

/** INSERTs of fifty rows. */
export function insertBatch(target: Target): Promise<Measurement> {
  return withConnections(target.url, 1, async ([connection]) => {
    if (connection === undefined) throw new Error('no connection');
    await run(connection, target, 'CREATE TABLE bench.batches (id INT PRIMARY KEY, name TEXT, score DOUBLE, active BOOLEAN)');
    let next = 0;
    const measured = await load({ name: `INSERT of ${BATCH_ROWS} rows, 1 client`, clients: 1, seconds: target.seconds }, async () => {
      const rows = Array.from({ length: BATCH_ROWS }, () => `(${next}, 'name ${next++}', 1.5, true)`);
      await run(connection, target, `INSERT INTO bench.batches (id, name, score, active) VALUES ${rows.join(', ')}`);
    });
    await expectCount(connection, target, { table: 'bench.batches', rows: next });
    return measured;
  });
}

/** Requests that hold a transaction of fifty INSERTs each. */
export function insertInTransaction(target: Target): Promise<Measurement> {
  return withConnections(target.url, 1, async (connections) => {
    const connection = at(connections, 0);
    await run(connection, target, 'CREATE TABLE bench.transactions (id INT PRIMARY KEY, name TEXT, score DOUBLE, active BOOLEAN)');
    let next = 0;
    const measured = await load(
      { name: `transaction of ${BATCH_ROWS} INSERTs, 1 client`, clients: 1, seconds: target.seconds },
      async () => {
        const insert = 'INSERT INTO bench.transactions (id, name, score, active) VALUES';
        const inserts = Array.from({ length: BATCH_ROWS }, () => `${insert} (${next}, 'name ${next++}', 1.5, true)`);
        await run(connection, target, `BEGIN; ${inserts.join('; ')}; COMMIT`);
      },
    );
    await expectCount(connection, target, { table: 'bench.transactions', rows: next });
    return measured;
  });
}

/**
 * From sending an INSERT, and from its reply, to the callback of a subscriber in this process; every row must arrive once
 * and in order. First one commit at a time, then at a fixed rate.
 */
export async function commitToCallback(target: Target): Promise<readonly Measurement[]> {
  const { url, user, password } = target;
  const client = createClient({ url, authProvider: async () => Auth.basic(user, password) });
  try {
    return await withConnections(url, 16, async (connections) => {
      await run(at(connections, 0), target, 'CREATE USER TABLE bench.live (id BIGINT PRIMARY KEY, body TEXT)');
      const arrivals = new Arrivals();
      await client.subscribeWithSql('SELECT * FROM bench.live', (event) => {
        if (event.type === 'change') for (const row of event.rows ?? []) arrivals.note(Number(row['id']?.asString()));
      });
      const alone = await oneByOne(target, at(connections, 0), arrivals);
      return [...alone, await paced(target, connections, arrivals)];
    });
  } finally {
    await client.shutdown();
  }
}

/** When each row arrived; refuses one that arrives twice. */
export class Arrivals {
  readonly at: Map<number, number> = new Map();
  #waiting: { readonly id: number; readonly resolve: () => void } | undefined;

  note(id: number): void {
    if (this.at.has(id)) throw new Error(`row ${id} arrived twice`);
    this.at.set(id, performance.now());
    if (this.#waiting?.id === id) this.#waiting.resolve();
  }

  async of(id: number): Promise<number> {
    if (!this.at.has(id)) {
      await new Promise<void>((resolve) => {
        this.#waiting = { id, resolve };
      });
    }
    return this.at.get(id) ?? Number.NaN;
  }
}

async function oneByOne(target: Target, connection: HttpConnection, arrivals: Arrivals): Promise<readonly Measurement[]> {
  const sent: number[] = [];
  const afterReply: number[] = [];
  const end = performance.now() + target.seconds * 1000;
  let id = 0;
  for (; performance.now() < end; id++) {
    const start = performance.now();
    await run(connection, target, `INSERT INTO bench.live (id, body) VALUES (${id}, 'message ${id}')`);
    const replied = performance.now();
    const arrived = await arrivals.of(id);
    sent.push(arrived - start);
    afterReply.push(arrived - replied);
  }
  const perSecond = id / target.seconds;
  return [
    summary('INSERT sent to callback, one at a time', sent, perSecond),
    summary('INSERT replied to callback, one at a time (negative: callback first)', afterReply, perSecond),
  ];
}

async function paced(target: Target, connections: readonly HttpConnection[], arrivals: Arrivals): Promise<Measurement> {
  const first = 1_000_000;
  const total = PACED_COMMITS_PER_SECOND * target.seconds;
  const start = performance.now();
  const due = (index: number): number => start + (index * 1000) / PACED_COMMITS_PER_SECOND;
  let next = 0;
  await Promise.all(
    connections.map(async (connection) => {
      while (next < total) {
        const index = next++;
        const wait = due(index) - performance.now();
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
        await run(connection, target, `INSERT INTO bench.live (id, body) VALUES (${first + index}, 'message')`);
      }
    }),
  );
  const samples: number[] = [];
  for (let index = 0; index < total; index++) samples.push((await arrivals.of(first + index)) - due(index));
  return summary(`INSERT due to callback at ${PACED_COMMITS_PER_SECOND} commits/s`, samples, (total * 1000) / (performance.now() - start));
}
