import { load, type Measurement } from './measure.ts';
import { at, fill, run, type Target, withConnections } from './target.ts';

/** Texts of one row, in characters. */
const WIDTHS = [10, 100, 1000, 10_000, 100_000] as const;
/** Clients that fill partitions. */
const FILLERS = 16;

/** How far the curves go. */
export interface CurveOptions {
  readonly rowsMax: number;
  readonly partitionsMax: number;
}

/** Look-ups, INSERTs and counts over the size of the table, the number of partitions and the width of the row. */
export async function curves(target: Target, { rowsMax, partitionsMax }: CurveOptions): Promise<readonly Measurement[]> {
  const measured: Measurement[] = [];
  for (let rows = 1000; rows <= rowsMax; rows *= 10) measured.push(...(await tableSize(target, rows)));
  for (let partitions = 10; partitions <= partitionsMax; partitions *= 10) measured.push(...(await partitionCount(target, partitions)));
  for (const width of WIDTHS) measured.push(...(await rowWidth(target, width)));
  return measured;
}

function tableSize(target: Target, rows: number): Promise<readonly Measurement[]> {
  const table = `bench.size_${rows}`;
  return withConnections(target.url, 1, async (connections) => {
    const connection = at(connections, 0);
    await fill(connection, target, { table, rows });
    const repeat = (what: string, sql: (call: number) => string): Promise<Measurement> =>
      load({ name: `${what}, ${rows} rows`, clients: 1, seconds: target.seconds }, async (_, call) => {
        await run(connection, target, sql(call));
      });
    return [
      await repeat('point look-up', (call) => `SELECT * FROM ${table} WHERE id = ${(call * 7919) % rows}`),
      await repeat('COUNT', () => `SELECT COUNT(*) FROM ${table}`),
      await repeat('INSERT', (call) => `INSERT INTO ${table} VALUES (${rows + call}, 'name', 1.5, true)`),
    ];
  });
}

/** One row in each partition, then the owners take turns; whoever is not in the users table counts as a user. */
function partitionCount(target: Target, partitions: number): Promise<readonly Measurement[]> {
  const table = `bench.owners_${partitions}`;
  const as = (owner: number, sql: string): string => `EXECUTE AS USER 'bench-${owner}' (${sql})`;
  return withConnections(target.url, FILLERS, async (connections) => {
    const connection = at(connections, 0);
    await run(connection, target, `CREATE USER TABLE ${table} (id INT PRIMARY KEY, name TEXT)`);
    let next = 0;
    await Promise.all(
      connections.map(async (filler) => {
        for (let owner = next++; owner < partitions; owner = next++) {
          await run(filler, target, as(owner, `INSERT INTO ${table} VALUES (0, 'first')`));
        }
      }),
    );
    const repeat = (what: string, sql: (call: number) => string): Promise<Measurement> =>
      load({ name: `${what}, ${partitions} partitions`, clients: 1, seconds: target.seconds }, async (_, call) => {
        await run(connection, target, as((call * 7919) % partitions, sql(call)));
      });
    return [
      await repeat('point look-up', () => `SELECT * FROM ${table} WHERE id = 0`),
      await repeat('INSERT', (call) => `INSERT INTO ${table} VALUES (${call + 1}, 'more')`),
    ];
  });
}

function rowWidth(target: Target, width: number): Promise<readonly Measurement[]> {
  const table = `bench.width_${width}`;
  return withConnections(target.url, 1, async (connections) => {
    const connection = at(connections, 0);
    await run(connection, target, `CREATE TABLE ${table} (id INT PRIMARY KEY, body TEXT)`);
    const body = 'x'.repeat(width);
    let rows = 0;
    const insert = await load({ name: `INSERT, row of ${width} bytes`, clients: 1, seconds: target.seconds }, async () => {
      await run(connection, target, `INSERT INTO ${table} VALUES (${rows++}, '${body}')`);
    });
    const lookup = await load({ name: `point look-up, row of ${width} bytes`, clients: 1, seconds: target.seconds }, async (_, call) => {
      await run(connection, target, `SELECT * FROM ${table} WHERE id = ${(call * 7919) % rows}`);
    });
    return [insert, lookup];
  });
}
