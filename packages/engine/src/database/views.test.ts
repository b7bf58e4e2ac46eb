import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KalamError } from '@kalamdb/protocol';
import { afterEach, describe, expect, it } from 'vitest';
import type { Principal, StatementResult } from '../contract.ts';
import { StatementError } from '../session/statement-error.ts';
import type { Database } from './database.ts';
import { openDatabase } from './open-database.ts';

const root: Principal = { userId: 'root', role: 'system' };
const alice: Principal = { userId: 'alice', role: 'user' };

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

async function open(directory?: string): Promise<Database> {
  const database = await openDatabase({ directory, durability: 'relaxed' });
  cleanups.push(() => database.close());
  return database;
}

async function opened(): Promise<Database> {
  const database = await open();
  await run(database, 'CREATE NAMESPACE app');
  await run(database, "CREATE SHARED TABLE app.t (id INT PRIMARY KEY, name TEXT, n INT) WITH (ACCESS_LEVEL = 'PUBLIC')");
  await run(database, "INSERT INTO app.t VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30)");
  return database;
}

async function run(database: Database, sql: string, principal = root): Promise<StatementResult> {
  const last = (await database.session(principal).execute(sql)).at(-1);
  if (last === undefined) throw new Error('no result');
  return last;
}

async function rows(database: Database, sql: string, principal = root): Promise<unknown> {
  const result = await run(database, sql, principal);
  return result.kind === 'rows' ? result.rows : result.message;
}

async function refusal(database: Database, sql: string, principal = root): Promise<string> {
  try {
    await run(database, sql, principal);
  } catch (error) {
    const found = error instanceof StatementError ? error.failure.error : error;
    if (found instanceof KalamError) return `${found.code}: ${found.message}`;
    throw error;
  }
  return 'done';
}

