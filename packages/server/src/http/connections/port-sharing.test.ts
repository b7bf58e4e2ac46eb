import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { VirtualTime } from '@kalamdb/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { RunningServer } from '../../server.ts';
import { openHttp2, RawConnection, requestHttp2, rootToken, sqlRequest, startTestServer } from '../wire-client.fixture.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const EMPTY_SETTINGS = '\0\0\0\x04\0\0\0\0\0';

let server: RunningServer;
let token: string;

beforeAll(async () => {
  server = await startTestServer();
  token = await rootToken(server.url);
});

afterAll(() => server.close());

function sqlOverHttp2(session: ClientHttp2Session, sql: string): ReturnType<typeof requestHttp2> {
  const headers = { ':method': 'POST', ':path': '/v1/api/sql', authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return requestHttp2(session, headers, JSON.stringify({ sql }));
}

describe('one port', () => {
  test('serves HTTP/2 by prior knowledge beside HTTP/1.1 and WebSocket', async () => {
    const session = await openHttp2(server.url);
    const { status, body } = await sqlOverHttp2(session, 'SELECT 1 AS one');
    expect([status, JSON.parse(body)]).toMatchObject([200, { status: 'success', results: [{ rows: [['1']] }] }]);
    expect((await requestHttp2(session, { ':path': '/health' })).status).toBe(200);
    expect((await requestHttp2(session, { ':path': '/nowhere' })).status).toBe(404);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/ws`, { headers: { authorization: `Bearer ${token}` } });
    const [frame] = (await once(socket, 'message')) as [Buffer];
    expect(JSON.parse(frame.toString())).toMatchObject({ type: 'auth_success' });
    socket.close();
    session.close();
  });

  test('carries many requests at once on one HTTP/2 connection', async () => {
    const session = await openHttp2(server.url);
    const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => sqlOverHttp2(session, `SELECT ${i} AS n`)));
    expect(answers.map(({ body }) => (JSON.parse(body) as { results: { rows: string[][] }[] }).results[0]?.rows[0]?.[0])).toEqual(
      Array.from({ length: 500 }, (_, i) => String(i)),
    );
    session.close();
  });

  test('tells the protocol however the first bytes are cut', async () => {
    const http1 = 'POST /health HTTP/1.1\r\nHost: x\r\n\r\n';
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(cuts, fc.boolean(), async (points, isHttp2) => {
        const text = isHttp2 ? PREFACE + EMPTY_SETTINGS : http1;
        const at = [0, ...points.sort((a, b) => a - b), text.length];
        const connection = new RawConnection(server);
        await connection.write(...at.slice(1).map((end, i) => Buffer.from(text.slice(at[i], end), 'latin1')));
        // A frame, which is never text: the settings of the server; or the answer of an unknown route.
        await connection.until(isHttp2 ? /^[^H][^H]{8}/ : /^HTTP\/1\.1 404 /);
        connection.close();
      }),
      { numRuns: 25 },
    );
  });

  test('a request that only begins like the preface is HTTP/1.1', async () => {
    const connection = new RawConnection(server);
    await connection.write('PRI', ' * HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(await connection.until(/HTTP\/1\.1 \d+ [\s\S]*\r\n\r\n/)).toMatch(/^HTTP\/1\.1 400 /);
    await connection.ended;
  });

  test('requests that follow one another without waiting are answered in order', async () => {
    const connection = new RawConnection(server);
    await connection.write([1, 2, 3].map((n) => sqlRequest(token, `SELECT ${n} AS n`)).join(''));
    const text = await connection.until(/\["3"\]/);
    expect([...text.matchAll(/\["(\d)"\]/g)].map(([, n]) => n)).toEqual(['1', '2', '3']);
    connection.close();
  });

  test('with HTTP/2 off the preface is a broken request', async () => {
    const strict = await startTestServer({ 'server.enable_http2': false });
    expect((await fetch(`${strict.url}/health`)).status).toBe(200);
    const connection = new RawConnection(strict);
    await connection.write(PREFACE + EMPTY_SETTINGS);
    await connection.ended;
    expect(connection.text).toMatch(/^HTTP\/1\.1 400 /);
    await strict.close();
  });

  test('a connection that says nothing, or stops in the middle of the preface, is cut in time', async () => {
    const timers = new VirtualTime();
    const strict = await startTestServer({}, { timers, clock: timers });
    const silent = new RawConnection(strict);
    const halting = new RawConnection(strict);
    await halting.write('PRI * HTT');
    await fetch(`${strict.url}/health`);
    timers.advance(11_000);
    await Promise.all([silent.ended, halting.ended]);
    expect([silent.text, halting.text]).toEqual(['', '']);
    await strict.close();
  });

  test('an HTTP/2 connection without requests is closed in time, one with a request is not', async () => {
    const timers = new VirtualTime();
    const strict = await startTestServer({}, { timers, clock: timers });
    const [idle, busy] = await Promise.all([openHttp2(strict.url), openHttp2(strict.url)]);
    const running = busy.request({ ':method': 'POST', ':path': '/v1/api/auth/login', 'content-type': 'application/json' });
    running.write('{"user":"root",');
    running.on('error', () => {});
    await Promise.all([requestHttp2(idle, { ':path': '/health' }), requestHttp2(busy, { ':path': '/health' })]);
    const closed = once(idle, 'close');
    while (!idle.destroyed) {
      // A request counts until its stream is closed, which happens behind its answer.
      timers.advance(20_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await closed;
    expect(busy.destroyed).toBe(false);
    busy.destroy();
    await strict.close();
  });

  test('an HTTP/2 answer that its client does not take is cut in time', async () => {
    const timers = new VirtualTime();
    const strict = await startTestServer({}, { timers, clock: timers });
    const session = connectHttp2(strict.url, { settings: { initialWindowSize: 0 } });
    session.on('error', () => {});
    const unread = session.request({ ':path': '/v1/other' });
    unread.on('error', () => {});
    await once(unread, 'response');
    const closed = once(unread, 'close');
    let seconds = 0;
    for (; !unread.closed; seconds += 10) {
      timers.advance(10_000);
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    await closed;
    expect([unread.rstCode, seconds >= 60]).toEqual([constants.NGHTTP2_CANCEL, true]);
    session.destroy();
    await strict.close();
  });

  test('a half-open connection that said nothing is closed at once', async () => {
    const connection = new RawConnection(server);
    connection.socket.end('PR');
    await connection.ended;
    expect(connection.text).toBe('');
  });

  test('localhost is every address of it', async () => {
    const local = await startTestServer({ 'server.host': 'localhost' });
    expect((await fetch(`http://127.0.0.1:${local.port}/health`)).status).toBe(200);
    await local.close();
    await expect(fetch(`http://127.0.0.1:${local.port}/health`)).rejects.toThrow();
  });
});

describe('stopping', () => {
  test('ends HTTP/2 connections when their requests are answered', async () => {
    const stopping = await startTestServer();
    const session = await openHttp2(stopping.url);
    const running = session.request({ ':method': 'POST', ':path': '/v1/api/auth/login', 'content-type': 'application/json' });
    running.write('{"user":"root",');
    await requestHttp2(session, { ':path': '/health' });
    const away = once(session, 'goaway');
    const closed = stopping.close();
    await away;
    running.end('"password":"x"}');
    const [head] = (await once(running, 'response')) as [Record<string, unknown>];
    expect(head[':status']).toBe(401);
    running.resume();
    await closed;
  });

  test('ends what runs, and answers 503 to a request that comes behind it', async () => {
    const stopping = await startTestServer();
    const [head = '', body = ''] = sqlRequest(await rootToken(stopping.url), 'SELECT 7 AS n', 'Expect: 100-continue\r\n').split(
      /(?<=\r\n\r\n)/,
    );
    const connection = new RawConnection(stopping);
    await connection.write(head);
    await connection.until(/100 Continue/);
    const closed = stopping.close();
    await connection.write(`${body}GET /v1/api/auth/me HTTP/1.1\r\nHost: x\r\n\r\n`);
    await connection.ended;
    expect(connection.text).toMatch(/HTTP\/1\.1 200 [\s\S]*\["7"\][\s\S]*HTTP\/1\.1 503 [\s\S]*shutting_down/);
    await closed;
  });
});
