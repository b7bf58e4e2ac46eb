import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../config/load-config.ts';
import { createLog } from '../../log/log.ts';
import type { RunningServer } from '../../server.ts';
import { openHttp2, RawConnection, requestHttp2, rootToken, sqlRequest, startTestServer } from '../wire-client.fixture.ts';

const HOST = 'Host: x\r\n';

let server: RunningServer;
let token: string;

beforeAll(async () => {
  server = await startTestServer({ 'rate_limit.request_body_limit_bytes': 3_000_000 });
  token = await rootToken(server.url);
});

afterAll(() => server.close());

/** Sends pieces on a new connection and gives what comes until the server ends it. */
async function exchange(...pieces: readonly string[]): Promise<string> {
  const connection = new RawConnection(server);
  await connection.write(...pieces);
  await connection.ended;
  return connection.text;
}

/** The status lines of everything that was answered. */
const statuses = (text: string): readonly string[] => [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status = '']) => status);

describe('a request that is not valid HTTP', () => {
  test.each([
    ['a length and chunks', `POST /v1/api/sql HTTP/1.1\r\n${HOST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['two lengths', `POST /v1/api/sql HTTP/1.1\r\n${HOST}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde`],
    ['a length that is none', `POST /v1/api/sql HTTP/1.1\r\n${HOST}Content-Length: 4x\r\n\r\nabcd`],
    ['a negative length', `POST /v1/api/sql HTTP/1.1\r\n${HOST}Content-Length: -1\r\n\r\n`],
    ['chunks that are not the last encoding', `POST /v1/api/sql HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, gzip\r\n\r\n`],
    ['a broken chunk size', `POST /v1/api/auth/login HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nzz\r\n`],
    ['a space before the colon', `GET /health HTTP/1.1\r\n${HOST}Content-Length : 0\r\n\r\n`],
    ['a bare line feed in a header', `GET /health HTTP/1.1\r\n${HOST}X: a\n b\r\n\r\n`],
    ['no Host', 'GET /health HTTP/1.1\r\n\r\n'],
    ['a zero byte', `GET /health HTTP/1.1\r\n${HOST}X: \0\r\n\r\n`],
    ['no request at all', 'nonsense\r\n\r\n'],
    ['TLS', '\x16\x03\x01\x02\0\x01\0\x01'],
  ])('%s is refused once, and what follows is not run', async (_, text) => {
    const answer = await exchange(`${text}GET /health HTTP/1.1\r\n${HOST}\r\n`);
    expect(statuses(answer)).toEqual(['400']);
  });

  test('with headers that are too large gets 431', async () => {
    const answer = await exchange(`GET /health HTTP/1.1\r\n${HOST}X: ${'x'.repeat(20_000)}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 431 [\s\S]*"error":"headers_too_large"/);
  });

  test('with an expectation that nobody can meet gets 417', async () => {
    expect(statuses(await exchange(`GET /health HTTP/1.1\r\n${HOST}Expect: miracles\r\nConnection: close\r\n\r\n`))).toEqual(['417']);
  });
});

