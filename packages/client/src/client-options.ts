import { type Clock, type Random, systemClock, systemRandom, systemTimers, type Timers } from '@kalamdb/protocol';
import type { DisconnectReason } from './connection/socket-connection.ts';
import type { WebSocketConstructor } from './connection/web-socket.ts';
import type { AuthProvider } from './http/auth.ts';
import type { LiveState } from './live/subscription.ts';
import type { LogLevel, LogListener } from './log.ts';
import type { WireSubscribeOptions } from './messages/client-frame.ts';
import type { SubscriptionErrorEvent } from './messages/server-message.ts';
import type { RowData } from './rows/row-data.ts';
import { SeqId } from './rows/seq-id.ts';
import type { WaitOptions } from './waiting.ts';

/** Trouble with the connection or with a callback of the application. */
export interface ConnectionError {
  readonly message: string;
  /** Whether the client goes on by itself. */
  readonly recoverable: boolean;
}

/** What a client needs to know. Times are milliseconds. */
export interface ClientOptions {
  /** `http://host:port` or `https://…`; the socket's address follows from it. */
  readonly url: string;
  /** Who this is: asked at first use, and again when the server calls a token expired. */
  readonly authProvider: AuthProvider;
  /** How often an `authProvider` that throws is asked; 3. */
  readonly authProviderMaxAttempts?: number | undefined;
  /** Pause before it is asked again, doubling; 250. */
  readonly authProviderInitialBackoffMs?: number | undefined;
  /** Longest such pause; 2,000. */
  readonly authProviderMaxBackoffMs?: number | undefined;
  /** Namespace of table names without one, and of unqualified names in queries. */
  readonly namespace?: string | undefined;
  /** Whether the server leaves long frames plain, which is easier to read on the wire; false. */
  readonly disableCompression?: boolean | undefined;
  /** Whether the socket waits for the first subscription; true. With false `initialize()` opens it. */
  readonly wsLazyConnect?: boolean | undefined;
  /** Between two signs of life; 5,000, 0 for none. A server silent for three of them is given up. */
  readonly pingIntervalMs?: number | undefined;
  /** Bound of a request; 60,000. */
  readonly requestTimeoutMs?: number | undefined;
  /** Bound of `connect()`, and of each step of an attempt to open the socket; 10,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Bound of `live()` and `subscribe…()` until the server has accepted; 30,000. */
  readonly subscribeTimeoutMs?: number | undefined;
  /**
   * Bytes of JSON that may wait for callbacks whose promises are pending, over all raw subscriptions; 16 MiB. A subscription whose
   * frame would pass it is given back to the server, and continued where it was when its callback is done.
   */
  readonly inboxBytesMax?: number | undefined;
  readonly onConnect?: (() => void) | undefined;
  readonly onDisconnect?: ((reason: DisconnectReason) => void) | undefined;
  readonly onError?: ((error: ConnectionError) => void) | undefined;
  /** Sees the text of every message from the server. */
  readonly onReceive?: ((message: string) => void) | undefined;
  /** Sees the text of every message to the server, the token included. */
  readonly onSend?: ((message: string) => void) | undefined;
  /** What the listener is told; warnings and errors. */
  readonly logLevel?: LogLevel | undefined;
  readonly logListener?: LogListener | undefined;
  /** The socket to use instead of the runtime's. */
  readonly webSocket?: WebSocketConstructor | undefined;
  /** The `fetch` to use instead of the runtime's. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Time and randomness, for tests that own them. */
  readonly clock?: Clock | undefined;
  readonly timers?: Timers | undefined;
  readonly random?: Random | undefined;
}

type DefaultName =
  | 'authProviderMaxAttempts'
  | 'authProviderInitialBackoffMs'
  | 'authProviderMaxBackoffMs'
  | 'pingIntervalMs'
  | 'requestTimeoutMs'
  | 'connectTimeoutMs'
  | 'subscribeTimeoutMs'
  | 'inboxBytesMax'
  | 'clock'
  | 'timers'
  | 'random';

