import type { Duplex } from 'node:stream';
import { isAdmin, type LiveConnection, type LiveFrame, type Principal } from '@kalamdb/engine';
import { KalamError, kalamError } from '@kalamdb/protocol';
import type { WebSocket } from 'ws';
import type { Credential } from '../auth/authenticator.ts';
import { networkOf } from '../auth/client-address.ts';
import { RateWindow } from '../auth/rate-limit.ts';
import type { Edge } from '../edge.ts';
import type { ClientMessage, WantedProtocol } from './client-message.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import type { Departures } from './departures.ts';
import { EncodedFrame, type FrameFormat, pack } from './encoded-frame.ts';
import { type Extension, grantedExtensions } from './extensions.ts';
import { type Incoming, understood } from './incoming.ts';
import { encodeLiveFrame } from './live-frame.ts';
import { Outbox } from './outbox.ts';
import type { OutboxBudget } from './outbox-budget.ts';
import { authErrorFrame, authSuccessFrame, errorFrame } from './server-frame.ts';
import { subscriptionFailure } from './subscription-failure.ts';

/** Messages that wait while an earlier one is worked on; beyond, nothing more is read from the client. */
const INBOX_MESSAGES_MAX = 64;
/** Bytes of such messages; the one that passes it is still in. */
const INBOX_BYTES_MAX = 1_048_576;
/** Refusals that are added to an outbox that is full; a client that provokes more does not read them. */
const REFUSALS_UNREAD_MAX = 64;
/** A client that reads nothing of a full outbox for so long is cut off; while memory for outboxes is short, after its time-out already. */
const STALLED_MILLIS_MAX = 300_000;
/** How long a client that is cut off gets to read why. */
const CUT_OFF_MILLIS = 500;
/** How long a load waits for room in the outboxes of the server. */
const ROOM_MILLIS_MAX = 10_000;
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
  /** What is spoken if the token is good; without one, the first message says. */
  readonly protocol: WantedProtocol;
}

/** The ends of the wire. */
export interface ConnectionWire {
  readonly webSocket: WebSocket;
  readonly socket: Duplex;
  /** What waits in the outboxes of all connections. */
  readonly budget: OutboxBudget;
  /** Where all outboxes are emptied. */
  readonly departures: Departures;
  /** When connections are looked at. */
  readonly deadlines: Deadlines;
}

type State =
  | { readonly kind: 'new' }
  | {
      readonly kind: 'open';
      readonly principal: Credential;
      readonly live: LiveConnection;
      readonly success: string;
      readonly extensions: readonly Extension[];
    }
  | { readonly kind: 'closed' };

/**
 * One client on a WebSocket, from the upgrade to the end of the socket. Messages are worked on one after the other in the
 * order of their arrival. A client that is slow to read first has its subscriptions paused, then its messages wait, then it
 * is not read from any more; it loses nothing. Whatever ends the connection ends its subscriptions in the same turn.
 */
export class Connection {
  readonly #edge: Edge;
  readonly #request: ConnectionRequest;
  readonly #webSocket: WebSocket;
  readonly #outbox: Outbox;
  readonly #budget: OutboxBudget;
  /** To authenticate; then to be looked at for silence; when it is cut off, to be gone. */
  readonly #deadline: Deadline;
  readonly #messageRate = new RateWindow();
  readonly #inbox: Incoming[] = [];
  #format: FrameFormat;
  #state: State = { kind: 'new' };
  #inboxBytes = 0;
  #working = false;
  #reading = true;
  #refusalsUnread = 0;
  #heardAt: number;
  /** When the client was last seen to take something, or had nothing to take. */
  #tookAt: number;
  #bytesWaiting = 0;
  #onDrained: (() => void) | undefined;

