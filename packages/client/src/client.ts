import { Callbacks } from './callbacks.ts';
import { clientError, invalidArgument } from './client-error.ts';
import {
  type ClientOptions,
  type ClientSettings,
  type ConnectionError,
  type LiveRowsOptions,
  type QueryOptions,
  type SubscriptionOptions,
  settingsOf,
  type Unsubscribe,
  type UploadOptions,
} from './client-options.ts';
import { attemptsOf } from './connection/connection-state.ts';
import {
  type ConnectionListener,
  type DisconnectReason,
  type ReconnectSettings,
  SocketConnection,
} from './connection/socket-connection.ts';
import type { AuthCredentials } from './http/auth.ts';
import { Credentials } from './http/credentials.ts';
import { HttpApi, type LoginResponse, type QueryResponse } from './http/http-api.ts';
import { LiveQueries, type SubscriptionInfo } from './live/live-queries.ts';
import { KalamChange } from './live/raw-events.ts';
import { Log, LogLevel, type LogListener } from './log.ts';
import type { ServerMessage } from './messages/server-message.ts';
import { KalamRow } from './rows/kalam-row.ts';
import type { RowData } from './rows/row-data.ts';
import type { SeqId } from './rows/seq-id.ts';
import { deleteText, executeAsText, insertText, quoteTable, updateText } from './sql/sql-text.ts';
import { asyncDispose, unlessAborted, type WaitOptions } from './waiting.ts';

/** What the parts of this package that are loaded apart work with. */
export interface ClientInside {
  readonly live: LiveQueries;
  readonly callbacks: Callbacks;
}

let insideOf: (client: KalamDBClient) => ClientInside;

/** Lets another module of this package into a client. Throws `CLIENT_CLOSED`. */
export function clientInside(client: KalamDBClient): ClientInside {
  return insideOf(client);
}

/**
 * A connection to one KalamDB server: SQL over HTTP, live queries over one shared WebSocket that comes back by itself.
 *
 * ```ts
 * const client = createClient({ url: 'http://localhost:8080', authProvider: async () => Auth.basic('alice', 'secret') });
 * const stop = await client.live('SELECT * FROM app.messages', (rows) => render(rows));
 * await client.insert('app.messages', { id: 1, body: 'hello' });
 * await stop();
 * await client.shutdown();
 * ```
 *
 * Rejections are {@link KalamServerError} (the server said no) or `KalamClientError`. {@link shutdown} ends everything;
 * `await using` does the same. Every method that waits takes a `signal` that gives it up.
 */
