import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadDuckDb, openInstance } from '@kalamdb/storage';
import { ServerProcess } from '@kalamdb/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { UNHURRIED_SETTINGS } from '../server-settings.ts';
import { Api } from '../sql-api.ts';

const PASSWORD = 'sandbox-root-password';
/** What no answer may hold: it is in files that DuckDB could read if it were let. */
const CANARY = 'canary-of-the-file-system';
const MEMORY_BYTES_MAX = 64 * 1024 * 1024;
/** Requests that wait for their answers at a time. */
const AT_A_TIME = 8;
/** Functions that make rows and are of the dialect too. */
const DIALECT_TABLE_FUNCTIONS: ReadonlySet<string> = new Set(['generate_series', 'unnest', 'json_each']);

/** Settings that say only where one connection looks for names; each query has a connection of its own and every name is written here. */
const OF_A_CONNECTION: ReadonlySet<string> = new Set(['schema', 'search_path']);

const folder = mkdtempSync(join(tmpdir(), 'kalamdb-sandbox-'));
const api = new Api();
let server: ServerProcess;
let run: (sql: string) => Promise<readonly (readonly unknown[])[]>;

beforeAll(async () => {
  for (const name of ['canary.csv', 'canary.json', 'canary.parquet', 'canary.db', 'canary.txt'])
    writeFileSync(join(folder, name), `a,b\n"${CANARY}",1\n`);
  const connection = await (await openInstance(await loadDuckDb(), { memoryBytesMax: MEMORY_BYTES_MAX, threads: 1 })).connect();
  run = async (sql) => (await connection.runAndReadAll(sql)).getRows();
  mkdirSync(join(folder, 'database'));
  server = await ServerProcess.start({ folder: join(folder, 'database'), rootPassword: PASSWORD, settings: UNHURRIED_SETTINGS });
  api.url = server.url;
  await api.login('root', PASSWORD);
  await api.rows('root', 'CREATE NAMESPACE s; CREATE TABLE s.t (id BIGINT PRIMARY KEY, name TEXT)');
  await api.rows('root', "INSERT INTO s.t (id, name) VALUES (1, 'one')");
});

afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Plays statements over HTTP, several at a time; those that were answered. No answer holds what lies in the files, none is a fault of the server. */
async function answered(statements: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  const waiting = [...statements];
  const play = async (): Promise<void> => {
    for (let sql = waiting.pop(); sql !== undefined; sql = waiting.pop()) {
      const { status, body } = await api.request('root', sql);
      expect(body, sql).not.toContain(CANARY);
      expect(status, `${sql}: ${body}`).not.toBe(500);
      if (status === 200) found.push(sql);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, play));
  return found;
}

async function namesOf(query: string): Promise<readonly string[]> {
  return (await run(query)).map(([name]) => String(name));
}

test('a segment is read through its table only, whoever knows the path of its file', async () => {
  await api.rows('root', "CREATE TABLE s.cold (id BIGINT PRIMARY KEY, name TEXT); INSERT INTO s.cold (id, name) VALUES (1, 'segment')");
  await api.rows('root', 'STORAGE FLUSH TABLE s.cold');
  const segments = (): readonly string[] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => /storage.*\.parquet$/.test(path));
  const explained = 'EXPLAIN SELECT c.name FROM s.cold c JOIN s.t ON c.id = t.id';
  await expect.poll(async () => (await api.request('root', explained)).body, { timeout: 20_000 }).toContain('segments_read=1');
  // The thread that may read its folder is the one that is asked below.
  expect(await api.rows('root', 'SELECT c.name FROM s.cold c JOIN s.t ON c.id = t.id')).toHaveLength(1);
  const [segment = ''] = segments();
  const path = join(folder, segment);
  const forms = [path, `${path.slice(0, path.lastIndexOf('/'))}/*.parquet`, `file://${path}`];
  const statements = forms.flatMap((file) => [
    `SELECT * FROM '${file}'`,
    `SELECT * FROM "${file}"`,
    `SELECT * FROM s."${file}"`,
    `SELECT * FROM read_parquet('${file}')`,
    `SELECT * FROM parquet_scan(['${file}'])`,
    `SELECT * FROM parquet_metadata('${file}')`,
    `SELECT * FROM s.t, LATERAL read_parquet('${file}') AS x`,
    `WITH q AS (SELECT 1) SELECT * FROM q, "${file}"`,
    `SELECT (SELECT count(*) FROM "${file}") FROM s.t`,
    `INSERT INTO s.t (id, name) SELECT id, name FROM "${file}"`,
    `SELECT * FROM s.t AS a JOIN read_blob('${file}') AS b ON true`,
    `COPY (SELECT 1) TO '${file}'`,
  ]);
  expect(await answered(statements)).toEqual([]);
}, 60_000);

