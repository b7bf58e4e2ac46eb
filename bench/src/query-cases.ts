import type { Pool } from 'pg';
import type { HttpConnection } from './http-connection.ts';
import { load, type Measurement } from './measure.ts';
import { PEER_CONNECTIONS } from './postgres-peer.ts';
import { at, run, type Target, withConnections } from './target.ts';

/** Rows of one INSERT that fills a table. */
const FILL_ROWS = 500;
/** Rows that windows are computed over. */
const WINDOW_ROWS = 100_000;
/** SELECTs that are under way at the same time. */
const CONCURRENT_SELECTS = 1000;

/** Seconds for which INSERTs are measured beside a join. */
const BESIDE_SECONDS = 10;
const LONG_JOIN = 'SELECT COUNT(*), MAX(a.score + b.score) FROM q.long a JOIN q.long b ON a.id % 10 = b.id % 10 AND a.score <> b.score';

/** A table that both servers hold, and how its rows are made. */
interface FilledTable {
  readonly name: string;
  readonly columns: string;
  readonly rows: number;
  row(id: number): string;
}

const TABLES: readonly FilledTable[] = [
  {
    name: 'q.customers',
    columns: 'id INT PRIMARY KEY, name TEXT, city_id INT',
    rows: 200,
    row: (id) => `(${id}, 'customer ${id}', ${id % 20})`,
  },
  {
    name: 'q.orders',
    columns: 'id INT PRIMARY KEY, customer_id INT, total DOUBLE PRECISION',
    rows: 1000,
    row: (id) => `(${id}, ${id % 200}, ${id / 4})`,
  },
  {
    name: 'q.items',
    columns: 'id INT PRIMARY KEY, order_id INT, product_id INT',
    rows: 3000,
    row: (id) => `(${id}, ${id % 1000}, ${id % 100})`,
  },
  { name: 'q.products', columns: 'id INT PRIMARY KEY, name TEXT', rows: 100, row: (id) => `(${id}, 'product ${id}')` },
  { name: 'q.cities', columns: 'id INT PRIMARY KEY, name TEXT', rows: 20, row: (id) => `(${id}, 'city ${id}')` },
  { name: 'q.scores', columns: 'id INT PRIMARY KEY, name TEXT, score DOUBLE PRECISION', rows: 10_000, row: scored },
  { name: 'q.long', columns: 'id INT PRIMARY KEY, name TEXT, score DOUBLE PRECISION', rows: WINDOW_ROWS, row: scored },
];

function scored(id: number): string {
  return `(${id}, 'name ${id % 1000}', ${((id * 7919) % 10_007) / 4})`;
}

/** A query and how many rows it has to answer. */
interface Query {
  readonly name: string;
  readonly sql: string;
  readonly rows: number;
}

const QUERIES: readonly Query[] = [
  { name: 'GROUP BY over 10000 rows', sql: 'SELECT id % 10 AS bucket, COUNT(*), AVG(score) FROM q.scores GROUP BY id % 10', rows: 10 },
  {
    name: 'join of 200 x 1000 rows',
    sql: 'SELECT c.name, COUNT(*), SUM(o.total) FROM q.customers c JOIN q.orders o ON o.customer_id = c.id GROUP BY c.name',
    rows: 200,
  },
  {
    name: 'join of five tables',
    sql: 'SELECT t.name, p.name, COUNT(*) FROM q.customers c JOIN q.cities t ON t.id = c.city_id JOIN q.orders o ON o.customer_id = c.id JOIN q.items i ON i.order_id = o.id JOIN q.products p ON p.id = i.product_id WHERE p.id < 10 GROUP BY t.name, p.name',
    rows: 10,
  },
  { name: 'ORDER BY LIMIT 20 over 10000 rows', sql: 'SELECT id, name, score FROM q.scores ORDER BY score DESC, id LIMIT 20', rows: 20 },
  {
    name: `window over ${WINDOW_ROWS} rows`,
    sql: 'SELECT id, rn FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY name ORDER BY score DESC, id) AS rn FROM q.long) AS ranked WHERE rn = 1',
    rows: 1000,
  },
];

const lookup = (call: number): string => `SELECT id, name, score FROM q.scores WHERE id = ${(call * 7919) % 10_000}`;