describe('views', () => {
  it('answer like their query, with any SELECT over them', async () => {
    const database = await opened();
    await run(database, 'CREATE VIEW app.v AS SELECT id, name, n * 2 AS twice FROM app.t WHERE n > 15;');
    expect(await rows(database, 'SELECT * FROM app.v')).toEqual([
      [2, 'b', 40n],
      [3, 'c', 60n],
    ]);
    expect(await rows(database, 'SELECT COUNT(*), MAX(twice) FROM app.v AS x WHERE x.id > 2')).toEqual([[1n, 60n]]);
    expect(await rows(database, "SELECT name FROM app.v WHERE name <> 'b' ORDER BY id DESC LIMIT 1")).toEqual([['c']]);
    await run(database, 'CREATE VIEW app.w (number) AS SELECT id FROM app.v');
    expect(await rows(database, 'SELECT number FROM app.w ORDER BY number DESC')).toEqual([[3], [2]]);
    const described = await run(database, 'DESCRIBE app.t');
    expect(described.kind).toBe('rows');
    await run(database, 'INSERT INTO app.t SELECT id + 10, name, 1 FROM app.v');
    expect(await rows(database, 'SELECT COUNT(*) FROM app.t')).toEqual([[5n]]);
  });

  it('are there after a restart, and go with DROP VIEW and DROP NAMESPACE … CASCADE', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'kalamdb-views-'));
    cleanups.push(() => rm(directory, { recursive: true, force: true }));
    const first = await open(directory);
    await run(first, 'CREATE NAMESPACE app; CREATE TABLE app.t (id INT PRIMARY KEY); CREATE VIEW app.v AS SELECT id FROM app.t');
    await first.close();
    const database = await open(directory);
    expect(await rows(database, 'SELECT * FROM app.v')).toEqual([]);
    expect(await refusal(database, 'DROP NAMESPACE app')).toContain('NAMESPACE_NOT_EMPTY');
    expect(await refusal(database, 'DROP TABLE app.v')).toContain('use DROP VIEW');
    await run(database, 'DROP VIEW app.v');
    expect(await refusal(database, 'SELECT * FROM app.v')).toContain('TABLE_NOT_FOUND');
    expect(await refusal(database, 'DROP VIEW app.v')).toContain('VIEW_MISSING');
    expect(await rows(database, 'DROP VIEW IF EXISTS app.v')).toContain('skipped');
    await run(database, 'CREATE VIEW app.v AS SELECT id FROM app.t');
    await run(database, 'DROP NAMESPACE app CASCADE');
    expect(await rows(database, 'SELECT view_id FROM system.views')).toEqual([]);
  });

  it('are replaced whole, and never lead back to themselves', async () => {
    const database = await opened();
    await run(database, 'CREATE VIEW app.v AS SELECT id FROM app.t');
    expect(await refusal(database, 'CREATE VIEW app.v AS SELECT n FROM app.t')).toContain('TABLE_EXISTS');
    expect(await refusal(database, 'CREATE VIEW app.t AS SELECT 1 AS one')).toContain('TABLE_EXISTS');
    expect(await refusal(database, 'CREATE TABLE app.v (id INT PRIMARY KEY)')).toContain('TABLE_EXISTS');
    expect(await rows(database, 'SELECT * FROM app.v LIMIT 1')).toEqual([[1]]);
    await run(database, 'CREATE OR REPLACE VIEW app.v AS SELECT id, n FROM app.t');
    expect(await rows(database, 'SELECT * FROM app.v ORDER BY n DESC LIMIT 1')).toEqual([[3, 30]]);
    await run(database, 'CREATE VIEW app.w AS SELECT id FROM app.v');
    expect(await refusal(database, 'CREATE OR REPLACE VIEW app.v AS SELECT id FROM app.w')).toContain('would read itself');
    await run(database, 'DROP VIEW app.v');
    expect(await refusal(database, 'CREATE VIEW app.v AS SELECT id FROM app.w')).toContain('would read itself');
    expect(await refusal(database, 'CREATE VIEW app.x AS SELECT id, n AS id FROM app.t')).toContain("two columns 'id'");
    expect(await refusal(database, 'CREATE VIEW app.x (a) AS SELECT id, n FROM app.t')).toContain('names 1 columns');
    expect(await refusal(database, 'CREATE VIEW app.x AS DELETE FROM app.t WHERE id = 1')).toContain('made of a SELECT');
  });

  it('are checked against access when they are used', async () => {
    const database = await opened();
    await run(database, 'CREATE USER TABLE app.u (id INT PRIMARY KEY, secret TEXT)');
    await run(database, "INSERT INTO app.u VALUES (1, 'of root')");
    await run(database, "INSERT INTO app.u VALUES (7, 'of alice')", alice);
    await run(database, 'CREATE VIEW app.mine AS SELECT * FROM app.u');
    await run(database, 'CREATE VIEW app.people AS SELECT user_id, role FROM system.users');
    expect(await rows(database, 'SELECT id, secret FROM app.mine', alice)).toEqual([[7, 'of alice']]);
    expect(await refusal(database, 'SELECT * FROM app.people', alice)).toContain('ACCESS_DENIED');
    expect(await refusal(database, 'SELECT nope FROM app.people', alice)).toContain('ACCESS_DENIED');
    expect(await refusal(database, 'CREATE VIEW app.x AS SELECT 1 AS one', alice)).toContain('Only DBA or System');
    const seen = "SELECT table_name FROM information_schema.tables WHERE table_type = 'VIEW' AND table_schema = 'app'";
    expect(await rows(database, seen, alice)).toEqual([['mine']]);
    expect(await rows(database, seen)).toEqual([['mine'], ['people']]);
  });

  it('read what their transaction has written, take no writes, and cannot be subscribed to', async () => {
    const database = await opened();
    await run(database, 'CREATE VIEW app.v AS SELECT id FROM app.t WHERE n = 99');
    const request = database.session(root).open();
    await request.execute('BEGIN');
    await request.execute("INSERT INTO app.t VALUES (9, 'z', 99)");
    expect((await request.execute('SELECT * FROM app.v')).at(-1)).toMatchObject({ rows: [[9]] });
    await request.execute('ROLLBACK');
    request.end();
    for (const sql of ['INSERT INTO app.v VALUES (1)', 'UPDATE app.v SET id = 1 WHERE id = 2', 'DELETE FROM app.v WHERE id = 1']) {
      expect(await refusal(database, sql)).toContain('VIEW_WRITE');
    }
    const connection = database.live.connect(root, { connectionId: 'c', sink: { deliver: () => undefined } });
    await expect(connection.subscribe({ id: 's', sql: 'SELECT * FROM app.v', options: {} })).rejects.toThrow('is a view');
  });

  it('draw on the moment, the caller and the sources of the statement that reads them', async () => {
    const database = await opened();
    await run(
      database,
      'CREATE VIEW app.v AS SELECT id, NOW() AS moment, CURRENT_USER() AS who, UUID_V7() AS uuid FROM app.t WHERE n > 15',
    );
    const [first, second] = (await rows(database, 'SELECT moment, NOW(), who, uuid FROM app.v', alice)) as unknown[][];
    expect(first?.[0]).toBe(first?.[1]);
    expect(first?.[2]).toBe('alice');
    expect(first?.[3]).not.toBe(second?.[3]);
  });

  it('are described like tables', async () => {
    const database = await opened();
    await run(database, 'CREATE VIEW app.v AS SELECT id, n * 2 AS twice FROM app.t');
    expect(await rows(database, 'DESCRIBE TABLE app.v')).toEqual([
      ['id', 1, 1n, 'INT', false, true, null, null, 1],
      ['twice', 2, 2n, 'BIGINT', true, false, null, null, 1],
    ]);
    expect(await rows(database, 'DESCRIBE TABLE app.v HISTORY')).toHaveLength(2);
    expect(await rows(database, 'DESCRIBE TABLE app.v EXTENDED')).toContainEqual(['table_type', 'view']);
    expect(await rows(database, 'DESCRIBE app.v')).toEqual([
      ['id', 'Int32', 'NO'],
      ['twice', 'Int64', 'YES'],
    ]);
    expect(await rows(database, 'SHOW COLUMNS FROM app.v')).toHaveLength(2);
    expect(await refusal(database, 'SHOW STATS FOR TABLE app.v')).toContain('is a view');
    expect(await refusal(database, 'DESCRIBE TABLE app.nope')).toContain('TABLE_MISSING');
  });

  it('say so when what they read has changed under them', async () => {
    const database = await opened();
    await run(database, 'CREATE VIEW app.v AS SELECT id, n FROM app.t');
    await run(database, 'ALTER TABLE app.t MODIFY COLUMN n BIGINT');
    expect(await refusal(database, 'SELECT * FROM app.v')).toContain('VIEW_BROKEN');
    await run(database, 'CREATE OR REPLACE VIEW app.v AS SELECT id, n FROM app.t');
    expect(await rows(database, 'SELECT n FROM app.v WHERE id = 1')).toEqual([[10n]]);
    await run(database, 'DROP TABLE app.t');
    expect(await refusal(database, 'SELECT * FROM app.v')).toContain('VIEW_BROKEN');
  });
});
