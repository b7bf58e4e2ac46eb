import { HttpConnection } from './http-connection.ts';

/** Rows of one INSERT that fills a table. */
const FILL_ROWS = 500;

/** A running server, as the cases use it. */
export interface Target {
  readonly url: string;
  readonly token: string;
  readonly user: string;
  readonly password: string;
  readonly seconds: number;
}

/** Sends one statement; fails loudly, so that no figure counts errors. */
export async function run(connection: HttpConnection, target: Target, sql: string): Promise<string> {
  const { status, body } = await connection.post('/v1/api/sql', JSON.stringify({ sql }), target.token);
  if (status !== 200) throw new Error(`${status}: ${body} (${sql.slice(0, 200)})`);
  return body;
}

/** Opens connections for as long as `work` takes. */
export async function withConnections<T>(
  url: string,
  count: number,
  work: (connections: readonly HttpConnection[]) => Promise<T>,
): Promise<T> {
  const connections = await Promise.all(Array.from({ length: count }, () => HttpConnection.open(url)));
  try {
    return await work(connections);
  } finally {
    for (const connection of connections) connection.close();
  }
}

/** The item at an index that must be there. */
export const at = <T>(items: readonly T[], index: number): T => {
  const item = items[index];
  if (item === undefined) throw new Error(`nothing at ${index}`);
  return item;
};

/** A table and how many rows it holds or shall hold. */
export interface TableSize {
  readonly table: string;
  readonly rows: number;
}

/** Makes the usual table and fills it with ids from 0. */
export async function fill(connection: HttpConnection, target: Target, { table, rows }: TableSize): Promise<void> {
  await run(connection, target, `CREATE TABLE ${table} (id INT PRIMARY KEY, name TEXT, score DOUBLE, active BOOLEAN)`);
  for (let from = 0; from < rows; from += FILL_ROWS) {
    const count = Math.min(FILL_ROWS, rows - from);
    const values = Array.from({ length: count }, (_, i) => `(${from + i}, 'name ${from + i}', ${(from + i) / 4}, true)`);
    await runPatiently(connection, target, `INSERT INTO ${table} VALUES ${values.join(', ')}`);
  }
}

/** Filling can be faster than the hot tier takes it in: WRITES_BUSY is to be tried again. */
async function runPatiently(connection: HttpConnection, target: Target, sql: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await run(connection, target, sql);
      return;
    } catch (error) {
      if (attempt === 20) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** Throws unless the table holds exactly so many rows. */
export async function expectCount(connection: HttpConnection, target: Target, { table, rows }: TableSize): Promise<void> {
  const body = await run(connection, target, `SELECT COUNT(*) AS n FROM ${table}`);
  if (!body.includes(`[["${rows}"]]`)) throw new Error(`${table} should hold ${rows} rows: ${body}`);
}
