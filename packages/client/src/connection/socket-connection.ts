import type { Timer } from '@kalamdb/protocol';
import { clientError, KalamClientError, KalamServerError, reasonOf } from '../client-error.ts';
import type { ClientSettings } from '../client-options.ts';
import type { Credentials } from '../http/credentials.ts';
import { authenticateText, PROBE_ID } from '../messages/client-frame.ts';
import { readServerFrame, type ServerFrame, type SubscriptionFrame } from '../messages/server-frame.ts';
import { attemptsOf, type ConnectionEvent, type ConnectionState, holdsSocket, nextState } from './connection-state.ts';
import { FrameReader } from './frame-reader.ts';
import { Heartbeat } from './heartbeat.ts';
import { openSocket, type WebSocketLike } from './web-socket.ts';

/** How long the application's credentials may take, retries included. */
const authorizeTimeoutMillis = 60_000;
/** Without pings: how long messages must flow before earlier failures are forgotten. With them, until the first one is due. */
const steadyMillis = 5_000;

/** Why messages stopped flowing. */
export interface DisconnectReason {
  readonly message: string;
  /** WebSocket close code, when the socket closed by itself. */
  readonly code?: number | undefined;
}

/** What the owner of the connection is told. */
export interface ConnectionListener {
  /** Messages flow from now on; what was asked on an earlier socket is forgotten by the server. */
  ready(): void;
  /** Messages do not flow any more. */
  lost(reason: DisconnectReason): void;
  /** Nothing is tried any more until {@link SocketConnection.connect} is called. */
  gaveUp(error: KalamClientError | KalamServerError): void;
  /** A step failed. */
  failed(message: string, recoverable: boolean): void;
  /** A message other than those of authentication, of so many bytes. */
  frame(frame: SubscriptionFrame, bytes: number): void;
  received(text: string): void;
  sent(text: string): void;
}

/** When and how soon a lost connection is opened again; shared by all connections of a client, and changed while they live. */
export interface ReconnectSettings {
  autoReconnect: boolean;
  attemptsMax: number | undefined;
  delayMillis: number;
  delayMillisMax: number;
}

/** What a connection needs; a server silent for three ping intervals is given up. */
interface ConnectionSettings
  extends Pick<ClientSettings, 'webSocket' | 'clock' | 'timers' | 'random' | 'connectTimeoutMs' | 'pingIntervalMs'> {
  /** `ws://host:port/v1/ws`, query included. */
  readonly url: string;
  readonly reconnect: ReconnectSettings;
}

interface Arrival {
  readonly promise: Promise<void>;
  readonly timer: Timer;
  resolve(): void;
  reject(error: Error): void;
}

/**
 * Owns at most one WebSocket and drives it through {@link ConnectionState}: fetches credentials, opens, authenticates, pings,
 * and comes back after a failure with jittered, doubling pauses. Holds at most one timer besides those of {@link connect} and of its heartbeat.
 * Messages are neither kept nor repeated: whoever needs them again asks on {@link ConnectionListener.ready}.
 */
export class SocketConnection {
  readonly #settings: ConnectionSettings;
  readonly #credentials: Credentials;
  readonly #listener: ConnectionListener;
  readonly #events: ConnectionEvent[] = [];
  #state: ConnectionState = { name: 'idle', reason: undefined };
  #socket: WebSocketLike | undefined;
  #reader: FrameReader | undefined;
  #timer: Timer | undefined;
  #arrival: Arrival | undefined;
  #token: string | undefined;
  #closeCode: number | undefined;
  /** What failed for good, so that `connect` can reject with it rather than with a description of it. */
  #refusal: KalamClientError | KalamServerError | undefined;
  #lastFailure = 'no attempt yet';
  #heartbeat: Heartbeat | undefined;
  #dispatching = false;

