import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { parseJson } from '@kalamdb/protocol';
import { decodeJwt } from 'jose';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { ServerConfig } from './config/settings.ts';
import { type RunningServer, startServer } from './server.ts';

const ROOT_PASSWORD = 'root-password-1';
const BASE: Partial<ServerConfig> = {
  'server.port': 0,
  'storage.data_path': ':memory:',
  'auth.root_password': ROOT_PASSWORD,
  'auth.bcrypt_cost': 4,
  'websocket.auth_timeout_secs': 1,
  'rate_limit.max_auth_requests_per_ip_per_sec': 1000,
};
const start = (settings: Partial<ServerConfig> = {}): Promise<RunningServer> =>
  startServer({ settings: { ...BASE, ...settings }, log: pino({ level: 'silent' }) });

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

async function post(server: RunningServer, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(server.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  const json = response.headers.get('content-type')?.startsWith('application/json') === true;
  return { status: response.status, body: json ? (JSON.parse(text) as Record<string, unknown>) : { text }, headers: response.headers };
}

async function login(server: RunningServer, user: string, password: string): Promise<string> {
  const { body } = await post(server, '/v1/api/auth/login', { user, password });
  return String(body['access_token']);
}

function sql(server: RunningServer, token: string, text: string, params?: unknown): Promise<Answer> {
  return post(server, '/v1/api/sql', { sql: text, params }, { authorization: `Bearer ${token}` });
}

/** A client that keeps what it receives until it is asked for. */
class Client {
  readonly socket: WebSocket;
  readonly #received: unknown[] = [];
  #wake: () => void = () => {};

  constructor(server: RunningServer, token?: string, query = '') {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.socket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/ws${query}`, { headers, perMessageDeflate: false });
    this.socket.on('message', (data: Buffer, isBinary: boolean) =>
      this.#push(parseJson((isBinary ? gunzipSync(data) : data).toString('utf8'))),
    );
    this.socket.on('close', (code, reason) => this.#push({ close: code, reason: reason.toString() }));
    this.socket.on('unexpected-response', (_request, response) => this.#push({ status: response.statusCode }));
    this.socket.on('error', () => {});
  }

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  async next(): Promise<unknown> {
    while (this.#received.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#received.shift();
  }

  #push(value: unknown): void {
    this.#received.push(value);
    this.#wake();
  }
}

/** A SQL request whose body is still on the way. */
class HalfSent {
  /** The server has seen the head of the request. */
  readonly arrived: Promise<unknown>;
  readonly #request: ClientRequest;
  readonly #rest: string;

  constructor(server: RunningServer, token: string, body: string) {
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'content-length': body.length,
      expect: '100-continue',
    };
    this.#request = request(`${server.url}/v1/api/sql`, { method: 'POST', headers });
    this.arrived = once(this.#request, 'continue');
    this.#request.write(body.slice(0, 5));
    this.#rest = body.slice(5);
  }

  async finish(): Promise<unknown> {
    const response = new Promise<IncomingMessage>((resolve) => this.#request.once('response', resolve));
    this.#request.end(this.#rest);
    let text = '';
    for await (const chunk of await response) text += String(chunk);
    return JSON.parse(text);
  }
}

let server: RunningServer;
let root: string;
let alice: string;

beforeAll(async () => {
  server = await start();
  root = await login(server, 'root', ROOT_PASSWORD);
  await sql(server, root, "CREATE NAMESPACE app; CREATE USER 'alice' WITH PASSWORD 'alice-password-1' ROLE user");
  await sql(server, root, 'CREATE USER TABLE app.notes (id INT PRIMARY KEY, body TEXT)');
  alice = await login(server, 'alice', 'alice-password-1');
});

afterAll(() => server.close());

describe('authentication over HTTP', () => {
  test('login gives tokens, cookies and the user', async () => {
    const { status, body, headers } = await post(server, '/v1/api/auth/login', { username: 'alice', password: 'alice-password-1' });
    expect(status).toBe(200);
    expect(body).toMatchObject({ user: { id: 'alice', role: 'user', email: null }, admin_ui_access: false });
    expect(decodeJwt(String(body['access_token']))).toMatchObject({ sub: 'alice', role: 'user', token_type: 'access' });
    expect(headers.getSetCookie().map((cookie) => cookie.split('=')[0])).toEqual(['kalamdb_auth', 'kalamdb_refresh']);
    expect(String(body['expires_at'])).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/);
  });

  test('a refresh token gives new tokens, an access token does not', async () => {
    const { body } = await post(server, '/v1/api/auth/login', { user: 'alice', password: 'alice-password-1' });
    const refresh = (token: unknown): Promise<Response> =>
      fetch(`${server.url}/v1/api/auth/refresh`, { method: 'POST', headers: { authorization: `Bearer ${String(token)}` } });
    const renewed = (await (await refresh(body['refresh_token'])).json()) as Record<string, unknown>;
    expect(renewed).toMatchObject({ user: { id: 'alice' }, refresh_expires_at: expect.any(String) as unknown });
    const refused = await refresh(body['access_token']);
    expect(refused.status).toBe(401);
    expect(await refused.json()).toEqual({ error: 'unauthorized', message: 'Refresh endpoint requires a refresh token' });
  });

  test('who am I, by header or cookie, and logging out', async () => {
    for (const headers of [{ authorization: `Bearer ${alice}` }, { cookie: `kalamdb_auth=${alice}` }]) {
      const me = await fetch(`${server.url}/v1/api/auth/me`, { headers });
      expect(await me.json()).toMatchObject({ user: { id: 'alice' }, admin_ui_access: false });
    }
    expect((await fetch(`${server.url}/v1/api/auth/me`)).status).toBe(401);
    const { body, headers } = await post(server, '/v1/api/auth/logout', {});
    expect(body).toEqual({ message: 'Logged out successfully' });
    expect(headers.getSetCookie()[0]).toContain('Expires=Thu, 01 Jan 1970 00:00:00 GMT');
  });

  test('bodies that cannot be read get a plain text', async () => {
    const path = '/v1/api/auth/login';
    for (const answer of [
      await post(server, path, '{"user":'),
      await post(server, path, { user: 'root' }),
      await post(server, path, { user: 'root', password: 'x' }, { 'content-type': 'text/plain' }),
      await post(server, path, { user: 'u'.repeat(129), password: 'x' }),
    ]) {
      expect(answer.status).toBe(400);
      expect(answer.headers.get('content-type')).toMatch(/^text\/plain/);
    }
    expect((await post(server, path, { user: 'u', password: 'x'.repeat(2_097_153) })).status).toBe(413);
  });

  test('setup is needed once, and only until it is done', async () => {
    const fresh = await start({ 'auth.root_password': '' });
    expect(fresh.needsSetup).toBe(true);
    expect((await post(fresh, '/v1/api/auth/login', { user: 'root', password: '' })).status).toBe(428);
    const request = { user: 'admin', password: 'Golden-Pass-1', root_password: 'Golden-Pass-2', email: 'a@b.c' };
    expect((await post(fresh, '/v1/api/auth/setup', { ...request, password: 'short' })).body).toMatchObject({ error: 'weak_password' });
    expect(await post(fresh, '/v1/api/auth/setup', request)).toMatchObject({
      status: 200,
      body: { user: { id: 'admin', role: 'dba', email: 'a@b.c' } },
    });
    expect(await post(fresh, '/v1/api/auth/setup', request)).toMatchObject({ status: 409, body: { error: 'already_configured' } });
    expect(await (await fetch(`${fresh.url}/v1/api/auth/status`)).json()).toMatchObject({ needs_setup: false });
    await fresh.close();
  });

  test('attempts are limited per address', async () => {
    const strict = await start({ 'rate_limit.max_auth_requests_per_ip_per_sec': 2 });
    const answers = [];
    for (let i = 0; i < 3; i++) answers.push((await post(strict, '/v1/api/auth/login', { user: 'nobody', password: 'x' })).status);
    expect(answers).toEqual([401, 401, 429]);
    await strict.close();
  });

  test('requests that were forwarded from elsewhere are not local', async () => {
    const headers = { 'x-forwarded-for': '203.0.113.9' };
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    expect((await fetch(`${server.url}/health`, { headers })).status).toBe(403);
    expect((await fetch(`${server.url}/v1/api/auth/status`, { headers })).status).toBe(403);
  });
});

describe('SQL over HTTP', () => {
  test('needs a token of an existing user', async () => {
    expect(await post(server, '/v1/api/sql', { sql: 'SELECT 1' })).toMatchObject({
      status: 401,
      body: { error: { code: 'MISSING_AUTHORIZATION' } },
    });
    expect(await sql(server, 'not.a.token', 'SELECT 1')).toMatchObject({ status: 401, body: { error: { code: 'INVALID_CREDENTIALS' } } });
    expect((await fetch(`${server.url}/v1/files/app/t/f/1`)).status).toBe(401);
  });

  test('works under both paths, with exact integers both ways', async () => {
    const headers = { authorization: `Bearer ${alice}` };
    const text = '{"sql":"SELECT $1 AS big","params":[9007199254740993]}';
    for (const path of ['/v1/api/sql', '/api/sql']) {
      const { body } = await post(server, path, text, headers);
      expect(body).toMatchObject({ status: 'success', results: [{ rows: [['9007199254740993']], as_user: 'alice' }], error: null });
    }
  });

  test('failures are numbered and explained to admins, generic to others', async () => {
    const failed = await sql(server, root, 'SELECT * FROM app.nope');
    expect(failed.status).toBe(400);
    expect(failed.body['error']).toMatchObject({ code: 'SQL_EXECUTION_ERROR', details: 'SELECT * FROM app.nope' });
    const told = (await sql(server, alice, 'SELECT * FROM app.nope')).body['error'];
    expect(told).toEqual({ code: 'SQL_EXECUTION_ERROR', message: 'SQL statement failed' });
  });

  test('payload problems are 400 in the envelope, large bodies 413', async () => {
    const headers = { authorization: `Bearer ${root}` };
    for (const text of ['', '{"sql":', '[]', '{"sql":1}']) {
      expect(await post(server, '/v1/api/sql', text, headers)).toMatchObject({ status: 400, body: { error: { code: 'INVALID_INPUT' } } });
    }
    const strict = await start({ 'rate_limit.request_body_limit_bytes': 1024 });
    const token = await login(strict, 'root', ROOT_PASSWORD);
    expect(await sql(strict, token, `SELECT '${'x'.repeat(2000)}'`)).toMatchObject({
      status: 413,
      body: { error: 'BODY_TOO_LARGE', max_bytes: 1024 },
    });
    await strict.close();
  });

  test('queries are limited per user', async () => {
    const strict = await start({ 'rate_limit.max_queries_per_sec': 2 });
    const token = await login(strict, 'root', ROOT_PASSWORD);
    const answers = [];
    for (let i = 0; i < 3; i++) answers.push((await sql(strict, token, 'SELECT 1')).status);
    expect(answers).toEqual([200, 200, 429]);
    await strict.close();
  });

  test('pages of other origins may call', async () => {
    const preflight = await fetch(`${server.url}/v1/api/sql`, {
      method: 'OPTIONS',
      headers: { origin: 'http://app.example', 'access-control-request-method': 'POST' },
    });
    expect(preflight.status).toBe(200);
    expect(preflight.headers.get('access-control-allow-origin')).toBe('http://app.example');
    expect(preflight.headers.get('access-control-allow-credentials')).toBe('true');
  });

  test('unknown routes are 404', async () => {
    for (const path of ['/info', '/v1/api/health', '/v1/api/sql']) expect((await fetch(server.url + path)).status).toBe(404);
  });
});

describe('WebSocket', () => {
  const success = { type: 'auth_success', user: 'alice', role: 'user', protocol: { serialization: 'json', compression: 'gzip' } };
  const authenticate = { type: 'authenticate', method: 'jwt', protocol: { serialization: 'json', compression: 'gzip' } };

  test('authenticates by header or by message, and repeats itself on request', async () => {
    expect(await new Client(server, alice).next()).toEqual(success);
    const client = new Client(server);
    client.socket.on('open', () => client.send({ ...authenticate, token: alice }));
    expect(await client.next()).toEqual(success);
    client.send({ ...authenticate, token: 'nonsense' });
    expect(await client.next()).toEqual(success);
  });

  test('bad credentials are told by frame and close code, not by the upgrade', async () => {
    const client = new Client(server, 'nonsense');
    expect(await client.next()).toEqual({ type: 'auth_error', message: 'Invalid credentials' });
    expect(await client.next()).toEqual({ close: 1008, reason: 'Authentication failed' });
  });

  test('who does not authenticate in time is closed, and cannot subscribe before', async () => {
    const client = new Client(server);
    client.socket.on('open', () => client.send({ type: 'subscribe', subscription: { id: 's', sql: 'SELECT * FROM app.notes' } }));
    expect(await client.next()).toMatchObject({ type: 'error', subscription_id: 'subscribe', code: 'AUTH_REQUIRED' });
    expect(await client.next()).toMatchObject({
      type: 'auth_error',
      message: expect.stringContaining('Authentication timeout') as unknown,
    });
    expect(await client.next()).toEqual({ close: 1008, reason: 'Authentication timeout' });
  });

  test('sees its own changes as they are committed, and large ones compressed', async () => {
    const client = new Client(server, alice);
    await client.next();
    client.send({ type: 'subscribe', subscription: { id: 'notes', sql: 'SELECT * FROM app.notes', options: {} } });
    expect(await client.next()).toMatchObject({ type: 'subscription_ack', subscription_id: 'notes', batch_control: { status: 'ready' } });
    expect(await client.next()).toMatchObject({ type: 'initial_data_batch', rows: [] });
    await sql(server, alice, "INSERT INTO app.notes VALUES (1, 'short')");
    expect(await client.next()).toMatchObject({ type: 'change', change_type: 'insert', rows: [{ id: 1, body: 'short' }] });
    const long = 'lorem ipsum '.repeat(5000);
    await sql(server, alice, 'UPDATE app.notes SET body = $1 WHERE id = 1', [long]);
    expect(await client.next()).toMatchObject({ type: 'change', change_type: 'update', rows: [{ id: 1, body: long }] });
    client.send({ type: 'unsubscribe', subscription_id: 'notes' });
    client.send({ type: 'subscribe', subscription: { id: ' ', sql: 'SELECT * FROM app.notes' } });
    expect(await client.next()).toMatchObject({ subscription_id: 'invalid_subscription', code: 'INVALID_SUBSCRIPTION_ID' });
    await sql(server, alice, 'DELETE FROM app.notes WHERE id = 1');
    client.send({ type: 'subscribe', subscription: { id: 'x', sql: 'SELECT * FROM app.nope' } });
    expect(await client.next()).toMatchObject({ subscription_id: 'x', code: 'NOT_FOUND' });
    client.socket.close();
  });

  test('malformed frames end the connection with 1011, binary ones are only refused', async () => {
    const client = new Client(server, alice);
    await client.next();
    client.socket.send(Buffer.from([1, 255]));
    expect(await client.next()).toMatchObject({ subscription_id: 'protocol', code: 'UNSUPPORTED_DATA' });
    client.send('{"type":"dance"}');
    expect(await client.next()).toMatchObject({
      close: 1011,
      reason: expect.stringMatching(/^Invalid message: unknown variant/) as unknown,
    });
  });

  test('too many and too large messages are dropped with an error', async () => {
    const strict = await start({ 'rate_limit.max_messages_per_sec': 2, 'security.max_ws_message_size': 1024 });
    const client = new Client(strict, await login(strict, 'root', ROOT_PASSWORD));
    await client.next();
    client.send('x'.repeat(1500));
    expect(await client.next()).toMatchObject({ subscription_id: 'protocol', code: 'MESSAGE_TOO_LARGE' });
    for (let i = 0; i < 3; i++) client.send({ type: 'ping' });
    expect(await client.next()).toMatchObject({ subscription_id: 'rate_limit', code: 'RATE_LIMIT_EXCEEDED' });
    client.send('x'.repeat(5000));
    expect(await client.next()).toMatchObject({ close: 1009 });
    await strict.close();
  });

  test('a client that stops reading loses nothing and holds up nobody', async () => {
    const small = await start({ 'websocket.outbox_bytes_max': 65_536 });
    const token = await login(small, 'root', ROOT_PASSWORD);
    await sql(small, token, 'CREATE NAMESPACE app');
    await sql(small, token, 'CREATE TABLE app.t (id INT PRIMARY KEY, body TEXT)');
    const client = new Client(small, token, '?compress=false');
    await client.next();
    client.send({ type: 'subscribe', subscription: { id: 's', sql: 'SELECT * FROM app.t' } });
    await client.next();
    client.socket.pause();
    const body = 'x'.repeat(60_000);
    const ids = Array.from({ length: 200 }, (_unused, id) => id);
    for (const id of ids) expect((await sql(small, token, 'INSERT INTO app.t VALUES ($1, $2)', [id, body])).status).toBe(200);
    client.socket.resume();
    const seen: unknown[] = [];
    while (seen.length < ids.length) seen.push(((await client.next()) as { rows: [{ id: number }] }).rows[0].id);
    expect(seen).toEqual(ids);
    await small.close();
  });

  test('origins are checked, other paths refused', async () => {
    const strict = await start({ 'security.cors.allowed_origins': ['https://a.example'], 'security.strict_ws_origin_check': true });
    expect(await new Client(strict).next()).toEqual({ status: 403 });
    await strict.close();
    const nowhere = new WebSocket(`${server.url.replace('http', 'ws')}/v1/nope`);
    const status = await new Promise((resolve) => {
      nowhere.on('unexpected-response', (_request, response) => resolve(response.statusCode));
      nowhere.on('error', () => {});
    });
    expect(status).toBe(404);
  });

  test('a silent client is closed', async () => {
    const strict = await start({ 'websocket.client_timeout_secs': 1, 'websocket.heartbeat_interval_secs': 1 });
    const client = new Client(strict, await login(strict, 'root', ROOT_PASSWORD));
    await client.next();
    expect(await client.next()).toEqual({ close: 1000, reason: 'Heartbeat timeout' });
    await strict.close();
  });

  test('a dropped user is cut off within moments', async () => {
    await sql(server, root, "CREATE USER 'ghost' WITH PASSWORD 'ghost-password-1' ROLE user");
    const client = new Client(server, await login(server, 'ghost', 'ghost-password-1'));
    await client.next();
    await sql(server, root, "DROP USER 'ghost'");
    expect(await client.next()).toEqual({ close: 1008, reason: 'Authentication failed' });
  });
});

describe('stopping', () => {
  test('closes sockets with 1001, lets running requests end and refuses new ones', async () => {
    const stopping = await start();
    const token = await login(stopping, 'root', ROOT_PASSWORD);
    const client = new Client(stopping, token);
    await client.next();
    const running = new HalfSent(stopping, token, '{"sql":"CREATE NAMESPACE last"}');
    await running.arrived;
    const closing = stopping.close();
    expect(stopping.close()).toBe(closing);
    expect(await client.next()).toEqual({ close: 1001, reason: 'Server shutting down' });
    await expect(fetch(`${stopping.url}/health`)).rejects.toThrow();
    expect(await running.finish()).toMatchObject({ status: 'success' });
    await closing;
  });

  test('a port in use is said so', async () => {
    await expect(start({ 'server.port': server.port })).rejects.toMatchObject({ code: 'PORT_UNAVAILABLE' });
  });
});
