import type { Callbacks } from '../callbacks.ts';
import { clientError, invalidArgument } from '../client-error.ts';
import {
  type ClientSettings,
  type LiveRowsOptions,
  type LiveSetOptions,
  type SubscriptionOptions,
  type Unsubscribe,
  wireOptions,
} from '../client-options.ts';
import type { ConnectionListener, SocketConnection } from '../connection/socket-connection.ts';
import type { ServerMessage } from '../messages/server-message.ts';
import type { RowData } from '../rows/row-data.ts';
import { SeqId } from '../rows/seq-id.ts';
import { asyncDispose, unlessAborted, type WaitOptions } from '../waiting.ts';
import { InboxBudget } from './inbox.ts';
import { Lane, type LanePort } from './lane.ts';
import { LiveRows } from './live-rows.ts';
import { LiveView, type LiveViewer } from './live-view.ts';
import { rawEvents } from './raw-events.ts';
import type { Subscription, SubscriptionRequest, SubscriptionSink } from './subscription.ts';

/** Subscriptions one client may hold. */
const subscriptionsMax = 1_000;
/** Subscriptions on one socket: what a server takes. */
const laneSubscriptionsMax = 100;

/** What {@link LiveQueries} needs of the client. */
interface LiveQueriesPort {
  readonly settings: Pick<ClientSettings, 'clock' | 'timers' | 'subscribeTimeoutMs' | 'inboxBytesMax'>;
  readonly callbacks: Callbacks;
  /** Makes a connection that reports to this listener. */
  open(listener: ConnectionListener): SocketConnection;
  /** What is told of the first connection, and of the others. */
  readonly report: ConnectionListener;
  readonly reportOther: ConnectionListener;
}

/** What is subscribed to. */
interface Target {
  readonly sql: string;
  /** What the application calls it. */
  readonly tableName: string;
}

/** A subscription as applications see it. */
export interface SubscriptionInfo {
  readonly id: string;
  /** The table's name or the SQL, as it was passed in. */
  readonly tableName: string;
  readonly createdAt: Date;
  /** The position up to which it is complete. */
  readonly lastSeqId?: SeqId | undefined;
  readonly closed: boolean;
}

/** One call of an application, which may share its subscription with others. */
export interface Handle extends Target {
  readonly id: string;
  readonly createdAt: Date;
  readonly subscription: Subscription;
  /** Aborted when it is over. */
  readonly over: AbortController;
  /** Takes up its part of the subscription. */
  readonly begin: () => void;
  /** Takes its part of the subscription away. */
  readonly release: (reason: unknown) => void;
  /** Who looks, unless the events are passed on as they are. */
  readonly view?: LiveViewer;
}

type Part = Omit<Handle, 'createdAt' | 'over'>;

/** Who wants to look at which rows. */
interface Joining extends Target {
  readonly id: string;
  readonly view: LiveViewer;
  readonly options: LiveSetOptions;
  /** Whether to try until it succeeds, and to tell the viewer what it fails of for good. */
  readonly patient?: boolean;
}

interface SharedRows {
  readonly rows: LiveRows;
  readonly subscription: Subscription;
  readonly lane: Lane;
}

/**
 * All live queries of a client, on as few sockets as the server's limit allows. Identical ones that show whole sets share one
 * subscription. A socket beyond the first is closed when nothing is left on it.
 */
export class LiveQueries {
  readonly #port: LiveQueriesPort;
  readonly #handles = new Map<string, Handle>();
  readonly #shared = new Map<string, SharedRows>();
  readonly #lanePort: Omit<LanePort, 'report'>;
  readonly #first: Lane;
  readonly #others = new Set<Lane>();
  #created = 0;

