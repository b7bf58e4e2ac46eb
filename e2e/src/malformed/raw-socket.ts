import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Bytes that are kept unread; the cases never provoke more. */
const UNREAD_BYTES_MAX = 8 * 1024 * 1024;

/** A TCP connection on which anything may be written and whose answer is read as it comes. */
export class RawSocket {
  readonly #socket: Socket;
  #unread = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.#unread = Buffer.concat([this.#unread, chunk]);
      if (this.#unread.length > UNREAD_BYTES_MAX) socket.destroy();
      this.#wake();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake();
    };
    // A server that cuts a connection in the middle of what is sent to it resets it.
    socket.on('error', end);
    socket.on('end', end);
    socket.on('close', end);
  }

  static async open(port: number): Promise<RawSocket> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    return new RawSocket(socket);
  }

  write(bytes: Uint8Array | string): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  /** Writes in pieces that arrive one by one. */
  async writeSlowly(bytes: Buffer, pieces: number): Promise<void> {
    const size = Math.max(1, Math.ceil(bytes.length / pieces));
    for (let at = 0; at < bytes.length; at += size) {
      this.write(bytes.subarray(at, at + size));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Ends this direction only. */
  end(): void {
    if (this.#socket.writable) this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** What has arrived, as soon as `enough` takes something of it; `undefined` when the server has ended before. */
  async read<T>(enough: (bytes: Buffer) => { readonly value: T; readonly bytes: number } | undefined): Promise<T | undefined> {
    for (;;) {
      const found = enough(this.#unread);
      if (found !== undefined) {
        this.#unread = this.#unread.subarray(found.bytes);
        return found.value;
      }
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The status of an HTTP answer. */
  status(): Promise<number | undefined> {
    return this.read((bytes) => {
      const head = bytes.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1];
      return end < 0 || status === undefined ? undefined : { value: Number(status), bytes: end + 4 };
    });
  }
}