/** What holds where an option is not given. */
const DEFAULTS: Pick<ClientSettings, DefaultName> = {
  authProviderMaxAttempts: 3,
  authProviderInitialBackoffMs: 250,
  authProviderMaxBackoffMs: 2_000,
  pingIntervalMs: 5_000,
  requestTimeoutMs: 60_000,
  connectTimeoutMs: 10_000,
  subscribeTimeoutMs: 30_000,
  inboxBytesMax: 16 * 1024 * 1024,
  clock: systemClock,
  timers: systemTimers,
  random: systemRandom,
};

/** The options of a client, complete. */
export type ClientSettings = Omit<ClientOptions, DefaultName> & { readonly [N in DefaultName]: NonNullable<ClientOptions[N]> };

/** Completes options; one that is `undefined` is one that is not given. */
export function settingsOf(options: ClientOptions): ClientSettings {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...DEFAULTS, ...Object.fromEntries(given) } as ClientSettings;
}

/** How a subscription begins. */
export interface SubscriptionOptions extends WaitOptions {
  /** Rows in a batch of the snapshot; the server's choice unless given. All batches are fetched in any case. */
  readonly batch_size?: number | undefined;
  /** Only the newest rows instead of a whole snapshot. */
  readonly last_rows?: number | undefined;
  /** Only what came after this position. */
  readonly from?: SeqId | bigint | number | string | undefined;
  /** What is shown first holds this commit, the `commit` of a {@link QueryResult}. */
  readonly atLeast?: string | undefined;
}

/** Which rows of a live query are kept, and by what they are known. */
export interface LiveSetOptions extends WaitOptions {
  /** Rows kept, the last to arrive; all unless given. A place that a delete leaves is not filled with an older row. */
  readonly limit?: number | undefined;
  /** The columns by which rows are the same; `id` unless given. */
  readonly keyColumns?: readonly string[] | undefined;
  /** The same for one column. */
  readonly keyColumn?: string | undefined;
  /** The same as a function. */
  readonly getKey?: ((row: RowData) => string | number | null | undefined) | undefined;
  readonly subscriptionOptions?: Omit<SubscriptionOptions, 'signal'> | undefined;
}

/** How `live` keeps and shows rows. */
export interface LiveRowsOptions<T> extends LiveSetOptions {
  /** Makes the application's row of a row; called once for every version of a row. */
  readonly mapRow?: ((row: RowData) => T) | undefined;
  /** Trouble after the start. Without it, trouble goes to the client's `onError`. */
  readonly onError?: ((event: SubscriptionErrorEvent) => void) | undefined;
  /** Told whenever it changes how current the rows are; `loading` at first. That they have caught up is told after they were shown. */
  readonly onState?: ((state: LiveState) => void) | undefined;
}

/** Where a query runs, and for how long it is waited for. */
export interface QueryOptions extends WaitOptions {
  readonly namespace?: string | undefined;
  /** The answer holds this commit, the `commit` of a {@link QueryResult}. */
  readonly atLeast?: string | undefined;
}

/** {@link QueryOptions} of a query with files. */
export interface UploadOptions extends QueryOptions {
  readonly onProgress?: ((progress: UploadProgress) => void) | undefined;
}

/** How far an upload has come, in bytes. */
export interface UploadProgress {
  readonly loaded: number;
  readonly total: number;
}

/** Ends a subscription, like aborting the signal it was started with; ending twice is ending once. Works with `await using`. */
export interface Unsubscribe extends AsyncDisposable {
  (): Promise<void>;
  /** The subscription's id, for `getLastSeqId` and `unsubscribe`. */
  readonly id: string;
  /**
   * Resolves when everything that was committed on the server before the call has been passed to the callback, whatever the
   * connection does meanwhile. Rejects when the subscription ends.
   */
  caughtUp(options?: WaitOptions): Promise<void>;
}

/** Subscription options in the wire's spelling. */
export function wireOptions(options: SubscriptionOptions | undefined): WireSubscribeOptions {
  return {
    batch_size: options?.batch_size,
    last_rows: options?.last_rows,
    from: options?.from === undefined ? undefined : SeqId.from(options.from).toBigInt(),
    at_least: options?.atLeast,
  };
}
