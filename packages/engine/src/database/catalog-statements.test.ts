import { afterEach, describe, expect, it } from 'vitest';
import type { Principal, StatementResult } from '../contract.ts';
import type { LiveFrame } from '../live/frame.ts';
import { StatementError } from '../session/statement-error.ts';
import type { Database } from './database.ts';
import { openDatabase } from './open-database.ts';

const root: Principal = { userId: 'root', role: 'system' };
const alice: Principal = { userId: 'alice', role: 'user' };

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

async function open(): Promise<Database> {
  const database = await openDatabase({ directory: undefined, durability: 'relaxed' });
  cleanups.push(() => database.close());
  await run(database, 'CREATE NAMESPACE app');
  return database;
}

async function run(database: Database, sql: string, principal = root): Promise<StatementResult> {
  const last = (await database.session(principal).execute(sql)).at(-1);
  if (last === undefined) throw new Error('no result');
  return last;
}

const rowsOf = (result: StatementResult): readonly (readonly unknown[])[] => (result.kind === 'rows' ? result.rows : []);

async function refusal(database: Database, sql: string, principal = root): Promise<string> {
  try {
    await run(database, sql, principal);
  } catch (error) {
    if (error instanceof StatementError) return error.failure.error.message;
    return error instanceof Error ? error.message : String(error);
  }
  return 'done';
}

describe('ALTER NAMESPACE', () => {
  it('merges options, and refuses what is too long', async () => {
    const database = await open();
    await run(database, "ALTER NAMESPACE App SET OPTIONS (owner = 'team', n = -1.5, open = TRUE)");
    await run(database, 'ALTER NAMESPACE app SET OPTIONS (n = 2)');
    const shown = rowsOf(await run(database, "SELECT options FROM system.namespaces WHERE namespace_id = 'app'"));
    expect(JSON.parse(String(shown[0]?.[0]))).toEqual({ owner: 'team', n: 2, open: true });
    expect(await refusal(database, `ALTER NAMESPACE app SET OPTIONS (x = '${'y'.repeat(70_000)}')`)).toContain('65536 characters');
    expect(await refusal(database, 'ALTER NAMESPACE app SET OPTIONS (x = NULL)')).toContain('a text, a number, TRUE or FALSE');
  });
});

describe('system.schemas', () => {
  it('reads the same whether a filter names tables or not', async () => {
    const database = await open();
    await run(database, 'CREATE NAMESPACE app1; CREATE TABLE app.t (id INT PRIMARY KEY); CREATE TABLE app1.t (id INT PRIMARY KEY)');
    await run(database, 'CREATE TABLE app.u (id INT PRIMARY KEY); ALTER TABLE app.t ADD COLUMN x INT; DROP TABLE app.u');
    const rows = async (where: string): Promise<readonly (readonly unknown[])[]> =>
      rowsOf(
        await run(database, `SELECT table_id, schema_version, created_at, is_latest FROM system.schemas WHERE ${where} ORDER BY table_id`),
      );
    const all = await rows('true');
    const of = (...ids: readonly string[]): readonly (readonly unknown[])[] => all.filter(([id]) => ids.includes(String(id)));
    expect(await rows("namespace_id = 'app'")).toEqual(of('app:t'));
    expect(await rows("table_name = 't'")).toEqual(of('app:t', 'app1:t'));
    expect(await rows("table_id = 'app:t' AND is_latest")).toEqual(of('app:t').slice(1));
    expect(await rows("table_id = 'app' OR table_id = 'app1:t'")).toEqual(of('app1:t'));
    expect(await rows("table_id = 'app:u'")).toEqual([]);
    expect(of('app:t')).toHaveLength(2);
  });
});

