import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningServer, startServer } from './server.ts';

const PASSWORD = 'some-password-1';

interface Answer {
  readonly status: number;
  readonly code: string | undefined;
  readonly message: string | undefined;
  readonly details: string | undefined;
  readonly schema: readonly { readonly name: string; readonly data_type: unknown }[];
  readonly rows: readonly unknown[][];
}

interface Envelope {
  readonly results: readonly { readonly schema?: Answer['schema']; readonly rows?: Answer['rows'] }[];
  readonly error?: { readonly code: string; readonly message: string; readonly details?: string } | null;
}

let server: RunningServer;
const tokens = new Map<string, string>();

async function request(path: string, body: object, user?: string): Promise<Response> {
  const authorization: Record<string, string> = user === undefined ? {} : { authorization: `Bearer ${tokens.get(user)}` };
  const headers = { 'content-type': 'application/json', ...authorization };
  return fetch(server.url + path, { method: 'POST', headers, body: JSON.stringify(body) });
}

async function login(user: string): Promise<void> {
  const body = (await (await request('/v1/api/auth/login', { user, password: PASSWORD })).json()) as { access_token: string };
  tokens.set(user, body.access_token);
}

async function sql(user: string, text: string): Promise<Answer> {
  const response = await request('/v1/api/sql', { sql: text }, user);
  const { results, error } = (await response.json()) as Envelope;
  const { code, message, details } = error ?? {};
  return { status: response.status, code, message, details, schema: results[0]?.schema ?? [], rows: results[0]?.rows ?? [] };
}

beforeAll(async () => {
  const settings = {
    'server.port': 0,
    'storage.data_path': ':memory:',
    'auth.root_password': PASSWORD,
    'auth.bcrypt_cost': 4,
    'rate_limit.max_auth_requests_per_ip_per_sec': 1000,
  };
  server = await startServer({ settings, log: pino({ level: 'silent' }) });
  await login('root');
  for (const [user, role] of [
    ['alice', 'user'],
    ['relay', 'service'],
  ] as const) {
    await sql('root', `CREATE USER '${user}' WITH PASSWORD '${PASSWORD}' ROLE ${role}`);
    await login(user);
  }
  await sql('root', 'CREATE NAMESPACE app');
  await sql('root', 'CREATE USER TABLE app.t (id INT PRIMARY KEY, name TEXT NOT NULL, n INT, e EMBEDDING(2), ts TIMESTAMP)');
  await sql('root', 'CREATE SHARED TABLE app.pub (id INT PRIMARY KEY)');
  await sql('root', 'CREATE STREAM TABLE app.events (id INT, n INT) WITH (TTL_SECONDS = 60)');
  for (const user of ['root', 'alice']) {
    await sql(user, "INSERT INTO app.t (id, name, n, ts) VALUES (1, 'a', 1, '2021-01-31 10:00:00')");
  }
});

afterAll(() => server.close());

