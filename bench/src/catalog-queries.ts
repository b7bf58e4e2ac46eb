import type { HttpConnection } from './http-connection.ts';
import { cpuMicros } from './server-figures.ts';
import { at, run, type Target, withConnections } from './target.ts';

/** Times that each query is run: the processor's time is counted in steps of 10 ms. */
const RUNS = 25;

/** Questions about one table, or about all of them, as clients ask them. */
const QUERIES: readonly string[] = [
  "SELECT * FROM system.tables WHERE namespace_id = 'bench'",
  "SELECT * FROM system.tables WHERE namespace_id = 'bench' AND table_name = 't7'",
  "SELECT * FROM system.columns WHERE namespace_id = 'bench' AND table_name = 't7'",
  "SELECT * FROM information_schema.tables WHERE table_schema = 'bench'",
  "SELECT * FROM information_schema.columns WHERE table_schema = 'bench' AND table_name = 't7'",
  "SELECT * FROM system.schemas WHERE namespace_id = 'bench' AND table_name = 't7'",
  'DESCRIBE TABLE bench.t7',
];

/** All tables with all that is known of them; with 10,000 tables the answer has 14 MB, and most of the time goes into writing it. */
const LISTING = 'SHOW TABLES IN bench';

/** What the dearest question about a catalog of many tables costs. */
export interface DearestQuery {
  readonly sql: string;
  /** Processor time of the server. */
  readonly millis: number;
}

/** Asks each question some times, one after another. */
export function dearestCatalogQuery(target: Target, pid: number): Promise<DearestQuery> {
  return withConnections(target.url, 1, async (connections) => {
    let dearest: DearestQuery = { sql: 'none', millis: 0 };
    for (const sql of QUERIES) {
      const millis = await costOf(at(connections, 0), target, { sql, pid });
      if (millis > dearest.millis) dearest = { sql, millis };
    }
    return dearest;
  });
}

/** Processor time in milliseconds of the list of all tables. */
export function tableListMillis(target: Target, pid: number): Promise<number> {
  return withConnections(target.url, 1, (connections) => costOf(at(connections, 0), target, { sql: LISTING, pid }));
}

async function costOf(
  connection: HttpConnection,
  target: Target,
  { sql, pid }: { readonly sql: string; readonly pid: number },
): Promise<number> {
  await run(connection, target, sql);
  const before = cpuMicros(pid);
  for (let i = 0; i < RUNS; i++) await run(connection, target, sql);
  return (cpuMicros(pid) - before) / 1000 / RUNS;
}

/** Milliseconds until `ALTER TABLE … ADD COLUMN` on the large table is answered. */
export function addColumnMillis(target: Target, column: string): Promise<number> {
  return withConnections(target.url, 1, async (connections) => {
    const start = performance.now();
    await run(at(connections, 0), target, `ALTER TABLE bench.large ADD COLUMN ${column} TEXT DEFAULT 'new'`);
    return performance.now() - start;
  });
}