describe('a body', () => {
  const json = JSON.stringify({ sql: 'SELECT 1 AS one' });
  const head = (more: string): string =>
    `POST /v1/api/sql HTTP/1.1\r\n${HOST}Authorization: Bearer ${token}\r\nContent-Type: application/json\r\n${more}\r\n`;

  test('may come in chunks, with extensions and trailers', async () => {
    const chunks = [...json].map((letter) => `1;x=y\r\n${letter}\r\n`).join('');
    const answer = await exchange(`${head('Transfer-Encoding: chunked\r\nConnection: close\r\n')}${chunks}0\r\nTrailer: x\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*"rows":\[\["1"\]\]/);
  });

  test('is asked for with 100 Continue when the client waits for that', async () => {
    const connection = new RawConnection(server);
    await connection.write(head(`Content-Length: ${json.length}\r\nExpect: 100-continue\r\nConnection: close\r\n`));
    await connection.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
    await connection.write(json);
    await connection.ended;
    expect(statuses(connection.text)).toEqual(['100', '200']);
  });

  test('in chunks without end is cut at the limit', async () => {
    const connection = new RawConnection(server);
    await connection.write(head('Transfer-Encoding: chunked\r\n'));
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    for (let i = 0; i < 60 && connection.text === ''; i++) await connection.write(chunk);
    expect(await connection.until(/BODY_TOO_LARGE/)).toMatch(/^HTTP\/1\.1 413 /);
    connection.close();
  });

  test('of a login is limited to 2 MiB, and told so in plain text', async () => {
    const answer = await fetch(`${server.url}/v1/api/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user: 'root', password: 'x'.repeat(2_097_152) }),
    });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([413, 'text/plain; charset=utf-8']);
    await answer.text();
  });

  test('over HTTP/2 has the same limits, and its connection goes on', async () => {
    const session = await openHttp2(server.url);
    const headers = { ':method': 'POST', ':path': '/v1/api/sql', authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const large = 'x'.repeat(3_100_000);
    const announced = await requestHttp2(session, { ...headers, 'content-length': large.length }, large);
    const surprising = await requestHttp2(session, headers, large);
    const stranger = await requestHttp2(session, { ...headers, authorization: 'Bearer x' }, JSON.stringify({ sql: 'SELECT 1' }));
    expect([announced.status, surprising.status, stranger.status]).toEqual([413, 413, 401]);
    for (const { body } of [announced, surprising]) expect(JSON.parse(body)).toMatchObject({ error: 'BODY_TOO_LARGE' });
    expect((await requestHttp2(session, headers, JSON.stringify({ sql: 'SELECT 1' }))).status).toBe(200);
    session.close();
  });

  test('that nobody wants does not end the connection', async () => {
    const connection = new RawConnection(server);
    const size = 3_100_000;
    await connection.write(`POST /nowhere HTTP/1.1\r\n${HOST}Content-Length: ${size}\r\n\r\n${'x'.repeat(size)}`);
    await connection.until(/BODY_TOO_LARGE/);
    await connection.write(`GET /health HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
    await connection.ended;
    expect(statuses(connection.text)).toEqual(['413', '200']);
  });
});

describe('a connection', () => {
  test('goes on after refused requests', async () => {
    const connection = new RawConnection(server);
    await connection.write(sqlRequest('nonsense', 'SELECT 1'), sqlRequest(token, 'SELECT nonsense FROM nowhere'), sqlRequest(token, ''));
    await connection.write(`GET /nowhere HTTP/1.1\r\n${HOST}\r\n`, sqlRequest(token, 'SELECT 7 AS n', 'Connection: close\r\n'));
    await connection.ended;
    expect(statuses(connection.text)).toEqual(['401', '400', '400', '404', '200']);
  });

  test('of a client that half-closed gets its answer', async () => {
    const connection = new RawConnection(server);
    connection.socket.end(sqlRequest(token, 'SELECT 7 AS n'));
    await connection.until(/\["7"\]/);
    await connection.ended;
  });

  test('of HTTP/1.0 is closed behind the answer', async () => {
    expect(await exchange('GET /health HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 [\s\S]*Connection: close/);
  });

  test('that takes too long for headers or body is told so and closed', async () => {
    const strict = await startTestServer({ 'performance.request_timeout': 1 });
    const slowHead = new RawConnection(strict);
    const slowBody = new RawConnection(strict);
    await slowHead.write('GET /health HTTP/1.1\r\nHo');
    await slowBody.write(`POST /v1/api/auth/login HTTP/1.1\r\n${HOST}Content-Length: 100\r\n\r\n{`);
    const session = await openHttp2(strict.url);
    const slowStream = session.request({ ':method': 'POST', ':path': '/v1/api/auth/login', 'content-type': 'application/json' });
    slowStream.write('{');
    slowStream.on('error', () => {});
    await Promise.all([slowHead.ended, slowBody.ended, once(slowStream, 'close')]);
    for (const { text } of [slowHead, slowBody]) expect(text).toMatch(/^HTTP\/1\.1 408 [\s\S]*"error":"request_timeout"/);
    expect((await requestHttp2(session, { ':path': '/health' })).status).toBe(200);
    session.close();
    await strict.close();
  });

  test('is one of a limited number; beyond it the log and the metrics say so', async () => {
    const { logger, recent } = createLog(loadConfig({ overrides: { 'logging.log_to_console': false } }).config);
    const strict = await startTestServer({ 'performance.max_connections': 2 }, { log: logger });
    const open = [new RawConnection(strict), new RawConnection(strict)];
    await Promise.all(open.map((one) => one.write(`GET /health HTTP/1.1\r\n${HOST}\r\n`)));
    await Promise.all(open.map((one) => one.until(/"healthy"/)));
    const third = new RawConnection(strict);
    await third.ended;
    expect(third.text).toBe('');
    expect(recent().map(({ message }) => message)).toEqual([
      'there are performance.max_connections connections; further ones are refused max=2',
    ]);
    const [first] = open;
    await first?.write(`GET /metrics HTTP/1.1\r\n${HOST}\r\n`);
    await first?.until(/kalamdb_rate_limit_refusals_total\{limit="connections"\} 1/);
    for (const one of open) one.close();
    await strict.close();
  });
});

describe('routes', () => {
  const status = async (method: string, path: string, headers: Record<string, string> = {}): Promise<number> => {
    const answer = await fetch(server.url + path, { method, headers });
    await answer.arrayBuffer();
    return answer.status;
  };

  test('answer HEAD like GET without a body, and other methods not at all', async () => {
    expect(await status('HEAD', '/health')).toBe(200);
    for (const method of ['GET', 'PUT', 'PATCH', 'DELETE', 'HEAD'])
      expect([method, await status(method, '/v1/api/sql')]).toEqual([method, 404]);
    for (const path of ['/', '/v1', '/v1/api/sql/', '/V1/api/sql', '/v1/api//sql', '/v1/api/health', '/%zz', '/v1/api/sql%00']) {
      expect([path, await status('POST', path)]).toEqual([path, expect.toSatisfy((found: number) => found === 404 || found === 400)]);
    }
  });

  test('of health are not kept by caches', async () => {
    for (const path of ['/health', '/v1/api/healthcheck', '/v1/api/cluster/health']) {
      const answer = await fetch(server.url + path);
      expect(answer.headers.get('cache-control')).toBe('no-store');
      await answer.arrayBuffer();
    }
  });

  test('are one for both paths of SQL', async () => {
    for (const path of ['/v1/api/sql', '/api/sql', '/v1/api/sql?x=1']) {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'APPLICATION/JSON; charset=utf-8' };
      const answer = await fetch(server.url + path, { method: 'POST', headers, body: '{"sql":"SELECT 1"}' });
      expect([path, answer.status]).toEqual([path, 200]);
      await answer.arrayBuffer();
    }
  });
});

describe('a body of no known length that is too large', () => {
  test('is refused by every route, without a line in the log and without a warning of Node', async () => {
    const { logger, recent } = createLog(loadConfig({ overrides: { 'logging.log_to_console': false } }).config);
    const small = await startTestServer({ 'rate_limit.request_body_limit_bytes': 1024 }, { log: logger });
    const warnings: string[] = [];
    const onWarning = (warning: Error): unknown => warnings.push(warning.name);
    process.on('warning', onWarning);
    const bearer = { authorization: `Bearer ${await rootToken(small.url)}`, 'content-type': 'application/json' };
    const session = await openHttp2(small.url);
    for (const path of ['/v1/api/sql', '/v1/api/auth/login', '/v1/other']) {
      const body = 'x'.repeat(path.includes('auth') ? 2_100_000 : 2000);
      const { status, headers } = await requestHttp2(session, { ':method': 'POST', ':path': path, ...bearer }, body);
      expect([path, status, headers['connection']]).toEqual([path, 413, undefined]);
    }
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', onWarning);
    expect([warnings, recent()]).toEqual([[], []]);
    session.close();
    await small.close();
  });
});

describe('other origins', () => {
  const preflight = (url: string, headers: Record<string, string>): Promise<Response> =>
    fetch(`${url}/v1/api/sql`, { method: 'OPTIONS', headers: { 'access-control-request-method': 'POST', ...headers } });

  test('may ask what they may do', async () => {
    const asked = { origin: 'http://app.example', 'access-control-request-headers': 'authorization,content-type' };
    const { status, headers } = await preflight(server.url, asked);
    expect(status).toBe(200);
    expect(Object.fromEntries(headers)).toMatchObject({
      'access-control-allow-origin': 'http://app.example',
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'GET, POST, PUT, DELETE, PATCH, OPTIONS',
      'access-control-allow-headers': 'Authorization, Content-Type, Accept, Origin, X-Requested-With',
      'access-control-max-age': '3600',
      vary: expect.stringContaining('Origin') as unknown,
    });
  });

  test('that are not named get no permission', async () => {
    const strict = await startTestServer({ 'security.cors.allowed_origins': ['http://app.example'] });
    expect((await preflight(strict.url, { origin: 'http://evil.example' })).headers.get('access-control-allow-origin')).toBeNull();
    expect((await preflight(strict.url, { origin: 'http://app.example' })).headers.get('access-control-allow-origin')).toBe(
      'http://app.example',
    );
    const refused = await fetch(`${strict.url}/health`, { headers: { origin: 'http://evil.example' } });
    expect(refused.headers.get('access-control-allow-origin')).toBeNull();
    await refused.arrayBuffer();
    await strict.close();
  });

  test('see the headers of refusals as well, also of those before any route', async () => {
    const strict = await startTestServer({ 'rate_limit.max_requests_per_ip_per_sec': 1 });
    const origin = 'http://app.example';
    const seen: unknown[] = [];
    const ask = async (url: string, options: RequestInit): Promise<void> => {
      const answer = await fetch(`${url}/v1/api/sql`, { ...options, headers: { origin, ...options.headers } });
      const { headers } = answer;
      seen.push([
        answer.status,
        headers.get('access-control-allow-origin'),
        headers.get('access-control-allow-credentials'),
        headers.get('vary'),
      ]);
      await answer.arrayBuffer();
    };
    await ask(server.url, { method: 'POST', body: '{}' });
    await ask(server.url, { method: 'POST', body: 'x'.repeat(3_000_001) });
    const elsewhere = { 'x-forwarded-for': '203.0.113.9' };
    await ask(strict.url, { headers: elsewhere });
    await ask(strict.url, { headers: elsewhere });
    expect(seen).toEqual([401, 413, 404, 429].map((status) => [status, origin, 'true', 'Origin']));
    await strict.close();
  });
});