  constructor(port: LiveQueriesPort) {
    this.#port = port;
    const { settings, callbacks } = port;
    this.#lanePort = {
      timers: settings.timers,
      budget: new InboxBudget(settings.inboxBytesMax),
      open: (listener) => port.open(listener),
      thrown: (error) => callbacks.threw(error),
      ended: (subscription) => this.#forget(subscription),
    };
    this.#first = new Lane({ ...this.#lanePort, report: port.report });
  }

  /** The connection that stands for the client's: further ones come and go. */
  get connection(): SocketConnection {
    return this.#first.connection;
  }

  /** All connections. */
  get connections(): readonly SocketConnection[] {
    return [this.#first, ...this.#others].map((lane) => lane.connection);
  }

  get size(): number {
    return this.#handles.size;
  }

  /** Starts, or joins, a live query. Resolves at the server's acknowledgement. */
  live<T>(target: Target, callback: (rows: T[]) => void, options: LiveRowsOptions<T>): Promise<Unsubscribe> {
    const id = this.nextId();
    const view = this.#view(id, callback, options);
    return this.#start(this.hold({ ...target, id, view, options }), options.signal);
  }

  /** Prepares a live query, shared with others that have the same rows; it begins with {@link Handle.begin}. */
  hold(joining: Joining): Handle {
    const { id, sql, view, options, patient } = joining;
    const { keyColumn, limit, getKey, subscriptionOptions } = options;
    const keyColumns = options.keyColumns ?? [keyColumn ?? 'id'];
    if (keyColumns.length === 0) throw invalidArgument('keyColumns', 'empty');
    const { batch_size: batchSize, ...begin } = wireOptions(subscriptionOptions);
    const shareable = getKey === undefined && Object.values(begin).every((option) => option === undefined);
    const name = shareable ? JSON.stringify([sql, keyColumns, limit, batchSize, patient]) : id;
    const known = this.#shared.get(name);
    const rows = known?.rows ?? new LiveRows({ sql, limit, keyColumns, getKey });
    const { subscription, lane } = known ?? this.#add({ id, sql, patient }, rows, subscriptionOptions);
    this.#shared.set(name, { rows, subscription, lane });
    const start = (): void => {
      rows.join(view);
      lane.begin(subscription);
      // asked for the view's sake, which hears of it by its state; whoever ends the subscription hears of that
      if (view.wantsState && subscription.phase === 'live') subscription.caughtUp().catch(() => undefined);
    };
    const release = (reason: unknown): void => {
      if (rows.leave(view) === 0) subscription.end(reason);
    };
    return this.#register({ ...joining, subscription, begin: start, release });
  }

  /** Starts a subscription that passes on its events. Resolves at the server's acknowledgement. */
  subscribe(target: Target, callback: (event: ServerMessage) => void, options: SubscriptionOptions | undefined): Promise<Unsubscribe> {
    const id = this.nextId();
    const { subscription, lane } = this.#add({ id, sql: target.sql }, rawEvents(id, callback), options);
    const begin = (): void => lane.begin(subscription);
    const release = (reason: unknown): void => subscription.end(reason);
    return this.#start(this.#register({ ...target, id, subscription, begin, release }), options?.signal);
  }

  /** Ends one, at the application's wish; an unknown id is one that has ended. */
  remove(id: string): void {
    const handle = this.#handles.get(id);
    if (handle !== undefined) this.end(handle, clientError('UNSUBSCRIBED', { sql: handle.sql }));
  }

  /** Ends all, at the application's wish. */
  clear(): void {
    for (const id of [...this.#handles.keys()]) this.remove(id);
  }

  /** Ends all, and every connection, for good; whoever still waits is told `CLIENT_CLOSED`. */
  close(): void {
    for (const handle of [...this.#handles.values()]) this.end(handle, clientError('CLIENT_CLOSED', {}));
    for (const connection of this.connections) connection.dispatch({ name: 'shutdown' });
  }

  /** Closes the sockets at the application's wish: subscriptions not yet accepted end, the others wait for {@link connect}. */
  disconnect(): void {
    for (const { subscription } of [...this.#handles.values()]) subscription.abandon(clientError('DISCONNECTED', {}), true);
    for (const connection of this.connections) connection.dispatch({ name: 'disconnect' });
  }

  /** Opens the first socket, and those that have subscriptions. Resolves when messages flow on the first. */
  async connect(): Promise<void> {
    // what becomes of a further socket is told to the subscriptions on it
    for (const { connection } of this.#others) connection.connect().catch(() => undefined);
    try {
      await this.connection.connect();
    } catch (error) {
      this.releaseUnused();
      throw error;
    }
  }

  getLastSeqId(id: string): SeqId | undefined {
    const seq = this.#handles.get(id)?.subscription.delivered;
    return seq === undefined ? undefined : SeqId.from(seq);
  }

  /** What there is, oldest first. */
  infos(): SubscriptionInfo[] {
    return [...this.#handles.values()].map(({ id, tableName, createdAt }) => ({
      id,
      tableName,
      createdAt,
      lastSeqId: this.getLastSeqId(id),
      closed: false,
    }));
  }

  #view<T>(id: string, callback: (rows: T[]) => void, options: LiveRowsOptions<T>): LiveView<T> {
    const { callbacks } = this.#port;
    const { mapRow, onError, onState } = options;
    return new LiveView<T>({
      // without a mapper T is RowData, which is the default of the type parameter
      mapRow: mapRow ?? ((row: RowData) => row as T),
      show: (rows) => callbacks.call(() => callback(rows)),
      failed: ({ code, message }) =>
        void callbacks.call((all) =>
          onError === undefined
            ? all.onError?.({ message: `${code}: ${message}`, recoverable: false })
            : onError({ type: 'error', subscription_id: id, code, message }),
        ),
      stateChanged: onState === undefined ? undefined : (state) => void callbacks.call(() => onState(state)),
      thrown: (error) => callbacks.threw(error),
    });
  }

  /** An id for another call. Throws `SUBSCRIPTIONS_FULL`. */
  nextId(): string {
    if (this.#handles.size >= subscriptionsMax) throw clientError('SUBSCRIPTIONS_FULL', { subscriptionsMax });
    this.#created++;
    return `sub-${this.#created}`;
  }

  #add(
    request: Omit<SubscriptionRequest, 'options'>,
    sink: SubscriptionSink,
    options: SubscriptionOptions | undefined,
  ): Omit<SharedRows, 'rows'> {
    const lane = this.#laneWithRoom();
    return { subscription: lane.add({ ...request, options: wireOptions(options) }, sink), lane };
  }

  #laneWithRoom(): Lane {
    const found = [this.#first, ...this.#others].find((lane) => lane.size < laneSubscriptionsMax);
    if (found !== undefined) return found;
    const lane = new Lane({ ...this.#lanePort, report: this.#port.reportOther });
    this.#others.add(lane);
    return lane;
  }

  #register(part: Part): Handle {
    const handle: Handle = { ...part, over: new AbortController(), createdAt: new Date(this.#port.settings.clock.now()) };
    this.#handles.set(part.id, handle);
    return handle;
  }

  async #start(handle: Handle, signal: AbortSignal | undefined): Promise<Unsubscribe> {
    const { timers, subscribeTimeoutMs: millis } = this.#port.settings;
    const { sql, subscription, over } = handle;
    const expire = (): void => this.end(handle, clientError('SUBSCRIBE_TIMEOUT', { sql, millis, reason: this.connection.lastFailure }));
    const timer = timers.after(millis, expire, { keepAlive: true });
    try {
      this.begin(handle, signal);
      await unlessAborted(subscription.accepted, over.signal);
    } catch (error) {
      this.end(handle, error);
      this.releaseUnused();
      throw error;
    } finally {
      timer.cancel();
    }
    const unsubscribe = async (): Promise<void> => this.remove(handle.id);
    return Object.assign(unsubscribe, {
      id: handle.id,
      caughtUp: (options?: WaitOptions) => this.caughtUp(handle, options),
      [asyncDispose]: unsubscribe,
    });
  }

  /** Takes up a call, unless its signal is aborted; when it is, later on, the call ends. */
  begin(handle: Handle, signal: AbortSignal | undefined): void {
    const abort = (): void => this.end(handle, signal?.reason);
    signal?.addEventListener('abort', abort, { signal: handle.over.signal });
    if (signal?.aborted === true) abort();
    else handle.begin();
  }

  /** Resolves when everything that was committed before the call has been passed on. */
  async caughtUp({ subscription, view, over }: Handle, options: WaitOptions | undefined): Promise<void> {
    const passedOn = subscription.caughtUp().then(() => view?.passedOn?.());
    // a subscription that is shared outlives the call
    await unlessAborted(unlessAborted(passedOn, over.signal), options?.signal);
  }

  /** Ends one call's part of a subscription; ending twice is ending once. */
  end(handle: Handle, reason: unknown): void {
    if (handle.over.signal.aborted) return;
    this.#drop(handle, reason);
    handle.release(reason);
  }

  #drop(handle: Handle, reason?: unknown): void {
    this.#handles.delete(handle.id);
    handle.over.abort(reason);
  }

  /** A subscription is over, for whatever reason. */
  #forget(subscription: Subscription): void {
    for (const [name, shared] of this.#shared) if (shared.subscription === subscription) this.#shared.delete(name);
    for (const handle of this.#handles.values()) if (handle.subscription === subscription) this.#drop(handle);
    for (const lane of this.#others) {
      if (lane.size > 0) continue;
      this.#others.delete(lane);
      lane.connection.dispatch({ name: 'shutdown' });
    }
  }

  /** Stops trying to connect when nothing is left that needs it, so that a process can end. */
  releaseUnused(): void {
    if (this.connection.state.name !== 'ready' && this.#first.size === 0) this.connection.dispatch({ name: 'disconnect' });
  }
}
