import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cell } from '@kalamdb/protocol';
import { rowKeyBytesMax } from '@kalamdb/storage';
import { VirtualTime } from '@kalamdb/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type { Principal, Role } from '../contract.ts';
import { StatementError } from '../session/statement-error.ts';
import type { Database } from './database.ts';
import { type DatabaseOptions, openDatabase } from './open-database.ts';

const root: Principal = { userId: 'root', role: 'system' };
const as = (role: Role, userId: string = role): Principal => ({ userId, role });

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'kalamdb-'));
  cleanups.push(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function open(options: Partial<DatabaseOptions> = {}): Promise<Database> {
  const database = await openDatabase({ directory: undefined, durability: 'relaxed', ...options });
  cleanups.push(() => database.close());
  return database;
}

async function run(database: Database, sql: string, options: { as?: Principal; parameters?: readonly Cell[] } = {}): Promise<unknown> {
  const results = await database.session(options.as ?? root).execute(sql, options.parameters);
  const last = results.at(-1);
  return last?.kind === 'rows' ? last.rows : last?.rowCount;
}

/** The code of the error that a statement ends with; `undefined` when it does not. */
async function codeOf(running: Promise<unknown>): Promise<string | undefined> {
  try {
    await running;
    return undefined;
  } catch (error) {
    if (error instanceof StatementError) return error.failure.error.code;
    return (error as { code?: string }).code ?? String(error);
  }
}

async function withTable(database: Database, table = 'app.t (id TEXT PRIMARY KEY, v INT)', kind = 'SHARED'): Promise<void> {
  await run(database, 'CREATE NAMESPACE IF NOT EXISTS app');
  await run(database, `CREATE ${kind} TABLE ${table}`);
}

describe('closing', () => {
  it('drains what was accepted, refuses the rest with SHUTTING_DOWN, and leaves nothing unanswered', async () => {
    const directory = await temporary();
    const first = await open({ directory, durability: 'sync' });
    await withTable(first);
    const accepted = Array.from({ length: 20 }, (_, id) => run(first, `INSERT INTO app.t VALUES ('k${id}', ${id})`));
    const outcomes = Promise.all(accepted.map(codeOf));
    const closed = first.close();
    const late = [
      'SELECT * FROM app.t',
      "INSERT INTO app.t VALUES ('late', 1)",
      'UPDATE app.t SET v = 1 WHERE v > 0',
      'CREATE NAMESPACE late',
      'DROP TABLE app.t',
      "CREATE USER late WITH PASSWORD 'x' ROLE user",
    ];
    expect(await Promise.all(late.map((sql) => codeOf(run(first, sql))))).toEqual(late.map(() => 'SHUTTING_DOWN'));
    const answered = (await outcomes).filter((code) => code === undefined).length;
    expect((await outcomes).every((code) => code === undefined || code === 'SHUTTING_DOWN')).toBe(true);
    await closed;
    const second = await open({ directory });
    expect(await run(second, 'SELECT COUNT(*) FROM app.t')).toEqual([[BigInt(answered)]]);
  });

  it('gives the directory free while rows of a dropped table are being removed', async () => {
    const directory = await temporary();
    const time = new VirtualTime();
    const first = await open({ directory, clock: time, timers: time });
    await withTable(first);
    for (let i = 0; i < 20; i++) {
      const values = Array.from({ length: 1000 }, (_, n) => `('k${i}_${n}', ${n})`);
      await run(first, `INSERT INTO app.t VALUES ${values.join(',')}`);
    }
    await run(first, 'DROP TABLE app.t');
    await first.close();
    const second = await open({ directory });
    expect(await codeOf(run(second, 'SELECT * FROM app.t'))).toBe('TABLE_NOT_FOUND');
  });
});

describe('DDL beside DML', () => {
  it('an insert that meets the DROP of its table is either before it or finds no table', async () => {
    const database = await open();
    for (let round = 0; round < 30; round++) {
      await withTable(database);
      const inserts = Array.from({ length: 5 }, (_, id) => codeOf(run(database, `INSERT INTO app.t VALUES ('k${id}', 1)`)));
      const drop = codeOf(run(database, 'DROP TABLE app.t'));
      const after = Array.from({ length: 5 }, (_, id) => codeOf(run(database, `INSERT INTO app.t VALUES ('x${id}', 1)`)));
      for (const code of await Promise.all([...inserts, ...after])) expect([undefined, 'TABLE_NOT_FOUND']).toContain(code);
      expect(await drop).toBeUndefined();
    }
  });

  it('a table made again under its name has none of the old rows, in whatever state they were', async () => {
    const database = await open();
    await withTable(database);
    for (let round = 0; round < 20; round++) {
      const racing = [
        codeOf(run(database, `INSERT INTO app.t VALUES ('old${round}', 1)`)),
        codeOf(run(database, 'DROP TABLE app.t')),
        codeOf(run(database, 'CREATE SHARED TABLE app.t (id TEXT PRIMARY KEY, v INT, w INT)')),
      ];
      expect(await Promise.all(racing)).toEqual([undefined, undefined, undefined]);
      expect(await run(database, 'SELECT id, v, w FROM app.t')).toEqual([]);
    }
  });

  it('of two that make or drop the same thing one wins', async () => {
    const database = await open();
    await run(database, 'CREATE NAMESPACE app');
    const create = 'CREATE SHARED TABLE app.t (id TEXT PRIMARY KEY)';
    const made = await Promise.all([codeOf(run(database, create)), codeOf(run(database, create))]);
    expect(made).toEqual([undefined, 'TABLE_EXISTS']);
    const dropped = await Promise.all([codeOf(run(database, 'DROP TABLE app.t')), codeOf(run(database, 'DROP TABLE app.t'))]);
    expect(dropped).toEqual([undefined, 'TABLE_MISSING']);
  });

  it('DROP NAMESPACE CASCADE leaves no table behind that was being made', async () => {
    const database = await open();
    for (let round = 0; round < 10; round++) {
      await run(database, 'CREATE NAMESPACE n');
      const racing = [
        'CREATE SHARED TABLE n.a (id INT PRIMARY KEY)',
        'DROP NAMESPACE n CASCADE',
        'CREATE SHARED TABLE n.b (id INT PRIMARY KEY)',
      ];
      expect(await Promise.all(racing.map((sql) => codeOf(run(database, sql))))).toEqual([undefined, undefined, 'NAMESPACE_NOT_FOUND']);
      expect(await run(database, "SELECT table_name FROM system.tables WHERE namespace_id = 'n'")).toEqual([]);
    }
  });

  it('INSERT … SELECT whose source is dropped meanwhile copies all of it or fails', async () => {
    const database = await open();
    await withTable(database, 'app.copy (id TEXT PRIMARY KEY, v INT)');
    let copied = 0;
    for (let round = 0; round < 10; round++) {
      await withTable(database);
      await run(database, `INSERT INTO app.t VALUES ('a${round}', 1), ('b${round}', 2)`);
      const [insert] = await Promise.all([
        codeOf(run(database, 'INSERT INTO app.copy SELECT id, v FROM app.t')),
        codeOf(run(database, 'DROP TABLE app.t')),
      ]);
      if (insert === undefined) copied += 2;
      else expect(insert).toBe('TABLE_NOT_FOUND');
      expect(await run(database, 'SELECT COUNT(*) FROM app.copy')).toEqual([[BigInt(copied)]]);
    }
  });
});

describe('limits', () => {
  it.each(['memory', 'directory'])('keys at and beyond their length, %s', async (where) => {
    const database = await open({ directory: where === 'memory' ? undefined : await temporary() });
    await withTable(database);
    // A text key ends with two bytes of its own.
    const longest = 'k'.repeat(rowKeyBytesMax - 2);
    expect(await run(database, `INSERT INTO app.t VALUES ('${longest}', 1)`)).toBe(1);
    expect(await codeOf(run(database, `INSERT INTO app.t VALUES ('${longest}k', 1)`))).toBe('KEY_TOO_LONG');
    for (const key of [`${longest}k`, 'k'.repeat(5000)]) {
      const parameters = [key];
      expect(await run(database, 'SELECT v FROM app.t WHERE id = $1', { parameters })).toEqual([]);
      expect(await run(database, 'SELECT v FROM app.t WHERE id < $1', { parameters })).toEqual([[1]]);
      expect(await run(database, 'SELECT v FROM app.t WHERE id >= $1', { parameters })).toEqual([]);
      expect(await run(database, 'UPDATE app.t SET v = 2 WHERE id = $1', { parameters })).toBe(0);
      expect(await run(database, 'DELETE FROM app.t WHERE id = $1', { parameters })).toBe(0);
    }
    expect(await run(database, `UPDATE app.t SET v = 3 WHERE id = '${longest}'`)).toBe(1);
    expect(await run(database, `SELECT v FROM app.t WHERE id IN ('${longest}', 'x')`)).toEqual([[3]]);
  });

  it('a row beyond its size is refused and changes nothing', async () => {
    const database = await open();
    await withTable(database, 'app.t (id TEXT PRIMARY KEY, v TEXT)');
    await run(database, "INSERT INTO app.t VALUES ('a', $1)", { parameters: ['x'.repeat(500_000)] });
    const ten = Array.from({ length: 10 }, () => 'v').join(' || ');
    expect(await codeOf(run(database, `UPDATE app.t SET v = ${ten} WHERE id = 'a'`))).toBe('ROW_TOO_LARGE');
    expect(await run(database, 'SELECT LENGTH(v) FROM app.t')).toEqual([[500_000]]);
  });
});

describe('rows', () => {
  it('constraints refuse the whole statement', async () => {
    const database = await open();
    await withTable(database, 'app.t (id TEXT PRIMARY KEY, v INT NOT NULL)');
    await run(database, "INSERT INTO app.t VALUES ('a', 1)");
    const refused: readonly [string, string][] = [
      ["INSERT INTO app.t VALUES ('b', 1), ('a', 1)", 'DUPLICATE_KEY'],
      ["INSERT INTO app.t VALUES ('b', 1), ('b', 2)", 'DUPLICATE_KEY_IN_STATEMENT'],
      ["INSERT INTO app.t VALUES ('b', 1), (NULL, 2)", 'NOT_NULL'],
      ["INSERT INTO app.t VALUES ('b', 1), ('c', NULL)", 'NOT_NULL'],
      ['UPDATE app.t SET v = NULL WHERE true', 'NOT_NULL'],
      ['UPDATE app.t SET v = 1 / (v - 1) WHERE true', 'DIVISION_BY_ZERO'],
    ];
    for (const [sql, code] of refused) expect([sql, await codeOf(run(database, sql))]).toEqual([sql, code]);
    expect(await run(database, 'SELECT id, v FROM app.t')).toEqual([['a', 1]]);
  });

  it('deletes count each row once, and a deleted key can be inserted again', async () => {
    const database = await open();
    await withTable(database);
    await run(database, "INSERT INTO app.t VALUES ('a', 1), ('b', 2)");
    const deletes = Promise.all([1, 2, 3].map(() => run(database, "DELETE FROM app.t WHERE id = 'a' OR v = 2")));
    expect((await deletes).reduce((sum: number, count) => sum + Number(count), 0)).toBe(2);
    expect(await run(database, "DELETE FROM app.t WHERE id = 'a'")).toBe(0);
    expect(await run(database, "UPDATE app.t SET v = 5 WHERE id = 'a'")).toBe(0);
    const inserts = await Promise.all([1, 2].map((v) => codeOf(run(database, `INSERT INTO app.t VALUES ('a', ${v})`))));
    expect(inserts).toEqual([undefined, 'DUPLICATE_KEY']);
    expect(await run(database, 'SELECT id, v FROM app.t')).toEqual([['a', 1]]);
  });

  it('concurrent updates of one row all take effect', async () => {
    const database = await open();
    await withTable(database);
    await run(database, "INSERT INTO app.t VALUES ('a', 0)");
    const updates = ["UPDATE app.t SET v = v + 1 WHERE id = 'a'", 'UPDATE app.t SET v = v + 1 WHERE v >= 0'];
    await Promise.all(Array.from({ length: 40 }, (_, n) => run(database, updates[n % 2] ?? '')));
    expect(await run(database, 'SELECT v FROM app.t')).toEqual([[40]]);
  });
});

describe('what a role may not see', () => {
  it('does not show in the errors of statements that cannot be bound', async () => {
    const database = await open();
    await withTable(database, "app.t (id TEXT PRIMARY KEY, payroll INT) WITH (ACCESS_LEVEL='private')");
    const statements = [
      'SELECT payrol FROM app.t',
      'SELECT id + payroll FROM app.t',
      'UPDATE app.t SET payrol = 1 WHERE true',
      'INSERT INTO app.t (payrol) VALUES (1)',
      'DELETE FROM app.t WHERE payrol = 1',
      'SELECT pasword_hash FROM system.users',
    ];
    for (const sql of statements) {
      expect([sql, await codeOf(run(database, sql, { as: as('user', 'bob') }))]).toEqual([sql, 'ACCESS_DENIED']);
      expect(await codeOf(run(database, sql))).not.toBe('ACCESS_DENIED');
    }
    await withTable(database, 'app.mine (id TEXT PRIMARY KEY)', 'USER');
    const copy = 'INSERT INTO app.mine SELECT payrol FROM app.t';
    expect(await codeOf(run(database, copy, { as: as('user', 'bob') }))).toBe('ACCESS_DENIED');
    expect(await codeOf(run(database, 'SELECT nothing FROM app.mine', { as: as('user', 'bob') }))).toBe('COLUMN_NOT_FOUND');
  });

  it('is not copied out of a masked column, nor found by its value', async () => {
    const database = await open();
    await withTable(database, "app.t (id TEXT PRIMARY KEY, credentials TEXT, note TEXT) WITH (ACCESS_LEVEL='private')");
    await run(database, "INSERT INTO app.t VALUES ('a', 'secret', 'n')");
    const service = { as: as('service') };
    await run(database, 'UPDATE app.t SET note = credentials WHERE true', service);
    expect(await run(database, 'SELECT note FROM app.t', service)).toEqual([['***']]);
    expect(await run(database, "UPDATE app.t SET note = 'x' WHERE credentials = 'secret'", service)).toBe(0);
    expect(await run(database, "DELETE FROM app.t WHERE credentials LIKE 's%'", service)).toBe(0);
    await run(database, "UPDATE app.t SET note = 'x' WHERE id = 'a'", service);
    expect(await run(database, 'SELECT credentials, note FROM app.t')).toEqual([['secret', 'x']]);
    await run(database, "UPDATE app.t SET credentials = 'new' WHERE id = 'a'", service);
    expect(await run(database, 'SELECT credentials FROM app.t')).toEqual([['new']]);
  });

  it('EXECUTE AS USER reaches the rows of its user and no others', async () => {
    const database = await open();
    await withTable(database, 'app.mine (id TEXT PRIMARY KEY)', 'USER');
    await run(database, "INSERT INTO app.mine VALUES ('bobs')", { as: as('user', 'bob') });
    await run(database, "INSERT INTO app.mine VALUES ('roots')");
    expect(await run(database, "EXECUTE AS USER 'bob' (SELECT id FROM app.mine)")).toEqual([['bobs']]);
    expect(await run(database, "EXECUTE AS USER 'bob' (INSERT INTO app.mine VALUES ('for bob'))")).toBe(1);
    expect(await run(database, 'SELECT id FROM app.mine', { as: as('user', 'bob') })).toEqual([['bobs'], ['for bob']]);
    expect(await run(database, 'SELECT id FROM app.mine')).toEqual([['roots']]);
    expect(await codeOf(run(database, "EXECUTE AS USER 'bob' (SELECT * FROM system.users)"))).toBe('ACCESS_DENIED');
    expect(await codeOf(run(database, "EXECUTE AS USER 'root' (SELECT 1)", { as: as('user', 'bob') }))).toBe('EXECUTE_AS_DENIED');
    expect(await codeOf(run(database, "EXECUTE AS USER 'bob' (DROP TABLE app.mine)"))).not.toBeUndefined();
  });
});
