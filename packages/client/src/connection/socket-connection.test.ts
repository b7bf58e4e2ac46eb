import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Credentials } from '../http/credentials.ts';
import { holdsSocket } from './connection-state.ts';
import { SocketConnection } from './socket-connection.ts';
import { Wire, WireSocket } from './wire-socket.fixture.ts';

const ACCEPT = { type: 'auth_success', user: 'alice', role: 'user' };

function open(seed = 1) {
  const time = new VirtualTime();
  const random = new SeededRandom(seed);
  const wire = new Wire();
  const log: string[] = [];
  const credentials = new Credentials(
    {
      authProvider: async () => ({ type: 'jwt', token: 't' }),
      authProviderMaxAttempts: 3,
      authProviderInitialBackoffMs: 1,
      authProviderMaxBackoffMs: 1,
      timers: time,
      random,
    },
    () => Promise.reject(new Error('not used')),
  );
  const connection = new SocketConnection(
    {
      url: 'ws://server/v1/ws',
      webSocket: class extends WireSocket {
        constructor(_url: string) {
          super(wire);
        }
      },
      clock: time,
      timers: time,
      random,
      connectTimeoutMs: 10_000,
      pingIntervalMs: 5_000,
      reconnect: { autoReconnect: true, attemptsMax: undefined, delayMillis: 1_000, delayMillisMax: 30_000 },
    },
    credentials,
    {
      ready: () => log.push('ready'),
      lost: () => log.push('lost'),
      gaveUp: (error) => log.push(`gave up: ${error.message}`),
      failed: (message) => log.push(`failed: ${message}`),
      frame: (frame) => log.push(frame.type),
      received: () => undefined,
      sent: () => undefined,
    },
  );
  return { time, wire, log, connection };
}

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 8; turn++) await Promise.resolve();
};

const command = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('connect', 'open', 'open', 'accept', 'accept') },
  { weight: 1, arbitrary: fc.constantFrom('refuse', 'drop', 'disconnect', 'wake', 'junk', 'restart') },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 20_000 }) },
);

