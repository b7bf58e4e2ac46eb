import type { HttpConnection } from './http-connection.ts';
import { load, type Measurement } from './measure.ts';
import { at, fill, run, type TableSize, type Target, withConnections } from './target.ts';

/** Rows of the table that is selected whole. */
const SMALL_ROWS = 200;
/** Rows that are grouped. */
const GROUPED_ROWS = 10_000;

interface Query {
  readonly name: string;
  readonly sql: string;
  /** What the answer must hold. */
  readonly expected: string;
}

const QUERIES: readonly Query[] = [
  { name: `SELECT ${SMALL_ROWS} rows`, sql: 'SELECT * FROM bench.small', expected: `"row_count":${SMALL_ROWS}` },
  { name: `COUNT of ${SMALL_ROWS} rows`, sql: 'SELECT COUNT(*) FROM bench.small', expected: `[["${SMALL_ROWS}"]]` },
  { name: `filter on ${SMALL_ROWS} rows`, sql: 'SELECT id, name FROM bench.small WHERE score < 12.5', expected: '"row_count":50' },
  {
    name: `GROUP BY over ${GROUPED_ROWS} rows`,
    sql: 'SELECT id % 10 AS bucket, COUNT(*), AVG(score) FROM bench.grouped GROUP BY id % 10',
    expected: '"row_count":10',
  },
];

/** Reads of small tables by one client, each statement again and again. */
export function selects(target: Target): Promise<readonly Measurement[]> {
  return withConnections(target.url, 1, async (connections) => {
    const connection = at(connections, 0);
    await fill(connection, target, { table: 'bench.small', rows: SMALL_ROWS });
    await fill(connection, target, { table: 'bench.grouped', rows: GROUPED_ROWS });
    const measured: Measurement[] = [];
    for (const query of QUERIES) measured.push(await repeat(connection, target, query));
    return measured;
  });
}

/** Point look-ups by key, spread over the whole of a table that {@link fill} made. */
export function pointLookups(target: Target, { table, rows }: TableSize): Promise<Measurement> {
  return withConnections(target.url, 1, (connections) =>
    load({ name: lookupName(rows), clients: 1, seconds: target.seconds }, async (_, call) => {
      const body = await run(at(connections, 0), target, `SELECT * FROM ${table} WHERE id = ${(call * 7919) % rows}`);
      if (!body.includes('"row_count":1,')) throw new Error(`a row is missing: ${body}`);
    }),
  );
}

/** What {@link pointLookups} are called. */
export function lookupName(rows: number): string {
  return `point look-up among ${rows} rows`;
}

function repeat(connection: HttpConnection, target: Target, { name, sql, expected }: Query): Promise<Measurement> {
  return load({ name, clients: 1, seconds: target.seconds }, async () => {
    const body = await run(connection, target, sql);
    if (!body.includes(expected)) throw new Error(`unexpected answer to ${sql}: ${body.slice(0, 500)}`);
  });
}
