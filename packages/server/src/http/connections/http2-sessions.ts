import {
  constants,
  createServer,
  type Http2Server,
  type Http2ServerRequest,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Clock, Timer, Timers } from '@kalamdb/protocol';
import type { HttpHandler } from '../http-exchange.ts';

/** Requests that one connection may have running; more wait at the client. */
const CONCURRENT_STREAMS_MAX = 256;
/** Bytes of a request's body that a client may send before it is read. */
const STREAM_WINDOW_BYTES = 262_144;
/** Megabytes that one connection may hold in headers and frames that wait. */
const SESSION_MEGABYTES_MAX = 16;
/** Frames that make no sense, streams that are refused, settings and pings that are not answered: beyond, the connection ends. */
const INVALID_FRAMES_MAX = 100;
const REJECTED_STREAMS_MAX = 100;
const OUTSTANDING_PINGS_MAX = 16;
const HEADER_PAIRS_MAX = 128;
const SETTINGS_ENTRIES_MAX = 16;
/**
 * A connection that has brought no request by then is closed; so are those whose frames made no sense and that were told so, of
 * which the session does not read any more.
 */
const FIRST_REQUEST_MILLIS_MAX = 10_000;
/** An answer of which a client takes nothing for so long is cut. */
const STALLED_MILLIS_MAX = 60_000;
/** How often idle connections are looked for, requests whose body does not come, and answers that nobody takes. */
const SWEEP_MILLIS = 1000;

/** How HTTP/2 is served. */
export interface Http2Options {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Milliseconds after which a connection without requests is closed. */
  readonly idleMillisMax: number;
  /** Milliseconds that a client may take for the body of a request. */
  readonly bodyMillisMax: number;
  /** Largest headers of a request, in bytes. */
  readonly headerBytesMax: number;
}

/** What a connection is used for. */
interface SessionUse {
  /** It has brought a request. */
  used: boolean;
  readonly running: Set<ServerHttp2Stream>;
  idleSinceMillis: number;
}

/**
 * The HTTP/2 side: a server that does not listen but is given connections, and its open sessions. The bounds against floods of
 * resets, settings, pings and continuations are those of nghttp2 and of the constants above.
 */
export class Http2Sessions {
  readonly #options: Http2Options;
  readonly #server: Http2Server;
  readonly #sessions = new Map<ServerHttp2Session, SessionUse>();
  /** Requests whose body is still on the way, oldest first, with the time they came. */
  readonly #receiving = new Map<ServerHttp2Stream, number>();
  /** Answers that wait for their client: their bytes, and since when they are so many. */
  readonly #unread = new WeakMap<ServerHttp2Stream, { readonly bytes: number; readonly sinceMillis: number }>();
  readonly #sweep: Timer;

  constructor(handler: HttpHandler, options: Http2Options) {
    this.#options = options;
    this.#server = createServer({
      maxSessionMemory: SESSION_MEGABYTES_MAX,
      maxSessionInvalidFrames: INVALID_FRAMES_MAX,
      maxSessionRejectedStreams: REJECTED_STREAMS_MAX,
      maxOutstandingPings: OUTSTANDING_PINGS_MAX,
      maxHeaderListPairs: HEADER_PAIRS_MAX,
      maxSettings: SETTINGS_ENTRIES_MAX,
      settings: {
        enablePush: false,
        maxConcurrentStreams: CONCURRENT_STREAMS_MAX,
        initialWindowSize: STREAM_WINDOW_BYTES,
        maxHeaderListSize: options.headerBytesMax,
      },
    });
    this.#server.on('request', (request, response) => {
      this.#use(request.stream);
      if (!request.complete && !request.stream.endAfterHeaders) this.#watch(request);
      handler(request, response);
    });
    this.#server.on('session', (session) => this.#add(session));
    this.#sweep = options.timers.every(SWEEP_MILLIS, () => {
      this.#closeIdle();
      this.#cutSlow();
      this.#cutUnread();
    });
  }

  /** Open connections. */
  get count(): number {
    return this.#sessions.size;
  }

  /** Takes a connection that begins with the preface of HTTP/2, cleartext or TLS. */
  take(socket: Parameters<HttpHandler>[0]['socket']): void {
    this.#server.emit('connection', socket);
  }

  /** Takes no new requests; each connection ends when its running ones are answered. */
  drain(): void {
    for (const session of this.#sessions.keys()) session.close();
  }

  /** Cuts everything. */
  destroy(): void {
    this.#sweep.cancel();
    for (const session of this.#sessions.keys()) session.destroy();
  }

  #add(session: ServerHttp2Session): void {
    this.#sessions.set(session, { used: false, running: new Set(), idleSinceMillis: this.#options.clock.elapsed() });
    session.on('close', () => this.#sessions.delete(session));
  }

  /** Counts a request until it is done. */
  #use(stream: ServerHttp2Stream): void {
    const use = stream.session === undefined ? undefined : this.#sessions.get(stream.session as ServerHttp2Session);
    if (use === undefined) return;
    use.used = true;
    use.running.add(stream);
    stream.once('close', () => {
      use.running.delete(stream);
      use.idleSinceMillis = this.#options.clock.elapsed();
    });
  }

  #closeIdle(): void {
    const now = this.#options.clock.elapsed();
    const { idleMillisMax } = this.#options;
    for (const [session, { used, running, idleSinceMillis }] of this.#sessions) {
      const idleMax = used ? idleMillisMax : Math.min(idleMillisMax, FIRST_REQUEST_MILLIS_MAX);
      if (running.size === 0 && now - idleSinceMillis >= idleMax) session.close();
    }
  }

  #watch(request: Http2ServerRequest): void {
    const { stream } = request;
    this.#receiving.set(stream, this.#options.clock.elapsed());
    const done = (): void => void this.#receiving.delete(stream);
    request.once('end', done);
    stream.once('close', done);
  }

  #cutSlow(): void {
    const before = this.#options.clock.elapsed() - this.#options.bodyMillisMax;
    for (const [stream, since] of this.#receiving) {
      if (since > before) return;
      this.#receiving.delete(stream);
      stream.close(constants.NGHTTP2_CANCEL);
    }
  }

  #cutUnread(): void {
    const now = this.#options.clock.elapsed();
    for (const { running } of this.#sessions.values()) {
      for (const stream of running) {
        const bytes = stream.bufferSize;
        const before = this.#unread.get(stream);
        if (bytes === 0) this.#unread.delete(stream);
        else if (before?.bytes !== bytes) this.#unread.set(stream, { bytes, sinceMillis: now });
        else if (now - before.sinceMillis >= STALLED_MILLIS_MAX) stream.close(constants.NGHTTP2_CANCEL);
      }
    }
  }
}