  constructor(edge: Edge, wire: ConnectionWire, request: ConnectionRequest) {
    this.#edge = edge;
    this.#request = request;
    this.#webSocket = wire.webSocket;
    this.#budget = wire.budget;
    this.#format = this.#formatOf(request.token === undefined ? 'json' : request.protocol.serialization);
    this.#heardAt = edge.clock.elapsed();
    this.#tookAt = this.#heardAt;
    this.#outbox = new Outbox({
      ...wire,
      bytesMax: edge.config['websocket.outbox_bytes_max'],
      onFull: () => this.#pause(),
      onDrained: () => this.#resume(),
    });
    this.#deadline = wire.deadlines.add(() => this.#due());
    this.#deadline.set(edge.config['websocket.auth_timeout_secs'] * 1000);
    this.#listen();
    const { token } = request;
    if (token !== undefined) void this.#work(() => this.#authenticateByHeader(token));
  }

  /** Sends a close frame and ends the subscriptions now; the socket ends when the client has answered, or soon. */
  close(code: number, reason: string): void {
    if (this.#state.kind === 'closed') return;
    this.#end();
    this.#outbox.flush();
    this.#webSocket.close(code, shortened(reason));
  }

  /** Ends the socket without a word. */
  terminate(): void {
    this.#end();
    this.#webSocket.terminate();
  }

  /** Closes the connection of a user who was dropped or has another role now. */
  checkPrincipal(): void {
    if (this.#state.kind === 'open' && !this.#edge.authenticator.isCurrent(this.#state.principal))
      this.close(1008, 'Authentication failed');
  }

  /** Tells a client that has asked for it how far its subscriptions are. */
  reportProgress(): void {
    if (this.#state.kind === 'open' && this.#state.extensions.includes('progress') && !this.#outbox.full) this.#state.live.progress();
  }

  #due(): void {
    switch (this.#state.kind) {
      case 'new':
        this.#authTimeout();
        return;
      case 'open':
        this.#watchHeartbeat();
        this.#checkHeartbeat();
        return;
      case 'closed':
        this.#webSocket.terminate();
        return;
      default:
        this.#state satisfies never;
    }
  }

  #watchHeartbeat(): void {
    this.#deadline.set(this.#edge.config['websocket.heartbeat_interval_secs'] * 1000);
  }

  /**
   * Closes the connection if nothing was heard from the client for too long, or if it leaves a full outbox unread for much
   * longer. Reading what we send counts as a sign of life.
   */
  #checkHeartbeat(): void {
    const now = this.#edge.clock.elapsed();
    const { bytes, full } = this.#outbox;
    const reads = bytes < this.#bytesWaiting;
    this.#bytesWaiting = bytes;
    if (reads) this.#heardAt = now;
    if (reads || !full) this.#tookAt = now;
    const silenceMax = this.#edge.config['websocket.client_timeout_secs'] * 1000;
    if (now - this.#heardAt > silenceMax) this.close(1000, 'Heartbeat timeout');
    else if (now - this.#tookAt > (this.#budget.exhausted ? silenceMax : STALLED_MILLIS_MAX)) this.#cutOff();
  }

  #formatOf(serialization: FrameFormat['serialization']): FrameFormat {
    const gzipBytesMin = this.#request.compressed ? this.#edge.config['websocket.compression_min_bytes'] : Number.POSITIVE_INFINITY;
    return { serialization, gzipBytesMin };
  }

  #listen(): void {
    const alive = (): void => {
      this.#heardAt = this.#edge.clock.elapsed();
    };
    this.#webSocket.on('message', (data: Buffer, isBinary: boolean) => {
      alive();
      this.#receive(data, isBinary);
    });
    this.#webSocket.on('ping', (data: Buffer) => {
      alive();
      this.#outbox.pong(data);
    });
    this.#webSocket.on('pong', alive);
    this.#webSocket.on('close', () => {
      this.#end();
      this.#outbox.end();
    });
    this.#webSocket.on('error', (error) => {
      this.#edge.log.debug({ connection: this.#request.id, reason: error.message }, 'a WebSocket failed');
      this.#end();
    });
  }

  #receive(data: Buffer, binary: boolean): void {
    if (this.#state.kind === 'closed') return;
    const refusal = this.#refusal(data);
    if (refusal !== undefined) {
      this.#refuseMessage(refusal);
      return;
    }
    this.#inbox.push({ data, binary });
    this.#inboxBytes += data.length;
    this.#readOrNot();
    if (!this.#working) void this.#work();
  }

  /** Why a message is dropped without being looked at; the connection stays. */
  #refusal(data: Buffer): KalamError | undefined {
    const { config, clock, traffic } = this.#edge;
    const bytesMax = config['security.max_ws_message_size'];
    if (data.length > bytesMax) return kalamError('MESSAGE_TOO_LARGE', { bytesMax });
    if (this.#messageRate.allows(clock.elapsed(), config['rate_limit.max_messages_per_sec'])) return undefined;
    traffic.refused('messages');
    return kalamError('TOO_MANY_MESSAGES');
  }

  /** Answers a message that is not worked on, unless the client leaves such answers unread. */
  #refuseMessage(error: KalamError): void {
    if (this.#outbox.full && ++this.#refusalsUnread > REFUSALS_UNREAD_MAX) this.#cutOff();
    else this.#sendError(error.code === 'TOO_MANY_MESSAGES' ? 'rate_limit' : 'protocol', error);
  }

  /** Ends the connection of a client that does not read. */
  #cutOff(): void {
    this.#edge.log.warn(
      { connection: this.#request.id, address: this.#request.address },
      'a WebSocket client does not read; it was cut off',
    );
    this.close(1008, 'Client does not read');
    // Its memory is wanted sooner than a client that answers close frames would be waited for.
    this.#deadline.set(CUT_OFF_MILLIS);
  }

  /** Works on messages until there are none; never two at a time. */
  async #work(first?: () => Promise<void>): Promise<void> {
    this.#working = true;
    try {
      await first?.();
      for (let next = this.#inbox[0]; next !== undefined; next = this.#inbox[0]) {
        if (this.#outbox.full) await this.#drained();
        if (this.#state.kind === 'closed') break;
        this.#inbox.shift();
        this.#inboxBytes -= next.data.length;
        this.#readOrNot();
        await this.#handle(next);
      }
    } catch (error) {
      this.#edge.log.error({ err: error, connection: this.#request.id }, 'a WebSocket message failed unexpectedly');
      this.close(1011, 'Internal error');
    }
    this.#working = false;
  }

  /** Resolves when the client has read what waits for it, or the connection has ended. */
  #drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#onDrained = resolve;
    });
  }

  async #handle(incoming: Incoming): Promise<void> {
    const message = await this.#understood(incoming);
    if (message === undefined) return;
    if (message.kind === 'authenticate') await this.#authenticateByMessage(message.token, message.protocol);
    else if (this.#state.kind === 'open') await this.#serve(message, this.#state);
    else if (message.kind === 'subscribe') this.#sendError('subscribe', kalamError('AUTH_REQUIRED'));
  }

  /** The message; a text that holds none ends the connection, other data is answered. */
  async #understood(incoming: Incoming): Promise<ClientMessage | undefined> {
    try {
      const rules = { serialization: this.#format.serialization, bytesMax: this.#edge.config['security.max_ws_message_size'] };
      return await understood(incoming, rules);
    } catch (error) {
      if (!(error instanceof KalamError)) throw error;
      if (incoming.binary) this.#sendError('protocol', error);
      else this.close(1011, `Invalid message: ${error.message}`);
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
      if (!(await this.#budget.room(this.#edge.timers, ROOM_MILLIS_MAX))) throw kalamError('SENDING_BUSY');
      await action();
    } catch (error) {
      if (!(error instanceof KalamError))
        this.#edge.log.error({ err: error, connection: this.#request.id }, 'a subscription failed unexpectedly');
      const failure = subscriptionFailure(error, isAdmin(principal.role));
      this.#send(errorFrame(id, failure.code, failure.message));
    }
  }

  async #authenticateByHeader(token: string): Promise<void> {
    if (!this.#edge.loginLimit.allows(networkOf(this.#request.address)))
      return this.#refuse(kalamError('TOO_MANY_LOGINS'), 1008, 'Auth rate limit exceeded');
    await this.#authenticate(token, this.#request.protocol);
  }

  async #authenticateByMessage(token: string, wanted: WantedProtocol): Promise<void> {
    if (this.#state.kind === 'open') return this.#outbox.put(EncodedFrame.ofText(this.#state.success));
    if (!this.#edge.loginLimit.allows(networkOf(this.#request.address)))
      return this.#refuse(kalamError('TOO_MANY_LOGINS'), 1011, 'Auth rate limit exceeded');
    await this.#authenticate(token, wanted);
  }

  async #authenticate(token: string, protocol: WantedProtocol): Promise<void> {
    const principal = await this.#principalOf(token);
    if (principal === undefined || this.#state.kind === 'closed') return;
    this.#watchHeartbeat();
    const { database, config, timers } = this.#edge;
    const format = this.#formatOf(protocol.serialization);
    const sink = { deliver: (frame: LiveFrame) => this.#outbox.put(encodeLiveFrame(frame, format, timers)) };
    const subscriptionsMax = config['websocket.max_subscriptions_per_connection'];
    const extensions = grantedExtensions(protocol.extensions ?? []);
    const live = database.live.connect(principal, {
      connectionId: this.#request.id,
      sink,
      subscriptionsMax,
      takesWindows: extensions.includes('window'),
      tellsEndings: extensions.includes('progress'),
      bytesQueued: () => this.#outbox.bytes,
    });
    const success = authSuccessFrame(principal, protocol);
    this.#format = format;
    this.#state = { kind: 'open', principal, live, success, extensions };
    this.#outbox.put(EncodedFrame.ofText(success));
  }

  async #principalOf(token: string): Promise<Credential | undefined> {
    try {
      return await this.#edge.authenticator.access(token, { address: this.#request.address });
    } catch (error) {
      if (!(error instanceof KalamError)) throw error;
      this.#refuse(error, 1008, 'Authentication failed');
      return undefined;
    }
  }

  #authTimeout(): void {
    const seconds = this.#edge.config['websocket.auth_timeout_secs'];
    this.#outbox.put(EncodedFrame.ofText(authErrorFrame(`Authentication timeout - no auth message received within ${seconds} seconds`)));
    this.close(1008, 'Authentication timeout');
  }

  #refuse(error: KalamError, code: number, reason: string): void {
    if (this.#state.kind === 'closed') return;
    this.#outbox.put(EncodedFrame.ofText(authErrorFrame(error.message)));
    this.close(code, reason);
  }

  #sendError(id: string, error: KalamError): void {
    this.#send(errorFrame(id, error.spec.wire, error.message));
  }

  #send(text: string): void {
    if (this.#state.kind !== 'closed') this.#outbox.put(pack(EncodedFrame.ofText(text), this.#format));
  }

  #pause(): void {
    if (this.#state.kind === 'open') this.#state.live.pause();
  }

  #resume(): void {
    this.#refusalsUnread = 0;
    if (this.#state.kind === 'open') this.#state.live.resume();
    this.#goOn();
  }

  #goOn(): void {
    const goOn = this.#onDrained;
    this.#onDrained = undefined;
    goOn?.();
  }

  /** Reads from the client only while there is room for its messages. */
  #readOrNot(): void {
    const wanted = this.#inbox.length < INBOX_MESSAGES_MAX && this.#inboxBytes < INBOX_BYTES_MAX;
    if (wanted === this.#reading) return;
    this.#reading = wanted;
    if (wanted) this.#webSocket.resume();
    else this.#webSocket.pause();
  }

  #end(): void {
    if (this.#state.kind === 'open') this.#state.live.close();
    this.#state = { kind: 'closed' };
    this.#deadline.cancel();
    this.#inbox.length = 0;
    this.#inboxBytes = 0;
    // a paused socket would never hear the client's close frame
    if (!this.#reading) this.#webSocket.resume();
    this.#reading = true;
    this.#goOn();
  }
}

/** At most 123 bytes, cut between characters. */
function shortened(reason: string): string {
  let text = reason.slice(0, REASON_BYTES_MAX);
  while (Buffer.byteLength(text) > REASON_BYTES_MAX) text = text.slice(0, -1);
  return text.replace(/[\uD800-\uDBFF]$/, '');
}
