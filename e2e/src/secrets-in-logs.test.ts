import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from '@kalamdb/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { UNHURRIED_SETTINGS } from './server-settings.ts';
import { Api } from './sql-api.ts';

const ROOT_PASSWORD = 'zqRootPassword1';
const USER_PASSWORD = 'zqUserPassword2';
/** What was planted: none of it may be seen anywhere but in answers to whoever sent it. */
const SECRETS = [
  ROOT_PASSWORD,
  USER_PASSWORD,
  'zqJwtSecretOfMoreThan32Characters3',
  'zqWrongPassword4',
  'zqInsertedLiteral5',
  'zqParameter6',
  'zqBearer7',
  'zqSocketPassword8',
  'zqBrokenBody9',
  'zqCookie10',
  'zqComment11',
];

const folder = mkdtempSync(join(tmpdir(), 'kalamdb-secrets-'));
const api = new Api();
let server: ServerProcess;

beforeAll(async () => {
  server = await ServerProcess.start({
    folder,
    rootPassword: ROOT_PASSWORD,
    durability: 'sync',
    settings: UNHURRIED_SETTINGS,
    environment: {
      KALAMDB_LOG_LEVEL: 'trace',
      KALAMDB_LOG_FORMAT: 'json',
      KALAMDB_LOGGING_SLOW_QUERY_THRESHOLD_MS: '1',
      KALAMDB_JWT_SECRET: 'zqJwtSecretOfMoreThan32Characters3',
    },
  });
  api.url = server.url;
});

afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function post(path: string, body: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  const all = { 'content-type': 'application/json', ...headers };
  return (await fetch(`${server.url}${path}`, { method: 'POST', headers: all, body })).status;
}

/** Authenticates on a WebSocket with what is no token, and once with one, and waits until the server has answered. */
async function socket(token: string): Promise<void> {
  for (const secret of ['zqSocketPassword8', token]) {
    const webSocket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/ws`);
    await new Promise((resolve, reject) => {
      webSocket.on('error', reject);
      webSocket.on('open', () => webSocket.send(JSON.stringify({ type: 'authenticate', method: 'jwt', token: secret })));
      webSocket.on('message', resolve);
      webSocket.on('close', resolve);
    });
    webSocket.terminate();
  }
}

async function busyRun(): Promise<readonly string[]> {
  await api.login('root', ROOT_PASSWORD);
  const token = api.token('root');
  const bearer = { authorization: `Bearer ${token}` };
  const statements = [
    `CREATE USER 'al' WITH PASSWORD '${USER_PASSWORD}' ROLE user`,
    `CREATE USER 'al' WITH PASSWORD '${USER_PASSWORD}' ROLE user`,
    `CREATE USER bo WITH PASSWORD ${USER_PASSWORD}`,
    `ALTER USER 'al' SET PASSWORD '${USER_PASSWORD}'`,
    'CREATE TABLE t (id INT PRIMARY KEY, note TEXT)',
    "INSERT INTO t VALUES (1, 'zqInsertedLiteral5')",
    "INSERT INTO t VALUES (1, 'zqInsertedLiteral5')",
    "SELECT * FROM t WHERE note = 'zqInsertedLiteral5' -- zqComment11",
    "SELECT CAST('zqInsertedLiteral5' AS INT)",
    "SELECT * FROM nowhere WHERE note = 'zqInsertedLiteral5",
    `EXECUTE AS USER 'al' (SELECT 'zqInsertedLiteral5')`,
  ];
  for (const sql of statements) await api.sql('root', sql);
  await post('/v1/api/sql', JSON.stringify({ sql: 'INSERT INTO t VALUES (2, $1)', params: ['zqParameter6'] }), bearer);
  await post('/v1/api/sql', JSON.stringify({ sql: 'SELECT $1 + 1', params: ['zqParameter6'] }), bearer);
  await post('/v1/api/sql', '{"sql": "zqBrokenBody9', bearer);
  await post('/v1/api/sql', JSON.stringify({ sql: 'SELECT 1' }), { authorization: 'Bearer zqBearer7' });
  await post('/v1/api/sql', JSON.stringify({ sql: 'SELECT 1' }), { authorization: `${bearer.authorization}zqBearer7` });
  await post('/v1/api/auth/login', JSON.stringify({ user: 'al', password: 'zqWrongPassword4' }));
  await post('/v1/api/auth/login', '{"user": "al", "password": "zqBrokenBody9');
  await post('/v1/api/auth/refresh', '{}', { cookie: 'kalamdb_auth=zqCookie10; kalamdb_refresh=zqCookie10' });
  await post('/v1/api/auth/setup', JSON.stringify({ user: 'x', password: USER_PASSWORD, root_password: ROOT_PASSWORD }));
  await socket(token);
  return [token, token.split('.')[2] ?? token];
}

it('nothing that the server writes or shows about itself holds a password, a token or a value', async () => {
  const tokens = await busyRun();
  const views = await api.rows(
    'root',
    'SELECT * FROM system.server_logs; SELECT * FROM system.settings; SELECT * FROM system.stats; SELECT * FROM system.audit_log',
  );
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(await server.stop()).toBe(0);
  expect(server.output).toContain('slow statement');
  expect(server.output).toContain('CREATE USER ? WITH PASSWORD');
  expect(views[0]?.length).toBeGreaterThan(3);
  for (const secret of [...SECRETS, ...tokens]) {
    expect(server.output).not.toContain(secret);
    expect(JSON.stringify(views)).not.toContain(secret);
    expect(metrics).not.toContain(secret);
  }
});
