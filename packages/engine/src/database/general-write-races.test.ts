import { KalamError } from '@kalamdb/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StatementError } from '../session/statement-error.ts';
import { ROOT, StatementWorld } from './statement-world.fixture.ts';

let world: StatementWorld;

beforeEach(async () => {
  world = await StatementWorld.open();
  await world.run(`
    CREATE SHARED TABLE app.t (id INT PRIMARY KEY, n BIGINT);
    CREATE SHARED TABLE app.s (id INT PRIMARY KEY, d BIGINT);
    INSERT INTO t VALUES (1, 0), (2, 0);
    INSERT INTO s VALUES (1, 1), (2, 10)`);
});
afterEach(() => world.close());

async function outcome(sql: string): Promise<string> {
  const found = await world.outcome(sql);
  return String(found);
}

const times = <T>(count: number, work: (index: number) => Promise<T>): Promise<readonly T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => work(index)));

/** Runs one statement again and again until others have ended; how often it ran. */
async function untilEnded(others: Promise<unknown>, sql: string): Promise<number> {
  let isEnded = false;
  const ended = others.finally(() => {
    isEnded = true;
  });
  let runs = 0;
  for (; !isEnded; runs++) await world.run(sql);
  await ended;
  return runs;
}

test('concurrent updates of one key all take effect, whatever executor runs them', async () => {
  const update = 'UPDATE t SET n = t.n + s.d FROM s WHERE s.id = t.id AND t.id = 1';
  const general = times(10, () => outcome(update));
  const runs = await untilEnded(general, 'UPDATE t SET n = n + 1 WHERE id = 1');
  expect(new Set(await general)).toEqual(new Set(['Updated 1 row(s)']));
  expect(await world.run('SELECT n FROM t WHERE id = 1')).toEqual([[BigInt(10 + runs)]]);
  const { lost, latched } = world.database.figures().races;
  expect(latched).toBeGreaterThan(0);
  expect(lost).toBeGreaterThanOrEqual(3 * latched);
});

test('concurrent upserts with subqueries all take effect, and all that insert the same key are one insert', async () => {
  const upserts = times(6, () =>
    outcome('INSERT INTO t VALUES (9, 1) ON CONFLICT (id) DO UPDATE SET n = t.n + (SELECT d FROM s WHERE id = 1)'),
  );
  const runs = await untilEnded(upserts, 'INSERT INTO t VALUES (9, 1) ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n');
  expect(new Set(await upserts)).toEqual(new Set(['Inserted 1 row(s)']));
  expect(await world.run('SELECT n FROM t WHERE id = 9')).toEqual([[BigInt(6 + runs)]]);
  expect(world.database.figures().races.lost).toBeGreaterThan(0);
  expect(world.database.figures().races.latched).toBeGreaterThan(0);
  const next = await times(12, () => outcome('INSERT INTO t SELECT max(id) + 1, 0 FROM t HAVING count(*) > (SELECT 0)'));
  const done = next.filter((text) => text === 'Inserted 1 row(s)');
  expect(done.length).toBeGreaterThan(0);
  expect(next.filter((text) => text.startsWith('DUPLICATE_KEY:')).length).toBe(12 - done.length);
});

test('a row that is deleted meanwhile is not brought back, and each row is deleted once', async () => {
  await world.run('INSERT INTO t SELECT g, 0 FROM generate_series(10, 59) AS x(g)');
  const deletes = times(6, () => outcome('DELETE FROM t USING s WHERE s.id = t.id % 2 + 1 AND t.id >= 10'));
  const updates = times(6, () => outcome('UPDATE t SET n = t.n + 1 FROM s WHERE s.id = t.id % 2 + 1 AND t.id >= 10'));
  const counts = (await deletes).map((text) => Number(/^Deleted (\d+) row/.exec(text)?.[1]));
  expect(counts.reduce((a, b) => a + b, 0)).toBe(50);
  for (const text of await updates) expect(text).toMatch(/^Updated (0|50) row\(s\)$/);
  expect(await world.run('SELECT count(*) FROM t WHERE id >= 10')).toEqual([[0n]]);
});

test('in transactions the first committer wins; the sum is that of those that won', async () => {
  const results = await times(10, async (index) => {
    const request = world.database.session(ROOT, { namespace: 'app' }).open();
    try {
      if (index % 2 === 0) await request.execute('BEGIN');
      await request.execute('UPDATE t SET n = t.n + s.d FROM s WHERE s.id = 1 AND t.id = 2');
      if (index % 2 === 0) await request.execute('COMMIT');
      return 'won';
    } catch (error) {
      const cause = error instanceof StatementError ? error.failure.error : error;
      if (cause instanceof KalamError) return cause.code;
      throw error;
    }
  });
  expect(new Set(results)).toEqual(new Set(['won', 'CONFLICT']));
  expect(await world.run('SELECT n FROM t WHERE id = 2')).toEqual([[BigInt(results.filter((result) => result === 'won').length)]]);
});

test('large row sets race with small ones: every row has all that was added to it', async () => {
  await world.run('INSERT INTO t SELECT g, 0 FROM generate_series(1000, 3999) AS x(g)');
  const large = times(3, () => outcome('UPDATE t SET n = t.n + s.d FROM s WHERE s.id = 1 AND t.id >= 1000'));
  const small = times(12, (index) => outcome(`UPDATE t SET n = t.n + s.d FROM s WHERE s.id = 2 AND t.id = ${1000 + (index % 3)}`));
  expect(new Set(await large)).toEqual(new Set(['Updated 3000 row(s)']));
  expect(new Set(await small)).toEqual(new Set(['Updated 1 row(s)']));
  expect(await world.run('SELECT n, count(*) FROM t WHERE id >= 1000 GROUP BY n ORDER BY n')).toEqual([
    [3n, 2997n],
    [43n, 3n],
  ]);
});

test('a table that is altered meanwhile is planned for again', async () => {
  const updates = times(6, () => outcome('UPDATE t SET n = t.n + s.d FROM s WHERE s.id = 1 AND t.id = 1'));
  const alter = outcome('ALTER TABLE app.t ADD COLUMN more INT');
  expect(new Set(await updates)).toEqual(new Set(['Updated 1 row(s)']));
  expect(await alter).not.toMatch(/^[A-Z_]+:/);
  expect(await world.run('SELECT * FROM t WHERE id = 1')).toEqual([[1, 6n, null, expect.any(BigInt), false]]);
});

test('a caller that goes away leaves nothing behind', async () => {
  await world.run('INSERT INTO t SELECT g, 0 FROM generate_series(1000, 8999) AS x(g)');
  const gone = new AbortController();
  const session = world.database.session(ROOT, { namespace: 'app', signal: () => gone.signal });
  const update = session.execute('UPDATE t SET n = (SELECT count(*) FROM t a JOIN t b ON a.id > b.id AND a.n + b.n = t.n) WHERE true');
  setImmediate(() => gone.abort(new KalamError('CLIENT_GONE', 'gone', {})));
  await expect(update).rejects.toThrow(/gone/);
  expect(await world.run('SELECT max(n) FROM t')).toEqual([[0n]]);
});
