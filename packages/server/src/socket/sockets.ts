import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Timer } from '@kalamdb/protocol';
import { type WebSocket, WebSocketServer } from 'ws';
import { bearerToken } from '../auth/authenticator.ts';
import { clientAddress } from '../auth/client-address.ts';
import type { Edge } from '../edge.ts';
import { Connection, type ConnectionRequest } from './connection.ts';

const PATH = '/v1/ws';
/** How often it is asked whether users of open connections are still what they were. */
const PRINCIPAL_CHECK_MILLIS = 1000;
/** How long clients get to answer the close frame when the server stops. */
const CLOSE_MILLIS_MAX = 1000;
const CONNECTION_ID_BYTES = 16;

/** All WebSocket connections of the server: takes upgrades, looks after silent clients, closes everybody at the end. */
export class Sockets {
  readonly #edge: Edge;
  readonly #server: WebSocketServer;
  readonly #connections = new Set<Connection>();
  readonly #timers: readonly Timer[];
  #allClosed: (() => void) | undefined;

  constructor(edge: Edge) {
    this.#edge = edge;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      // Frames above the configured size get an error; frames above twice that end the connection (close 1009).
      maxPayload: edge.config['security.max_ws_message_size'] * 2,
    });
    this.#timers = [
      edge.timers.every(edge.config['websocket.heartbeat_interval_secs'] * 1000, () => this.#each((one) => one.checkHeartbeat())),
      edge.timers.every(PRINCIPAL_CHECK_MILLIS, () => this.#each((one) => one.checkPrincipal())),
    ];
  }

  /** Open connections. */
  get count(): number {
    return this.#connections.size;
  }

  /** Takes over the socket of an upgrade request (wire-protocol 4.1). Bad credentials do not fail the upgrade. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const url = new URL(request.url ?? '/', 'http://server');
    const refusal = url.pathname === PATH ? this.#refusal(request) : { status: '404 Not Found', text: '' };
    if (refusal !== undefined) refuse(socket, refusal);
    else this.#server.handleUpgrade(request, socket, head, (webSocket) => this.#open({ webSocket, socket }, this.#requestOf(request, url)));
  }

  /** Closes every connection with 1001 and waits until all are gone, at most a second. */
  async close(): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    if (this.#connections.size === 0) return;
    const gone = new Promise<void>((resolve) => {
      this.#allClosed = resolve;
    });
    this.#each((one) => one.close(1001, 'Server shutting down'));
    const patience = this.#edge.timers.after(CLOSE_MILLIS_MAX, () => this.#each((one) => one.terminate()), { keepAlive: true });
    await gone;
    patience.cancel();
  }

  #refusal(request: IncomingMessage): Refusal | undefined {
    const { config, stopping } = this.#edge;
    if (stopping.aborted) return { status: '503 Service Unavailable', text: 'Server is shutting down' };
    const origin = request.headers.origin;
    const allowed = config['security.cors.allowed_origins'];
    const anyOrigin = allowed.length === 0 || allowed.includes('*');
    if (origin !== undefined && !anyOrigin && !allowed.includes(origin)) return { status: '403 Forbidden', text: 'Origin not allowed' };
    if (origin === undefined && config['security.strict_ws_origin_check'])
      return { status: '403 Forbidden', text: 'Origin header required' };
    if (this.#connections.size >= config['websocket.max_connections'])
      return { status: '503 Service Unavailable', text: 'Server shutting down' };
    return undefined;
  }

  #requestOf(request: IncomingMessage, url: URL): ConnectionRequest {
    return {
      id: Buffer.from(this.#edge.random.bytes(CONNECTION_ID_BYTES)).toString('hex'),
      address: clientAddress({ peer: request.socket.remoteAddress, headers: request.headers }, this.#edge.proxies),
      token: bearerToken(request.headers.authorization),
      compressed: url.searchParams.get('compress')?.toLowerCase() !== 'false',
      compression: url.searchParams.get('compression')?.toLowerCase() === 'none' ? 'none' : 'gzip',
    };
  }

  #open(wire: { readonly webSocket: WebSocket; readonly socket: Duplex }, request: ConnectionRequest): void {
    const connection = new Connection(this.#edge, wire, request);
    this.#connections.add(connection);
    wire.webSocket.on('close', () => {
      this.#connections.delete(connection);
      if (this.#connections.size === 0) this.#allClosed?.();
    });
  }

  #each(action: (connection: Connection) => void): void {
    for (const connection of this.#connections) action(connection);
  }
}

interface Refusal {
  readonly status: string;
  readonly text: string;
}

function refuse(socket: Duplex, { status, text }: Refusal): void {
  socket.on('error', () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
}
