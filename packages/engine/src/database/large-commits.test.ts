import { KalamError, kalamError } from '@kalamdb/protocol';
import { openMemoryLog, openMemoryStore } from '@kalamdb/storage';
import { SeededRandom } from '@kalamdb/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { LiveFrame } from '../live/frame.ts';
import { HeldLog } from '../sequencer/held-log.fixture.ts';
import { LARGE_COMMIT_TEXT_UNITS } from '../sequencer/large-commit.ts';
import { StatementError } from '../session/statement-error.ts';
import type { Database } from './database.ts';
import { databaseOn } from './open-database.ts';

const ROWS = 2500;
const ROOT = { userId: 'root', role: 'system' } as const;
const ADD_ALL = 'UPDATE app.t SET n = n + 1 WHERE id >= 0';
let database: Database;
let log: HeldLog;

beforeEach(async () => {
  log = new HeldLog(openMemoryLog({ random: new SeededRandom(7), startSeq: 0n }));
  const storage = { log, hot: openMemoryStore(), directory: undefined, onReopen: () => undefined, close: async () => undefined };
  database = await databaseOn(storage, { directory: undefined, durability: 'sync', onWarning: () => undefined });
  await run('CREATE NAMESPACE app');
  for (const name of ['src', 't', 'other', 'copy']) await run(`CREATE SHARED TABLE app.${name} (id INT PRIMARY KEY, n INT)`);
  await run(`INSERT INTO app.src VALUES ${Array.from({ length: ROWS }, (_, id) => `(${id}, 0)`).join(',')}`);
  await run('INSERT INTO app.t SELECT id, n FROM app.src');
});
afterEach(() => database.close());

async function run(sql: string): Promise<number> {
  const results = await database.session(ROOT).execute(sql);
  return results.reduce((count, result) => count + (result.kind === 'message' ? result.rowCount : 0), 0);
}

async function rowsOf(sql: string): Promise<readonly (readonly unknown[])[]> {
  const [result] = await database.session(ROOT).execute(sql);
  if (result?.kind !== 'rows') throw new Error('no rows');
  return result.rows;
}

/** The error code of a statement, or how many rows it changed. */
function outcome(sql: string): Promise<string | number> {
  return run(sql).catch((error: unknown) => {
    if (error instanceof StatementError) return error.failure.error.code;
    if (error instanceof KalamError) return error.code;
    throw error;
  });
}