export class KalamDBClient implements AsyncDisposable {
  /** {@link shutdown}, for `await using`. */
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  readonly #options: ClientSettings;
  readonly #http: HttpApi;
  readonly #credentials: Credentials;
  readonly #reconnect: ReconnectSettings = {
    autoReconnect: true,
    attemptsMax: undefined,
    delayMillis: 1_000,
    delayMillisMax: 30_000,
  };
  readonly #live: LiveQueries;
  readonly #log: Log;
  readonly #callbacks: Callbacks;
  readonly #ended: () => void;
  #closed = false;

  static {
    insideOf = (client) => {
      client.#assertOpen();
      return { live: client.#live, callbacks: client.#callbacks };
    };
  }

  /** `ended` is called at {@link shutdown}, for whoever made something that must end with the client. */
  constructor(options: ClientOptions, ended: () => void = () => undefined) {
    this.#ended = ended;
    const settings = settingsOf(options);
    const baseUrl = readBaseUrl(options.url);
    const url = `${baseUrl.replace(/^http/, 'ws')}/v1/ws${settings.disableCompression === true ? '?compress=false' : ''}`;
    this.#options = settings;
    this.#log = new Log(settings);
    this.#callbacks = new Callbacks(options, this.#log);
    this.#http = new HttpApi(baseUrl, settings);
    this.#credentials = new Credentials(settings, (credentials, signal) => this.#http.login(credentials, signal));
    const connectionSettings = { ...settings, url, reconnect: this.#reconnect };
    this.#live = new LiveQueries({
      settings,
      callbacks: this.#callbacks,
      open: (listener) => new SocketConnection(connectionSettings, this.#credentials, listener),
      report: this.#report(true),
      reportOther: this.#report(false),
    });
  }

  // SQL

  /** Runs one statement, or several separated by `;` (without parameters then). `$1` … `$n` stand for the parameters; a bigint stays exact. */
  async query(sql: string, params?: readonly unknown[], options?: QueryOptions): Promise<QueryResponse> {
    return await this.#request({ sql, params }, options);
  }

  /** The first row, or `null`. */
  async queryOne<C extends string = string>(sql: string, params?: readonly unknown[], options?: QueryOptions): Promise<RowData<C> | null> {
    return (await this.queryAll<C>(sql, params, options))[0] ?? null;
  }

  /** All rows of the first statement. */
  async queryAll<C extends string = string>(sql: string, params?: readonly unknown[], options?: QueryOptions): Promise<RowData<C>[]> {
    const { results } = await this.query(sql, params, options);
    return (results[0]?.named_rows ?? []) as RowData<C>[];
  }

  /** All rows of the first statement, typed by the application. The table's name changes nothing: a row's files are asked for with it. */
  async queryRows<T extends object = Record<string, unknown>>(
    sql: string,
    _tableName?: string,
    params?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<KalamRow<T>[]> {
    return (await this.queryAll(sql, params, options)).map((row) => new KalamRow<T>(row));
  }

  /** Runs one statement as another user, as far as the caller's role allows it. */
  async executeAsUser(sql: string, user: string, params?: readonly unknown[], options?: QueryOptions): Promise<QueryResponse> {
    return await this.query(executeAsText(sql, user), params, options);
  }

  /**
   * Runs a statement with files, which it names as `FILE('name')`. The server has no files yet and answers `NOT_IMPLEMENTED`.
   * The last argument may be just `onProgress`, which is told at the start and at the end: `fetch` knows nothing in between.
   */
  async queryWithFiles(
    sql: string,
    files: Readonly<Record<string, Blob>>,
    params?: readonly unknown[],
    options?: UploadOptions | UploadOptions['onProgress'],
  ): Promise<QueryResponse> {
    const { onProgress, ...query }: UploadOptions = typeof options === 'function' ? { onProgress: options } : (options ?? {});
    const total = Object.values(files).reduce((bytes, file) => bytes + file.size, 0);
    onProgress?.({ loaded: 0, total });
    const response = await this.#request({ sql, params, files }, query);
    onProgress?.({ loaded: total, total });
    return response;
  }

  /** Inserts one row; members that are `undefined` are left to their defaults. */
  async insert(table: string, data: Readonly<Record<string, unknown>>, options?: WaitOptions): Promise<QueryResponse> {
    return await this.query(insertText(this.#table(table), data), undefined, options);
  }

  /** Changes the row whose column `id` is `rowId`. */
  async update(
    table: string,
    rowId: string | number | bigint,
    data: Readonly<Record<string, unknown>>,
    options?: WaitOptions,
  ): Promise<QueryResponse> {
    return await this.query(updateText(this.#table(table), rowId, data), undefined, options);
  }

  /** Deletes the row whose column `id` is `rowId`. */
  async delete(table: string, rowId: string | number | bigint, options?: WaitOptions): Promise<void> {
    await this.query(deleteText(this.#table(table), rowId), undefined, options);
  }

  // live queries

  /**
   * Shows the rows of a SELECT, now and after every change: always the whole reconciled set, in order of arrival. Resolves when
   * the server has accepted; the first call follows when the snapshot is complete. Interruptions are bridged silently: after one, the set
   * is shown again once it is up to date. A callback that returns a promise is shown the newest set when that has settled.
   */
  async live<T = RowData>(sql: string, callback: (rows: T[]) => void, options: LiveRowsOptions<T> = {}): Promise<Unsubscribe> {
    this.#assertOpen();
    return await this.#live.live({ sql, tableName: sql }, callback, options);
  }

  /** {@link live} for all rows of a table. */
  async liveTableRows<T = RowData>(table: string, callback: (rows: T[]) => void, options: LiveRowsOptions<T> = {}): Promise<Unsubscribe> {
    this.#assertOpen();
    return await this.#live.live({ sql: this.#selectAll(table), tableName: table }, callback, options);
  }

  /**
   * Passes on the events of a table as they come: acknowledgement, batches of the snapshot, changes, errors. A callback that
   * returns a promise gets the next event when that has settled.
   */
  async subscribe(table: string, callback: (event: ServerMessage) => void, options?: SubscriptionOptions): Promise<Unsubscribe> {
    this.#assertOpen();
    return await this.#live.subscribe({ sql: this.#selectAll(table), tableName: table }, callback, options);
  }

  /** {@link subscribe} for any `SELECT … FROM … WHERE …`. */
  async subscribeWithSql(sql: string, callback: (event: ServerMessage) => void, options?: SubscriptionOptions): Promise<Unsubscribe> {
    this.#assertOpen();
    return await this.#live.subscribe({ sql, tableName: sql }, callback, options);
  }

  /** {@link subscribe} with rows typed by the application. */
  async subscribeRows<T extends object = Record<string, unknown>>(
    table: string,
    callback: (change: KalamChange<T>) => void,
    options?: SubscriptionOptions,
  ): Promise<Unsubscribe> {
    return await this.subscribe(table, (event) => callback(new KalamChange<T>(event)), options);
  }

  /** Ends a subscription. One that has ended already is left alone. */
  async unsubscribe(id: string): Promise<void> {
    this.#live.remove(id);
  }

  /** Ends all subscriptions; the socket stays. */
  async unsubscribeAll(): Promise<void> {
    this.#live.clear();
  }

  getSubscriptions(): SubscriptionInfo[] {
    return this.#live.infos();
  }

  getSubscriptionCount(): number {
    return this.#live.size;
  }

  /** Whether something is subscribed to under this table name (or SQL), spelled as it was then. */
  isSubscribedTo(tableName: string): boolean {
    return this.#live.infos().some((info) => info.tableName === tableName);
  }

  /** The position up to which a subscription's callback has everything; pass it as `from` to continue there another day. */
  getLastSeqId(id: string): SeqId | undefined {
    return this.#live.getLastSeqId(id);
  }

  // session

  /** Obtains credentials, and connects unless `wsLazyConnect` (the default) leaves that to the first subscription. */
  async initialize(options?: WaitOptions): Promise<void> {
    this.#assertOpen();
    await unlessAborted(this.#credentials.token(), options?.signal);
    if (this.#options.wsLazyConnect === false) await this.connect(options);
  }

  /**
   * Opens the socket. Resolves once messages flow; afterwards it is kept open, or opened again, until {@link disconnect}. Rejects with
   * what the credentials failed of, or with `CONNECT_TIMEOUT`; attempts then go on only for subscriptions that there are.
   */
  async connect(options?: WaitOptions): Promise<void> {
    this.#assertOpen();
    await unlessAborted(this.#live.connect(), options?.signal);
  }

  /** Closes the socket. Subscriptions stay and continue where they were after the next {@link connect}. */
  async disconnect(): Promise<void> {
    this.#live.disconnect();
  }

  /** Ends all subscriptions and the connection for good. */
  async shutdown(): Promise<void> {
    this.#closed = true;
    this.#live.close();
    this.#ended();
  }

  /**
   * Tells the client that network or machine are back: a pause between two attempts ends at once, and an open socket must show that it
   * lives. The browser entry calls it by itself.
   */
  wake(): void {
    for (const connection of this.#live.connections) connection.wake();
  }

  isConnected(): boolean {
    return this.#live.connection.state.name === 'ready';
  }

  /** Whether a lost or failed connection is being opened again. */
  isReconnecting(): boolean {
    return this.getReconnectAttempts() > 0;
  }

  /** Attempts that failed since messages last flowed. */
  getReconnectAttempts(): number {
    return attemptsOf(this.#live.connection.state);
  }

  /** Whether a lost connection is opened again; true at first. */
  setAutoReconnect(enabled: boolean): void {
    this.#reconnect.autoReconnect = enabled;
  }

  /** The pause before the first attempt and the longest one; 1,000 and 30,000 at first. Pauses double and vary by up to a half. */
  setReconnectDelay(initialMs: number, maxMs: number): void {
    this.#reconnect.delayMillis = initialMs;
    this.#reconnect.delayMillisMax = maxMs;
  }

  /** Attempts in a row before the client gives up; 0 for no end, as at first. */
  setMaxReconnectAttempts(attempts: number): void {
    this.#reconnect.attemptsMax = attempts === 0 ? undefined : attempts;
  }

  /** Logs in with the provider's user and password, and uses the new token from now on. */
  async login(options?: WaitOptions): Promise<LoginResponse> {
    this.#assertOpen();
    return await unlessAborted(this.#credentials.login(options?.signal), options?.signal);
  }

  /** Exchanges a refresh token, and uses the new token from now on. */
  async refreshToken(refreshToken: string, options?: WaitOptions): Promise<LoginResponse> {
    this.#assertOpen();
    const response = await this.#http.refresh(refreshToken, options?.signal);
    this.#credentials.adopt(response.access_token);
    return response;
  }

  /** The kind of credentials the provider gave last; `undefined` before it was asked. */
  getAuthType(): AuthCredentials['type'] | undefined {
    return this.#credentials.type;
  }

  setLogLevel(level: LogLevel): void {
    this.#log.level = level;
  }

  setLogListener(listener: LogListener | undefined): void {
    this.#log.listener = listener;
  }

  onConnect(callback: (() => void) | undefined): void {
    this.#callbacks.set({ onConnect: callback });
  }

  onDisconnect(callback: ((reason: DisconnectReason) => void) | undefined): void {
    this.#callbacks.set({ onDisconnect: callback });
  }

  onError(callback: ((error: ConnectionError) => void) | undefined): void {
    this.#callbacks.set({ onError: callback });
  }

  onReceive(callback: ((message: string) => void) | undefined): void {
    this.#callbacks.set({ onReceive: callback });
  }

  onSend(callback: ((message: string) => void) | undefined): void {
    this.#callbacks.set({ onSend: callback });
  }

  async #request(
    request: { readonly sql: string; readonly params: readonly unknown[] | undefined; readonly files?: Readonly<Record<string, Blob>> },
    options: QueryOptions | undefined,
  ): Promise<QueryResponse> {
    this.#assertOpen();
    const all = { namespace: this.#options.namespace, ...options, ...request };
    return await unlessAborted(
      this.#credentials.spend((token) => this.#http.sql(all, token)),
      all.signal,
    );
  }

  /** What is told of a connection; connecting and disconnecting only of the first, which stands for the client's. */
  #report(first: boolean): ConnectionListener {
    const told = (level: LogLevel, message: string): void => this.#log.write(level, 'connection', message);
    return {
      ready: () => {
        told(LogLevel.Info, 'ready');
        if (first) this.#callbacks.call((all) => all.onConnect?.());
      },
      lost: (reason) => {
        told(LogLevel.Info, `lost: ${reason.message}`);
        if (first) this.#callbacks.call((all) => all.onDisconnect?.(reason));
      },
      gaveUp: (error) => told(LogLevel.Error, `gave up: ${error.message}`),
      failed: (message, recoverable) => {
        told(LogLevel.Warn, message);
        this.#callbacks.call((all) => all.onError?.({ message, recoverable }));
      },
      frame: (frame) => {
        if (frame.type === 'error') told(LogLevel.Warn, `${frame.code} for '${frame.subscription_id}': ${frame.message}`);
      },
      received: (text) => this.#callbacks.call((all) => all.onReceive?.(text)),
      sent: (text) => this.#callbacks.call((all) => all.onSend?.(text)),
    };
  }

  #selectAll(table: string): string {
    return `SELECT * FROM ${this.#table(table)}`;
  }

  #table(table: string): string {
    return quoteTable(table, this.#options.namespace);
  }

  #assertOpen(): void {
    if (this.#closed) throw clientError('CLIENT_CLOSED', {});
  }
}

// not a member of the class, whose name for it would be `undefined` where the runtime lacks the symbol
Object.defineProperty(KalamDBClient.prototype, asyncDispose, {
  value(this: KalamDBClient): Promise<void> {
    return this.shutdown();
  },
});

function readBaseUrl(url: string): string {
  if (!/^https?:\/\/./i.test(url)) throw invalidArgument('url', `'${url}' is not http://… or https://…`);
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`.replace(/\/+$/, '');
}
