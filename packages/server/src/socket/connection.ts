import type { Duplex } from 'node:stream';
import type { LiveConnection, LiveFrame, Principal } from '@kalamdb/engine';
import { KalamError, kalamError, type Timer } from '@kalamdb/protocol';
import type { WebSocket } from 'ws';
import { RateWindow } from '../auth/rate-limit.ts';
import type { Edge } from '../edge.ts';
import { isAdmin } from '../http/sql-failure.ts';
import { type ClientMessage, readClientMessage, type WantedProtocol } from './client-message.ts';
import { encodeLiveFrame, pack, plainFrame } from './encoded-frame.ts';
import { Outbox } from './outbox.ts';
import { authErrorFrame, authSuccessFrame, errorFrame } from './server-frame.ts';
import { subscriptionFailure } from './subscription-failure.ts';

/** Messages that wait while an earlier one is worked on; beyond, nothing more is read from the client. */
const INBOX_MESSAGES_MAX = 64;
/** A close frame's reason may have 123 bytes. */
const REASON_BYTES_MAX = 123;

/** What the upgrade request asked for. */
export interface ConnectionRequest {
  /** Names the connection in `system.live`: 32 hex digits. */
  readonly id: string;
  /** Where the client is, for the limit on attempts to authenticate. */
  readonly address: string;
  /** The token of the `Authorization` header; `undefined`: the first message authenticates. */
  readonly token: string | undefined;
  /** Frames may be gzip. */
  readonly compressed: boolean;
  readonly compression: 'none' | 'gzip';
}

/** The ends of the wire. */
export interface ConnectionWire {
  readonly webSocket: WebSocket;
  readonly socket: Duplex;
}

type State =
  | { readonly kind: 'new' }
  | { readonly kind: 'open'; readonly principal: Principal; readonly live: LiveConnection; readonly success: string }
  | { readonly kind: 'closed' };

/**
 * One client on a WebSocket, from the upgrade to the end of the socket. Messages are worked on one after the other in the
 * order of their arrival. A client that is slow to read first has its subscriptions paused, then is not read from any
 * more; it loses nothing. Whatever ends the connection ends its subscriptions in the same turn.
 */
export class Connection {
  readonly #edge: Edge;
  readonly #request: ConnectionRequest;
  readonly #webSocket: WebSocket;
  readonly #outbox: Outbox;
  readonly #authTimer: Timer;
  readonly #messageRate = new RateWindow();
  readonly #inbox: string[] = [];
  #state: State = { kind: 'new' };
  #working = false;
  #reading = true;
  #heardAt: number;
  #bytesWaiting = 0;

