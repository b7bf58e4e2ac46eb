import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import { SetClock, StatementWorld } from './statement-world.fixture.ts';

const ALICE: Principal = { userId: 'alice', role: 'user' };
let world: StatementWorld;
let clock: SetClock;

beforeEach(async () => {
  clock = new SetClock();
  world = await StatementWorld.open({ clock });
});
afterEach(() => world.close());

async function properties(table: string): Promise<Record<string, string>> {
  return Object.fromEntries((await world.run(`DESCRIBE TABLE ${table} EXTENDED`)) as [string, string][]);
}

it('makes tables in the words of the 2025-10 design', async () => {
  await world.run(
    `CREATE USER TABLE app.m (id BIGINT PRIMARY KEY, content STRING) LOCATION '/data/\${user_id}/m' FLUSH POLICY ROWS 1000 INTERVAL '5 minutes'`,
  );
  expect(await properties('app.m')).toMatchObject({
    table_type: 'user',
    flush_policy: 'rows:1000,interval:300',
    storage_location: 'local',
  });
  await world.run("CREATE SHARED TABLE app.s (id INT PRIMARY KEY) FLUSH POLICY INTERVAL '10m' WITH (deleted_retention = '7d')");
  expect(await properties('app.s')).toMatchObject({ table_type: 'shared', flush_policy: 'interval:600', deleted_retention_hours: '168' });
  await world.run(`CREATE TABLE app.u (id INT PRIMARY KEY) LOCATION 'x/\${user_id}' WITH (deleted_retention = 'off')`);
  expect(await properties('app.u')).toMatchObject({ table_type: 'user', deleted_retention_hours: 'off', flush_policy: 'default' });
});

it('gives a table without a key one that numbers itself', async () => {
  await world.run(`CREATE USER TABLE app.notes (content STRING) LOCATION '\${user_id}' FLUSH POLICY ROWS 10`);
  await world.run("INSERT INTO notes VALUES ('a'), ('b')", ALICE);
  expect(await world.run('SELECT content, id > 0 FROM notes ORDER BY id', ALICE)).toEqual([
    ['a', true],
    ['b', true],
  ]);
  await world.run('CREATE SHARED TABLE app.log (n BIGINT AUTO_INCREMENT, line TEXT) FLUSH POLICY ROWS 10');
  expect(await world.run("INSERT INTO log (line) VALUES ('x') ON CONFLICT (n) DO NOTHING RETURNING line")).toEqual([['x']]);
  expect(await world.outcome('CREATE USER TABLE app.n2 (content STRING)')).toContain('User tables require a PRIMARY KEY column');
  expect(await world.outcome('CREATE USER TABLE app.n3 (id BIGINT) FLUSH POLICY ROWS 10')).toContain('require a PRIMARY KEY column');
});

it('_updated is when a row was written last, in every table with rows that change', async () => {
  await world.run('CREATE USER TABLE app.t (id INT PRIMARY KEY, n INT)');
  const text = new Date(clock.millis).toISOString();
  await world.run('INSERT INTO t VALUES (1, 1), (2, 1), (3, 1)', ALICE);
  expect(await world.run('SELECT max(_updated) FROM t', ALICE)).toEqual([[BigInt(clock.millis) * 1000n]]);
  clock.millis += 5;
  await world.run('UPDATE t SET n = 2 WHERE id = 2', ALICE);
  await world.run('DELETE FROM t WHERE id = 3', ALICE);
  expect(await world.run(`SELECT id FROM t WHERE _updated > '${text}'`, ALICE)).toEqual([[2]]);
  expect(await world.run(`SELECT id FROM t WHERE _updated > '${text}' AND _deleted = true`, ALICE)).toEqual([[3]]);
  const [result] = await world.results('SELECT *, _updated AS u, _updated FROM t WHERE id = 1', ALICE);
  expect(result?.kind === 'rows' && result.columns.map(({ name, type }) => `${name} ${type.kind}`)).toEqual([
    'id int',
    'n int',
    '_seq bigint',
    '_deleted boolean',
    'u timestamp',
    '_updated timestamp',
  ]);
  expect(await world.run('UPDATE t SET n = 9 WHERE id = 1 RETURNING _updated > _updated', ALICE)).toEqual([[false]]);
  const { changes } = await world.follow(`SELECT id, n FROM app.t WHERE _updated > '${text}'`, ALICE);
  await world.run('INSERT INTO t VALUES (7, 7)', ALICE);
  expect(changes.map(({ change }) => change)).toEqual(['insert']);
  expect(await world.outcome('UPDATE t SET _updated = NOW() WHERE id = 1', ALICE)).toContain('SYSTEM_COLUMN_WRITE');
  expect(await world.outcome('INSERT INTO t (id, _updated) VALUES (9, NOW())', ALICE)).toContain('SYSTEM_COLUMN_WRITE');
  await world.run("CREATE STREAM TABLE app.e (n INT) WITH (retention = '1s')");
  expect(await world.outcome('SELECT _updated FROM e')).toContain('COLUMN_NOT_FOUND');
});
