import { setTimeout as sleep } from 'node:timers/promises';
import { COLD_COLUMNS, COLD_ROW_BYTES, insertCold, runJob, segmentFiles } from './cold-table.ts';
import { GOALS } from './goals.ts';
import type { HttpConnection } from './http-connection.ts';
import { load, type Measurement, summary } from './measure.ts';
import { PlainDuckDb } from './plain-duckdb.ts';
import type { Figure } from './report.ts';
import { cpuMicros } from './server-figures.ts';
import { at, run, type Target, withConnections } from './target.ts';

/** Rows that are moved into segments, and of the small segments that are compacted. */
const MOVED_ROWS = 400_000;
const SMALL_SEGMENTS = 20;
/** INSERTs per second beside a flush or a compaction, and the connections that they share. */
const PACED_INSERTS_PER_SECOND = 1000;
const INSERT_CONNECTIONS = 16;
/** Rows of a range. */
const RANGE_ROWS = 100;
/** Share of rows that are hot in a mixed table: half of them new, half of them over cold ones. */
const HOT_SHARE = 0.1;
/** Rows that one UPDATE makes hot. */
const UPDATE_ROWS_MAX = 50_000;

/** A table of {@link COLD_COLUMNS} in segments, and the folder of its server. */
export interface ColdTable {
  readonly folder: string;
  /** Ids from 0. */
  readonly rows: number;
  readonly segments: number;
}

/** Flush and compaction: how fast, and what INSERTs beside them notice. */
export async function flushFigures(
  target: Target,
  { folder, pid }: { readonly folder: string; readonly pid: number },
): Promise<readonly Figure[]> {
  return withConnections(target.url, 1, async (connections) => {
    const first = at(connections, 0);
    const figures: Figure[] = [];
    const flush = (table: string) => async (): Promise<void> => {
      await runJob(first, target, `STORAGE FLUSH TABLE ${table}`);
    };
    const compact = (table: string) => async (): Promise<void> => {
      await runJob(first, target, `STORAGE COMPACT TABLE ${table}`);
    };
    await run(first, target, `CREATE TABLE bench.beside (${COLD_COLUMNS})`);
    const beside = new PacedInserts(target);
    for (const load of ['idle', 'loaded'] as const) {
      const under = load === 'idle' ? undefined : beside;
      const flushed = `bench.flushed_${load}`;
      await run(first, target, `CREATE TABLE ${flushed} (${COLD_COLUMNS})`);
      await insertCold(first, target, { table: flushed, from: 0, to: MOVED_ROWS });
      figures.push(...(await moved({ name: 'flush', pid, load, under }, flush(flushed))));
      await expectFlushed(first, target, { folder, name: `flushed_${load}` });

      const small = `bench.small_${load}`;
      await run(first, target, `CREATE TABLE ${small} (${COLD_COLUMNS})`);
      await inSegments(first, target, { table: small, rows: MOVED_ROWS, segments: SMALL_SEGMENTS });
      figures.push(...(await moved({ name: `compaction of ${SMALL_SEGMENTS} segments`, pid, load, under }, compact(small))));
    }
    return figures;
  });
}

/** Queries over a table in segments, then with a part of it hot; each beside DuckDB alone over the same files. */
export async function coldQueries(target: Target, table: ColdTable): Promise<readonly Measurement[]> {
  return withConnections(target.url, 1, async (connections) => {
    const connection = at(connections, 0);
    const measured: Measurement[] = [];
    const { paths } = await segmentFiles(connection, target, { folder: table.folder, name: 'cold' });
    if (paths.length !== table.segments) throw new Error(`${paths.length} segments instead of ${table.segments}`);
    for (const query of queries(table.rows)) measured.push(await ask(connection, target, query));
    const plain = await PlainDuckDb.over(paths);
    try {
      for (const query of queries(table.rows)) measured.push(await askPlain(plain, target.seconds, query));
    } finally {
      plain.close();
    }
    await makeHot(connection, target, table.rows);
    const rows = table.rows + Math.round((table.rows * HOT_SHARE) / 2);
    for (const query of queries(rows)) measured.push(await ask(connection, target, { ...query, name: `${query.name}, a tenth hot` }));
    return measured;
  });
}