  constructor(edge: Edge, wire: ConnectionWire, request: ConnectionRequest) {
    this.#edge = edge;
    this.#request = request;
    this.#webSocket = wire.webSocket;
    this.#heardAt = edge.clock.elapsed();
    this.#outbox = new Outbox({
      ...wire,
      bytesMax: edge.config['websocket.outbox_bytes_max'],
      onFull: () => this.#pause(),
      onDrained: () => this.#resume(),
    });
    this.#authTimer = edge.timers.after(edge.config['websocket.auth_timeout_secs'] * 1000, () => this.#authTimeout());
    this.#listen();
    if (request.token !== undefined) void this.#work(() => this.#authenticateByHeader(request.token ?? ''));
  }

  /** Sends a close frame and ends the subscriptions now; the socket ends when the client has answered. */
  close(code: number, reason: string): void {
    if (this.#state.kind === 'closed') return;
    this.#end();
    if (this.#outbox.full) this.#webSocket.terminate();
    else this.#webSocket.close(code, shortened(reason));
  }

  /** Ends the socket without a word. */
  terminate(): void {
    this.#end();
    this.#webSocket.terminate();
  }

  /** Closes the connection if nothing was heard from the client for too long; reading what we send counts as a sign of life. */
  checkHeartbeat(): void {
    const bytes = this.#outbox.bytes;
    if (bytes < this.#bytesWaiting) this.#heardAt = this.#edge.clock.elapsed();
    this.#bytesWaiting = bytes;
    const silence = this.#edge.clock.elapsed() - this.#heardAt;
    if (silence > this.#edge.config['websocket.client_timeout_secs'] * 1000) this.close(1000, 'Heartbeat timeout');
  }

  /** Closes the connection of a user who was dropped or has another role now. */
  checkPrincipal(): void {
    if (this.#state.kind === 'open' && !this.#edge.authenticator.isCurrent(this.#state.principal))
      this.close(1008, 'Authentication failed');
  }

  #listen(): void {
    const alive = (): void => {
      this.#heardAt = this.#edge.clock.elapsed();
    };
    this.#webSocket.on('message', (data: Buffer, isBinary: boolean) => {
      alive();
      this.#receive(data, isBinary);
    });
    this.#webSocket.on('ping', alive);
    this.#webSocket.on('pong', alive);
    this.#webSocket.on('close', () => this.#end());
    this.#webSocket.on('error', (error) => {
      this.#edge.log.debug({ connection: this.#request.id, reason: error.message }, 'a WebSocket failed');
      this.#end();
    });
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (this.#state.kind === 'closed') return;
    const refusal = this.#refusal(data, isBinary);
    if (refusal !== undefined) {
      this.#send(errorFrame(refusal.code === 'TOO_MANY_MESSAGES' ? 'rate_limit' : 'protocol', refusal.spec.wire, refusal.message));
      return;
    }
    this.#inbox.push(data.toString('utf8'));
    this.#readOrNot();
    if (!this.#working) void this.#work();
  }

  /** Why a message is dropped without being looked at; the connection stays. */
  #refusal(data: Buffer, isBinary: boolean): KalamError | undefined {
    const { config, clock } = this.#edge;
    const bytesMax = config['security.max_ws_message_size'];
    if (data.length > bytesMax) return kalamError('MESSAGE_TOO_LARGE', { bytesMax });
    if (isBinary) return kalamError('BINARY_REFUSED');
    return this.#messageRate.allows(clock.elapsed(), config['rate_limit.max_messages_per_sec'])
      ? undefined
      : kalamError('TOO_MANY_MESSAGES');
  }

  /** Works on messages until there are none; never two at a time. */
  async #work(first?: () => Promise<void>): Promise<void> {
    this.#working = true;
    try {
      await first?.();
      for (let text = this.#inbox.shift(); text !== undefined && this.#state.kind !== 'closed'; text = this.#inbox.shift()) {
        this.#readOrNot();
        await this.#handle(text);
      }
    } catch (error) {
      this.#edge.log.error({ err: error, connection: this.#request.id }, 'a WebSocket message failed unexpectedly');
      this.close(1011, 'Internal error');
    }
    this.#working = false;
  }

  async #handle(text: string): Promise<void> {
    const message = this.#understood(text);
    if (message === undefined) return;
    if (message.kind === 'authenticate') await this.#authenticateByMessage(message.token, message.protocol);
    else if (this.#state.kind === 'open') await this.#serve(message, this.#state);
    else if (message.kind === 'subscribe') this.#sendError('subscribe', kalamError('AUTH_REQUIRED'));
  }

  /** The message in a text frame; a frame that holds none ends the connection. */
  #understood(text: string): ClientMessage | undefined {
    try {
      return readClientMessage(text);
    } catch (error) {
      if (!(error instanceof KalamError)) throw error;
      this.close(1011, `Invalid message: ${error.message}`);
      return undefined;
    }
  }

  async #serve(message: Exclude<ClientMessage, { kind: 'authenticate' }>, { live, principal }: State & { kind: 'open' }): Promise<void> {
    switch (message.kind) {
      case 'ping':
        return;
      case 'unsubscribe':
        live.unsubscribe(message.id);
        return;
      case 'subscribe':
        if (message.id.trim() === '') this.#sendError('invalid_subscription', kalamError('INVALID_SUBSCRIPTION_ID'));
        else
          await this.#attempt(message.id, principal, () => live.subscribe({ id: message.id, sql: message.sql, options: message.options }));
        return;
      case 'next-batch':
        await this.#attempt(message.id, principal, () => live.nextBatch(message.id, message.lastSeq));
        return;
      default:
        message satisfies never;
    }
  }

  async #attempt(id: string, principal: Principal, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (!(error instanceof KalamError))
        this.#edge.log.error({ err: error, connection: this.#request.id }, 'a subscription failed unexpectedly');
      const failure = subscriptionFailure(error, isAdmin(principal.role));
      this.#send(errorFrame(id, failure.code, failure.message));
    }
  }

  async #authenticateByHeader(token: string): Promise<void> {
    if (!this.#edge.loginLimit.allows(this.#request.address))
      return this.#refuse(kalamError('TOO_MANY_LOGINS'), 1008, 'Auth rate limit exceeded');
    await this.#authenticate(token, { serialization: 'json', compression: this.#request.compression });
  }

  async #authenticateByMessage(token: string, wanted: WantedProtocol): Promise<void> {
    if (this.#state.kind === 'open') return this.#outbox.put(plainFrame(this.#state.success));
    if (!this.#edge.loginLimit.allows(this.#request.address))
      return this.#refuse(kalamError('TOO_MANY_LOGINS'), 1011, 'Auth rate limit exceeded');
    // MessagePack is answered with the serialization that is spoken: JSON.
    await this.#authenticate(token, { ...wanted, serialization: 'json' });
  }

  async #authenticate(token: string, protocol: WantedProtocol): Promise<void> {
    const principal = await this.#principalOf(token);
    if (principal === undefined || this.#state.kind === 'closed') return;
    this.#authTimer.cancel();
    const sink = { deliver: (frame: LiveFrame) => this.#outbox.put(encodeLiveFrame(frame, this.#request.compressed)) };
    const live = this.#edge.database.live.connect(principal, { connectionId: this.#request.id, sink });
    const success = authSuccessFrame(principal, protocol);
    this.#state = { kind: 'open', principal, live, success };
    this.#outbox.put(plainFrame(success));
  }

  async #principalOf(token: string): Promise<Principal | undefined> {
    try {
      return await this.#edge.authenticator.access(token);
    } catch (error) {
      if (!(error instanceof KalamError)) throw error;
      this.#refuse(error, 1008, 'Authentication failed');
      return undefined;
    }
  }

  #authTimeout(): void {
    if (this.#state.kind !== 'new') return;
    const seconds = this.#edge.config['websocket.auth_timeout_secs'];
    this.#outbox.put(plainFrame(authErrorFrame(`Authentication timeout - no auth message received within ${seconds} seconds`)));
    this.close(1008, 'Authentication timeout');
  }

  #refuse(error: KalamError, code: number, reason: string): void {
    if (this.#state.kind === 'closed') return;
    this.#outbox.put(plainFrame(authErrorFrame(error.message)));
    this.close(code, reason);
  }

  #sendError(id: string, error: KalamError): void {
    this.#send(errorFrame(id, error.spec.wire, error.message));
  }

  #send(text: string): void {
    if (this.#state.kind !== 'closed') this.#outbox.put(pack(plainFrame(text), this.#request.compressed));
  }

  #pause(): void {
    if (this.#state.kind === 'open') this.#state.live.pause();
    this.#readOrNot();
  }

  #resume(): void {
    if (this.#state.kind === 'open') this.#state.live.resume();
    this.#readOrNot();
  }

  /** Reads from the client only while there is room for its messages and for the answers to them. */
  #readOrNot(): void {
    const wanted = this.#inbox.length < INBOX_MESSAGES_MAX && !this.#outbox.full;
    if (wanted === this.#reading) return;
    this.#reading = wanted;
    if (wanted) this.#webSocket.resume();
    else this.#webSocket.pause();
  }

  #end(): void {
    if (this.#state.kind === 'open') this.#state.live.close();
    this.#state = { kind: 'closed' };
    this.#authTimer.cancel();
    this.#inbox.length = 0;
    // a paused socket would never hear the client's close frame
    if (!this.#reading) this.#webSocket.resume();
    this.#reading = true;
  }
}

/** At most 123 bytes, cut between characters. */
function shortened(reason: string): string {
  let text = reason.slice(0, REASON_BYTES_MAX);
  while (Buffer.byteLength(text) > REASON_BYTES_MAX) text = text.slice(0, -1);
  return text.replace(/[\uD800-\uDBFF]$/, '');
}
