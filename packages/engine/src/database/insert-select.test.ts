import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import { ROOT, StatementWorld } from './statement-world.fixture.ts';

const ALICE: Principal = { userId: 'alice', role: 'user' };
const ROWS = 3000;
let world: StatementWorld;

beforeEach(async () => {
  world = await StatementWorld.open();
  await world.run("CREATE SHARED TABLE app.src (id INT PRIMARY KEY, name TEXT, n INT DEFAULT 7) WITH (ACCESS_LEVEL = 'PUBLIC')");
  await world.run("INSERT INTO src VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30)");
});
afterEach(() => world.close());

it('copies from the same table, from views and from system tables, in the order of the named columns', async () => {
  expect(await world.run('INSERT INTO src (name, id) SELECT upper(name), id + 10 FROM src WHERE n > 10')).toBe('Inserted 2 row(s)');
  expect(await world.run('SELECT id, name, n FROM src WHERE id > 10')).toEqual([
    [12, 'B', 7],
    [13, 'C', 7],
  ]);
  await world.run('CREATE VIEW app.v AS SELECT id, name FROM app.src WHERE id < 3');
  await world.run('CREATE USER TABLE app.mine (id INT PRIMARY KEY, name TEXT, by TEXT DEFAULT CURRENT_USER())');
  expect(await world.run('INSERT INTO mine (id, name) SELECT * FROM v', ALICE)).toBe('Inserted 2 row(s)');
  expect(await world.run('SELECT id, name, by FROM mine', ALICE)).toEqual([
    [1, 'a', 'alice'],
    [2, 'b', 'alice'],
  ]);
  const fromSystem = "INSERT INTO mine (id, name) SELECT 100, table_name FROM system.tables WHERE table_name = 'src'";
  expect(await world.outcome(fromSystem, ALICE)).toContain('ACCESS_DENIED');
  expect(await world.run(fromSystem, ROOT)).toBe('Inserted 1 row(s)');
  expect(await world.run('SELECT name FROM mine')).toEqual([['src']]);
});

it('leaves nothing behind when a row of it is refused', async () => {
  for (const sql of [
    'INSERT INTO src SELECT id + 1, name, n FROM src',
    'INSERT INTO src (id, name) SELECT 9, name FROM src',
    'INSERT INTO src SELECT id + 10, name, 1 / (id - 3) FROM src',
    'INSERT INTO src SELECT id FROM src WHERE nothing = 1',
    'INSERT INTO src SELECT id, name, n, n FROM src',
    'INSERT INTO src (id, n) SELECT id + 10, name FROM src',
  ]) {
    expect(String(await world.outcome(sql))).toMatch(/^[A-Z_]+: /);
  }
  expect(await world.run('SELECT count(*) FROM src')).toEqual([[3n]]);
});

it('evaluates defaults for each row, NOW() once for all', async () => {
  await world.run(
    `CREATE USER TABLE app.d (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), u TEXT DEFAULT UUID_V7(), l TEXT DEFAULT ULID(),
      at TIMESTAMP DEFAULT NOW(), by TEXT DEFAULT CURRENT_USER(), n INT DEFAULT 5, of INT)`,
  );
  await world.run(`INSERT INTO src SELECT 4, 'x', 1`);
  await world.run(`INSERT INTO src (id) VALUES ${Array.from({ length: ROWS }, (_, i) => `(${100 + i})`).join(',')}`);
  const [[all]] = (await world.run('SELECT count(*) FROM src')) as [[bigint]];
  expect(await world.run('INSERT INTO d (of) SELECT id FROM src', ALICE)).toBe(`Inserted ${all} row(s)`);
  const counts = 'SELECT count(*), count(DISTINCT id), count(DISTINCT u), count(DISTINCT l), count(DISTINCT at), min(by), min(n) FROM d';
  expect(await world.run(counts, ALICE)).toEqual([[all, all, all, all, 1n, 'alice', 5]]);
  const ids = (await world.run('INSERT INTO d (of) VALUES (1), (2), (DEFAULT) RETURNING id, length(u), length(l)', ALICE)) as [
    bigint,
    bigint,
    bigint,
  ][];
  expect(ids.map(([, u, l]) => [Number(u), Number(l)])).toEqual([
    [36, 26],
    [36, 26],
    [36, 26],
  ]);
  expect(ids.every(([id], index) => index === 0 || id > (ids[index - 1]?.[0] ?? 0n))).toBe(true);
});

it('changes and deletes many rows by any predicate, all or none', async () => {
  await world.run(`INSERT INTO src VALUES ${Array.from({ length: ROWS }, (_, i) => `(${100 + i}, 'n${i % 10}', ${i})`).join(',')}`);
  expect(await world.run("UPDATE src SET n = n * 2 WHERE id >= 100 AND (name LIKE '%3' OR n % 100 = 1)")).toBe('Updated 330 row(s)');
  expect(await world.outcome('UPDATE src SET n = 1 / (id - 500) WHERE id >= 100')).toContain('DIVISION_BY_ZERO');
  expect(await world.outcome('UPDATE src SET n = NULL WHERE name IS NOT NULL AND n BETWEEN 2000 AND 2002')).toBe('Updated 3 row(s)');
  expect(await world.run("DELETE FROM src WHERE name IN ('n1', 'n2') AND id >= 100")).toBe('Deleted 600 row(s)');
  expect(await world.run('DELETE FROM src WHERE id >= 100 AND _seq > 0')).toBe('Deleted 2400 row(s)');
  expect(await world.run('SELECT count(*) FROM src')).toEqual([[3n]]);
});