/** Subscribes to a table and keeps what the changes make of it. */
async function follow(table: string): Promise<{ readonly rows: Map<number, unknown>; readonly seqs: bigint[] }> {
  const rows = new Map<number, unknown>();
  const seqs: bigint[] = [];
  const deliver = (frame: LiveFrame): void => {
    if (frame.kind === 'error') throw new Error(frame.message);
    if (frame.kind !== 'change') return;
    const { change_type, rows: news, old_values } = JSON.parse(`{${frame.body.json()}}`);
    for (const row of change_type === 'delete' ? old_values : news) {
      // The removal of an event names it by its key only.
      if (row._seq === undefined) continue;
      seqs.push(BigInt(row._seq));
      if (change_type === 'delete') rows.delete(row.id);
      else rows.set(row.id, row.n ?? rows.get(row.id));
    }
  };
  const connection = database.live.connect(ROOT, { connectionId: `c-${table}`, sink: { deliver } });
  await connection.subscribe({ id: 's', sql: `SELECT * FROM app.${table}`, options: undefined });
  return { rows, seqs };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

test('large and small commits on the same rows all take effect, and readers see each large one whole', async () => {
  const client = await follow('t');
  let done = false;
  const reads: Promise<void> = (async () => {
    while (!done) {
      const [row] = await rowsOf('SELECT MIN(n), MAX(n), COUNT(*) FROM app.t WHERE id >= 100');
      expect(row?.[0]).toBe(row?.[1]);
      expect(row?.[2]).toBe(BigInt(ROWS - 100));
    }
  })();
  const small = Array.from({ length: 40 }, (_, id) => run(`UPDATE app.t SET n = n + 100 WHERE id = ${id % 10}`));
  const large = Array.from({ length: 6 }, () => run(ADD_ALL));
  const later = Array.from({ length: 40 }, async (_, id) => {
    await new Promise((resolve) => setTimeout(resolve, id));
    return run(`UPDATE app.t SET n = n + 100 WHERE id = ${id % 10}`);
  });
  expect(await Promise.all(large)).toEqual(large.map(() => ROWS));
  expect(await Promise.all([...small, ...later])).toEqual(Array.from({ length: 80 }, () => 1));
  done = true;
  await reads;
  const expected = Array.from({ length: ROWS }, (_, id) => [id, id < 10 ? 806 : 6]);
  expect(await rowsOf('SELECT id, n FROM app.t ORDER BY id')).toEqual(expected);
  await until(() => client.seqs.length === ROWS * 6 + 80);
  expect([...client.rows].sort(([a], [b]) => a - b)).toEqual(expected);
  expect(client.seqs.every((seq, index) => index === 0 || seq > (client.seqs[index - 1] ?? 0n))).toBe(true);
});

test('a few long rows and short commits on them all take effect, in a transaction too', async () => {
  const ids = [1, 2, 3, 4];
  const long = 'x'.repeat(LARGE_COMMIT_TEXT_UNITS / 2);
  await run('CREATE SHARED TABLE app.long (id INT PRIMARY KEY, n INT, body TEXT)');
  for (const id of ids) await run(`INSERT INTO app.long VALUES (${id}, 0, '${long}')`);
  const add = 'UPDATE app.long SET n = n + 1 WHERE id >= 0';
  const short = ids.map((id) => run(`UPDATE app.long SET n = n + 10 WHERE id = ${id}`));
  expect(await Promise.all([run(add), ...short, run(add), run('INSERT INTO app.long SELECT id + 4, 10, body FROM app.long')])).toEqual([
    4, 1, 1, 1, 1, 4, 4,
  ]);
  await run(`BEGIN; ${add}; COMMIT`);
  const rows = await rowsOf('SELECT id, n, LENGTH(body) FROM app.long WHERE id <= 4 ORDER BY id');
  expect(rows).toEqual(ids.map((id) => [id, 13, long.length]));
  expect(await run('DELETE FROM app.long WHERE id >= 0')).toBe(8);
  expect(await rowsOf('SELECT id FROM app.long')).toEqual([]);
});

test('of two large inserts of the same keys one fails as a whole', async () => {
  const insert = 'INSERT INTO app.copy SELECT id, n FROM app.src';
  const outcomes = await Promise.all([outcome(insert), outcome(insert), outcome('INSERT INTO app.copy VALUES (7, 7)')]);
  expect(outcomes.filter((found) => found === 'DUPLICATE_KEY').length + outcomes.filter((found) => typeof found === 'number').length).toBe(
    3,
  );
  const winners = outcomes.filter((found) => typeof found === 'number');
  const [[count] = []] = await rowsOf('SELECT COUNT(*) FROM app.copy');
  expect(Number(count)).toBe(winners.reduce((sum, rows) => sum + rows, 0));
  expect(winners.length).toBe(1);
});

test('transactions over the same partitions in another order do not wait for each other for ever: the first committer wins', async () => {
  await run('INSERT INTO app.copy SELECT id, n FROM app.src');
  const copy = ADD_ALL.replace('app.t', 'app.copy');
  const outcomes = await Promise.all([
    outcome(`BEGIN; ${ADD_ALL}; ${copy}; COMMIT`),
    outcome(`BEGIN; ${copy}; ${ADD_ALL}; COMMIT`),
    outcome(`BEGIN; UPDATE app.t SET n = 50 WHERE id = 1; COMMIT`),
  ]);
  expect(outcomes.filter((found) => found === 'CONFLICT').length).toBeGreaterThan(0);
  const values = new Set([...(await rowsOf('SELECT n FROM app.t')), ...(await rowsOf('SELECT n FROM app.copy'))].map(([n]) => n));
  expect([...values].filter((n) => n !== 50).length).toBe(1);
});

test('a commit to another table does not wait until a large one is prepared', async () => {
  const order: string[] = [];
  const large = run(ADD_ALL).then(() => order.push('large'));
  await run('INSERT INTO app.other VALUES (1, 1)').then(() => order.push('small'));
  await large;
  expect(order).toEqual(['small', 'large']);
});

test('DDL and a large commit of a table follow each other', async () => {
  const outcomes = await Promise.all([outcome(ADD_ALL), outcome('DROP TABLE app.t'), outcome(ADD_ALL)]);
  expect(outcomes[1]).toBe(0);
  expect([ROWS, 'TABLE_NOT_FOUND']).toContain(outcomes[0]);
  expect([ROWS, 'TABLE_NOT_FOUND']).toContain(outcomes[2]);
});

test('a large commit that the log refuses leaves nothing behind, and its rows can be written again', async () => {
  const client = await follow('t');
  log.hold();
  const failed = outcome(ADD_ALL);
  log.failNext(kalamError('LOG_WRITE_FAILED', { reason: 'full' }));
  await new Promise((resolve) => setTimeout(resolve, 50));
  log.releaseAppends();
  expect(await failed).toBe('LOG_WRITE_FAILED');
  expect(await rowsOf('SELECT MIN(n), MAX(n), COUNT(*) FROM app.t')).toEqual([[0, 0, BigInt(ROWS)]]);
  expect(await run(ADD_ALL)).toBe(ROWS);
  expect(await rowsOf('SELECT MIN(n), MAX(n), COUNT(*) FROM app.t')).toEqual([[1, 1, BigInt(ROWS)]]);
  await until(() => client.seqs.length === ROWS);
});

test('a large statement that fails late leaves nothing behind', async () => {
  await run(`INSERT INTO app.copy VALUES (${ROWS - 1}, 5)`);
  expect(await outcome('INSERT INTO app.copy SELECT id, n FROM app.src')).toBe('DUPLICATE_KEY');
  expect(await rowsOf('SELECT id, n FROM app.copy')).toEqual([[ROWS - 1, 5]]);
  expect(await run('INSERT INTO app.copy VALUES (0, 1)')).toBe(1);
});

test.each(['id INT PRIMARY KEY, n INT', 'id INT, n INT'])(
  'a large commit of events (%s) is seen whole, and so is their deletion',
  async (columns) => {
    await run(`CREATE TABLE app.events (${columns}) WITH (TYPE='STREAM', TTL_SECONDS=600)`);
    const client = await follow('events');
    let done = false;
    const counts = new Set<bigint>();
    const reads: Promise<void> = (async () => {
      while (!done) {
        const [[count] = []] = await rowsOf('SELECT COUNT(*) FROM app.events');
        counts.add(count as bigint);
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    expect(await run('INSERT INTO app.events SELECT id, n FROM app.src')).toBe(ROWS);
    const again = await outcome('INSERT INTO app.events SELECT id + 2000, n FROM app.src');
    expect(again).toBe(columns.includes('KEY') ? 'DUPLICATE_KEY' : ROWS);
    const all = columns.includes('KEY') ? ROWS : ROWS * 2;
    expect(await rowsOf('SELECT COUNT(*) FROM app.events')).toEqual([[BigInt(all)]]);
    await until(() => client.seqs.length === all);
    expect(client.seqs.every((seq, index) => index === 0 || seq > (client.seqs[index - 1] ?? 0n))).toBe(true);
    expect(await run('DELETE FROM app.events WHERE id >= 0')).toBe(all);
    expect(await rowsOf('SELECT COUNT(*) FROM app.events')).toEqual([[0n]]);
    done = true;
    await reads;
    expect([...counts].filter((count) => ![0n, BigInt(ROWS), BigInt(all)].includes(count))).toEqual([]);
    expect(await run('INSERT INTO app.events VALUES (1, 1)')).toBe(1);
  },
);
