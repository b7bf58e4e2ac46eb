import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { StatementError } from '../session/statement-error.ts';
import type { Database } from './database.ts';
import { openDatabase } from './open-database.ts';

const ROWS = 30_000;
const ROOT = { userId: 'root', role: 'system' } as const;
const directory = mkdtempSync(join(tmpdir(), 'kalamdb-large-scans-'));
let database: Database;

beforeAll(async () => {
  database = await openDatabase({ directory, durability: 'relaxed', rootPassword: 'x' });
  const session = database.session(ROOT);
  await session.execute('CREATE NAMESPACE app');
  await session.execute("CREATE TABLE app.t (id INT PRIMARY KEY, n INT, kind TEXT DEFAULT 'new') WITH (TYPE='SHARED')");
  for (let first = 0; first < ROWS; first += 1000) {
    const rows = Array.from({ length: 1000 }, (_, offset) => `(${first + offset}, ${offset % 10}, 'kind ${offset % 3}')`);
    await session.execute(`INSERT INTO app.t VALUES ${rows.join(',')}`);
  }
});
afterAll(async () => {
  await database.close();
  rmSync(directory, { recursive: true, force: true });
});

async function rowsOf(sql: string): Promise<readonly unknown[]> {
  const [result] = await database.session(ROOT).execute(sql);
  if (result?.kind !== 'rows') throw new Error('no rows');
  return result.rows;
}

test('a scan of many rows sees what was written just before, and writes go on beside it', async () => {
  const session = database.session(ROOT);
  for (let id = ROWS; id < ROWS + 20; id++) {
    await session.execute(`INSERT INTO app.t (id, n) VALUES (${id}, 10)`);
    const [count, grouped] = await Promise.all([
      rowsOf('SELECT COUNT(*) FROM app.t'),
      rowsOf('SELECT n, COUNT(*) FROM app.t GROUP BY n ORDER BY n'),
    ]);
    expect(count).toEqual([[BigInt(id + 1)]]);
    expect(grouped).toEqual([...Array.from({ length: 10 }, (_, n) => [n, BigInt(ROWS / 10)]), [10, BigInt(id + 1 - ROWS)]]);
  }
});

test('an UPDATE finds its rows in slices', async () => {
  const [result] = await database.session(ROOT).execute("UPDATE app.t SET kind = 'seven' WHERE n = 7");
  expect(result).toMatchObject({ rowCount: ROWS / 10 });
  expect(await rowsOf("SELECT COUNT(*) FROM app.t WHERE kind = 'seven'")).toEqual([[BigInt(ROWS / 10)]]);
});

test('an INSERT takes rows from a large scan, and functions that are different each time work in one', async () => {
  await database.session(ROOT).execute('INSERT INTO app.t SELECT id + 100000, n, kind FROM app.t WHERE n = 3');
  expect(await rowsOf('SELECT COUNT(*) FROM app.t WHERE id >= 100000')).toEqual([[BigInt(ROWS / 10)]]);
  expect(await rowsOf('SELECT COUNT(DISTINCT SNOWFLAKE_ID()) > 30000 FROM app.t')).toEqual([[true]]);
});

test('the longest block of the event loop is a figure', async () => {
  expect(database.status().longestBlockMillis).toBeGreaterThan(0);
  expect(database.status().blockP99Millis).toBeLessThanOrEqual(database.status().longestBlockMillis);
  const rows = await rowsOf("SELECT metric_value FROM system.stats WHERE metric_name = 'event_loop_max_block_ms'");
  expect(rows).toHaveLength(1);
});

test('closing ends a scan under way with an error that says so', async () => {
  const scan = rowsOf("SELECT COUNT(*) FROM app.t WHERE REPEAT(kind, 20000) LIKE '%zz%'").catch((error: unknown) => error);
  await rowsOf('SELECT 1');
  await database.close();
  const error = await scan;
  expect(error).toBeInstanceOf(StatementError);
  expect(error instanceof StatementError && error.failure.error.code).toBe('SHUTTING_DOWN');
});