describe('what other roles than dba and system are told', () => {
  test.each([
    'UPDATE app.events SET n = 1 WHERE id = 1',
    "UPDATE app.t SET name = 'x'",
    'DELETE FROM app.t',
    "UPDATE app.t SET n = 'text' WHERE id = 1",
    'SELECT n / 0 AS x FROM app.t',
    "SELECT CAST('x' AS INT) AS x",
    'SELECT no_such_function(1) AS x',
    'SELECT SNOWFLAKE_ID(1) AS x',
    'SELECT name, COUNT(*) AS c FROM app.t',
    'INSERT INTO app.t (id, name) VALUES (2)',
    'SELECT id FROM app.nope',
    'DESCRIBE TABLE app.nope',
    'SELECT FROM WHERE',
    "SELECT 'abc",
  ])('only that it failed: %s', async (text) => {
    expect(await sql('alice', text)).toMatchObject({ status: 400, code: 'SQL_EXECUTION_ERROR', message: 'SQL statement failed' });
    expect(await sql('root', text)).toMatchObject({ message: expect.stringMatching(/^Statement 1 failed: ./), details: text });
  });

  test.each([
    'SELEC 1',
    'VACUUM',
    "CREATE USER TABLE app.x (id INT PRIMARY KEY) WITH (COLOUR = 'red')",
    'CREATE USER TABLE app.x (id XML PRIMARY KEY)',
  ])('only that it is invalid: %s', async (text) => {
    const message = 'SQL statement is invalid or not allowed';
    expect(await sql('alice', text)).toMatchObject({ status: 400, code: 'INVALID_SQL', message, details: undefined });
  });

  test.each([
    ["INSERT INTO app.t (id, name) VALUES (1, 'b')", 'Already exists: Primary key violation'],
    ['INSERT INTO app.t (id, name) VALUES (2, NULL)', 'NOT NULL constraint violation'],
    ["INSERT INTO app.t (id, name, n) VALUES (2, 'b', 'text')", 'Invalid operation: Schema coercion failed'],
    ["INSERT INTO app.t (id, name, n) VALUES (2, 'b', 3000000000)", 'Invalid operation: Schema coercion failed'],
    ["INSERT INTO app.t (id, name, e) VALUES (2, 'b', '[1]')", 'Embedding dimension mismatch'],
    ["INSERT INTO app.t (id, name, ts) VALUES (2, 'b', 'yesterday')", 'Invalid operation: Schema coercion failed'],
    ['UPDATE app.t SET id = 2 WHERE id = 1', 'UPDATE cannot modify primary key column'],
    ['SELECT nope FROM app.t', "Invalid operation: Column 'nope'"],
    ['USE nowhere', "'nowhere' does not exist"],
    ['CREATE USER TABLE app.x (id INT, ID INT PRIMARY KEY)', "Invalid operation: Duplicate column name 'id'"],
  ])('the whole text: %s', async (text, part) => {
    const { status, code, message, details } = await sql('alice', text);
    expect({ status, code, details }).toEqual({ status: 400, code: 'SQL_EXECUTION_ERROR', details: undefined });
    expect(message).toMatch(/^Statement 1 failed: /);
    expect(message).toContain(part);
  });
});

describe('statements that are not for everybody', () => {
  test.each([
    ["ALTER USER 'alice' SET ROLE dba", 'alice', 'ALTER USER requires DBA or System role'],
    ["KILL LIVE QUERY 'a-b-c'", 'relay', 'KILL LIVE QUERY requires DBA or System role'],
    ['CREATE VIEW app.v AS SELECT 1', 'relay', 'Only DBA or System roles can create views'],
    ['STORAGE FLUSH TABLE app.t', 'alice', 'STORAGE FLUSH TABLE requires Service, DBA, or System role'],
    ['STORAGE COMPACT ALL IN app', 'alice', 'STORAGE COMPACT ALL requires Service, DBA, or System role'],
    ['CONSUME FROM app.x', 'alice', 'Only service, dba, or system roles can consume from topics'],
    ["ACK app.x GROUP 'g' UPTO OFFSET 1", 'alice', 'Only service, dba, or system roles can acknowledge topic offsets'],
    ['ALTER TABLE app.pub ADD COLUMN x INT', 'alice', 'Insufficient privileges to alter table'],
  ])('%s tells %s first who may issue it', async (text, user, reason) => {
    const denied = await sql(user, text);
    expect(denied).toMatchObject({ status: 403, code: 'PERMISSION_DENIED', message: `Statement 1 failed: Unauthorized: ${reason}` });
  });

  test.each(['CONSUME FROM app.x'])('%s says to others that it is not built', async (text) => {
    expect((await sql('root', text)).message).toContain('Not implemented');
  });
});

describe('batches', () => {
  test.each([
    ['SELECT FROM WHERE', 'SQL_EXECUTION_ERROR'],
    ["SELECT 'abc", 'BATCH_PARSE_ERROR'],
    ['SELEC 1', 'INVALID_SQL'],
    ["CREATE TABLE app.x (id INT PRIMARY KEY) WITH (COLOUR = 'red')", 'INVALID_SQL'],
    ['CREATE NAMESPACE evil', 'PERMISSION_DENIED'],
  ])('with %s in it run nothing', async (text, code) => {
    expect(await sql('alice', `INSERT INTO app.t (id, name) VALUES (50, 'x'); ${text}`)).toMatchObject({ code });
    expect((await sql('alice', 'SELECT id FROM app.t WHERE id = 50')).rows).toEqual([]);
  });

  test('that fail while they run keep what ran before', async () => {
    const text = "INSERT INTO app.t (id, name) VALUES (60, 'x'); INSERT INTO app.t (id, name) VALUES (60, 'y')";
    expect((await sql('alice', text)).message).toMatch(/^Statement 2 failed: Already exists/);
    expect((await sql('alice', 'SELECT name FROM app.t WHERE id = 60')).rows).toEqual([['x']]);
  });
});