describe('socket connection', () => {
  it('holds at most one socket and two timers, whatever happens in whatever order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 60 }), fc.nat(), async (commands, seed) => {
        const { time, wire, connection } = open(seed);
        for (const next of commands) {
          if (typeof next === 'number') time.advance(next);
          else if (next === 'connect') connection.connect().catch(() => undefined);
          else if (next === 'open') wire.latest?.say('open');
          else if (next === 'accept') wire.latest?.frame(ACCEPT);
          else if (next === 'refuse') wire.latest?.frame({ type: 'auth_error', message: 'no' });
          else if (next === 'drop') wire.latest?.drop();
          else if (next === 'junk') wire.latest?.say('message', { data: '{"type":' });
          else if (next === 'restart') connection.restart('asked to');
          else connection.dispatch({ name: next });
          await settled();
          expect(wire.open.length).toBe(holdsSocket(connection.state) ? 1 : 0);
          expect(time.pendingTimers).toBeLessThanOrEqual(2);
        }
        connection.dispatch({ name: 'shutdown' });
        expect(wire.open).toEqual([]);
        expect(time.pendingTimers).toBe(0);
      }),
    );
  });

  it('reaches ready through credentials, open and accept, and answers everyone who waits', async () => {
    const { wire, connection, log } = open();
    const both = Promise.all([connection.connect(), connection.connect()]);
    await settled();
    wire.latest?.say('open');
    expect(JSON.parse(wire.latest?.sent[0] ?? '')).toEqual({
      type: 'authenticate',
      method: 'jwt',
      token: 't',
      protocol: { serialization: 'json', compression: 'gzip', extensions: ['progress', 'window', 'commit-token'] },
    });
    wire.latest?.frame(ACCEPT);
    await both;
    expect(log).toEqual(['ready']);
  });

  it('gives up a server that stops answering within three ticks and comes back', async () => {
    const { time, wire, connection, log } = open();
    const connected = connection.connect();
    await settled();
    wire.latest?.say('open');
    wire.latest?.frame(ACCEPT);
    await connected;
    const first = wire.latest;
    time.advance(5_000);
    expect(first?.sent.at(-1)).toBe('{"type":"ping"}');
    time.advance(5_000);
    expect(JSON.parse(first?.sent.at(-1) ?? '')).toMatchObject({ type: 'next_batch' });
    time.advance(5_000);
    expect(log).toEqual(['ready', 'failed: the server is silent', 'lost']);
    time.advance(1_000);
    await settled();
    expect(wire.latest).not.toBe(first);
  });

  it('asks at once after a sleep, and when it is woken, and does not wait long for the answer', async () => {
    for (const away of ['sleep', 'wake'] as const) {
      const { time, wire, connection, log } = open();
      const connected = connection.connect();
      await settled();
      wire.latest?.say('open');
      wire.latest?.frame(ACCEPT);
      await connected;
      if (away === 'wake') connection.wake();
      else {
        time.jump(600_000);
        time.advance(5_000);
      }
      expect(JSON.parse(wire.latest?.sent.at(-1) ?? '')).toMatchObject({ type: 'next_batch' });
      time.advance(3_000);
      expect(log).toEqual(['ready', 'failed: the server is silent', 'lost']);
    }
  });

  it.each([
    'Too many authentication attempts. Please retry shortly.',
    'Authentication timeout - no auth message received within 3 seconds',
  ])('comes back after a refusal that is not about the token: %s', async (message) => {
    const { time, wire, connection, log } = open();
    for (let attempt = 0; attempt < 4; attempt++) {
      connection.connect().catch(() => undefined);
      await settled();
      wire.latest?.say('open');
      wire.latest?.frame({ type: 'auth_error', message });
      time.advance(30_000);
    }
    await settled();
    wire.latest?.say('open');
    wire.latest?.frame(ACCEPT);
    expect(log.at(-1)).toBe('ready');
  });

  it('keeps a server that answers its probes', async () => {
    const { time, wire, connection, log } = open();
    const connected = connection.connect();
    await settled();
    wire.latest?.say('open');
    wire.latest?.frame(ACCEPT);
    await connected;
    for (let tick = 0; tick < 20; tick++) {
      time.advance(5_000);
      const { type, subscription_id } = JSON.parse(wire.latest?.sent.at(-1) ?? '{}');
      if (type === 'next_batch') wire.latest?.frame({ type: 'error', subscription_id, code: 'BATCH_FETCH_FAILED', message: 'Not found' });
    }
    expect(log).toEqual(['ready']);
  });

  it('connect says why when its time is over, and the attempts go on', async () => {
    const { time, wire, connection } = open();
    const connected = connection.connect().catch((error: Error) => error);
    await settled();
    wire.latest?.drop();
    time.advance(9_999);
    await settled();
    time.advance(1);
    expect(await connected).toMatchObject({ code: 'CONNECT_TIMEOUT', message: expect.stringContaining('code 1006') });
    expect(connection.state.name).not.toBe('idle');
  });

  it('waits longer after every failure, also when each connection stands for a moment', async () => {
    const { time, wire, connection } = open();
    connection.connect().catch(() => undefined);
    const pauses: number[] = [];
    for (let attempt = 0; attempt < 6; attempt++) {
      await settled();
      wire.latest?.say('open');
      wire.latest?.frame(ACCEPT);
      const { length } = wire.sockets;
      wire.latest?.drop();
      let pause = 0;
      while (wire.sockets.length === length && pause < 40_000) {
        time.advance(100);
        pause += 100;
        await settled();
      }
      pauses.push(pause);
    }
    expect(pauses.at(-1)).toBeGreaterThanOrEqual(15_000);
    wire.latest?.say('open');
    wire.latest?.frame(ACCEPT);
    time.advance(5_000);
    const { length } = wire.sockets;
    wire.latest?.drop();
    time.advance(1_000);
    await settled();
    expect(wire.sockets).toHaveLength(length + 1);
  });

  it('waits longer after every failure, up to the maximum', async () => {
    const { time, wire, connection } = open();
    connection.connect().catch(() => undefined);
    const pauses: number[] = [];
    for (let attempt = 0; attempt < 9; attempt++) {
      await settled();
      const { length } = wire.sockets;
      wire.latest?.drop();
      let pause = 0;
      while (wire.sockets.length === length && pause < 40_000) {
        time.advance(100);
        pause += 100;
        await settled();
      }
      pauses.push(pause);
    }
    for (const [attempt, pause] of pauses.entries()) {
      const full = Math.min(1_000 * 2 ** attempt, 30_000);
      expect(pause).toBeGreaterThanOrEqual(full / 2);
      expect(pause).toBeLessThanOrEqual(full + 100);
    }
  });
});
