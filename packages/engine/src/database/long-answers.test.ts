import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Row } from '@kalamdb/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StatementAnswer } from '../contract.ts';
import { ROOT, StatementWorld } from './statement-world.fixture.ts';

/** More than the main thread scans. */
const ROWS = 24_000;

const directory = mkdtempSync(join(tmpdir(), 'kalamdb-long-answers-'));
let world: StatementWorld;

beforeAll(async () => {
  world = await StatementWorld.open({ directory });
  for (const table of ['hot', 'cold']) {
    await world.run(`CREATE SHARED TABLE ${table} (id INT PRIMARY KEY, name TEXT, n BIGINT)`);
    for (let from = 0; from < ROWS; from += 4000) {
      const values = Array.from({ length: 4000 }, (_, i) => `(${from + i}, 'the name of ${from + i}', ${i})`);
      await world.run(`INSERT INTO ${table} VALUES ${values.join(',')}`);
    }
  }
  await world.flush('cold');
  for (const table of ['hot', 'cold']) {
    await world.run(`UPDATE ${table} SET n = -1 WHERE id < 100`);
    await world.run(`DELETE FROM ${table} WHERE id >= 200 AND id < 300`);
    await world.run(`CREATE VIEW view_of_${table} AS SELECT id, n, name FROM ${table} WHERE n <> 5`);
  }
}, 60_000);

afterAll(async () => {
  await world.close();
  rmSync(directory, { recursive: true, force: true });
});

async function answers(sql: string): Promise<readonly StatementAnswer[]> {
  return world.database.session(ROOT, { namespace: 'app' }).answer(sql);
}

/** The rows of the last answer, and in how many batches of a stream they came; 0: it was none. */
async function read(sql: string): Promise<{ readonly rows: readonly Row[]; readonly batches: number }> {
  const answer = (await answers(sql)).at(-1);
  if (answer?.kind === 'rows') return { rows: answer.rows, batches: 0 };
  if (answer?.kind !== 'stream') throw new Error('no rows');
  const rows: Row[] = [];
  let batches = 0;
  for (let batch = await answer.stream.next(); batch !== undefined; batch = await answer.stream.next()) {
    batches += 1;
    for (const row of batch) rows.push(row);
  }
  await answer.stream.close();
  return { rows, batches };
}

const same = (found: readonly Row[], expected: unknown): boolean => JSON.stringify(found, text) === JSON.stringify(expected, text);
const text = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}n` : value);

test.each([
  'SELECT * FROM hot',
  'SELECT * FROM cold',
  'SELECT name FROM hot ORDER BY n, id DESC',
  'SELECT name FROM cold ORDER BY n, id DESC',
  'SELECT id, COUNT(*) FROM cold GROUP BY id ORDER BY id',
  'SELECT * FROM view_of_hot',
  'SELECT name FROM view_of_hot WHERE id > 10 ORDER BY id DESC',
  'SELECT DISTINCT n FROM view_of_cold OFFSET 3',
  'SELECT a.id, b.name FROM hot a JOIN hot b ON a.id = b.id ORDER BY a.id',
  'SELECT name, id, n FROM hot UNION ALL SELECT name, id, n FROM cold ORDER BY 2, 3',
])('%s is a stream, of the rows that it would be if it were held', async (sql) => {
  const { rows, batches } = await read(sql);
  expect(batches).toBeGreaterThan(1);
  expect(same(rows, await world.run(sql))).toBe(true);
});

test('short answers, answers in a transaction and those before the last statement are held', async () => {
  for (const sql of [
    'SELECT * FROM hot WHERE id = 7',
    'SELECT COUNT(*) FROM cold',
    'SELECT id FROM cold LIMIT 1500',
    'SELECT id, RANDOM() FROM hot',
    'BEGIN; SELECT * FROM hot; COMMIT',
    'SELECT * FROM hot; SELECT 1',
  ]) {
    const found = await answers(sql);
    expect([sql, found.some(({ kind }) => kind === 'stream')]).toEqual([sql, false]);
  }
  expect((await read('SELECT 1; SELECT * FROM hot')).batches).toBeGreaterThan(1);
});

test('a stream that is closed before its end leaves nothing behind', async () => {
  for (const sql of ['SELECT * FROM hot', 'SELECT * FROM cold', 'SELECT a.name FROM hot a CROSS JOIN cold b']) {
    const [answer] = await answers(sql);
    if (answer?.kind !== 'stream') throw new Error('no stream');
    await answer.stream.next();
    await answer.stream.close();
    await answer.stream.close();
    await expect(answer.stream.next()).rejects.toMatchObject({ failure: { error: { code: 'QUERY_INTERRUPTED' } } });
  }
  expect(await world.run('SELECT COUNT(*) FROM hot')).toEqual([[BigInt(ROWS - 100)]]);
});
