import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { pino } from 'pino';
import type { ServerConfig } from '../config/settings.ts';
import { type RunningServer, type ServerOptions, startServer } from '../server.ts';

/** Password of root on the servers that {@link startTestServer} starts. */
export const ROOT_PASSWORD = 'root-password-1';

/** A server in memory with root's password set and no limit in the way. */
export function startTestServer(
  settings: Partial<ServerConfig> = {},
  options: Omit<ServerOptions, 'settings'> = {},
): Promise<RunningServer> {
  const base: Partial<ServerConfig> = {
    'server.port': 0,
    'storage.data_path': ':memory:',
    'auth.root_password': ROOT_PASSWORD,
    'auth.bcrypt_cost': 4,
    'rate_limit.max_auth_requests_per_ip_per_sec': 1000,
    'rate_limit.max_queries_per_sec': 1_000_000,
  };
  return startServer({ log: pino({ level: 'silent' }), ...options, settings: { ...base, ...settings } });
}

/** Root's access token. */
export async function rootToken(url: string): Promise<string> {
  const response = await fetch(`${url}/v1/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user: 'root', password: ROOT_PASSWORD }),
  });
  const { access_token: token } = (await response.json()) as { readonly access_token: string };
  return token;
}

/** The head and body of a SQL request over HTTP/1.1. */
export function sqlRequest(token: string, sql: string, headers = ''): string {
  const body = JSON.stringify({ sql });
  return `POST /v1/api/sql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** A TCP connection on which a test writes what it likes. */
export class RawConnection {
  readonly socket: Socket;
  /** Resolves when the server has closed its side. */
  readonly ended: Promise<void>;
  #text = '';
  #wake: () => void = () => {};

  constructor(server: { readonly port: number }, host = '127.0.0.1') {
    this.socket = connect({ port: server.port, host, allowHalfOpen: true });
    this.socket.setNoDelay(true);
    this.socket.setEncoding('latin1');
    this.socket.on('error', () => {});
    this.socket.on('data', (chunk: string) => {
      this.#text += chunk;
      this.#wake();
    });
    this.ended = new Promise((resolve) => {
      const end = (): void => {
        this.#wake();
        resolve();
      };
      this.socket.once('end', end).once('close', end);
    });
  }

  /** What has come so far. */
  get text(): string {
    return this.#text;
  }

  /** Writes pieces one after another, each in a packet of its own. */
  async write(...pieces: readonly (string | Buffer)[]): Promise<void> {
    for (const piece of pieces) {
      await new Promise((resolve) => this.socket.write(piece, resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Waits until what has come matches; throws what has come when the connection ends before. */
  async until(pattern: RegExp): Promise<string> {
    let over = false;
    void this.ended.then(() => {
      over = true;
    });
    for (;;) {
      if (pattern.test(this.#text)) return this.#text;
      if (over) throw new Error(`the connection ended after: ${this.#text}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await Promise.resolve();
    }
  }

  close(): void {
    this.socket.destroy();
  }
}

/** The answer to a request over HTTP/2. */
export interface Http2Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** Opens an HTTP/2 connection, in cleartext by prior knowledge for an http URL. */
export async function openHttp2(url: string, options: { readonly ca?: string } = {}): Promise<ClientHttp2Session> {
  const session = connectHttp2(url, options);
  session.on('error', () => {});
  await once(session, 'connect');
  return session;
}

/** One request over HTTP/2. */
export async function requestHttp2(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: string): Promise<Http2Answer> {
  const stream = session.request(headers, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    text += chunk;
  });
  const [head] = (await once(stream, 'response')) as [Record<string, unknown>];
  if (!stream.readableEnded) await once(stream, 'end');
  return { status: Number(head[':status']), headers: head, body: text };
}
