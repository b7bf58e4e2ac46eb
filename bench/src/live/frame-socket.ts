import { connect, type Socket } from 'node:net';
import { gunzipSync } from 'node:zlib';

/** All sockets are read into it, one after the other: a buffer each would cost more than the reading. */
const READ_BYTES = 262_144;
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
const NONE = Buffer.alloc(0);
/** First byte of a whole text frame, and of a close frame. */
const TEXT = 0x81;
const BINARY = 0x82;
const CLOSE = 0x88;
/** A client must mask what it sends; with this mask the bytes stay what they are. */
const MASK = Buffer.alloc(4);

/** Where a socket connects to and who hears what comes. */
export interface FrameSocketOptions {
  readonly url: string;
  /** Shown in the `Authorization` header; `auth_success` follows. */
  readonly token: string;
  /** Gets the text of every frame, decoded as latin1; once `auth_success` has come. */
  readonly onText: (text: string) => void;
  /** The connection has ended although nobody here has ended it. */
  readonly onLost: (reason: string) => void;
}

/**
 * The client's end of a WebSocket with as little work to a frame as possible, so that the generator is not what is measured: it
 * understands whole text frames and whole gzip frames and nothing else.
 */
export class FrameSocket {
  readonly #options: FrameSocketOptions;
  readonly #socket: Socket;
  #state: 'upgrading' | 'authenticating' | 'open' | 'closed' = 'upgrading';
  #rest: Buffer = NONE;
  #opened: (() => void) | undefined;
  #failed: ((error: Error) => void) | undefined;

  private constructor(options: FrameSocketOptions) {
    this.#options = options;
    const { hostname, port } = new URL(options.url);
    const onread = { buffer: readBuffer, callback: (count: number) => this.#read(readBuffer.subarray(0, count)) };
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true, onread });
    this.#socket.on('error', (error) => this.#lost(error.message));
    this.#socket.on('close', () => this.#lost('closed'));
    const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==';
    const head = `Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${key}\r\nAuthorization: Bearer ${options.token}`;
    this.#socket.write(`GET /v1/ws HTTP/1.1\r\n${head}\r\n\r\n`);
  }

  /** Resolves when the server knows who it is. */
  static open(options: FrameSocketOptions): Promise<FrameSocket> {
    const socket = new FrameSocket(options);
    return new Promise((resolve, reject) => {
      socket.#opened = () => resolve(socket);
      socket.#failed = reject;
    });
  }

  /** Sends messages, each in a frame, all in one write. */
  send(texts: readonly string[]): void {
    this.#socket.write(Buffer.concat(texts.flatMap((text) => maskedFrame(Buffer.from(text)))));
  }

  /** Ends the connection without a word, as a network that fails does. */
  cut(): void {
    this.#state = 'closed';
    this.#socket.destroy();
  }

  #lost(reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    if (this.#failed === undefined) this.#options.onLost(reason);
    else this.#failed(new Error(`no WebSocket: ${reason}`));
  }

  #read(chunk: Buffer): boolean {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    if (this.#state === 'upgrading') {
      const end = bytes.indexOf('\r\n\r\n');
      if (end >= 0) {
        const status = bytes.toString('latin1', 0, 12);
        if (status !== 'HTTP/1.1 101') this.#lost(status);
        else this.#state = 'authenticating';
        bytes = bytes.subarray(end + 4);
      }
    }
    const used = this.#state === 'upgrading' ? 0 : this.#frames(bytes);
    // What is left lies in the buffer of all sockets.
    this.#rest = used === bytes.length ? NONE : Buffer.from(bytes.subarray(used));
    return true;
  }

  /** Hands on the whole frames; answers how many bytes these are. */
  #frames(bytes: Buffer): number {
    let at = 0;
    while (at + 2 <= bytes.length && this.#state !== 'closed') {
      const first = bytes[at];
      let length = bytes[at + 1] ?? 0;
      let from = at + 2;
      if (length === 126) {
        if (from + 2 > bytes.length) break;
        length = bytes.readUInt16BE(from);
        from += 2;
      } else if (length === 127) {
        if (from + 8 > bytes.length) break;
        length = bytes.readUIntBE(from + 2, 6);
        from += 8;
      }
      if (from + length > bytes.length) break;
      at = from + length;
      if (first === TEXT) this.#text(bytes.toString('latin1', from, at));
      else if (first === BINARY) this.#text(gunzipSync(bytes.subarray(from, at)).toString('latin1'));
      else if (first === CLOSE) this.#lost(`close frame: ${bytes.toString('latin1', from + 2, at)}`);
    }
    return at;
  }

  #text(text: string): void {
    if (this.#state === 'open') {
      this.#options.onText(text);
      return;
    }
    if (!text.startsWith('{"type":"auth_success"')) {
      this.#lost(text);
      return;
    }
    this.#state = 'open';
    this.#failed = undefined;
    this.#opened?.();
  }
}

function maskedFrame(payload: Buffer): readonly Buffer[] {
  const { length } = payload;
  if (length > 0xffff) throw new Error('a message of the generator is too long');
  const head = length < 126 ? [TEXT, 0x80 | length] : [TEXT, 0x80 | 126, length >> 8, length & 0xff];
  return [Buffer.from(head), MASK, payload];
}
