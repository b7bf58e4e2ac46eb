import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { bearerToken } from '../auth/authenticator.ts';
import { addressOf } from '../auth/request-address.ts';
import type { Edge } from '../edge.ts';
import { type PlainAnswer, refuseUpgrade } from '../http/http-exchange.ts';
import { Connection, type ConnectionRequest } from './connection.ts';
import { ConnectionIds } from './connection-ids.ts';
import { Deadlines } from './deadlines.ts';
import { Departures } from './departures.ts';
import { extensionsOfQuery } from './extensions.ts';
import { OutboxBudget } from './outbox-budget.ts';
import { Rounds } from './rounds.ts';

const PATH = '/v1/ws';
/** How often it is asked whether users of open connections are still what they were. */
const PRINCIPAL_CHECK_MILLIS = 500;
/** How often clients that have asked for it hear how far their subscriptions are. */
const PROGRESS_MILLIS = 5000;
/** How long a client gets to answer a close frame. */
const ANSWER_MILLIS_MAX = 5000;
/** How long all of them get when the server stops. */
const CLOSE_MILLIS_MAX = 1000;
/** Frames that one message may come in; more end the connection (close 1008). */
const FRAGMENTS_MAX = 1024;

/** All WebSocket connections of the server: takes upgrades, looks after silent clients, closes everybody at the end. */
export class Sockets {
  readonly #edge: Edge;
  readonly #server: WebSocketServer;
  readonly #connections = new Set<Connection>();
  readonly #ids: ConnectionIds;
  readonly #budget: OutboxBudget;
  readonly #departures: Departures;
  readonly #deadlines: Deadlines;
  readonly #rounds: readonly Rounds<Connection>[];
  #allClosed: (() => void) | undefined;

  constructor(edge: Edge) {
    this.#edge = edge;
    this.#ids = new ConnectionIds(edge.random);
    const options: ServerOptions & { readonly maxFragments: number; readonly closeTimeout: number } = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      // Frames above the configured size get an error; frames above twice that end the connection (close 1009).
      maxPayload: edge.config['security.max_ws_message_size'] * 2,
      maxFragments: FRAGMENTS_MAX,
      closeTimeout: ANSWER_MILLIS_MAX,
      // Pongs go through the outbox, which knows when the client does not read them.
      autoPong: false,
    };
    this.#server = new WebSocketServer(options);
    this.#budget = new OutboxBudget(edge.config['websocket.outbox_total_bytes_max']);
    this.#departures = new Departures(edge);
    this.#deadlines = new Deadlines(edge);
    const round = (periodMillis: number, visit: (connection: Connection) => void): Rounds<Connection> =>
      new Rounds(edge.timers, { members: this.#connections, periodMillis, visit });
    this.#rounds = [round(PRINCIPAL_CHECK_MILLIS, (one) => one.checkPrincipal()), round(PROGRESS_MILLIS, (one) => one.reportProgress())];
  }

  /** Open connections. */
  get count(): number {
    return this.#connections.size;
  }

  /** Bytes that wait for all clients together. */
  get outboxBytes(): number {
    return this.#budget.bytes;
  }

  /** Takes over the socket of an upgrade request (wire-protocol 4.1). Bad credentials do not fail the upgrade. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const url = urlOf(request);
    const refused = url?.pathname === PATH ? this.#refusal(request) : NOT_FOUND;
    if (url === undefined || refused !== undefined) refuseUpgrade(socket, refused ?? NOT_FOUND);
    else this.#accept(request, socket, head, url);
  }

  /** The answer to the upgrade and the first frame leave in one write: writing is the largest part of what a connection costs. */
  #accept(request: IncomingMessage, socket: Duplex, head: Buffer, url: URL): void {
    socket.cork();
    this.#edge.timers.soon(() => socket.uncork());
    this.#server.handleUpgrade(request, socket, head, (webSocket) => this.#open({ webSocket, socket }, this.#requestOf(request, url)));
  }

  /** Closes every connection with 1001 and waits until all are gone, at most a second. */
  async close(): Promise<void> {
    for (const round of this.#rounds) round.cancel();
    this.#deadlines.stop();
    if (this.#connections.size === 0) return;
    const gone = new Promise<void>((resolve) => {
      this.#allClosed = resolve;
    });
    this.#each((one) => one.close(1001, 'Server shutting down'));
    const patience = this.#edge.timers.after(CLOSE_MILLIS_MAX, () => this.#each((one) => one.terminate()), { keepAlive: true });
    await gone;
    patience.cancel();
  }

  #refusal(request: IncomingMessage): PlainAnswer | undefined {
    const { config, origins, stopping } = this.#edge;
    if (stopping.aborted) return refusal(503, 'Server is shutting down');
    const { origin } = request.headers;
    if (origin !== undefined && !origins.allows(origin)) return refusal(403, 'Origin not allowed');
    if (origin === undefined && config['security.strict_ws_origin_check']) return refusal(403, 'Origin header required');
    if (this.#connections.size < config['websocket.max_connections']) return undefined;
    this.#edge.traffic.refused('connections');
    // The words are the protocol's (wire-protocol 4.1).
    return refusal(503, 'Server shutting down');
  }

  #requestOf(request: IncomingMessage, url: URL): ConnectionRequest {
    return {
      id: this.#ids.next(),
      address: addressOf(this.#edge, request),
      token: bearerToken(request.headers.authorization),
      compressed: url.searchParams.get('compress')?.toLowerCase() !== 'false',
      protocol: {
        serialization: url.searchParams.get('serialization')?.toLowerCase() === 'msgpack' ? 'msgpack' : 'json',
        compression: url.searchParams.get('compression')?.toLowerCase() === 'none' ? 'none' : 'gzip',
        extensions: extensionsOfQuery(url.searchParams.get('extensions')),
      },
    };
  }

  #open(wire: { readonly webSocket: WebSocket; readonly socket: Duplex }, request: ConnectionRequest): void {
    const shared = { budget: this.#budget, departures: this.#departures, deadlines: this.#deadlines };
    const connection = new Connection(this.#edge, { ...wire, ...shared }, request);
    this.#connections.add(connection);
    this.#edge.traffic.webSocketOpened(this.#connections.size);
    wire.webSocket.on('close', () => {
      this.#connections.delete(connection);
      if (this.#connections.size === 0) this.#allClosed?.();
    });
  }

  #each(action: (connection: Connection) => void): void {
    for (const connection of this.#connections) action(connection);
  }
}

const NOT_FOUND: PlainAnswer = refusal(404, '');

function refusal(status: number, body: string): PlainAnswer {
  return { status, headers: { 'content-type': 'text/plain' }, body };
}

/** What is asked for; `undefined` when it is not a URL, such as `//`. */
function urlOf({ url = '/' }: IncomingMessage): URL | undefined {
  const base = 'http://server';
  return URL.canParse(url, base) ? new URL(url, base) : undefined;
}
