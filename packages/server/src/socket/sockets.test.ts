import { once } from 'node:events';
import { connect } from 'node:net';
import { gunzipSync, gzipSync } from 'node:zlib';
import { parseJson, systemTimers, type Timers } from '@kalamdb/protocol';
import { Packr, Unpackr } from 'msgpackr';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { ServerConfig } from '../config/settings.ts';
import { type RunningServer, startServer } from '../server.ts';

const PASSWORD = 'root-password-1';
const LOREM = 'lorem ipsum '.repeat(100);
const packr = new Packr({ useRecords: false, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'bigint' });
/** What is done every few seconds is done every few milliseconds. */
const HASTY: Timers = {
  after: (millis, callback, options) => systemTimers.after(millis, callback, options),
  soon: (callback) => systemTimers.soon(callback),
  every: (millis, callback) => systemTimers.every(millis / 50, callback),
};

interface Frame {
  readonly form: 'json' | 'gzip+json' | 'msgpack' | 'gzip+msgpack';
  readonly data: unknown;
}

function frameOf(bytes: Buffer): Frame {
  const zipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const plain = zipped ? gunzipSync(bytes) : bytes;
  const json = plain[0] === 0x7b;
  return { form: `${zipped ? 'gzip+' : ''}${json ? 'json' : 'msgpack'}`, data: json ? parseJson(plain.toString()) : unpackr.unpack(plain) };
}

class Client {
  readonly socket: WebSocket;
  readonly #received: unknown[] = [];
  #wake: () => void = () => {};

