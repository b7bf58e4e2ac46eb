import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import { StatementWorld } from './statement-world.fixture.ts';

const root: Principal = { userId: 'root', role: 'system' };
const alice: Principal = { userId: 'alice', role: 'user' };

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

async function open(directory?: string): Promise<StatementWorld> {
  const world = await StatementWorld.open(directory === undefined ? {} : { directory });
  cleanups.push(() => world.close());
  return world;
}

async function opened(): Promise<StatementWorld> {
  const world = await open();
  await world.run("CREATE SHARED TABLE app.t (id INT PRIMARY KEY, name TEXT, n INT) WITH (ACCESS_LEVEL = 'PUBLIC')");
  await world.run("INSERT INTO app.t VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30)");
  return world;
}

describe('views', () => {
  it('answer like their query, with any SELECT over them', async () => {
    const world = await opened();
    await world.run('CREATE VIEW app.v AS SELECT id, name, n * 2 AS twice FROM app.t WHERE n > 15;');
    expect(await world.run('SELECT * FROM app.v')).toEqual([
      [2, 'b', 40n],
      [3, 'c', 60n],
    ]);
    expect(await world.run('SELECT COUNT(*), MAX(twice) FROM app.v AS x WHERE x.id > 2')).toEqual([[1n, 60n]]);
    expect(await world.run("SELECT name FROM app.v WHERE name <> 'b' ORDER BY id DESC LIMIT 1")).toEqual([['c']]);
    await world.run('CREATE VIEW app.w (number) AS SELECT id FROM app.v');
    expect(await world.run('SELECT number FROM app.w ORDER BY number DESC')).toEqual([[3], [2]]);
    expect((await world.results('DESCRIBE app.t')).at(-1)).toMatchObject({ kind: 'rows' });
    await world.run('INSERT INTO app.t SELECT id + 10, name, 1 FROM app.v');
    expect(await world.run('SELECT COUNT(*) FROM app.t')).toEqual([[5n]]);
  });

  it('are there after a restart, and go with DROP VIEW and DROP NAMESPACE … CASCADE', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'kalamdb-views-'));
    cleanups.push(() => rm(directory, { recursive: true, force: true }));
    const first = await open(directory);
    await first.run('CREATE TABLE app.t (id INT PRIMARY KEY); CREATE VIEW app.v AS SELECT id FROM app.t');
    await first.close();
    const world = await open(directory);
    expect(await world.run('SELECT * FROM app.v')).toEqual([]);
    expect(await world.outcome('DROP NAMESPACE app')).toContain('NAMESPACE_NOT_EMPTY');
    expect(await world.outcome('DROP TABLE app.v')).toContain('use DROP VIEW');
    await world.run('DROP VIEW app.v');
    expect(await world.outcome('SELECT * FROM app.v')).toContain('TABLE_NOT_FOUND');
    expect(await world.outcome('DROP VIEW app.v')).toContain('VIEW_MISSING');
    expect(await world.run('DROP VIEW IF EXISTS app.v')).toContain('skipped');
    await world.run('CREATE VIEW app.v AS SELECT id FROM app.t');
    await world.run('DROP NAMESPACE app CASCADE');
    expect(await world.run('SELECT view_id FROM system.views')).toEqual([]);
  });

  it('are replaced whole, and never lead back to themselves', async () => {
    const world = await opened();
    await world.run('CREATE VIEW app.v AS SELECT id FROM app.t');
    expect(await world.outcome('CREATE VIEW app.v AS SELECT n FROM app.t')).toContain('TABLE_EXISTS');
    expect(await world.outcome('CREATE VIEW app.t AS SELECT 1 AS one')).toContain('TABLE_EXISTS');
    expect(await world.outcome('CREATE TABLE app.v (id INT PRIMARY KEY)')).toContain('TABLE_EXISTS');
    expect(await world.run('SELECT * FROM app.v LIMIT 1')).toEqual([[1]]);
    await world.run('CREATE OR REPLACE VIEW app.v AS SELECT id, n FROM app.t');
    expect(await world.run('SELECT * FROM app.v ORDER BY n DESC LIMIT 1')).toEqual([[3, 30]]);
    await world.run('CREATE VIEW app.w AS SELECT id FROM app.v');
    expect(await world.outcome('CREATE OR REPLACE VIEW app.v AS SELECT id FROM app.w')).toContain('would read itself');
    await world.run('DROP VIEW app.v');
    expect(await world.outcome('CREATE VIEW app.v AS SELECT id FROM app.w')).toContain('would read itself');
    expect(await world.outcome('CREATE VIEW app.x AS SELECT id, n AS id FROM app.t')).toContain("two columns 'id'");
    expect(await world.outcome('CREATE VIEW app.x (a) AS SELECT id, n FROM app.t')).toContain('names 1 columns');
    expect(await world.outcome('CREATE VIEW app.x AS DELETE FROM app.t WHERE id = 1')).toContain('made of a SELECT');
  });

  it('are checked against access when they are used', async () => {
    const world = await opened();
    await world.run('CREATE USER TABLE app.u (id INT PRIMARY KEY, secret TEXT)');
    await world.run("INSERT INTO app.u VALUES (1, 'of root')");
    await world.run("INSERT INTO app.u VALUES (7, 'of alice')", alice);
    await world.run('CREATE VIEW app.mine AS SELECT * FROM app.u');
    await world.run('CREATE VIEW app.people AS SELECT user_id, role FROM system.users');
    expect(await world.run('SELECT id, secret FROM app.mine', alice)).toEqual([[7, 'of alice']]);
    expect(await world.outcome('SELECT * FROM app.people', alice)).toContain('ACCESS_DENIED');
    expect(await world.outcome('SELECT nope FROM app.people', alice)).toContain('ACCESS_DENIED');
    expect(await world.outcome('CREATE VIEW app.x AS SELECT 1 AS one', alice)).toContain('Only DBA or System');
    const seen = "SELECT table_name FROM information_schema.tables WHERE table_type = 'VIEW' AND table_schema = 'app'";
    expect(await world.run(seen, alice)).toEqual([['mine']]);
    expect(await world.run(seen)).toEqual([['mine'], ['people']]);
  });

  it('read what their transaction has written, take no writes, and cannot be subscribed to', async () => {
    const world = await opened();
    await world.run('CREATE VIEW app.v AS SELECT id FROM app.t WHERE n = 99');
    const request = world.database.session(root).open();
    await request.execute('BEGIN');
    await request.execute("INSERT INTO app.t VALUES (9, 'z', 99)");
    expect((await request.execute('SELECT * FROM app.v')).at(-1)).toMatchObject({ rows: [[9]] });
    await request.execute('ROLLBACK');
    request.end();
    for (const sql of ['INSERT INTO app.v VALUES (1)', 'UPDATE app.v SET id = 1 WHERE id = 2', 'DELETE FROM app.v WHERE id = 1']) {
      expect(await world.outcome(sql)).toContain('VIEW_WRITE');
    }
    const connection = world.database.live.connect(root, { connectionId: 'c', sink: { deliver: () => undefined } });
    await expect(connection.subscribe({ id: 's', sql: 'SELECT * FROM app.v', options: {} })).rejects.toThrow('is a view');
  });

  it('draw on the moment, the caller and the sources of the statement that reads them', async () => {
    const world = await opened();
    await world.run('CREATE VIEW app.v AS SELECT id, NOW() AS moment, CURRENT_USER() AS who, UUID_V7() AS uuid FROM app.t WHERE n > 15');
    const [first, second] = (await world.run('SELECT moment, NOW(), who, uuid FROM app.v', alice)) as unknown[][];
    expect(first?.[0]).toBe(first?.[1]);
    expect(first?.[2]).toBe('alice');
    expect(first?.[3]).not.toBe(second?.[3]);
  });

  it('are described like tables', async () => {
    const world = await opened();
    await world.run('CREATE VIEW app.v AS SELECT id, n * 2 AS twice FROM app.t');
    expect(await world.run('DESCRIBE TABLE app.v')).toEqual([
      ['id', 1, 1n, 'INT', false, true, null, null, 1],
      ['twice', 2, 2n, 'BIGINT', true, false, null, null, 1],
    ]);
    expect(await world.run('DESCRIBE TABLE app.v HISTORY')).toHaveLength(2);
    expect(await world.run('DESCRIBE TABLE app.v EXTENDED')).toContainEqual(['table_type', 'view']);
    expect(await world.run('DESCRIBE app.v')).toEqual([
      ['id', 'Int32', 'NO'],
      ['twice', 'Int64', 'YES'],
    ]);
    expect(await world.run('SHOW COLUMNS FROM app.v')).toHaveLength(2);
    expect(await world.outcome('SHOW STATS FOR TABLE app.v')).toContain('is a view');
    expect(await world.outcome('DESCRIBE TABLE app.nope')).toContain('TABLE_MISSING');
  });

  it('say so when what they read has changed under them', async () => {
    const world = await opened();
    await world.run('CREATE VIEW app.v AS SELECT id, n FROM app.t');
    await world.run('ALTER TABLE app.t MODIFY COLUMN n BIGINT');
    expect(await world.outcome('SELECT * FROM app.v')).toContain('VIEW_BROKEN');
    await world.run('CREATE OR REPLACE VIEW app.v AS SELECT id, n FROM app.t');
    expect(await world.run('SELECT n FROM app.v WHERE id = 1')).toEqual([[10n]]);
    await world.run('DROP TABLE app.t');
    expect(await world.outcome('SELECT * FROM app.v')).toContain('VIEW_BROKEN');
  });
});
