import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from '@kalamdb/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { UNHURRIED_SETTINGS } from '../server-settings.ts';
import { Api } from '../sql-api.ts';

const PASSWORD = 'redaction-root-password';
const folder = mkdtempSync(join(tmpdir(), 'kalamdb-redaction-'));
const api = new Api();
let server: ServerProcess;

beforeAll(async () => {
  server = await ServerProcess.start({ folder, rootPassword: PASSWORD, settings: UNHURRIED_SETTINGS });
  api.url = server.url;
  await api.login('root', PASSWORD);
  const statements = [
    'CREATE NAMESPACE r',
    'CREATE USER TABLE r.own (id INT PRIMARY KEY, txt TEXT NOT NULL)',
    "CREATE SHARED TABLE r.hidden (id INT PRIMARY KEY) WITH (ACCESS_LEVEL = 'DBA')",
  ];
  for (const sql of statements) await api.rows('root', sql);
  for (const role of ['user', 'service', 'dba']) {
    await api.rows('root', `CREATE USER 'a_${role}' WITH PASSWORD 'redaction-password' ROLE ${role}`);
    await api.login(`a_${role}`, 'redaction-password');
    await api.rows(`a_${role}`, "INSERT INTO r.own VALUES (1, 'zq-stored')");
  }
});

afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly details?: string | null;
}

async function errorOf(user: string, sql: string): Promise<ErrorBody> {
  const { body } = await api.request(user, sql);
  return (JSON.parse(body) as { readonly error: ErrorBody }).error;
}

/** What ordinary users are told of failures that could tell them of what is not theirs (sql-dialect B2). */
const REDACTED: readonly (readonly [sql: string, told: string])[] = [
  ["SELECT * FROM r.nowhere WHERE txt = 'zq-sent'", 'SQL statement failed'],
  ['SELECT CAST(txt AS INT) FROM r.own', 'SQL statement failed'],
  ['SELECT 1 / 0', 'SQL statement failed'],
  ["SELEC 'zq-sent'", 'SQL statement is invalid or not allowed'],
  ["SELECT 1; SELECT 'zq-open", 'Failed to parse SQL batch'],
  ["UPDATE r.own SET txt = 'zq-sent'", 'SQL statement failed'],
];

it.each(REDACTED)('ordinary users are told no more of %s than that it failed', async (sql, told) => {
  for (const user of ['a_user', 'a_service']) {
    const { message, details } = await errorOf(user, sql);
    expect(message).toBe(told);
    expect(details ?? null).toBeNull();
  }
  expect((await errorOf('a_dba', sql)).message).not.toBe(told);
});

it.each([
  ["INSERT INTO r.own VALUES (1, 'x')", "Primary key violation: value '1' already exists"],
  ['INSERT INTO r.own VALUES (2, NULL)', "column 'txt' cannot be NULL"],
  ['UPDATE r.own SET id = 2 WHERE id = 1', "UPDATE cannot modify primary key column 'id'"],
  ['SELECT nowhere FROM r.own', "Column 'nowhere' does not exist"],
  ['COMMIT', 'COMMIT requires an active explicit SQL transaction'],
  ['SELECT * FROM r.hidden', "cannot access table 'r.hidden'"],
  ['SELECT * FROM system.users', "System tables require 'dba' or 'system' role"],
  ['CREATE NAMESPACE x', 'Admin privileges (DBA or System role) required for namespace operations'],
  ["EXECUTE AS USER 'root' (SELECT 1)", 'EXECUTE AS USER is not authorized'],
])('ordinary users are told what %s breaks', async (sql, told) => {
  const { message, details } = await errorOf('a_user', sql);
  expect(message).toContain(told);
  expect(details ?? null).toBeNull();
});

it('administrators are told the statement too', async () => {
  const sql = "SELECT * FROM r.nowhere WHERE txt = 'zq-sent'";
  expect(await errorOf('a_dba', sql)).toMatchObject({ details: sql });
});
