import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Auth, type AuthCredentials, type ClientOptions, createClient, type KalamDBClient } from '../index.ts';

type Answer = (request: IncomingMessage, body: string, response: ServerResponse) => void;

let server: Server;
let answer: Answer;
let requests: { path: string; authorization: string | undefined; body: string }[];

beforeEach(async () => {
  requests = [];
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => {
      body += String(part);
    });
    request.on('end', () => {
      requests.push({ path: request.url ?? '', authorization: request.headers.authorization, body });
      answer(request, body, response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

const say = (response: ServerResponse, status: number, body: string): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(body);
};
const OK =
  '{"status":"success","results":[{"schema":[{"name":"n","data_type":"BigInt","index":0}],"rows":[["9007199254740993"]],"row_count":1,"as_user":"a"}],"took":0.1,"error":null}';
const refusal = (code: string): string =>
  `{"status":"error","results":[],"took":0.2,"error":{"code":"${code}","message":"Invalid credentials"}}`;

function connect(provider: () => Promise<AuthCredentials>, options: Partial<ClientOptions> = {}): KalamDBClient {
  const { port } = server.address() as AddressInfo;
  return createClient({ url: `http://127.0.0.1:${port}/`, authProvider: provider, authProviderInitialBackoffMs: 1, ...options });
}

/** A provider whose tokens are t1, t2, … */
function counting(): { provider: () => Promise<AuthCredentials>; asked: () => number } {
  let count = 0;
  return { provider: async () => Auth.jwt(`t${++count}`), asked: () => count };
}

describe('requests', () => {
  it('reads rows exactly and sends bigints exactly', async () => {
    answer = (_request, _body, response) => say(response, 200, OK);
    const client = connect(counting().provider, { namespace: 'app' });
    const row = await client.queryOne('SELECT $1', [9007199254740993n, undefined, new Date(0)]);
    expect(row?.['n']?.asBigInt()).toBe(9007199254740993n);
    expect(requests).toEqual([
      {
        path: '/v1/api/sql',
        authorization: 'Bearer t1',
        body: '{"sql":"SELECT $1","params":[9007199254740993,null,"1970-01-01T00:00:00.000Z"],"namespace_id":"app","extensions":["commit-token"]}',
      },
    ]);
  });

  it.each([401, 200])('an expired token (status %i) is replaced and the request repeated, once', async (status) => {
    const { provider, asked } = counting();
    answer = (request, _body, response) =>
      request.headers.authorization === 'Bearer t1' ? say(response, status, refusal('TOKEN_EXPIRED')) : say(response, 200, OK);
    const client = connect(provider);
    await expect(Promise.all([client.query('SELECT 1'), client.query('SELECT 2'), client.query('SELECT 3')])).resolves.toHaveLength(3);
    expect(asked()).toBe(2);
    answer = (_request, _body, response) => say(response, 401, refusal('TOKEN_EXPIRED'));
    requests = [];
    await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: 'TOKEN_EXPIRED', status: 401 });
    expect(requests).toHaveLength(2);
  });

  it('a statement with files goes as a form, and the refusal of a server without them comes back as it is', async () => {
    answer = (_request, _body, response) => say(response, 501, refusal('NOT_IMPLEMENTED'));
    const told: unknown[] = [];
    const upload = connect(counting().provider, { namespace: 'app' }).queryWithFiles(
      "INSERT INTO t VALUES ($1, FILE('a'))",
      { a: new Blob(['hello']) },
      [9007199254740993n],
      (progress) => told.push(progress),
    );
    await expect(upload).rejects.toMatchObject({ name: 'KalamServerError', code: 'NOT_IMPLEMENTED' });
    for (const part of ['name="sql"', '[9007199254740993]', 'name="namespace_id"', 'name="file:a"', 'hello'])
      expect(requests[0]?.body).toContain(part);
    expect(told).toEqual([{ loaded: 0, total: 5 }]);
  });

  it('user and password are exchanged by login, once for all requests', async () => {
    answer = (request, _body, response) =>
      request.url === '/v1/api/auth/login' ? say(response, 200, '{"access_token":"fresh"}') : say(response, 200, OK);
    const client = connect(async () => Auth.basic('alice', 'pass'));
    await Promise.all([client.query('SELECT 1'), client.query('SELECT 2')]);
    expect(requests.map(({ path }) => path).sort()).toEqual(['/v1/api/auth/login', '/v1/api/sql', '/v1/api/sql']);
    expect(requests[0]?.body).toBe('{"user":"alice","password":"pass"}');
    expect(client.getAuthType()).toBe('basic');
  });

  it('a wrong password is told as the server tells it, and not tried again', async () => {
    answer = (_request, _body, response) => say(response, 401, '{"error":"unauthorized","message":"Invalid credentials"}');
    await expect(connect(async () => Auth.basic('alice', 'x')).query('SELECT 1')).rejects.toMatchObject({
      code: 'unauthorized',
      message: 'Invalid credentials',
    });
    expect(requests).toHaveLength(1);
  });

  it('a provider that throws is asked again, and not for ever', async () => {
    answer = (_request, _body, response) => say(response, 200, OK);
    let asked = 0;
    const flaky = connect(async () => {
      if (++asked < 3) throw new Error('not yet');
      return Auth.jwt('t');
    });
    await flaky.query('SELECT 1');
    const broken = connect(() => Promise.reject(new Error('never')));
    await expect(broken.query('SELECT 1')).rejects.toMatchObject({
      code: 'CREDENTIALS_FAILED',
      message: expect.stringContaining('3 attempt(s): never'),
    });
  });

  it.each([
    [413, 'too large', { code: 'HTTP_413', message: 'too large', retryable: false }],
    [503, refusal('INTERNAL_ERROR'), { code: 'INTERNAL_ERROR', retryable: true }],
    [404, '{"error":"Table not found","code":"NOT_FOUND"}', { code: 'NOT_FOUND', message: 'Table not found' }],
    [200, '<html>', { code: 'RESPONSE_INVALID' }],
    [200, '[]', { code: 'RESPONSE_INVALID' }],
  ])('status %i with %s is a typed error', async (status, body, expected) => {
    answer = (_request, _body, response) => say(response, status, body);
    await expect(connect(counting().provider).query('SELECT 1')).rejects.toMatchObject(expected);
  });

  it('ends at its time limit, at the caller’s abort, and when nobody listens', async () => {
    answer = () => undefined;
    const slow = connect(counting().provider, { requestTimeoutMs: 20 });
    await expect(slow.query('SELECT 1')).rejects.toMatchObject({ code: 'REQUEST_TIMEOUT', retryable: true });
    const abort = new AbortController();
    const asked = connect(counting().provider).query('SELECT 1', [], { signal: abort.signal });
    await once(server, 'request');
    abort.abort(new Error('changed my mind'));
    await expect(asked).rejects.toThrow('changed my mind');
    const nobody = createClient({ url: 'http://127.0.0.1:1', authProvider: counting().provider });
    await expect(nobody.query('SELECT 1')).rejects.toMatchObject({ code: 'REQUEST_FAILED', retryable: true });
  });

  it('says what it does not do', async () => {
    const client = connect(counting().provider);
    await expect(client.executeAsUser(' ; ', 'bob')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(client.login()).rejects.toMatchObject({ code: 'LOGIN_NEEDS_PASSWORD' });
    await client.shutdown();
    await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: 'CLIENT_CLOSED' });
    expect(() => createClient({ url: 'ftp://x', authProvider: counting().provider })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });
});
