import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Edge } from '../../edge.ts';
import { frontDoor } from '../front-door.ts';
import { type HttpHandler, refuseUpgrade } from '../http-exchange.ts';
import { ConnectionProtection } from './connection-protection.ts';
import { Http2Sessions } from './http2-sessions.ts';
import { PortSharing } from './port-sharing.ts';
import type { TlsMaterial } from './tls-files.ts';
import { cutUnreadAnswers } from './unread-answers.ts';
import { serveWithoutUpgrade, wantsWebSocket } from './upgrade-wish.ts';

/** Longest time for the headers of a request, and for the first bytes of a connection; shorter when a whole request has less. */
const HEADERS_MILLIS_MAX = 10_000;
/** Longest time for a TLS handshake. */
const HANDSHAKE_MILLIS_MAX = 10_000;
/** A client that takes nothing of an answer for so long is cut off. */
const STALLED_MILLIS_MAX = 60_000;
/** How often slow requests are looked for. */
const SLOW_CHECK_MILLIS = 1000;
/** The protocols that are negotiated within TLS, best first. */
const PROTOCOLS: readonly string[] = ['h2', 'http/1.1'];
/** How often the log says that the server is full. */
const FULL_WARNING_MILLIS = 60_000;
/** While the server stops: how often connections are closed whose last request has been answered. */
const IDLE_SWEEP_MILLIS = 50;

/**
 * The server of one port: HTTP/1.1 and, if set, HTTP/2, in cleartext or within TLS, before which stand the limits by address.
 * The routes are the same for all. `server` is what listens.
 */
export class HttpServer {
  readonly server: Server | SecureServer;
  /** `undefined`: addresses are not limited. */
  readonly protection: ConnectionProtection | undefined;
  readonly #edge: Edge;
  readonly #http2: Http2Sessions | undefined;
  readonly #sharing: PortSharing | undefined;
  /** Serves HTTP/1.1 on a connection. */
  readonly #http1: (socket: Socket) => void;

  constructor(edge: Edge, routes: HttpHandler, tls: TlsMaterial | undefined) {
    const { config, clock, timers } = edge;
    this.#edge = edge;
    this.protection = config['rate_limit.enable_connection_protection'] ? protectionOf(edge) : undefined;
    const handler = frontDoor({ edge, protection: this.protection, handler: routes });
    const options = serverOptions(edge);
    const secure = tls === undefined ? undefined : { ...tls, handshakeTimeout: HANDSHAKE_MILLIS_MAX };
    const http2 = config['server.enable_http2'];
    const protocols = { ALPNProtocols: http2 ? [...PROTOCOLS] : ['http/1.1'] };
    this.server =
      secure === undefined ? createServer(options, handler) : createSecureServer({ ...options, ...secure, ...protocols }, handler);
    this.server.keepAliveTimeout = config['performance.keepalive_timeout'] * 1000;
    this.server.maxConnections = config['performance.max_connections'];
    cutUnreadAnswers(this.server, STALLED_MILLIS_MAX);
    this.#http1 = ownListeners(this.server, connectionEvent(secure !== undefined));
    if (http2) {
      const requestMillis = config['performance.request_timeout'] * 1000;
      const idleMillisMax = config['performance.keepalive_timeout'] * 1000;
      const headerBytesMax = config['performance.max_header_size'];
      this.#http2 = new Http2Sessions(handler, { clock, timers, idleMillisMax, bodyMillisMax: requestMillis, headerBytesMax });
      this.#sharing = this.#share(this.#http2, secure !== undefined, options.headersTimeout);
    }
    this.#countConnections();
    this.#warnWhenFull();
  }

  /** Takes another certificate for new connections; only when the server speaks TLS. */
  useTls({ cert, key }: TlsMaterial): void {
    if ('setSecureContext' in this.server) this.server.setSecureContext({ cert, key });
  }

  /**
   * Has WebSocket requests taken that are admitted. What wants to upgrade to something else is answered by HTTP/1.1, as if it did not.
   */
  onUpgrade(take: (request: IncomingMessage, socket: Duplex, head: Buffer) => void): void {
    this.server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      if (!wantsWebSocket(request)) serveWithoutUpgrade({ request, socket, head }, this.#http1);
      else if (this.#admitsUpgrade(request, socket)) take(request, socket, head);
    });
  }

