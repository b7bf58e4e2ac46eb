import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

/** What a client is told whose request cannot be read, by the code of the parser's error; anything else is 400. */
const ANSWERS: Readonly<Record<string, { readonly status: number; readonly error: string; readonly message: string }>> = {
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, error: 'request_timeout', message: 'The request took too long to arrive' },
  HPE_HEADER_OVERFLOW: { status: 431, error: 'headers_too_large', message: 'The headers of the request are too large' },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { status: 413, error: 'chunk_extensions_too_large', message: 'The chunk extensions are too large' },
};
const BROKEN = { status: 400, error: 'bad_request', message: 'The request is not valid HTTP' };

/** The connection of a broken request. */
export interface BrokenConnection extends Duplex {
  /** The HTTP library's: the answer to an earlier request on the connection, if one is being sent. */
  readonly _httpMessage?: { readonly headersSent: boolean } | null;
}

/** Answers what is not valid HTTP/1.1 as far as the connection allows, and ends it. */
export function answerBrokenRequest(error: Error & { readonly code?: string }, socket: BrokenConnection): void {
  const code = error.code ?? '';
  const readable = code.startsWith('HPE_') || code === 'ERR_HTTP_REQUEST_TIMEOUT';
  // What is no TLS cannot be answered within it, after a reset nobody listens, and an answer that is on its way must not be mixed with another.
  if (!socket.writable || !readable || socket._httpMessage?.headersSent === true) {
    socket.destroy();
    return;
  }
  const { status, error: name, message } = ANSWERS[code] ?? BROKEN;
  const body = JSON.stringify({ error: name, message });
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: application/json\r\n`;
  socket.end(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`, () => socket.destroy());
}