test('no table function, pragma or table macro of the linked DuckDB is answered over HTTP', async () => {
  const names = await namesOf(
    "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN ('table', 'table_macro', 'pragma')",
  );
  expect(names.length).toBeGreaterThan(120);
  const file = (type: string): string => join(folder, `canary.${type}`);
  const statements = names
    .filter((name) => !DIALECT_TABLE_FUNCTIONS.has(name))
    .flatMap((name) => [
      `SELECT * FROM ${name}('${file('csv')}')`,
      `SELECT * FROM "${name}"()`,
      `SELECT * FROM s.t, LATERAL ${name}('${file('json')}') AS x`,
      `SELECT ${name}('${file('txt')}') FROM s.t a JOIN s.t b ON true`,
    ]);
  // REPEAT('text') is a function over texts too, but takes two arguments.
  expect(await answered(statements)).toEqual([]);
});

test('no scalar function, aggregate or macro opens a file, whatever it is given', async () => {
  const names = await namesOf(
    "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN ('scalar', 'aggregate', 'macro') AND regexp_matches(function_name, '^[a-z]')",
  );
  expect(names.length).toBeGreaterThan(600);
  const path = join(folder, 'canary.txt');
  const statements = names.flatMap((name) => [`SELECT ${name}('${path}') FROM s.t a JOIN s.t b ON true`]);
  const known = new Set((await answered(statements)).map((sql) => /^SELECT (\w+)/.exec(sql)?.[1] ?? sql));
  const reaching =
    /^(read_|write_|get|set|current_|query|duckdb_|pragma_|parquet_|nextval|currval|in_search_path|txid|pg_|has_|which_|json_execute|json_serialize|json_deserialize|add_|create_|error|sleep|version|user$|session_user$|host)/;
  const dialect = new Set([
    'current_date',
    'current_user',
    'current_role',
    'session_user',
    'current_timestamp',
    'current_time',
    'current_localtimestamp',
    'user',
  ]);
  expect([...known].filter((name) => reaching.test(name) && !dialect.has(name))).toEqual([]);
});

test('no setting, catalog or file of DuckDB is answered over HTTP', async () => {
  const settings = await namesOf('SELECT name FROM duckdb_settings()');
  const views = await namesOf(
    "SELECT DISTINCT schema_name || '.' || view_name FROM duckdb_views() WHERE schema_name <> 'information_schema'",
  );
  expect(settings.length).toBeGreaterThan(100);
  expect(views.length).toBeGreaterThan(20);
  const files = ['canary.csv', 'canary.json', 'canary.parquet', 'canary.db', 'canary.txt'].map((name) => join(folder, name));
  const statements = [
    ...settings.flatMap((name) => [`SELECT current_setting('${name}')`, `SELECT * FROM ${name}`]),
    ...views.flatMap((name) => [
      `SELECT * FROM ${name}`,
      `SELECT * FROM ${name} x JOIN s.t y ON true`,
      `SELECT * FROM ${name.split('.')[1]}`,
    ]),
    ...files.flatMap((file) => [
      `SELECT * FROM '${file}'`,
      `SELECT * FROM "${file}"`,
      `SELECT * FROM "${file}" x JOIN s.t y ON true`,
      `COPY s.t FROM '${file}'`,
      `COPY s.t TO '${file}'`,
      `ATTACH '${file}' AS x`,
      `IMPORT DATABASE '${file}'`,
      `EXPORT DATABASE '${file}'`,
      `LOAD '${file}'`,
      `INSTALL '${file}'`,
    ]),
  ];
  expect(await answered(statements)).toEqual([]);
});

test('the instance itself opens nothing, loads nothing, and none of its settings can be changed', async () => {
  const settings = new Map((await run('SELECT name, value FROM duckdb_settings()')).map(([name, value]) => [String(name), String(value)]));
  const wanted = {
    enable_external_access: 'false',
    lock_configuration: 'true',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    allow_unsigned_extensions: 'false',
    allow_persistent_secrets: 'false',
    temp_directory: '',
    TimeZone: 'UTC',
    integer_division: 'true',
  };
  for (const [name, value] of Object.entries(wanted)) expect(`${name} = ${settings.get(name)}`).toBe(`${name} = ${value}`);
  const file = join(folder, 'canary.csv');
  const forbidden = [
    ...[...settings]
      .filter(([name]) => !OF_A_CONNECTION.has(name))
      .flatMap(([name, value]) => [`SET ${name} = '${value}'`, `SET GLOBAL ${name} = '${value}'`, `RESET ${name}`]),
    `SELECT * FROM read_csv('${file}')`,
    `SELECT * FROM read_text('${file}')`,
    `SELECT * FROM read_blob('${file}')`,
    `SELECT * FROM '${file}'`,
    `SELECT * FROM glob('${folder}/*')`,
    `SELECT * FROM sniff_csv('${file}')`,
    `SELECT * FROM parquet_metadata('${join(folder, 'canary.parquet')}')`,
    `SELECT * FROM read_csv('https://localhost:1/x.csv')`,
    `COPY (SELECT 1) TO '${join(folder, 'written.csv')}'`,
    `EXPORT DATABASE '${join(folder, 'written')}'`,
    `ATTACH '${join(folder, 'canary.db')}' AS x`,
    'INSTALL httpfs',
    'LOAD httpfs',
    `LOAD '${join(folder, 'canary.db')}'`,
  ];
  const succeeded: string[] = [];
  for (const sql of forbidden) {
    await run(sql).then(
      () => succeeded.push(sql),
      () => undefined,
    );
  }
  expect(succeeded).toEqual([]);
});
