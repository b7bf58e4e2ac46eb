/** What an event of a socket tells, whatever its kind. */
export interface SocketEvent {
  readonly type?: string;
  readonly data?: unknown;
  readonly code?: number;
  readonly reason?: string;
  readonly message?: unknown;
}

/** The part of the standard WebSocket that the client uses; the browser's and the `ws` package's both fit. */
export interface WebSocketLike {
  binaryType: string;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  /** Ends the connection without a handshake; only some runtimes have it. */
  terminate?(): void;
  addEventListener(type: 'open' | 'message' | 'close' | 'error', listener: (event: SocketEvent) => void): void;
}

/** Opens a socket by being constructed. */
export type WebSocketConstructor = new (url: string) => WebSocketLike;

/** What the owner of a socket is told. After `closed` nothing follows. */
interface SocketHandlers {
  opened(): void;
  received(data: string | Uint8Array): void;
  closed(reason: { readonly code: number; readonly message: string }): void;
}

/** Opens a socket and passes on what happens to it, binary data as bytes. Throws what the constructor throws. */
export function openSocket(Socket: WebSocketConstructor, url: string, handlers: SocketHandlers): WebSocketLike {
  const socket = new Socket(url);
  socket.binaryType = 'arraybuffer';
  let trouble = '';
  socket.addEventListener('open', () => handlers.opened());
  socket.addEventListener('message', (event) => {
    if (typeof event.data === 'string') handlers.received(event.data);
    else if (event.data instanceof ArrayBuffer) handlers.received(new Uint8Array(event.data));
  });
  socket.addEventListener('error', (event) => {
    trouble = typeof event.message === 'string' ? event.message : trouble;
  });
  socket.addEventListener('close', ({ code = 1006, reason = '' }) => {
    handlers.closed({ code, message: reason || trouble || `the socket closed with code ${code}` });
  });
  return socket;
}