  constructor(server: RunningServer, { token, query = '' }: { readonly token?: string; readonly query?: string } = {}) {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.socket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/ws${query}`, { headers, perMessageDeflate: false });
    clients.push(this.socket);
    this.socket.on('message', (data: Buffer, binary: boolean) => this.#push({ ...frameOf(data), binary }));
    this.socket.on('pong', (data: Buffer) => this.#push({ pong: data.toString() }));
    this.socket.on('close', (code, reason) => this.#push({ close: code, reason: reason.toString() }));
    this.socket.on('unexpected-response', (_request, response) => this.#push({ status: response.statusCode }));
    this.socket.on('error', () => {});
  }

  /** Connected, with `auth_success` taken off. */
  static async open(server: RunningServer, options: { readonly token: string; readonly query?: string }): Promise<Client> {
    const client = new Client(server, options);
    expect(await client.next()).toMatchObject({ form: 'json', binary: false, data: { type: 'auth_success' } });
    return client;
  }

  json(message: unknown): void {
    this.socket.send(JSON.stringify(message));
  }

  msgpack(message: unknown): void {
    this.socket.send(packr.pack(message));
  }

  subscribe(id: string, sql: string, options: unknown = {}): void {
    this.json({ type: 'subscribe', subscription: { id, sql, options } });
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

const clients: WebSocket[] = [];
const servers: RunningServer[] = [];

async function start(
  settings: Partial<ServerConfig> = {},
  timers: Timers = systemTimers,
): Promise<{ server: RunningServer; token: string }> {
  const server = await startServer({
    settings: {
      'server.port': 0,
      'storage.data_path': ':memory:',
      'auth.root_password': PASSWORD,
      'auth.bcrypt_cost': 4,
      'rate_limit.max_auth_requests_per_ip_per_sec': 1000,
      ...settings,
    },
    log: pino({ level: 'silent' }),
    timers,
  });
  const body = JSON.stringify({ user: 'root', password: PASSWORD });
  const response = await fetch(`${server.url}/v1/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  const { access_token: token } = (await response.json()) as { access_token: string };
  await sql({ server, token }, 'CREATE NAMESPACE app; CREATE TABLE app.t (id INT PRIMARY KEY, body TEXT)');
  return { server, token };
}

/** A server of its own for one test. */
async function startOwn(settings: Partial<ServerConfig>, timers?: Timers): Promise<{ server: RunningServer; token: string }> {
  const started = await start(settings, timers);
  servers.push(started.server);
  return started;
}

async function sql({ server, token }: { server: RunningServer; token: string }, text: string, params?: unknown): Promise<void> {
  const response = await fetch(`${server.url}/v1/api/sql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ sql: text, params }),
  });
  expect(response.status, await response.text()).toBe(200);
}

let server: RunningServer;
let token: string;

beforeAll(async () => {
  ({ server, token } = await start());
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.terminate();
  for (const one of servers.splice(0)) await one.close();
});

afterAll(() => server.close());

const authenticate = (extra: object = {}): object => ({
  type: 'authenticate',
  method: 'jwt',
  token,
  protocol: { serialization: 'json', compression: 'gzip', ...extra },
});

describe('MessagePack', () => {
  test.each(['query', 'message'] as const)('asked for by %s is spoken in both directions, with exact integers', async (how) => {
    await sql({ server, token }, 'DELETE FROM app.t WHERE true');
    for (const id of [1, 2, 3]) await sql({ server, token }, 'INSERT INTO app.t VALUES ($1, $2)', [id, `row ${id}`]);
    const client = new Client(server, how === 'query' ? { token, query: '?serialization=msgpack' } : {});
    if (how === 'message') client.socket.on('open', () => client.json(authenticate({ serialization: 'msgpack' })));
    const protocol = { serialization: 'msgpack', compression: 'gzip' };
    expect(await client.next()).toEqual({
      form: 'json',
      binary: false,
      data: { type: 'auth_success', user: 'root', role: 'system', protocol },
    });
    client.msgpack({ type: 'subscribe', subscription: { id: 's', sql: 'SELECT * FROM app.t', options: { batch_size: 2 } } });
    const ack = (await client.next()) as Frame & { data: { batch_control: { last_seq_id: bigint } } };
    expect(ack).toMatchObject({ form: 'msgpack', data: { type: 'subscription_ack', total_rows: 0, batch_control: { has_more: true } } });
    const last = ack.data.batch_control.last_seq_id;
    expect(typeof last).toBe('bigint');
    expect(await client.next()).toMatchObject({ data: { type: 'initial_data_batch', rows: [{ id: 1 }, { id: 2, _seq: String(last) }] } });
    client.socket.send(gzipSync(packr.pack({ type: 'next_batch', subscription_id: 's', last_seq_id: last })));
    expect(await client.next()).toMatchObject({
      form: 'msgpack',
      data: { rows: [{ id: 3 }], batch_control: { batch_num: 1, has_more: false } },
    });
    await sql({ server, token }, "INSERT INTO app.t VALUES (4, 'new')");
    expect(await client.next()).toMatchObject({
      form: 'msgpack',
      data: { type: 'change', change_type: 'insert', rows: [{ id: 4, body: 'new' }] },
    });
    await sql({ server, token }, 'UPDATE app.t SET body = $1 WHERE id = 4', [LOREM]);
    expect(await client.next()).toMatchObject({
      form: 'gzip+msgpack',
      binary: true,
      data: { change_type: 'update', rows: [{ body: LOREM }] },
    });
    client.subscribe('s', 'SELECT * FROM app.nothing');
    expect(await client.next()).toMatchObject({ form: 'json', binary: false, data: { type: 'error', code: 'NOT_FOUND' } });
  });

  test('what cannot be read is answered, and the connection stays', async () => {
    const client = await Client.open(server, { token, query: '?serialization=msgpack' });
    const refused = { form: 'json', data: { type: 'error', subscription_id: 'protocol', code: 'UNSUPPORTED_DATA' } };
    const halfZipped = gzipSync(packr.pack({ type: 'ping' })).subarray(0, 15);
    for (const bytes of [
      Buffer.from('c1c1c1', 'hex'),
      packr.pack({ type: 'dance' }),
      packr.pack({ type: 'next_batch', subscription_id: 's', last_seq_id: 2n ** 63n }),
      halfZipped,
    ]) {
      client.socket.send(bytes);
      expect(await client.next()).toMatchObject(refused);
    }
    client.socket.send(gzipSync(Buffer.alloc(20_000_000)));
    expect(await client.next()).toMatchObject({ data: { subscription_id: 'protocol', code: 'MESSAGE_TOO_LARGE' } });
    client.msgpack({ type: 'subscribe', subscription: { id: ' ', sql: 'x' } });
    expect(await client.next()).toMatchObject({ data: { code: 'INVALID_SUBSCRIPTION_ID' } });
  });

  test('subscribers of every form get the same change', async () => {
    await sql({ server, token }, 'DELETE FROM app.t WHERE true');
    const queries = ['', '?serialization=msgpack', '?compress=false', '?serialization=msgpack&compress=FALSE'];
    const open = await Promise.all(queries.map((query) => Client.open(server, { token, query })));
    for (const [index, client] of open.entries()) {
      client.subscribe(`mine-${index}`, 'SELECT * FROM app.t', null);
      expect(await client.next()).toMatchObject({ data: { type: 'subscription_ack' } });
    }
    await sql({ server, token }, 'INSERT INTO app.t VALUES (1, $1)', [LOREM]);
    const forms = ['gzip+json', 'gzip+msgpack', 'json', 'msgpack'];
    for (const [index, client] of open.entries()) {
      expect(await client.next()).toMatchObject({
        form: forms[index],
        data: { subscription_id: `mine-${index}`, rows: [{ id: 1, body: LOREM }] },
      });
    }
  });
});

describe('protocol extensions', () => {
  test('are granted by name, only to who asks', async () => {
    const granted = async (client: Client): Promise<unknown> => ((await client.next()) as { data: { protocol: object } }).data.protocol;
    const plain = { serialization: 'json', compression: 'gzip' };
    expect(await granted(new Client(server, { token }))).toEqual(plain);
    expect(await granted(new Client(server, { token, query: '?extensions=commit-token,window,progress,nonsense' }))).toEqual({
      ...plain,
      extensions: ['progress', 'window', 'commit-token'],
    });
    expect(await granted(new Client(server, { token, query: '?extensions=' }))).toEqual({ ...plain, extensions: [] });
    const client = new Client(server);
    client.socket.on('open', () => client.json(authenticate({ extensions: ['progress', 'progress'] })));
    expect(await granted(client)).toEqual({ ...plain, extensions: ['progress'] });
  });

  test('progress: a subscription that nothing matches hears how far the commits have gone', async () => {
    const own = await startOwn({}, HASTY);
    const client = await Client.open(own.server, { token: own.token, query: '?extensions=progress' });
    client.subscribe('s', 'SELECT * FROM app.t WHERE id > 100', null);
    await client.next();
    await sql(own, "INSERT INTO app.t VALUES (1, 'x')");
    const progress = (await client.next()) as { data: { seq: bigint } };
    expect(progress).toMatchObject({ data: { type: 'progress', subscription_id: 's' } });
    await sql(own, "INSERT INTO app.t VALUES (101, 'x')");
    expect(await client.next()).toMatchObject({ data: { type: 'change', rows: [{ id: 101 }] } });
    client.subscribe('s', 'SELECT * FROM app.t', { from: Number(progress.data.seq) });
    expect(progress.data.seq).toBeGreaterThan(0n);
  });

  test.each(['json', 'msgpack'])('progress: frames as %s say where a commit ends, to who asks', async (serialization) => {
    const own = await startOwn({});
    const query = `?serialization=${serialization}`;
    const [told, plain] = await Promise.all([
      Client.open(own.server, { token: own.token, query: `${query}&extensions=progress` }),
      Client.open(own.server, { token: own.token, query }),
    ]);
    for (const client of [told, plain]) {
      client.subscribe('s', 'SELECT * FROM app.t WHERE id < 3', null);
      await client.next();
    }
    await sql(own, "INSERT INTO app.t VALUES (1, 'x'), (2, 'y')");
    await sql(own, "INSERT INTO app.t VALUES (0, 'x'), (3, 'y')");
    for (const id of [1, 2, 0]) expect((await plain.next()) as object).toMatchObject({ data: { type: 'change', rows: [{ id }] } });
    expect(await told.next()).toMatchObject({ data: { type: 'change', more: true, rows: [{ id: 1 }] } });
    const second = (await told.next()) as { data: object };
    expect(second).toMatchObject({ data: { type: 'change', rows: [{ id: 2 }] } });
    expect(second.data).not.toHaveProperty('more');
    expect(await told.next()).toMatchObject({ data: { type: 'change', more: true, rows: [{ id: 0 }] } });
    expect(await told.next()).toMatchObject({ data: { type: 'progress', subscription_id: 's' } });
  });

  test.each(['json', 'msgpack'])('window: ORDER BY and LIMIT as %s, refused to who has not asked', async (serialization) => {
    const own = await startOwn({});
    await sql(own, "INSERT INTO app.t VALUES (1, 'a'), (2, 'b'), (3, 'c')");
    const query = `?serialization=${serialization}`;
    const client = await Client.open(own.server, { token: own.token, query: `${query}&extensions=window` });
    const text = 'SELECT * FROM app.t ORDER BY id DESC LIMIT 2';
    client.subscribe('top', text);
    expect(await client.next()).toMatchObject({ data: { type: 'subscription_ack', total_rows: 0, window: { limit: 2 } } });
    expect(await client.next()).toMatchObject({ data: { type: 'initial_data_batch', rows: [{ id: 3 }, { id: 2 }] } });
    await sql(own, "INSERT INTO app.t VALUES (4, 'd')");
    expect(await client.next()).toMatchObject({ data: { change_type: 'delete', old_values: [{ id: 2 }] } });
    expect(await client.next()).toMatchObject({ data: { change_type: 'insert', rows: [{ id: 4 }], positions: [0] } });
    const other = await Client.open(own.server, { token: own.token, query });
    other.subscribe('top', text);
    expect(await other.next()).toMatchObject({ data: { type: 'error', code: 'INVALID_SQL' } });
  });

  test('commit-token: a subscription is answered behind the commit that it names', async () => {
    const own = await startOwn({});
    const client = await Client.open(own.server, { token: own.token });
    client.subscribe('s', 'SELECT * FROM app.t', { at_least: '1' });
    expect(await client.next()).toMatchObject({ data: { type: 'subscription_ack' } });
    await client.next();
    client.subscribe('s', 'SELECT * FROM app.t', { at_least: '9000000000000000000' });
    expect(await client.next()).toMatchObject({ data: { type: 'error', subscription_id: 's', code: 'RESYNC_REQUIRED' } });
  });
});

describe('limits', () => {
  test('subscriptions of a connection', async () => {
    const own = await startOwn({ 'websocket.max_subscriptions_per_connection': 2 });
    const client = await Client.open(own.server, { token: own.token });
    for (const id of ['a', 'b', 'c', 'b']) client.subscribe(id, 'SELECT * FROM app.t', null);
    for (const id of ['a', 'b']) expect(await client.next()).toMatchObject({ data: { type: 'subscription_ack', subscription_id: id } });
    const message = 'Invalid operation: Maximum subscriptions (2) per connection exceeded';
    expect(await client.next()).toMatchObject({ data: { subscription_id: 'c', code: 'UNSUPPORTED', message } });
    expect(await client.next()).toMatchObject({ data: { type: 'subscription_ack', subscription_id: 'b' } });
  });

  test('connections of the server', async () => {
    const own = await startOwn({ 'websocket.max_connections': 1 });
    const first = await Client.open(own.server, { token: own.token });
    expect(await new Client(own.server, { token: own.token }).next()).toEqual({ status: 503 });
    first.socket.close();
    await first.next();
    await Client.open(own.server, { token: own.token });
  });

  test('attempts to authenticate', async () => {
    const own = await startOwn({ 'rate_limit.max_auth_requests_per_ip_per_sec': 2 });
    await Client.open(own.server, { token: own.token });
    const message = 'Too many authentication attempts. Please retry shortly.';
    const byHeader = new Client(own.server, { token: own.token });
    const byMessage = new Client(own.server);
    byMessage.socket.on('open', () => byMessage.json(authenticate()));
    for (const [client, code] of [
      [byHeader, 1008],
      [byMessage, 1011],
    ] as const) {
      expect(await client.next()).toMatchObject({ data: { type: 'auth_error', message } });
      expect(await client.next()).toEqual({ close: code, reason: 'Auth rate limit exceeded' });
    }
  });

  test('fragments of a message', async () => {
    const client = await Client.open(server, { token });
    for (const part of ['{"type":"subscr', 'ibe","subscription":{"id":"f",']) client.socket.send(part, { fin: false });
    client.socket.ping('between');
    client.socket.send('"sql":"SELECT * FROM app.t"}}', { fin: true });
    expect(await client.next()).toEqual({ pong: 'between' });
    expect(await client.next()).toMatchObject({ data: { type: 'subscription_ack', subscription_id: 'f' } });
    for (let i = 0; i < 1100; i++) client.socket.send('x', { fin: false });
    expect(await client.next()).toMatchObject({ close: 1008 });
  });
});

describe('a client that does not read', () => {
  const frugal = { 'websocket.outbox_bytes_max': 65_536, 'websocket.outbox_total_bytes_max': 65_536 };

  /** Subscribes, stops reading, and has more than any buffer of the system sent to it. */
  async function clogged(own: { server: RunningServer; token: string }): Promise<Client> {
    const client = await Client.open(own.server, { token: own.token, query: '?compress=false' });
    client.subscribe('s', 'SELECT * FROM app.t', null);
    await client.next();
    client.socket.pause();
    const body = 'x'.repeat(100_000);
    for (let id = 0; id < 120; id++) await sql(own, 'INSERT INTO app.t VALUES ($1, $2)', [id, body]);
    return client;
  }

  test('is cut off when memory is short, although it pings, and others get their turn', async () => {
    const own = await startOwn({ ...frugal, 'websocket.client_timeout_secs': 1 }, HASTY);
    const client = await clogged(own);
    const pings = systemTimers.every(200, () => client.socket.ping());
    const other = await Client.open(own.server, { token: own.token, query: '?compress=false' });
    const beats = systemTimers.every(200, () => other.json({ type: 'ping' }));
    other.subscribe('o', 'SELECT id FROM app.t WHERE id = 5');
    expect(await other.next()).toMatchObject({ data: { type: 'subscription_ack' } });
    expect(await other.next()).toMatchObject({ data: { rows: [{ id: 5 }] } });
    pings.cancel();
    beats.cancel();
    await once(client.socket.resume() ?? client.socket, 'close');
  });

  test('is cut off when it provokes answers', async () => {
    const own = await startOwn({ ...frugal, 'rate_limit.max_messages_per_sec': 5 });
    const client = await clogged(own);
    for (let i = 0; i < 200; i++) client.json({ type: 'ping' });
    await sql(own, 'DELETE FROM app.t WHERE id < 5');
    client.socket.resume();
    let last = await client.next();
    while ((last as { close?: number }).close === undefined) last = await client.next();
    expect(last).toEqual({ close: 1008, reason: 'Client does not read' });
  });
});

test('an upgrade to what is no address is refused', async () => {
  for (const path of ['//', '//[', '/v1/wss']) {
    const socket = connect(server.port, '127.0.0.1');
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`);
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 404 /);
    socket.destroy();
  }
});