  /** Decides about a request to upgrade, as about any other; answers those that it refuses. */
  #admitsUpgrade(request: IncomingMessage, socket: Duplex): boolean {
    const admission = this.protection?.admit(request);
    if (admission === undefined) return true;
    if (admission.refusal !== undefined) {
      this.#edge.traffic.refused('address');
      refuseUpgrade(socket, admission.refusal);
      return false;
    }
    if (admission.release !== undefined) socket.once('close', admission.release);
    return true;
  }

  /**
   * Ends connections as soon as nothing runs on them; resolves when `closed` does. Those that are still busy after `millisMax`
   * are cut.
   */
  async drain(closed: Promise<unknown>, millisMax: number): Promise<void> {
    const { timers, log } = this.#edge;
    this.#sharing?.close();
    this.#http2?.drain();
    const patience = timers.after(
      millisMax,
      () => {
        log.warn('requests were still running when the time to stop was over; their connections are cut');
        this.server.closeAllConnections();
        this.#http2?.destroy();
      },
      { keepAlive: true },
    );
    const sweep = timers.every(IDLE_SWEEP_MILLIS, () => this.server.closeIdleConnections());
    await closed;
    sweep.cancel();
    patience.cancel();
    this.#http2?.destroy();
    this.protection?.close();
  }

  /** Puts the look at the first bytes, or at what was negotiated, before HTTP/1.1's own handling of connections. */
  #share(http2: Http2Sessions, secure: boolean, silentMillisMax: number): PortSharing | undefined {
    const { server } = this;
    const event = connectionEvent(secure);
    const http1 = this.#http1;
    server.removeAllListeners(event);
    if (secure) {
      server.on(event, (socket: TLSSocket) => (socket.alpnProtocol === 'h2' ? http2.take(socket) : http1(socket)));
      return undefined;
    }
    const { clock, timers } = this.#edge;
    const sharing = new PortSharing({ clock, timers, silentMillisMax, http1, http2: (socket) => http2.take(socket) });
    server.on(event, (socket: Socket) => sharing.take(socket));
    return sharing;
  }

  /** A connection that is one too many ends without a word, so the log has to say it. */
  #warnWhenFull(): void {
    const { clock, log } = this.#edge;
    let quietUntil = Number.NEGATIVE_INFINITY;
    this.server.on('drop', () => {
      const now = clock.elapsed();
      if (now < quietUntil) return;
      quietUntil = now + FULL_WARNING_MILLIS;
      log.warn({ max: this.server.maxConnections }, 'there are performance.max_connections connections; further ones are refused');
    });
  }

  #countConnections(): void {
    const { protection } = this;
    if (protection === undefined) return;
    this.server.prependListener('connection', (socket: Socket) => {
      if (!protection.opened(socket)) socket.destroy();
    });
  }
}

/** What a server says of a connection on which HTTP can begin. */
function connectionEvent(secure: boolean): 'connection' | 'secureConnection' {
  return secure ? 'secureConnection' : 'connection';
}

/** What a server itself does with such a connection, as long as nobody else has asked to hear of it. */
function ownListeners(server: Server | SecureServer, event: string): (socket: Socket) => void {
  const listeners = server.listeners(event) as ((socket: Socket) => void)[];
  return (socket) => {
    for (const listener of listeners) listener.call(server, socket);
  };
}

function serverOptions({ config }: Edge): {
  readonly noDelay: true;
  readonly requestTimeout: number;
  readonly headersTimeout: number;
  readonly connectionsCheckingInterval: number;
  readonly maxHeaderSize: number;
} {
  const requestTimeout = config['performance.request_timeout'] * 1000;
  return {
    noDelay: true,
    requestTimeout,
    headersTimeout: Math.min(HEADERS_MILLIS_MAX, requestTimeout),
    connectionsCheckingInterval: SLOW_CHECK_MILLIS,
    maxHeaderSize: config['performance.max_header_size'],
  };
}

function protectionOf({ config, proxies, clock, timers }: Edge): ConnectionProtection {
  const limits = {
    requestsPerSecond: config['rate_limit.max_requests_per_ip_per_sec'],
    connectionsMax: config['rate_limit.max_connections_per_ip'],
    banSeconds: config['rate_limit.ban_duration_seconds'],
  };
  return new ConnectionProtection({ limits, proxies, clock, timers });
}