describe('results', () => {
  test('a TIMESTAMP column cast to DATE keeps the name of its type and holds days', async () => {
    const { schema, rows } = await sql('alice', "SELECT CAST(ts AS DATE) AS d, DATE '2021-01-31' AS e FROM app.t WHERE id = 1");
    expect(schema.map((column) => column.data_type)).toEqual(['Timestamp', 'Date']);
    expect(rows).toEqual([[18658, 18658]]);
  });

  test('a list of both values of _deleted shows no tombstones, a comparison does', async () => {
    await sql('alice', "INSERT INTO app.t (id, name) VALUES (70, 'x')");
    await sql('alice', 'DELETE FROM app.t WHERE id = 70');
    const ids = async (where: string): Promise<unknown> => (await sql('alice', `SELECT id FROM app.t WHERE id = 70 AND ${where}`)).rows;
    expect(await ids('_deleted IN (true, false)')).toEqual([]);
    expect(await ids('_deleted = true')).toEqual([[70]]);
  });

  test('RETURNING answers with rows, which stay in their place in a batch', async () => {
    const one = await sql('alice', "INSERT INTO app.t (id, name) VALUES (80, 'x') RETURNING id, name AS called");
    expect(one.schema).toEqual([
      { name: 'id', data_type: 'Int', index: 0, flags: ['pk', 'nn', 'uq'] },
      { name: 'called', data_type: 'Text', index: 1, flags: ['nn'] },
    ]);
    expect(one.rows).toEqual([[80, 'x']]);
    const batch = [
      "INSERT INTO app.t (id, name) VALUES (81, 'y')",
      "UPDATE app.t SET name = 'z' WHERE id >= 80 RETURNING id",
      "INSERT INTO app.t (id, name) VALUES (81, 'w') ON CONFLICT (id) DO UPDATE SET name = excluded.name",
      'DELETE FROM app.t WHERE id >= 80 RETURNING name',
      'SELECT 1 AS one',
    ];
    const { results } = (await (await request('/v1/api/sql', { sql: batch.join('; ') }, 'alice')).json()) as {
      results: readonly { rows?: unknown; message?: string; row_count: number }[];
    };
    expect(results.map(({ rows, message, row_count: count }) => [rows ?? message, count])).toEqual([
      [[[80], [81]], 2],
      [[['z'], ['w']], 2],
      [[['1']], 1],
      ['Inserted 2 row(s)', 2],
    ]);
  });

  test('COUNT(*) is called as it is written', async () => {
    expect((await sql('alice', 'SELECT COUNT(*) FROM app.t')).schema).toMatchObject([{ name: 'count(*)', data_type: 'BigInt' }]);
  });

  test('the scope of a stream is shown only when it was stated', async () => {
    await sql('root', "CREATE STREAM TABLE app.stated (id INT) WITH (TTL_SECONDS = 60, SCOPE = 'USER')");
    const { rows } = await sql('root', "SELECT options FROM system.tables WHERE table_name IN ('events', 'stated') ORDER BY table_name");
    expect(rows.map(([options]) => (JSON.parse(String(options)) as { scope?: string }).scope)).toEqual([undefined, 'user']);
  });
});

describe('the text of a failure', () => {
  test('says where in the statement it is and what to do next', async () => {
    const syntax = await sql('root', 'SELECT id\nFROM app.t WHERE WHERE');
    expect(syntax.message).toMatch(/syntax error .* at Line: 2, Column: \d+\. Hint: /);
    expect((await sql('root', 'INSERT INTO app.t (id, name) VALUES (1, NULL)')).message).toContain(
      "column 'name' cannot be NULL (row 1). Hint: Send a value",
    );
    expect((await sql('root', 'SELECT nam FROM app.t')).message).toMatch(
      /'nam' does not exist.* at Line: 1, Column: 8\. Hint: DESCRIBE TABLE/,
    );
  });

  test('stays generic where the reader must not know more', async () => {
    expect((await sql('alice', 'SELECT * FROM app.nowhere')).message).toBe('SQL statement failed');
  });
});
