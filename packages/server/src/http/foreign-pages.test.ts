import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { RunningServer } from '../server.ts';
import { ROOT_PASSWORD, startTestServer } from './wire-client.fixture.ts';

const FOREIGN = 'https://evil.example';
const SETUP = JSON.stringify({ user: 'ada', password: 'engine-no-1', root_password: 'difference-2' });
const JSON_TYPE = { 'content-type': 'application/json' };

describe('a page of somebody else in a browser on this machine', () => {
  let server: RunningServer;

  beforeAll(async () => {
    server = await startTestServer({ 'auth.root_password': '', 'server.public_origin': 'https://db.example' });
  });

  afterAll(() => server.close());

  const setup = (headers: Record<string, string>): Promise<Response> =>
    fetch(`${server.url}/v1/api/auth/setup`, { method: 'POST', headers: { ...JSON_TYPE, ...headers }, body: SETUP });

  test('does not count as this machine: it reads no health and no metrics, and does not set up the server', async () => {
    for (const path of ['/health', '/health/ready', '/v1/api/cluster/health', '/metrics', '/v1/api/auth/status']) {
      const asked = async (headers: Record<string, string>): Promise<number> => (await fetch(server.url + path, { headers })).status;
      expect([path, await asked({ origin: FOREIGN }), await asked({ origin: 'null' }), await asked({})]).toEqual([path, 403, 403, 200]);
    }
    // A name that leads to this machine makes a page of somebody else one of the same host, as its browser sees it.
    const rebound = { origin: 'http://evil.example:8080', host: 'evil.example:8080' };
    for (const headers of [{ origin: FOREIGN }, rebound]) expect((await setup(headers)).status).toBe(403);
  });

  test('pages of this machine and of the public origin do', async () => {
    for (const origin of ['http://localhost:5173', 'https://db.example']) {
      expect((await fetch(`${server.url}/health`, { headers: { origin } })).status).toBe(200);
    }
    expect((await setup({ origin: 'http://localhost:5173' })).status).toBe(200);
  });
});

describe('cookies', () => {
  let server: RunningServer;
  let cookies: string;

  beforeAll(async () => {
    server = await startTestServer({ 'server.public_origin': 'https://db.example' });
    const body = JSON.stringify({ user: 'root', password: ROOT_PASSWORD });
    const answer = await fetch(`${server.url}/v1/api/auth/login`, { method: 'POST', headers: JSON_TYPE, body });
    expect(answer.headers.get('cache-control')).toBe('no-store');
    cookies = answer.headers
      .getSetCookie()
      .map((cookie) => cookie.split(';', 1)[0])
      .join('; ');
  });

  afterAll(() => server.close());

  const statuses = async (headers: Record<string, string>): Promise<readonly number[]> => {
    const all = { cookie: cookies, ...headers };
    const me = await fetch(`${server.url}/v1/api/auth/me`, { headers: all });
    const refresh = await fetch(`${server.url}/v1/api/auth/refresh`, { method: 'POST', headers: all });
    const tokens = await fetch(`${server.url}/v1/api/auth/tokens`, { headers: all });
    return [me.status, refresh.status, tokens.status];
  };

  test('count without a page, and for pages of the server, of its public origin, and of this machine', async () => {
    for (const origin of [server.url, 'https://db.example', 'http://localhost:5173'])
      expect(await statuses({ origin })).toEqual([200, 200, 200]);
    expect(await statuses({})).toEqual([200, 200, 200]);
  });

  test('do not count for any other page, though it may call', async () => {
    for (const origin of ['https://www.example', 'null']) expect(await statuses({ origin })).toEqual([401, 401, 401]);
  });
});

test('when origins are named, pages of the public origin may call and open WebSockets as well', async () => {
  const server = await startTestServer({
    'security.cors.allowed_origins': ['https://app.example'],
    'server.public_origin': 'https://db.example',
  });
  for (const [origin, allowed] of [
    ['https://app.example', true],
    ['https://db.example', true],
    ['https://evil.example', false],
  ] as const) {
    const { headers } = await fetch(`${server.url}/v1/api/sql`, { method: 'POST', headers: { origin }, body: '{}' });
    expect(headers.get('access-control-allow-origin')).toBe(allowed ? origin : null);
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/ws`, { origin });
    const opened = await new Promise((resolve) => {
      socket.once('open', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    expect([origin, opened]).toEqual([origin, allowed]);
    socket.terminate();
  }
  await server.close();
});
