import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { systemTimers } from '@kalamdb/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cutUnreadAnswers } from './unread-answers.ts';

const MILLIS_MAX = 300;
/** More than the buffers of the system between the two hold. */
const LONG = 'x'.repeat(16_000_000);

const server = createServer((request, response) => {
  if (request.url === '/long') response.end(LONG);
  else systemTimers.after(MILLIS_MAX * 3, () => response.end('late'), { keepAlive: true });
});
let port: number;

beforeAll(async () => {
  server.keepAliveTimeout = MILLIS_MAX * 2;
  cutUnreadAnswers(server, MILLIS_MAX);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});

afterAll(() => void server.close());

async function open(path: string): Promise<{ readonly client: Socket; readonly closed: Promise<unknown> }> {
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const client = connect({ port, host: '127.0.0.1' });
  client.on('error', () => {});
  const [socket] = await accepted;
  client.pause();
  client.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  return { client, closed: once(socket, 'close') };
}

test('a client that takes nothing of its answer is cut off', async () => {
  const { client, closed } = await open('/long');
  await closed;
  client.destroy();
});

test('one that takes a little now and then is not', async () => {
  const { client } = await open('/long');
  let bytes = 0;
  client.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    client.pause();
    systemTimers.after(2, () => client.resume(), { keepAlive: true });
  });
  client.resume();
  await once(client, 'end');
  expect(bytes).toBeGreaterThan(LONG.length);
});

test('neither is one that waits for an answer in the making; idle, it is let go in time', async () => {
  const request = get({ port, host: '127.0.0.1', path: '/late' });
  const [response] = await once(request, 'response');
  expect(String((await once(response, 'data'))[0])).toBe('late');
  const { client, closed } = await open('/late');
  client.resume();
  await closed;
  client.destroy();
});
