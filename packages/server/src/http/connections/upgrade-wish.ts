import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Headers that only speak of the connection to another protocol. */
const UPGRADE_HEADERS: ReadonlySet<string> = new Set(['upgrade', 'http2-settings']);

/** Whether a request to upgrade wants WebSocket; others want HTTP/2, as many clients do by habit. */
export function wantsWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase().includes('websocket') === true;
}

/** A request to upgrade: the HTTP library has let go of its connection. */
interface UpgradeRequest {
  readonly request: IncomingMessage;
  /** `_httpMessage` is the library's: the answer to an earlier request on the connection. */
  readonly socket: Socket & { readonly _httpMessage?: ServerResponse | null };
  /** What has come behind the head of the request. */
  readonly head: Buffer;
}

/**
 * Has a request answered as if it had not wished for another protocol, which a server may do (RFC 9110, 7.8): puts it back without the wish,
 * to be read again, when the answers before it are sent. `http1` serves a connection.
 */
export function serveWithoutUpgrade({ request, socket, head }: UpgradeRequest, http1: (socket: Socket) => void): void {
  socket.unshift(Buffer.concat([headWithoutUpgrade(request), head]));
  const serve = (): void => {
    if (socket.destroyed) return;
    const running = socket._httpMessage;
    if (running !== null && running !== undefined) {
      running.once('close', serve);
      return;
    }
    socket.off('error', destroy);
    // The connection may have been idle; its time-out is not one of the request.
    socket.setTimeout(0);
    http1(socket);
    socket.resume();
  };
  const destroy = (): void => void socket.destroy();
  socket.on('error', destroy);
  serve();
}

/** The bytes of a request's head as they were, but for the wish. */
function headWithoutUpgrade({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const value = rawHeaders[i + 1] ?? '';
    const key = name.toLowerCase();
    if (key === 'connection') lines.push(`${name}: ${connectionWithoutUpgrade(value)}`);
    else if (!UPGRADE_HEADERS.has(key)) lines.push(`${name}: ${value}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

function connectionWithoutUpgrade(value: string): string {
  const others = value.split(',').map((option) => option.trim());
  return others.filter((option) => !UPGRADE_HEADERS.has(option.toLowerCase())).join(', ');
}
