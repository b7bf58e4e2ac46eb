import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** An answer; the body is text. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/**
 * One HTTP/1.1 connection that sends one request after another with as little work as possible, so that the generator is
 * not what is measured. Understands `Content-Length` and chunked bodies.
 */
export class HttpConnection {
  readonly #socket: Socket;
  readonly #host: string;
  #received = '';
  #wake: ((answer: HttpAnswer) => void) | undefined;
  #fail: ((error: Error) => void) | undefined;

  private constructor(socket: Socket, host: string) {
    this.#socket = socket;
    this.#host = host;
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => this.#take(chunk));
    socket.on('error', (error) => this.#fail?.(error));
    socket.on('close', () => this.#fail?.(new Error('the server closed the connection')));
  }

  static async open(url: string): Promise<HttpConnection> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    return new HttpConnection(socket, `${hostname}:${port}`);
  }

  /** Posts a JSON text; resolves with the answer. One request at a time. */
  post(path: string, body: string, token?: string): Promise<HttpAnswer> {
    const bytes = Buffer.byteLength(body);
    const authorization = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`;
    const head = `POST ${path} HTTP/1.1\r\nHost: ${this.#host}\r\nContent-Type: application/json\r\n${authorization}Content-Length: ${bytes}\r\n\r\n`;
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed || this.#socket.readableEnded) return reject(new Error('the server has closed the connection'));
      this.#wake = resolve;
      this.#fail = reject;
      this.#socket.write(head + body);
    });
  }

  close(): void {
    this.#fail = undefined;
    this.#socket.destroy();
  }

  #take(chunk: string): void {
    this.#received += chunk;
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = this.#received.slice(0, end);
    const body = completeBody(head, this.#received.slice(end + 4));
    if (body === undefined) return;
    this.#received = '';
    this.#wake?.({ status: Number(head.slice(9, 12)), body });
  }
}

/** The body once it is whole; `undefined` before. */
function completeBody(head: string, rest: string): string | undefined {
  const length = /^content-length: (\d+)/im.exec(head)?.[1];
  if (length !== undefined) return rest.length >= Number(length) ? rest : undefined;
  if (!rest.endsWith('0\r\n\r\n')) return undefined;
  let body = '';
  for (let at = 0; ; ) {
    const lineEnd = rest.indexOf('\r\n', at);
    const size = Number.parseInt(rest.slice(at, lineEnd), 16);
    if (Number.isNaN(size)) return undefined;
    if (size === 0) return body;
    body += rest.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 4 + size;
  }
}
