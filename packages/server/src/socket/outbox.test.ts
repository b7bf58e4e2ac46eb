import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import { systemClock, systemTimers } from '@kalamdb/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { Departures } from './departures.ts';
import { EncodedFrame, pack } from './encoded-frame.ts';
import { Outbox } from './outbox.ts';
import { OutboxBudget } from './outbox-budget.ts';

const BYTES_MAX = 65_536;
const TOTAL_BYTES_MAX = 1_000_000_000;
const GZIP = { gzipBytesMin: 512 };

let server: Server;
let client: WebSocket;
let outbox: Outbox;
let budget: OutboxBudget;
let events: string[];
let onDrained: () => void;

beforeEach(async () => {
  const log: string[] = [];
  events = log;
  budget = new OutboxBudget(TOTAL_BYTES_MAX);
  onDrained = () => {};
  server = createServer();
  const acceptor = new WebSocketServer({ noServer: true });
  const opened = new Promise<void>((resolve) => {
    server.on('upgrade', (request, socket: Duplex, head) => {
      acceptor.handleUpgrade(request, socket, head, (webSocket) => {
        outbox = new Outbox({
          webSocket,
          socket,
          bytesMax: BYTES_MAX,
          budget,
          departures: new Departures({ clock: systemClock, timers: systemTimers }),
          onFull: () => log.push('full'),
          onDrained: () => {
            log.push('drained');
            onDrained();
          },
        });
        resolve();
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, { perMessageDeflate: false });
  await Promise.all([opened, new Promise((resolve) => client.once('open', resolve))]);
});

afterEach(() => {
  client.terminate();
  server.closeAllConnections();
  server.close();
});

function frames(count: number): Promise<readonly string[]> {
  const received: string[] = [];
  return new Promise((resolve) => {
    client.on('message', (data: Buffer, isBinary: boolean) => {
      received.push((isBinary ? gunzipSync(data) : data).toString('utf8'));
      if (received.length === count) resolve(received);
    });
  });
}

describe('outbox', () => {
  test('keeps the order of frames, however long their compression takes', async () => {
    const texts = Array.from({ length: 60 }, (_unused, i) => `${i}:${'lorem ipsum '.repeat(i % 5 === 0 ? 20_000 : i)}`);
    const arriving = frames(texts.length);
    for (const text of texts) outbox.put(pack(EncodedFrame.ofText(text), GZIP));
    expect(await arriving).toEqual(texts);
    expect(outbox.bytes).toBe(0);
  });

  test('says once that a client is too slow, and again when it has caught up; nothing is lost', async () => {
    client.pause();
    const texts = Array.from({ length: 400 }, (_unused, i) => `${i}:${'x'.repeat(30_000)}`);
    for (const text of texts) outbox.put(EncodedFrame.ofText(text));
    outbox.put(EncodedFrame.ofText('after'));
    expect(events).toEqual(['full']);
    expect(outbox.bytes).toBeGreaterThan(BYTES_MAX);
    const drained = new Promise<void>((resolve) => {
      onDrained = resolve;
    });
    const arriving = frames(texts.length + 1);
    client.resume();
    expect(await arriving).toEqual([...texts, 'after']);
    await drained;
    expect(events).toEqual(['full', 'drained']);
  });
});

describe('all outboxes together', () => {
  test('a client that does not read makes the server stingy until it is gone', async () => {
    client.pause();
    const body = 'x'.repeat(30_000);
    for (let i = 0; i < 400; i++) outbox.put(EncodedFrame.ofText(body));
    expect(budget.bytes).toBe(outbox.bytes);
    expect(budget.bytes).toBeGreaterThan(BYTES_MAX);
    outbox.end();
    expect(budget.bytes).toBe(0);
    outbox.put(EncodedFrame.ofText(body));
    expect(budget.bytes).toBe(0);
  });

  test('over their bound, an outbox is full with far less in it', async () => {
    budget.add(TOTAL_BYTES_MAX + 1);
    client.pause();
    outbox.put(EncodedFrame.ofText('x'.repeat(17_000)));
    outbox.put(EncodedFrame.ofText('x'.repeat(17_000)));
    expect(events).toEqual(['full']);
    const drained = new Promise<void>((resolve) => {
      onDrained = resolve;
    });
    client.resume();
    await drained;
    expect(budget.bytes).toBe(TOTAL_BYTES_MAX + 1);
  });

  test('only the last of the pings that find it full is answered', async () => {
    const pongs: string[] = [];
    client.on('pong', (data: Buffer) => pongs.push(data.toString()));
    client.pause();
    while (events.length === 0) outbox.put(EncodedFrame.ofText('x'.repeat(30_000)));
    for (let i = 0; i < 1000; i++) outbox.pong(Buffer.from(`ping ${i}`));
    const last = new Promise<void>((resolve) => {
      client.on('message', (data: Buffer) => data.toString() === 'last' && resolve());
    });
    onDrained = () => outbox.put(EncodedFrame.ofText('last'));
    client.resume();
    await last;
    expect(pongs).toEqual(['ping 999']);
  });
});

describe('compression of frames', () => {
  test('starts at 512 bytes, and only where it helps', () => {
    const random = Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(600))).toString('latin1');
    expect(pack(EncodedFrame.ofText('x'.repeat(511)), GZIP)).toMatchObject({ binary: false });
    expect(pack(EncodedFrame.ofText('x'.repeat(512)), GZIP)).toMatchObject({ binary: true });
    expect(pack(EncodedFrame.ofText('x'.repeat(512)), { gzipBytesMin: Number.POSITIVE_INFINITY })).toMatchObject({ binary: false });
    expect(pack(EncodedFrame.ofBytes([Buffer.from(random, 'latin1')], { binary: false }), GZIP)).toMatchObject({ binary: false });
  });
});