/** What queries over cold rows are called. */
export function coldCaseName(what: 'COUNT' | 'key look-up' | `range of ${number}` | 'GROUP BY', rows: number): string {
  return `${what} over ${rows} cold rows`;
}

interface ColdQuery {
  readonly name: string;
  /** Over the table or view of this name. */
  sql(from: string, call: number): string;
  readonly rows: number;
  /** What the answer must hold. */
  isRight(rows: readonly (readonly unknown[])[], call: number): boolean;
}

function queries(count: number): readonly ColdQuery[] {
  const idOf = (call: number): number => (call * 7919) % (count - RANGE_ROWS);
  return [
    {
      name: coldCaseName('COUNT', count),
      sql: (from) => `SELECT COUNT(*) FROM ${from}`,
      rows: 1,
      isRight: ([row]) => Number(row?.[0]) === count,
    },
    {
      name: coldCaseName('key look-up', count),
      sql: (from, call) => `SELECT id, name, score FROM ${from} WHERE id = ${idOf(call)}`,
      rows: 1,
      isRight: ([row], call) => row?.[0] === idOf(call) && row[2] === idOf(call) / 4,
    },
    {
      name: coldCaseName(`range of ${RANGE_ROWS}`, count),
      sql: (from, call) => `SELECT id, score FROM ${from} WHERE id BETWEEN ${idOf(call)} AND ${idOf(call) + RANGE_ROWS - 1} ORDER BY id`,
      rows: RANGE_ROWS,
      isRight: (rows, call) => rows.every(([id, score], index) => id === idOf(call) + index && score === (idOf(call) + index) / 4),
    },
    {
      name: coldCaseName('GROUP BY', count),
      sql: (from) => `SELECT id % 10 AS bucket, COUNT(*), AVG(score) FROM ${from} GROUP BY id % 10`,
      rows: 10,
      isRight: (rows) => rows.every((row) => isBucketRight(row, count)),
    },
  ];
}

/** The ids of a bucket are every tenth of 0 to `count`. */
function isBucketRight([bucket, members, average]: readonly unknown[], count: number): boolean {
  const size = Math.ceil((count - Number(bucket)) / 10);
  const expected = (Number(bucket) + 5 * (size - 1)) / 4;
  return Number(members) === size && Math.abs(Number(average) - expected) < 1e-6 * (expected + 1);
}

function ask(connection: HttpConnection, target: Target, query: ColdQuery): Promise<Measurement> {
  return load({ name: query.name, clients: 1, seconds: target.seconds }, async (_, call) => {
    const body = await run(connection, target, query.sql('bench.cold', call));
    const rows: readonly (readonly unknown[])[] = JSON.parse(body).results[0].rows;
    if (rows.length !== query.rows || !query.isRight(rows, call))
      throw new Error(`${query.sql('bench.cold', call)}: ${body.slice(0, 500)}`);
  });
}

function askPlain(plain: PlainDuckDb, seconds: number, query: ColdQuery): Promise<Measurement> {
  return load({ name: `${query.name}: DuckDB alone`, clients: 1, seconds }, async (_, call) => {
    if ((await plain.rows(query.sql('cold', call))) !== query.rows) throw new Error(`DuckDB answers otherwise: ${query.name}`);
  });
}

/** Adds new rows, and writes others anew over cold ones, spread over all segments. */
async function makeHot(connection: HttpConnection, target: Target, rows: number): Promise<void> {
  const half = Math.round((rows * HOT_SHARE) / 2);
  await insertCold(connection, target, { table: 'bench.cold', from: rows, to: rows + half });
  const step = UPDATE_ROWS_MAX * Math.round(2 / HOT_SHARE);
  for (let from = 0; from < rows; from += step) {
    const range = `id >= ${from} AND id < ${Math.min(rows, from + step)}`;
    await run(connection, target, `UPDATE bench.cold SET name = 'changed' WHERE ${range} AND id % ${Math.round(2 / HOT_SHARE)} = 0`);
  }
  const changed = await run(connection, target, "SELECT COUNT(*) FROM bench.cold WHERE name = 'changed'");
  if (!changed.includes(`[["${Math.ceil((rows * HOT_SHARE) / 2)}"]]`)) throw new Error(`wrong number of changed rows: ${changed}`);
}

