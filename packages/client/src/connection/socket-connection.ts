import type { Random, Timer, Timers } from '@kalamdb/protocol';
import { clientError, KalamClientError, KalamServerError, reasonOf } from '../client-error.ts';
import type { Credentials } from '../http/credentials.ts';
import { authenticateText, PING_TEXT, PROBE_ID, PROBE_TEXT } from '../messages/client-frame.ts';
import { readServerFrame, type ServerFrame } from '../messages/server-frame.ts';
import { attemptsOf, type ConnectionEvent, type ConnectionState, holdsSocket, nextState } from './connection-state.ts';
import { FrameReader } from './frame-reader.ts';
import { openSocket, type WebSocketConstructor, type WebSocketLike } from './web-socket.ts';

/** How long the application's credentials may take, retries included. */
const authorizeTimeoutMillis = 60_000;
/** How long the TCP connection with its upgrade may take. */
const openTimeoutMillis = 10_000;
/** How long the server may think about the token. */
const authenticateTimeoutMillis = 10_000;
/** Without pings: how long messages must flow before earlier failures are forgotten. With them, until the first one is due. */
const steadyMillis = 5_000;

/** Why messages stopped flowing. */
export interface DisconnectReason {
  readonly message: string;
  /** WebSocket close code, when the socket closed by itself. */
  readonly code?: number;
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
  /** A message other than those of authentication. */
  frame(frame: ServerFrame): void;
  received(text: string): void;
  sent(text: string): void;
}

/** What a connection needs; the members that are not `readonly` may change while it lives. */
interface ConnectionSettings {
  /** `ws://host:port/v1/ws`, query included. */
  readonly url: string;
  readonly webSocket: WebSocketConstructor | undefined;
  readonly timers: Timers;
  readonly random: Random;
  /** Bound of {@link SocketConnection.connect}. */
  readonly connectTimeoutMillis: number;
  /** Pause between signs of life; a server silent for three of them is given up. 0 for none. */
  readonly pingIntervalMillis: number;
  autoReconnect: boolean;
  attemptsMax: number | undefined;
  reconnectDelayMillis: number;
  reconnectDelayMillisMax: number;
}

interface Arrival {
  readonly promise: Promise<void>;
  readonly timer: Timer;
  resolve(): void;
  reject(error: Error): void;
}

/**
 * Owns at most one WebSocket and drives it through {@link ConnectionState}: fetches credentials, opens, authenticates, pings,
 * and comes back after a failure with jittered, doubling pauses. Holds at most one timer besides that of {@link connect}.
 * Messages are neither kept nor repeated: whoever needs them again asks on {@link ConnectionListener.ready}.
 */
export class SocketConnection {
  readonly settings: ConnectionSettings;
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
  #heard = false;
  #probing = false;
  #dispatching = false;

  constructor(settings: ConnectionSettings, credentials: Credentials, listener: ConnectionListener) {
    this.settings = settings;
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
    const after = nextState(before, event, this.settings);
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
      this.#listener.lost(this.#closeCode === undefined ? { message } : { message, code: this.#closeCode });
    }
    if (outcome !== undefined && after.name === 'idle' && after.reason !== undefined) this.#listener.gaveUp(outcome);
  }

  /** What whoever waits for messages to flow is told in a state in which nothing is tried any more. */
  #outcome(state: ConnectionState): KalamClientError | KalamServerError | undefined {
    if (state.name === 'closed') return clientError('CLIENT_CLOSED', {});
    if (state.name !== 'idle') return undefined;
    if (state.reason === undefined) return clientError('DISCONNECTED', {});
    return this.#refusal ?? clientError('CONNECTION_LOST', { url: this.settings.url, reason: state.reason });
  }

  #enter(state: ConnectionState): void {
    switch (state.name) {
      case 'authorizing':
        this.#within(authorizeTimeoutMillis, 'no credentials in time');
        void this.#authorize(state);
        return;
      case 'opening':
        this.#within(openTimeoutMillis, 'the socket did not open in time');
        this.#open();
        return;
      case 'authenticating':
        this.#within(authenticateTimeoutMillis, 'no answer to the credentials in time');
        if (this.#socket !== undefined && this.#token !== undefined) this.#transmit(this.#socket, authenticateText(this.#token));
        return;
      case 'ready':
        this.#startPings();
        this.#arrive(undefined);
        this.#listener.ready();
        return;
      case 'waiting':
        this.#timer = this.settings.timers.after(this.#pauseMillis(), () => this.dispatch({ name: 'due' }), { keepAlive: true });
        return;
      case 'idle':
      case 'closed':
        return;
      default:
        state satisfies never;
    }
  }

  #within(millis: number, reason: string): void {
    const expire = (): void => this.dispatch({ name: 'failed', reason, recoverable: true });
    this.#timer = this.settings.timers.after(millis, expire, { keepAlive: true });
  }

  #pauseMillis(): number {
    const { reconnectDelayMillis, reconnectDelayMillisMax, random } = this.settings;
    const doubled = reconnectDelayMillis * 2 ** Math.min(attemptsOf(this.#state) - 1, 30);
    return Math.min(doubled, reconnectDelayMillisMax) * (0.5 + random.uniform() / 2);
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
    const { webSocket, url } = this.settings;
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
    this.#heard = true;
    this.#probing = false;
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
    else if (this.#state.name === 'ready' && !(frame.type === 'error' && frame.id === PROBE_ID)) this.#listener.frame(frame);
  }

  #refuse(reason: string): void {
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

  /**
   * One tick: a ping while the server speaks by itself. After a silent tick a probe, which it must answer; after another
   * silent one the connection is dead, whatever the operating system believes (half-open, or the machine slept).
   */
  #startPings(): void {
    const { pingIntervalMillis, timers } = this.settings;
    if (pingIntervalMillis <= 0) {
      this.#timer = timers.after(steadyMillis, () => this.dispatch({ name: 'steady' }));
      return;
    }
    this.#heard = true;
    this.#probing = false;
    this.#timer = timers.every(pingIntervalMillis, () => {
      this.dispatch({ name: 'steady' });
      if (this.#heard) this.send(PING_TEXT);
      else if (this.#probing) this.restart('the server has gone silent');
      else this.#probing = this.send(PROBE_TEXT);
      this.#heard = false;
    });
  }

  #expectArrival(): Arrival {
    const { url, connectTimeoutMillis: millis, timers } = this.settings;
    let settle: Pick<Arrival, 'resolve' | 'reject'> | undefined;
    const promise = new Promise<void>((resolve, reject) => {
      settle = { resolve, reject };
    });
    const { resolve, reject } = settle ?? { resolve: () => undefined, reject: () => undefined };
    const expire = (): void => this.#arrive(clientError('CONNECT_TIMEOUT', { url, millis, reason: this.#lastFailure }));
    return { promise, resolve, reject, timer: timers.after(millis, expire, { keepAlive: true }) };
  }

  #arrive(error: Error | undefined): void {
    const arrival = this.#arrival;
    this.#arrival = undefined;
    arrival?.timer.cancel();
    if (error === undefined) arrival?.resolve();
    else arrival?.reject(error);
  }
}
