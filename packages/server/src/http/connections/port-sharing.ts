import type { Socket } from 'node:net';
import type { Clock, Timer, Timers } from '@kalamdb/protocol';

/** What a client that speaks HTTP/2 without asking sends first (RFC 9113, 3.4). */
const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
/** How often connections are looked through that have not said yet what they speak. */
const SWEEP_MILLIS = 500;

/** Where connections go, and how long they may stay silent before. */
export interface PortSharingOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Milliseconds until the first bytes have told the protocol; the connection is cut then. */
  readonly silentMillisMax: number;
  /** Takes a connection whose first bytes, put back, are not those of HTTP/2. */
  http1(socket: Socket): void;
  /** Takes a connection that began with the preface of HTTP/2, which is put back. */
  http2(socket: Socket): void;
}

/**
 * One port for HTTP/1.1 and for HTTP/2 by prior knowledge: looks at the first bytes of a connection, in as many pieces as they
 * come, puts them back and hands the connection over. It costs a connection one read more and a request nothing.
 */
export class PortSharing {
  readonly #options: PortSharingOptions;
  /** Connections that have not shown what they speak, oldest first, with the time they came. */
  readonly #undecided = new Map<Socket, number>();
  readonly #sweep: Timer;

  constructor(options: PortSharingOptions) {
    this.#options = options;
    this.#sweep = options.timers.every(SWEEP_MILLIS, () => this.#cutSilent());
  }

  /** Connections that have not shown yet what they speak. */
  get undecided(): number {
    return this.#undecided.size;
  }

  /** Takes a connection from which nothing has been read. */
  take(socket: Socket): void {
    let held: Buffer | undefined;
    const release = (): void => {
      this.#undecided.delete(socket);
      socket.off('data', onData);
      socket.off('end', drop);
      socket.off('error', drop);
      socket.off('close', release);
    };
    const drop = (): void => {
      release();
      // An error that follows has nobody left to tell.
      socket.on('error', () => {});
      socket.destroy();
    };
    const onData = (chunk: Buffer): void => {
      const bytes = held === undefined ? chunk : Buffer.concat([held, chunk]);
      const matching = matchingBytes(bytes);
      if (matching === bytes.length && matching < PREFACE.length) {
        held = bytes;
        return;
      }
      release();
      socket.pause();
      socket.unshift(bytes);
      if (matching === PREFACE.length) {
        this.#options.http2(socket);
      } else {
        this.#options.http1(socket);
        socket.resume();
      }
    };
    this.#undecided.set(socket, this.#options.clock.elapsed());
    socket.on('data', onData);
    socket.on('end', drop);
    socket.on('error', drop);
    socket.on('close', release);
  }

  /** Cuts the connections that have not shown what they speak; none is asked for an answer. */
  close(): void {
    this.#sweep.cancel();
    for (const socket of this.#undecided.keys()) socket.destroy();
  }

  #cutSilent(): void {
    const before = this.#options.clock.elapsed() - this.#options.silentMillisMax;
    for (const [socket, since] of this.#undecided) {
      if (since > before) return;
      socket.destroy();
    }
  }
}

/** How many bytes at the beginning are those of the preface. */
function matchingBytes(bytes: Buffer): number {
  const max = Math.min(bytes.length, PREFACE.length);
  let at = 0;
  while (at < max && bytes[at] === PREFACE[at]) at += 1;
  return at;
}