  constructor(settings: ConnectionSettings, credentials: Credentials, listener: ConnectionListener) {
    this.#settings = settings;
    this.#credentials = credentials;
    this.#listener = listener;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** The last failure in words, for errors that need to say why. */
  get lastFailure(): string {
    return this.#lastFailure;
  }

  /** Resolves once messages flow. Rejects when the connection gives up, and after the settings' bound; it goes on trying then. */
  connect(): Promise<void> {
    if (this.#state.name === 'ready') return Promise.resolve();
    if (this.#state.name === 'closed') return Promise.reject(clientError('CLIENT_CLOSED', {}));
    this.#arrival ??= this.#expectArrival();
    const { promise } = this.#arrival;
    this.dispatch({ name: 'connect' });
    return promise;
  }

  /** Sends a message if messages flow; `false` otherwise. */
  send(text: string): boolean {
    if (this.#state.name !== 'ready' || this.#socket === undefined) return false;
    return this.#transmit(this.#socket, text);
  }

  /** Gives up the present socket and opens another: for a server that takes messages but does not answer. */
  restart(reason: string): void {
    this.dispatch({ name: 'failed', reason, recoverable: true });
  }

  /** The machine is back, from sleep or without its network: a pause ends at once, and a socket that stands must show that it lives. */
  wake(): void {
    this.dispatch({ name: 'wake' });
    this.#heartbeat?.check();
  }

  /** Tells the connection what happened. An event that arises while one is handled is handled after it. */
  dispatch(event: ConnectionEvent): void {
    this.#events.push(event);
    if (this.#dispatching) return;
    this.#dispatching = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) this.#handle(next);
    } finally {
      this.#dispatching = false;
    }
  }

  #handle(event: ConnectionEvent): void {
    const before = this.#state;
    const after = nextState(before, event, this.#settings.reconnect);
    if (after === before) return;
    if (event.name === 'steady') {
      this.#state = after;
      return;
    }
    if (event.name === 'refused' && this.#token !== undefined) this.#credentials.invalidate(this.#token);
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#state = after;
    if (holdsSocket(before) && !holdsSocket(after)) this.#dropSocket(event);
    this.#announce(before, event);
    this.#enter(after);
  }

  #announce(before: ConnectionState, event: ConnectionEvent): void {
    const after = this.#state;
    // settled first: a listener may call `connect`, whose promise is about what comes after this event
    const outcome = this.#outcome(after);
    if (outcome !== undefined) this.#arrive(outcome);
    if (event.name === 'failed' || event.name === 'refused') {
      this.#lastFailure = event.reason;
      this.#listener.failed(event.reason, after.name === 'waiting' || after.name === 'authorizing');
    }
    if (before.name === 'ready') {
      const message = 'reason' in event ? event.reason : event.name;
      this.#listener.lost({ message, code: this.#closeCode });
    }
    if (outcome !== undefined && after.name === 'idle' && after.reason !== undefined) this.#listener.gaveUp(outcome);
  }

  /** What whoever waits for messages to flow is told in a state in which nothing is tried any more. */
  #outcome(state: ConnectionState): KalamClientError | KalamServerError | undefined {
    if (state.name === 'closed') return clientError('CLIENT_CLOSED', {});
    if (state.name !== 'idle') return undefined;
    if (state.reason === undefined) return clientError('DISCONNECTED', {});
    return this.#refusal ?? clientError('CONNECTION_LOST', { url: this.#settings.url, reason: state.reason });
  }

  #enter(state: ConnectionState): void {
    switch (state.name) {
      case 'authorizing':
        this.#within(authorizeTimeoutMillis, state);
        void this.#authorize(state);
        return;
      case 'opening':
        this.#within(this.#settings.connectTimeoutMs, state);
        this.#open();
        return;
      case 'authenticating':
        this.#within(this.#settings.connectTimeoutMs, state);
        if (this.#socket !== undefined && this.#token !== undefined) this.#transmit(this.#socket, authenticateText(this.#token));
        return;
      case 'ready':
        this.#startHeartbeat();
        this.#arrive(undefined);
        this.#listener.ready();
        return;
      case 'waiting':
        this.#timer = this.#settings.timers.after(this.#pauseMillis(), () => this.dispatch({ name: 'due' }), { keepAlive: true });
        return;
      case 'idle':
      case 'closed':
        return;
      default:
        state satisfies never;
    }
  }

  #within(millis: number, { name }: ConnectionState): void {
    const expire = (): void => this.restart(`${name} took more than ${millis} ms`);
    this.#timer = this.#settings.timers.after(millis, expire, { keepAlive: true });
  }

  #pauseMillis(): number {
    const { random, reconnect } = this.#settings;
    const doubled = reconnect.delayMillis * 2 ** Math.min(attemptsOf(this.#state) - 1, 30);
    return Math.min(doubled, reconnect.delayMillisMax) * (0.5 + random.uniform() / 2);
  }

  async #authorize(state: ConnectionState): Promise<void> {
    this.#refusal = undefined;
    try {
      const token = await this.#credentials.token();
      if (this.#state !== state) return;
      if (token === undefined) throw clientError('CREDENTIALS_NEEDED', {});
      this.#token = token;
      this.dispatch({ name: 'credentials' });
    } catch (error) {
      if (this.#state !== state) return;
      const known = error instanceof KalamClientError || error instanceof KalamServerError;
      const recoverable = known && error.retryable;
      if (known && !recoverable) this.#refusal = error;
      this.dispatch({ name: 'failed', reason: reasonOf(error), recoverable });
    }
  }

  #open(): void {
    const { webSocket, url } = this.#settings;
    if (webSocket === undefined) {
      this.#refusal = clientError('NO_WEB_SOCKET', {});
      this.dispatch({ name: 'failed', reason: this.#refusal.message, recoverable: false });
      return;
    }
    this.#closeCode = undefined;
    try {
      const socket: WebSocketLike = openSocket(webSocket, url, {
        opened: () => this.#owns(socket) && this.dispatch({ name: 'opened' }),
        received: (data) => this.#owns(socket) && reader.push(data),
        closed: ({ code, message }) => {
          if (!this.#owns(socket)) return;
          this.#closeCode = code;
          this.dispatch({ name: 'failed', reason: message, recoverable: true });
        },
      });
      const reader = new FrameReader({
        deliver: (text) => this.#owns(socket) && this.#receive(text),
        fail: (reason) => this.#owns(socket) && this.restart(reason),
      });
      this.#socket = socket;
      this.#reader = reader;
    } catch (error) {
      this.dispatch({ name: 'failed', reason: reasonOf(error), recoverable: true });
    }
  }

  #owns(socket: WebSocketLike): boolean {
    return this.#socket === socket;
  }

  #dropSocket(event: ConnectionEvent): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#reader?.close();
    this.#reader = undefined;
    this.#heartbeat?.stop();
    this.#heartbeat = undefined;
    if (socket === undefined) return;
    try {
      socket.close(1000, 'client');
      // a peer that has gone silent will not answer the closing handshake either
      if (event.name === 'failed') socket.terminate?.();
    } catch {
      // closing is a courtesy: whatever the socket thinks of it, it is not ours any more
    }
  }

  #receive(text: string): void {
    this.#heartbeat?.heard();
    this.#listener.received(text);
    let frame: ServerFrame | undefined;
    try {
      frame = readServerFrame(text);
    } catch (error) {
      this.restart(reasonOf(error));
      return;
    }
    if (frame === undefined) return;
    if (frame.type === 'auth_success') this.dispatch({ name: 'accepted' });
    else if (frame.type === 'auth_error') this.#refuse(frame.message);
    else if (this.#state.name === 'ready' && !(frame.type === 'error' && frame.subscription_id === PROBE_ID))
      this.#listener.frame(frame, text.length);
  }

  #refuse(reason: string): void {
    // not the token's fault: the server is busy, or has not seen it in time
    if (/^Too many|timeout/i.test(reason)) {
      this.restart(reason);
      return;
    }
    this.#refusal = clientError('CREDENTIALS_REFUSED', { reason });
    this.dispatch({ name: 'refused', reason });
  }

  #transmit(socket: WebSocketLike, text: string): boolean {
    try {
      socket.send(text);
    } catch (error) {
      this.restart(reasonOf(error));
      return false;
    }
    this.#listener.sent(text);
    return true;
  }

  #startHeartbeat(): void {
    const { clock, pingIntervalMs, timers } = this.#settings;
    const steady = (): void => this.dispatch({ name: 'steady' });
    if (pingIntervalMs <= 0) this.#timer = timers.after(steadyMillis, steady);
    this.#heartbeat = new Heartbeat({
      clock,
      timers,
      intervalMillis: pingIntervalMs,
      send: (text) => this.send(text),
      tick: steady,
      dead: (reason) => this.restart(reason),
    });
  }

  #expectArrival(): Arrival {
    const { url, connectTimeoutMs: millis, timers } = this.#settings;
    const expire = (): void => this.#arrive(clientError('CONNECT_TIMEOUT', { url, millis, reason: this.#lastFailure }));
    const timer = timers.after(millis, expire, { keepAlive: true });
    let resolve: Arrival['resolve'] = () => undefined;
    let reject: Arrival['reject'] = resolve;
    const promise = new Promise<void>((...settle) => {
      [resolve, reject] = settle;
    });
    return { promise, timer, resolve, reject };
  }

  #arrive(error: Error | undefined): void {
    const arrival = this.#arrival;
    this.#arrival = undefined;
    arrival?.timer.cancel();
    if (error === undefined) arrival?.resolve();
    else arrival?.reject(error);
  }
}
