import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { RunningServer } from '../../server.ts';
import { ROOT_PASSWORD, rootToken, startTestServer } from '../wire-client.fixture.ts';
import { type ReverseProxy, startReverseProxy } from './reverse-proxy.fixture.ts';

describe('behind a reverse proxy', () => {
  let server: RunningServer;
  let proxy: ReverseProxy;
  let token: string;

  beforeAll(async () => {
    server = await startTestServer({ 'rate_limit.max_requests_per_ip_per_sec': 10 });
    proxy = await startReverseProxy(server, '203.0.113.9');
    token = await rootToken(server.url);
  });

  afterAll(async () => {
    await proxy.close();
    await server.close();
  });

  test('SQL, long answers and WebSockets work', async () => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const answer = await fetch(`${proxy.url}/v1/api/sql`, { method: 'POST', headers, body: '{"sql":"SELECT 1 AS one"}' });
    expect(await answer.json()).toMatchObject({ results: [{ rows: [['1']] }] });
    const socket = new WebSocket(`${proxy.url.replace('http', 'ws')}/v1/ws`, { headers });
    const [frame] = (await once(socket, 'message')) as [Buffer];
    expect(JSON.parse(frame.toString())).toMatchObject({ type: 'auth_success', user: 'root' });
    socket.close();
  });

  test('cookies are Secure when the client speaks https to the proxy', async () => {
    const answer = await fetch(`${proxy.url}/v1/api/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user: 'root', password: ROOT_PASSWORD }),
    });
    for (const cookie of answer.headers.getSetCookie()) expect(cookie).toMatch(/; Secure/);
    await answer.text();
  });

  test('its clients are not local, and limits count them and not the proxy', async () => {
    const other = await startReverseProxy(server, '203.0.113.10');
    const statuses: number[] = [];
    for (let i = 0; i < 12; i++) statuses.push((await fetch(`${proxy.url}/health`)).status);
    expect(statuses).toContain(429);
    expect((await fetch(`${other.url}/health`)).status).toBe(403);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    await other.close();
  });
});