describe('SELECT * of system tables', () => {
  it('shows their columns and nothing that is hidden', async () => {
    const database = await open();
    await run(database, 'CREATE TABLE app.t (id INT PRIMARY KEY)');
    for (const [name] of rowsOf(await run(database, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'system'"))) {
      const result = await run(database, `SELECT * FROM system.${name}`);
      if (result.kind === 'rows') for (const row of result.rows) expect(row, String(name)).toHaveLength(result.columns.length);
    }
  });
});

describe('SHOW STATS', () => {
  it('counts the rows that are there, of all owners for admins, of the caller for others', async () => {
    const database = await open();
    await run(database, 'CREATE USER TABLE app.u (id INT PRIMARY KEY); CREATE SHARED TABLE app.s (id INT PRIMARY KEY)');
    await run(database, "CREATE STREAM TABLE app.e (n INT) WITH (TTL_SECONDS = '60')");
    await run(database, 'INSERT INTO app.u VALUES (1), (2), (3)');
    await run(database, 'DELETE FROM app.u WHERE id = 3');
    await run(database, 'INSERT INTO app.u VALUES (1)', alice);
    await run(database, 'INSERT INTO app.e VALUES (1), (2)', alice);
    const settled = async (table: string, principal = root): Promise<readonly unknown[]> => {
      const row = rowsOf(await run(database, `SHOW STATS FOR TABLE ${table}`, principal))[0] ?? [];
      return [row[3], row[5], Number(row[6]) > 0];
    };
    await expect.poll(() => settled('app.u')).toEqual(['3', '0', true]);
    expect(await settled('app.u', alice)).toEqual(['1', '0', true]);
    expect(await settled('app.e', alice)).toEqual(['2', '1', true]);
    expect(await settled('app.e')).toEqual(['2', '1', true]);
    expect(await refusal(database, 'SHOW STATS FOR TABLE app.s', alice)).toContain('Access denied');
  });
});

describe('SUBSCRIBE TO', () => {
  it('says what to subscribe to, and checks the shape of the query', async () => {
    const database = await open();
    const sql = async (text: string): Promise<unknown> => JSON.parse(String(rowsOf(await run(database, text))[0]?.[2])).sql;
    expect(await sql('SUBSCRIBE TO app.t')).toBe('SELECT * FROM app.t');
    expect(await sql('SUBSCRIBE TO t;')).toBe('SELECT * FROM "default".t');
    expect(await sql('SUBSCRIBE TO app.t WHERE options = 1 OPTIONS (last_rows = 5, from = 9)')).toBe(
      'SELECT * FROM app.t WHERE options = 1',
    );
    expect(await sql('SUBSCRIBE TO SELECT id FROM app.t WHERE a > 1')).toBe('SELECT id FROM app.t WHERE a > 1');
    expect(await refusal(database, 'SUBSCRIBE TO SELECT id FROM app.t LIMIT 1')).toContain('Invalid subscription query');
    expect(await refusal(database, 'SUBSCRIBE TO app.t OPTIONS (a = 1)')).toContain("Unknown subscription option: 'a'");
    expect(await refusal(database, 'SUBSCRIBE TO app.t OPTIONS (from 1)')).toContain('Expected key=value');
  });
});

describe('KILL LIVE QUERY', () => {
  it('ends the subscription and tells its client; others may not', async () => {
    const database = await open();
    await run(database, 'CREATE USER TABLE app.u (id INT PRIMARY KEY)');
    const frames: LiveFrame[] = [];
    const connection = database.live.connect(alice, { connectionId: 'c', sink: { deliver: (frame) => frames.push(frame) } });
    await connection.subscribe({ id: 's', sql: 'SELECT * FROM app.u', options: undefined });
    expect(await refusal(database, "KILL LIVE QUERY 'alice-c-s'", alice)).toContain('requires DBA or System role');
    await run(database, "KILL LIVE QUERY 'alice-c-s'");
    expect(frames.at(-1)).toMatchObject({ kind: 'error', code: 'SUBSCRIPTION_ENDED' });
    expect(rowsOf(await run(database, 'SELECT * FROM system.live'))).toEqual([]);
  });
});

describe('statements that only look at the catalog', () => {
  it('leave audit rows that name what they looked at', async () => {
    const database = await open();
    await run(database, 'CREATE TABLE app.t (id INT PRIMARY KEY); SHOW NAMESPACES; DESCRIBE TABLE app.t; SUBSCRIBE TO app.t');
    const noted = "SELECT action, target FROM system.audit_log WHERE action IN ('SHOW', 'DESCRIBE', 'SUBSCRIBE') ORDER BY action";
    await expect
      .poll(async () => rowsOf(await run(database, noted)))
      .toEqual([
        ['DESCRIBE', 'table:app.t'],
        ['SHOW', 'show:namespaces'],
        ['SUBSCRIBE', 'table:app.t'],
      ]);
  });
});
