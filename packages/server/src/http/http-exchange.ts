import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Duplex } from 'node:stream';

/** A request of either version of HTTP. */
export type HttpRequest = IncomingMessage | Http2ServerRequest;

/** The answer to a request of either version of HTTP. */
export type HttpResponse = ServerResponse | Http2ServerResponse;

/** Answers requests of both versions. */
export type HttpHandler = (request: HttpRequest, response: HttpResponse) => void;

/** An answer that is known before any route has seen the request. */
export interface PlainAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON, unless the headers say something else. */
  readonly body: string;
}

/** Bytes of an unwanted body that are read and thrown away so that the connection can go on; a longer one ends it. */
const UNWANTED_BYTES_MAX = 33_554_432;

/**
 * Sends an answer without a route. The body of the request is not wanted: a short one is read away, so that a client that sends
 * before it reads gets the answer; otherwise the connection ends behind it.
 */
export function sendPlain(request: HttpRequest, response: HttpResponse, answer: PlainAnswer): void {
  const length = request.headers['content-length'];
  const closes =
    request.httpVersionMajor === 1 &&
    (length === undefined ? request.headers['transfer-encoding'] !== undefined : Number(length) > UNWANTED_BYTES_MAX);
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    ...answer.headers,
    'content-length': String(Buffer.byteLength(answer.body)),
  };
  if (closes) headers['connection'] = 'close';
  response.writeHead(answer.status, headers);
  response.end(answer.body);
  request.resume();
}

/**
 * Refuses a request to upgrade, whose connection has no response of its own, and ends the connection: nobody else would, if the client
 * does not.
 */
export function refuseUpgrade(socket: Duplex, { status, headers, body }: PlainAnswer): void {
  // Whoever is refused may be gone before it reads why.
  socket.on('error', () => socket.destroy());
  const all = { 'content-type': 'application/json', ...headers, connection: 'close', 'content-length': String(Buffer.byteLength(body)) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`, () => socket.destroy());
}
