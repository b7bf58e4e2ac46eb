import { EventEmitter, once } from 'node:events';
import type { Socket } from 'node:net';
import { VirtualTime } from '@kalamdb/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { trustedProxies } from '../../auth/client-address.ts';
import type { HttpRequest, PlainAnswer } from '../http-exchange.ts';
import { rootToken, startTestServer } from '../wire-client.fixture.ts';
import { ConnectionProtection } from './connection-protection.ts';

const LIMITS = { requestsPerSecond: 3, connectionsMax: 2, banSeconds: 300 };

class Scene {
  readonly time = new VirtualTime();
  readonly protection: ConnectionProtection;
  #port = 1000;

  constructor(limits: Partial<typeof LIMITS> = {}) {
    const proxies = trustedProxies(['192.0.2.0/24']);
    this.protection = new ConnectionProtection({ limits: { ...LIMITS, ...limits }, proxies, clock: this.time, timers: this.time });
  }

  connect(remoteAddress: string): Socket {
    return Object.assign(new EventEmitter(), { remoteAddress, remotePort: this.#port++ }) as unknown as Socket;
  }

  ask(socket: Socket, forwarded?: string): PlainAnswer | (() => void) | undefined {
    const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
    const admission = this.protection.admit({ socket, headers } as unknown as HttpRequest);
    return admission.refusal ?? admission.release;
  }
}

const errorOf = (answer: unknown): unknown =>
  answer === undefined || typeof answer === 'function' ? 'free' : (JSON.parse((answer as PlainAnswer).body) as { error: string }).error;

describe('requests of one address', () => {
  test('are limited by second, but never those of this machine', () => {
    const { time, protection, ask, connect } = bound(new Scene());
    const socket = connect('203.0.113.1');
    expect([1, 2, 3, 4].map(() => errorOf(ask(socket)))).toEqual(['free', 'free', 'free', 'RATE_LIMIT_EXCEEDED']);
    expect(errorOf(ask(connect('203.0.113.2')))).toBe('free');
    time.advance(1000);
    expect(errorOf(ask(socket))).toBe('free');
    for (const local of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '127.9.9.9']) {
      for (let i = 0; i < 20; i++) expect(errorOf(ask(connect(local)))).toBe('free');
    }
    expect(protection.addresses).toBe(2);
  });

  test('count for the client that a believed proxy names, and for nobody whom another peer names', () => {
    const { ask, connect } = bound(new Scene({ connectionsMax: 100 }));
    for (const proxy of ['127.0.0.1', '192.0.2.7']) {
      const answers = [1, 2, 3, 4].map(() => errorOf(ask(connect(proxy), `198.51.100.${proxy.at(-1)}, 10.0.0.1`)));
      expect(answers).toEqual(['free', 'free', 'free', 'RATE_LIMIT_EXCEEDED']);
    }
    const liar = connect('203.0.113.1');
    expect([1, 2, 3, 4].map((i) => errorOf(ask(liar, `198.51.100.${i}`)))).toEqual(['free', 'free', 'free', 'RATE_LIMIT_EXCEEDED']);
  });

  test('count for the /64 of IPv6, which one client has to itself', () => {
    const { protection, ask, connect } = bound(new Scene({ connectionsMax: 2 }));
    const answers = ['2001:db8::1', '2001:db8::2', '2001:db8:0:0:ffff::3', '2001:db8::4', '2001:db8:0:1::1'];
    expect(answers.map((address) => errorOf(ask(connect(address))))).toEqual(['free', 'free', 'free', 'RATE_LIMIT_EXCEEDED', 'free']);
    expect(errorOf(ask(connect('127.0.0.1'), '2001:db8::5'))).toBe('RATE_LIMIT_EXCEEDED');
    expect(protection.addresses).toBe(2);
    const sockets = Array.from({ length: 5 }, (_, i) => connect(`2001:db8:5::${i}`));
    expect(sockets.map((socket) => protection.opened(socket))).toEqual([true, true, true, true, false]);
  });

  test('ten refusals ban the address, each time for longer, at most six times as long', () => {
    const { time, ask, connect } = bound(new Scene());
    const socket = connect('203.0.113.1');
    const seconds: number[] = [];
    for (let ban = 0; ban < 8; ban++) {
      for (let i = 0; i < LIMITS.requestsPerSecond + 10; i++) ask(socket);
      const answer = ask(socket) as PlainAnswer;
      const body = JSON.parse(answer.body) as { readonly retry_after_seconds: number };
      expect(body).toMatchObject({ error: 'IP_BANNED' });
      expect([answer.status, answer.headers]).toEqual([
        429,
        {
          'retry-after': String(body.retry_after_seconds),
          'x-ratelimit-reset': String(Math.ceil(time.now() / 1000) + body.retry_after_seconds),
        },
      ]);
      seconds.push(body.retry_after_seconds);
      time.advance(body.retry_after_seconds * 1000 - 1000);
      expect(errorOf(ask(socket))).toBe('IP_BANNED');
      time.advance(1000);
      expect(errorOf(ask(socket))).toBe('free');
    }
    expect(seconds).toEqual([300, 600, 900, 1200, 1500, 1800, 1800, 1800]);
  });

  test('what an address did is forgotten after an hour of silence', () => {
    const { time, protection, ask, connect } = bound(new Scene());
    ask(connect('203.0.113.1'));
    time.advance(3_500_000);
    expect(protection.addresses).toBe(1);
    time.advance(200_000);
    expect(protection.addresses).toBe(0);
    protection.close();
    expect(time.pendingTimers).toBe(0);
  });

  test('no flood of addresses makes it remember more than its bound', () => {
    const { protection, ask, connect } = bound(new Scene());
    for (let i = 0; i < 110_000; i++) ask(connect(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`));
    expect(protection.addresses).toBe(100_000);
  });
});

describe('connections of one address', () => {
  test('beyond the limit are answered 503, and beyond twice the limit not at all', () => {
    const { protection, ask, connect } = bound(new Scene({ requestsPerSecond: 1000 }));
    const sockets = Array.from({ length: 5 }, () => connect('203.0.113.1'));
    expect(sockets.map((socket) => protection.opened(socket))).toEqual([true, true, true, true, false]);
    const refused = ask(sockets[2] as Socket) as PlainAnswer;
    expect([refused.status, refused.headers, JSON.parse(refused.body)]).toEqual([
      503,
      { 'retry-after': '5' },
      { error: 'TOO_MANY_CONNECTIONS', message: expect.any(String) as unknown, current: 5, max: 2 },
    ]);
    expect(errorOf(ask(sockets[0] as Socket))).toBe('free');
    for (const socket of [0, 1, 4]) sockets[socket]?.emit('close');
    expect(errorOf(ask(sockets[2] as Socket))).toBe('free');
  });

  test('behind a proxy are its running requests', () => {
    const { ask, connect } = bound(new Scene({ requestsPerSecond: 1000 }));
    const proxy = connect('127.0.0.1');
    const first = ask(proxy, '198.51.100.1') as () => void;
    const second = ask(proxy, '198.51.100.1') as () => void;
    expect(errorOf(ask(proxy, '198.51.100.1'))).toBe('TOO_MANY_CONNECTIONS');
    expect(errorOf(ask(proxy, '198.51.100.2'))).toBe('free');
    first();
    first();
    expect(errorOf(ask(proxy, '198.51.100.1'))).toBe('free');
    expect(errorOf(ask(proxy, '198.51.100.1'))).toBe('TOO_MANY_CONNECTIONS');
    second();
  });

  test('the count is exact after any sequence of openings and closings', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 100 }), (steps) => {
        const { protection, ask, connect } = bound(new Scene({ requestsPerSecond: 1000, connectionsMax: 5 }));
        const open: Socket[] = [];
        for (const opens of steps) {
          if (opens) {
            const socket = connect('203.0.113.1');
            const kept = protection.opened(socket);
            expect(kept).toBe(open.length < 10);
            if (kept) open.push(socket);
            else socket.emit('close');
          } else open.shift()?.emit('close');
        }
        const newest = open.at(-1);
        if (newest !== undefined && open.length <= 5) expect(errorOf(ask(newest))).toBe('free');
      }),
    );
  });
});

describe('a server', () => {
  const settings = {
    'rate_limit.max_requests_per_ip_per_sec': 5,
    'rate_limit.max_connections_per_ip': 1,
    'rate_limit.ban_duration_seconds': 60,
    'rate_limit.request_body_limit_bytes': 2000,
  };

  test('refuses requests and upgrades of a forwarded address alike, and bans it', async () => {
    const server = await startTestServer(settings);
    const token = await rootToken(server.url);
    const headers = { 'x-forwarded-for': '198.51.100.1', authorization: `Bearer ${token}` };
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/ws`, { headers });
    await once(socket, 'message');
    const refused = await fetch(`${server.url}/health`, { headers });
    expect([refused.status, refused.headers.get('retry-after'), await refused.json()]).toEqual([
      503,
      '5',
      { error: 'TOO_MANY_CONNECTIONS', message: expect.any(String) as unknown, current: 2, max: 1 },
    ]);
    socket.close();
    await once(socket, 'close');
    const seen = new Set<number>();
    for (let i = 0; i < 30; i++) {
      const answer = await fetch(`${server.url}/health`, { headers });
      seen.add(answer.status);
      await answer.arrayBuffer();
    }
    expect(seen).toEqual(new Set([403, 429]));
    const late = new WebSocket(`${server.url.replace('http', 'ws')}/v1/ws`, { headers });
    late.on('error', () => {});
    const [, response] = await once(late, 'unexpected-response');
    expect([response.statusCode, response.headers['retry-after']]).toEqual([429, expect.stringMatching(/^\d+$/)]);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    await server.close();
  });

  test('refuses large bodies of this machine too, before it asks who sends them', async () => {
    const server = await startTestServer(settings);
    const answer = await fetch(`${server.url}/v1/api/sql`, { method: 'POST', body: 'x'.repeat(2001) });
    expect([answer.status, await answer.json()]).toEqual([
      413,
      { error: 'BODY_TOO_LARGE', message: expect.any(String) as unknown, size_bytes: 2001, max_bytes: 2000 },
    ]);
    await server.close();
  });

  test('refuses nobody when the protection is off', async () => {
    const server = await startTestServer({ ...settings, 'rate_limit.enable_connection_protection': false });
    const headers = { 'x-forwarded-for': '198.51.100.1' };
    for (let i = 0; i < 20; i++) expect((await fetch(`${server.url}/health`, { headers })).status).toBe(403);
    await server.close();
  });
});

function bound(scene: Scene): Pick<Scene, 'time' | 'protection' | 'ask' | 'connect'> {
  const { time, protection } = scene;
  return { time, protection, ask: (socket, forwarded) => scene.ask(socket, forwarded), connect: (address) => scene.connect(address) };
}
