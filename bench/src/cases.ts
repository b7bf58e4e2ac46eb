import { load, type Measurement } from './measure.ts';
import { at, expectCount, run, type Target, withConnections } from './target.ts';

/** Rows of one multi-row INSERT. */
const BATCH_ROWS = 50;

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
