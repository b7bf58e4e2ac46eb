import type { SocketEvent, WebSocketLike } from './web-socket.ts';

/** The other end of a socket, moved by the test. */
export class Wire {
  readonly sockets: WireSocket[] = [];
  get open(): WireSocket[] {
    return this.sockets.filter((socket) => !socket.closed);
  }
  get latest(): WireSocket | undefined {
    return this.open.at(-1);
  }
}

/** A socket whose other end is the test. */
export class WireSocket implements WebSocketLike {
  binaryType = 'blob';
  closed = false;
  readonly sent: string[] = [];
  readonly #listeners = new Map<string, (event: SocketEvent) => void>();

  constructor(wire: Wire) {
    wire.sockets.push(this);
  }
  addEventListener(type: string, listener: (event: SocketEvent) => void): void {
    this.#listeners.set(type, listener);
  }
  send(data: string): void {
    this.sent.push(data);
  }
  close(): void {
    this.closed = true;
  }
  say(type: string, event: SocketEvent = {}): void {
    this.#listeners.get(type)?.(event);
  }
  frame(message: object): void {
    this.say('message', { data: JSON.stringify(message) });
  }
  drop(): void {
    this.closed = true;
    this.say('close', { code: 1006, reason: '' });
  }
}
