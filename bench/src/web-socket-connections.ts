import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { residentMiB } from './server-figures.ts';
import type { Target } from './target.ts';

/** Connections that are opened at a time. */
const OPENERS = 64;
/** Connections before anything is measured, so that the code of the server is warm. */
const WARM_UP = 200;
/** After it, memory that is only waiting to be collected is smaller. */
const SETTLE_MILLIS = 3000;
const BYTES_PER_MIB = 1024 * 1024;

/** What connections cost. */
export interface ConnectionFigures {
  /** Accepted and authenticated by header, from the first byte to `auth_success`. */
  readonly perSecond: number;
  /** Resident memory of one that does nothing, in KiB. */
  readonly kibEach: number;
}

/** Opens so many WebSocket connections that their cost can be told, and closes them. */
export async function webSocketConnections(target: Target, pid: number, count: number): Promise<ConnectionFigures> {
  for (const socket of await open(target, WARM_UP)) socket.destroy();
  await sleep(SETTLE_MILLIS);
  const before = residentMiB(pid);
  const begun = performance.now();
  const sockets = await open(target, count);
  const perSecond = (count * 1000) / (performance.now() - begun);
  await sleep(SETTLE_MILLIS);
  const kibEach = ((residentMiB(pid) - before) * BYTES_PER_MIB) / count / 1024;
  for (const socket of sockets) socket.destroy();
  return { perSecond, kibEach };
}

async function open(target: Target, count: number): Promise<readonly Socket[]> {
  const { hostname, port } = new URL(target.url);
  const upgrade = `GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer ${target.token}\r\n\r\n`;
  const sockets: Socket[] = [];
  let begun = 0;
  await Promise.all(
    Array.from({ length: OPENERS }, async () => {
      while (begun++ < count) {
        const socket = connect(Number(port), hostname);
        socket.write(upgrade);
        sockets.push(socket);
        await authenticated(socket);
      }
    }),
  );
  return sockets;
}

/** Resolves with `auth_success`. */
async function authenticated(socket: Socket): Promise<void> {
  let text = '';
  while (!text.includes('auth_success')) {
    const [chunk] = await once(socket, 'data');
    text += String(chunk);
    if (text.includes('auth_error') || text.startsWith('HTTP/1.1 4')) throw new Error(text);
  }
}