async function inSegments(
  connection: HttpConnection,
  target: Target,
  { table, rows, segments }: { readonly table: string; readonly rows: number; readonly segments: number },
): Promise<void> {
  const each = Math.ceil(rows / segments);
  for (let from = 0; from < rows; from += each) {
    await insertCold(connection, target, { table, from, to: Math.min(rows, from + each) });
    await runJob(connection, target, `STORAGE FLUSH TABLE ${table}`);
  }
}

async function expectFlushed(connection: HttpConnection, target: Target, place: { folder: string; name: string }): Promise<void> {
  const count = await run(connection, target, `SELECT COUNT(*) FROM bench.${place.name}`);
  if (!count.includes(`[["${MOVED_ROWS}"]]`)) throw new Error(`rows are missing after a flush: ${count}`);
  await segmentFiles(connection, target, place);
}

interface Move {
  readonly name: string;
  /** Of the server. */
  readonly pid: number;
  readonly load: 'idle' | 'loaded';
  /** INSERTs that go on meanwhile. */
  readonly under: PacedInserts | undefined;
}

/** Rows and megabytes per second of something that moves {@link MOVED_ROWS} rows. */
async function moved({ name, pid, load, under }: Move, work: () => Promise<void>): Promise<readonly Figure[]> {
  const before = await under?.during(() => sleep(under.seconds * 1000));
  const [begun, cpuBefore] = [performance.now(), cpuMicros(pid)];
  const meanwhile = await (under === undefined ? work().then(() => undefined) : under.during(work));
  const seconds = (performance.now() - begun) / 1000;
  const what = load === 'idle' ? name : `${name} beside ${PACED_INSERTS_PER_SECOND} INSERTs a second`;
  const rates: Figure[] = [
    { name: what, value: MOVED_ROWS / seconds, unit: 'rows/s', goal: load === 'idle' ? GOALS.idleRowsMoved : GOALS.loadedRowsMoved },
    { name: `${what}, of values`, value: (MOVED_ROWS * COLD_ROW_BYTES) / seconds / 1e6, unit: 'MB/s', goal: undefined },
  ];
  if (before === undefined || meanwhile === undefined) {
    const micros = (cpuMicros(pid) - cpuBefore) / MOVED_ROWS;
    return [...rates, { name: `${what}, processor time of the server for a row`, value: micros, unit: 'us', goal: undefined }];
  }
  return [
    ...rates,
    { name: `p99 of INSERTs before ${name}`, value: before.p99Millis, unit: 'ms', goal: undefined },
    { name: `p99 of INSERTs beside ${name}`, value: meanwhile.p99Millis, unit: 'ms', goal: undefined },
    {
      name: `p99 of INSERTs beside ${name}, of before`,
      value: (100 * meanwhile.p99Millis) / before.p99Millis,
      unit: '%',
      goal: GOALS.insertP99Share,
    },
  ];
}

/** INSERTs that are due at a fixed rate; the time of each counts from when it was due. */
class PacedInserts {
  readonly seconds: number;
  readonly #target: Target;
  #next = 0;

  constructor(target: Target) {
    this.#target = target;
    this.seconds = target.seconds;
  }

  /** Inserts for as long as the work takes, over connections of its own: a server closes those that are idle for long. */
  during(work: () => Promise<unknown>): Promise<Measurement> {
    return withConnections(this.#target.url, INSERT_CONNECTIONS, async (connections) => {
      const samples: number[] = [];
      const begun = performance.now();
      let due = begun;
      let isOver = false;
      const inserting = connections.map(async (connection) => {
        while (!isOver) {
          const mine = due;
          due += 1000 / PACED_INSERTS_PER_SECOND;
          const early = mine - performance.now();
          if (early > 0) await sleep(early);
          const id = this.#next++;
          await run(connection, this.#target, `INSERT INTO bench.beside VALUES (${id}, 'name ${id}', 1.5, true)`);
          samples.push(performance.now() - mine);
        }
      });
      try {
        // Whichever INSERT fails first ends it.
        await Promise.race([work(), Promise.all(inserting)]);
      } finally {
        isOver = true;
      }
      await Promise.all(inserting);
      return summary('INSERT', samples, (1000 * samples.length) / (performance.now() - begun));
    });
  }
}
