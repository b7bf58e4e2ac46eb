import type { ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';

/** `_httpMessage` is the HTTP library's: the answer that is being sent. */
type HttpSocket = Socket & { readonly _httpMessage?: ServerResponse | null };

/** A server of HTTP/1.1, in cleartext or within TLS. */
interface TimedServer extends Server {
  setTimeout(millis: number, onTimeout: (socket: HttpSocket) => void): unknown;
}

/**
 * Cuts the HTTP/1.1 connections of clients that take nothing of an answer for `millisMax`: each holds memory, and nothing else ends it. A
 * statement may run for longer, so silence alone is no reason while an answer is being made; on an idle connection it is the time-out of
 * keep-alive that has come.
 */
export function cutUnreadAnswers(server: TimedServer, millisMax: number): void {
  server.setTimeout(millisMax, (socket) => {
    const isAnswering = socket._httpMessage !== null && socket._httpMessage !== undefined;
    if (!isAnswering || socket.writableLength > 0) socket.destroy();
  });
}