/** Joins, windows and many SELECTs at a time on this server. */
export async function queryCases(target: Target): Promise<readonly Measurement[]> {
  const { seconds } = target;
  const measured = await withConnections(target.url, 1, async (connections) => {
    const connection = at(connections, 0);
    await fillHere(connection, target);
    return queriesInTurn(seconds, async ({ sql, rows }) => {
      const body = await run(connection, target, sql);
      if (!body.includes(`"row_count":${rows},`)) throw new Error(`unexpected answer to ${sql}: ${body.slice(0, 500)}`);
    });
  });
  const name = `${CONCURRENT_SELECTS} concurrent SELECTs`;
  const concurrent = await withConnections(target.url, CONCURRENT_SELECTS, (connections) =>
    load({ name, clients: CONCURRENT_SELECTS, seconds }, async (client, call) => {
      const body = await run(at(connections, client), target, lookup(client + call));
      if (!body.includes('"row_count":1,')) throw new Error(`a row is missing: ${body}`);
    }),
  );
  return [...measured, concurrent];
}

/** INSERTs of one client alone, and while a join of about ten seconds runs on another connection; the join must not have ended before them. */
export async function insertsBesideJoin(target: Target): Promise<readonly Measurement[]> {
  let id = 0;
  const inserts = (name: string): Promise<Measurement> =>
    withConnections(target.url, 1, async (connections) => {
      const connection = at(connections, 0);
      await run(connection, target, 'CREATE TABLE IF NOT EXISTS q.beside (id INT PRIMARY KEY, name TEXT)');
      return load({ name, clients: 1, seconds: BESIDE_SECONDS }, async () => {
        await run(connection, target, `INSERT INTO q.beside VALUES (${id}, 'name ${id++}')`);
      });
    });
  const alone = await inserts('INSERT, 1 client, alone');
  let joins = 0;
  let ended = false;
  const joining = withConnections(target.url, 1, async (connections) => {
    for (; !ended; joins += 1) await run(at(connections, 0), target, LONG_JOIN);
  });
  const beside = await inserts('INSERT, 1 client, beside a long join');
  ended = true;
  await joining;
  console.log(`${joins} joins in ${BESIDE_SECONDS + 1} s`);
  return [alone, beside];
}

/** The same queries over the same rows in PostgreSQL, through its own protocol. */
export async function peerCases(pool: Pool, seconds: number): Promise<readonly Measurement[]> {
  await fillPeer(pool);
  const measured = await queriesInTurn(seconds, async ({ sql, rows: expected }) => {
    const { rows } = await pool.query(sql);
    if (rows.length !== expected) throw new Error(`unexpected answer to ${sql}: ${rows.length} rows`);
  });
  const name = `${CONCURRENT_SELECTS} concurrent SELECTs over ${PEER_CONNECTIONS} connections`;
  const concurrent = await load({ name, clients: CONCURRENT_SELECTS, seconds }, async (client, call) => {
    const { rows } = await pool.query(lookup(client + call));
    if (rows.length !== 1) throw new Error('a row is missing');
  });
  return [...measured, concurrent];
}

async function queriesInTurn(seconds: number, once: (query: Query) => Promise<void>): Promise<readonly Measurement[]> {
  const measured: Measurement[] = [];
  for (const query of QUERIES) measured.push(await load({ name: query.name, clients: 1, seconds }, () => once(query)));
  return measured;
}

async function fillHere(connection: HttpConnection, target: Target): Promise<void> {
  await run(connection, target, 'CREATE NAMESPACE q');
  for (const statement of fillStatements()) await run(connection, target, statement);
}

async function fillPeer(pool: Pool): Promise<void> {
  await pool.query('CREATE SCHEMA q');
  for (const statement of fillStatements()) await pool.query(statement);
  await pool.query('ANALYZE');
}

function* fillStatements(): Iterable<string> {
  for (const { name, columns, rows, row } of TABLES) {
    yield `CREATE TABLE ${name} (${columns})`;
    for (let from = 0; from < rows; from += FILL_ROWS) {
      const values = Array.from({ length: Math.min(FILL_ROWS, rows - from) }, (_, index) => row(from + index));
      yield `INSERT INTO ${name} VALUES ${values.join(', ')}`;
    }
  }
}
