import { systemClock, systemRandom, systemTimers } from '@kalamdb/protocol';
import { Callbacks } from './callbacks.ts';
import { clientError, KalamServerError, reasonOf } from './client-error.ts';
import {
  type ClientOptions,
  type ConnectionError,
  type LiveRowsOptions,
  type QueryOptions,
  type SubscriptionOptions,
  type Unsubscribe,
  wireOptions,
} from './client-options.ts';
import { attemptsOf } from './connection/connection-state.ts';
import { type ConnectionListener, type DisconnectReason, SocketConnection } from './connection/socket-connection.ts';
import type { AuthCredentials } from './http/auth.ts';
import { Credentials } from './http/credentials.ts';
import { HttpApi, type LoginResponse, type QueryResponse } from './http/http-api.ts';
import { LiveRows } from './live/live-rows.ts';
import { KalamChange, rawEvents } from './live/raw-events.ts';
import type { SubscriptionSink } from './live/subscription.ts';
import { type SubscriptionInfo, Subscriptions } from './live/subscriptions.ts';
import { Log, LogLevel, type LogListener } from './log.ts';
import type { ServerMessage } from './messages/server-message.ts';
import { KalamRow } from './rows/kalam-row.ts';
import type { RowData } from './rows/row-data.ts';
import { SeqId } from './rows/seq-id.ts';
import { deleteText, executeAsText, insertText, quoteTable, updateText } from './sql/sql-text.ts';

const connectTimeoutMillisDefault = 10_000;
const subscribeTimeoutMillisDefault = 30_000;
const requestTimeoutMillisDefault = 60_000;
const pingIntervalMillisDefault = 5_000;
const reconnectDelayMillisDefault = 1_000;
const reconnectDelayMillisMaxDefault = 30_000;
const providerAttemptsMaxDefault = 3;
const providerBackoffMillisDefault = 250;
const providerBackoffMillisMaxDefault = 2_000;

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
 * `await using` does the same.
 */
export class KalamDBClient implements AsyncDisposable {
  readonly #options: ClientOptions;
  readonly #http: HttpApi;
  readonly #credentials: Credentials;
  readonly #connection: SocketConnection;
  readonly #subscriptions: Subscriptions;
  readonly #log: Log;
  readonly #callbacks: Callbacks;
  readonly #ended: () => void;
  #closed = false;

  /** `ended` is called at {@link shutdown}, for whoever made something that must end with the client. */
  constructor(options: ClientOptions, ended: () => void = () => undefined) {
    this.#ended = ended;
    const { url, clock = systemClock, timers = systemTimers, random = systemRandom } = options;
    const baseUrl = readBaseUrl(url);
    this.#options = options;
    this.#log = new Log(clock, options.logLevel, options.logListener);
    this.#callbacks = new Callbacks(options, this.#log);
    this.#http = new HttpApi({
      baseUrl,
      fetch: options.fetch ?? globalThis.fetch.bind(globalThis),
      timers,
      requestTimeoutMillis: options.requestTimeoutMs ?? requestTimeoutMillisDefault,
    });
    this.#credentials = new Credentials({
      provider: options.authProvider,
      attemptsMax: options.authProviderMaxAttempts ?? providerAttemptsMaxDefault,
      backoffMillis: options.authProviderInitialBackoffMs ?? providerBackoffMillisDefault,
      backoffMillisMax: options.authProviderMaxBackoffMs ?? providerBackoffMillisMaxDefault,
      timers,
      random,
      login: (credentials) => this.#http.login(credentials),
    });
    this.#subscriptions = new Subscriptions({
      clock,
      timers,
      subscribeTimeoutMillis: options.subscribeTimeoutMs ?? subscribeTimeoutMillisDefault,
      send: (text) => this.#connection.send(text),
      stalled: (reason) => this.#connection.restart(reason),
      thrown: (error) => this.#callbacks.threw(error),
      lastFailure: () => this.#connection.lastFailure,
    });
    this.#connection = new SocketConnection(
      {
        url: `${baseUrl.replace(/^http/, 'ws')}/v1/ws${options.disableCompression === true ? '?compress=false' : ''}`,
        webSocket: options.webSocket,
        timers,
        random,
        connectTimeoutMillis: options.connectTimeoutMs ?? connectTimeoutMillisDefault,
        pingIntervalMillis: options.pingIntervalMs ?? pingIntervalMillisDefault,
        autoReconnect: true,
        attemptsMax: undefined,
        reconnectDelayMillis: reconnectDelayMillisDefault,
        reconnectDelayMillisMax: reconnectDelayMillisMaxDefault,
      },
      this.#credentials,
      this.#connectionListener(),
    );
  }

  // SQL

  /** Runs one statement, or several separated by `;` (without parameters then). `$1` … `$n` stand for the parameters; a bigint stays exact. */
  async query(sql: string, params?: readonly unknown[], options?: QueryOptions): Promise<QueryResponse> {
    this.#assertOpen();
    const request = { sql, params, namespace: options?.namespace ?? this.#options.namespace, signal: options?.signal };
    options?.signal?.throwIfAborted();
    const token = await this.#credentials.token();
    try {
      return await this.#http.sql(request, token);
    } catch (error) {
      const renewed = await this.#renew(error, token);
      if (renewed === undefined) throw error;
      return await this.#http.sql(request, renewed);
    }
  }

  /** The first row, or `null`. */
  async queryOne(sql: string, params?: readonly unknown[], options?: QueryOptions): Promise<RowData | null> {
    return (await this.queryAll(sql, params, options))[0] ?? null;
  }

  /** All rows of the first statement. */
  async queryAll(sql: string, params?: readonly unknown[], options?: QueryOptions): Promise<RowData[]> {
    return (await this.query(sql, params, options)).results[0]?.named_rows ?? [];
  }

  /** All rows of the first statement, typed by the application. The table's name changes nothing: a row's files are asked for with it. */
  async queryRows<T extends object = Record<string, unknown>>(
    sql: string,
    _tableName?: string,
    params?: readonly unknown[],
  ): Promise<KalamRow<T>[]> {
    return (await this.queryAll(sql, params)).map((row) => new KalamRow<T>(row));
  }

  /** Runs one statement as another user, as far as the caller's role allows it. */
  async executeAsUser(sql: string, user: string, params?: readonly unknown[]): Promise<QueryResponse> {
    return await this.query(executeAsText(sql, user), params);
  }

  /** Not available yet; rejects with `NOT_IMPLEMENTED`. */
  async queryWithFiles(
    _sql: string,
    _files: Readonly<Record<string, Blob>>,
    _params?: readonly unknown[],
    _onProgress?: (progress: unknown) => void,
  ): Promise<QueryResponse> {
    throw clientError('NOT_IMPLEMENTED', { what: 'queryWithFiles' });
  }

  /** Inserts one row; members that are `undefined` are left to their defaults. */
  async insert(table: string, data: Readonly<Record<string, unknown>>): Promise<QueryResponse> {
    return await this.query(insertText(this.#table(table), data));
  }

  /** Changes the row whose column `id` is `rowId`. */
  async update(table: string, rowId: string | number | bigint, data: Readonly<Record<string, unknown>>): Promise<QueryResponse> {
    return await this.query(updateText(this.#table(table), rowId, data));
  }

  /** Deletes the row whose column `id` is `rowId`. */
  async delete(table: string, rowId: string | number | bigint): Promise<void> {
    await this.query(deleteText(this.#table(table), rowId));
  }

  // live queries

  /**
   * Shows the rows of a SELECT, now and after every change: always the whole reconciled set, in order of arrival. Resolves when
   * the server has accepted; the first call follows when the snapshot is complete. Interruptions are bridged silently: after one, the set
   * is shown again once it is up to date.
   */
  async live<T = RowData>(sql: string, callback: (rows: T[]) => void, options: LiveRowsOptions<T> = {}): Promise<Unsubscribe> {
    return await this.#live({ sql, tableName: sql }, callback, options);
  }

  /** {@link live} for all rows of a table. */
  async liveTableRows<T = RowData>(table: string, callback: (rows: T[]) => void, options: LiveRowsOptions<T> = {}): Promise<Unsubscribe> {
    return await this.#live({ sql: this.#selectAll(table), tableName: table }, callback, options);
  }

  /** Passes on the events of a table as they come: acknowledgement, batches of the snapshot, changes, errors. */
  async subscribe(table: string, callback: (event: ServerMessage) => void, options?: SubscriptionOptions): Promise<Unsubscribe> {
    return await this.#subscribe({ sql: this.#selectAll(table), tableName: table }, this.#raw(callback), options);
  }

  /** {@link subscribe} for any `SELECT … FROM … WHERE …`. */
  async subscribeWithSql(sql: string, callback: (event: ServerMessage) => void, options?: SubscriptionOptions): Promise<Unsubscribe> {
    return await this.#subscribe({ sql, tableName: sql }, this.#raw(callback), options);
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
    this.#subscriptions.remove(id);
  }

  /** Ends all subscriptions; the socket stays. */
  async unsubscribeAll(): Promise<void> {
    this.#subscriptions.clear();
  }

  getSubscriptions(): SubscriptionInfo[] {
    return this.#subscriptions.infos();
  }

  getSubscriptionCount(): number {
    return this.#subscriptions.size;
  }

  /** Whether something is subscribed to under this table name (or SQL), spelled as it was then. */
  isSubscribedTo(tableName: string): boolean {
    return this.#subscriptions.infos().some((info) => info.tableName === tableName);
  }

  /** The position up to which a subscription is complete; pass it as `from` to continue there another day. */
  getLastSeqId(id: string): SeqId | undefined {
    const cursor = this.#subscriptions.get(id)?.cursor;
    return cursor === undefined ? undefined : SeqId.from(cursor);
  }

  // session

  /** Obtains credentials, and connects unless `wsLazyConnect` (the default) leaves that to the first subscription. */
  async initialize(): Promise<void> {
    this.#assertOpen();
    await this.#credentials.token();
    if (this.#options.wsLazyConnect === false) await this.connect();
  }

  /**
   * Opens the socket. Resolves once messages flow; afterwards it is kept open, or opened again, until {@link disconnect}. Rejects with
   * what the credentials failed of, or with `CONNECT_TIMEOUT`; attempts then go on only for subscriptions that there are.
   */
  async connect(): Promise<void> {
    this.#assertOpen();
    try {
      await this.#connection.connect();
    } catch (error) {
      this.#releaseUnused();
      throw error;
    }
  }

  /** Closes the socket. Subscriptions stay and continue where they were after the next {@link connect}. */
  async disconnect(): Promise<void> {
    this.#subscriptions.withdraw(clientError('DISCONNECTED', {}));
    this.#connection.dispatch({ name: 'disconnect' });
  }

  /** Ends all subscriptions and the connection for good. */
  async shutdown(): Promise<void> {
    this.#closed = true;
    this.#subscriptions.close();
    this.#connection.dispatch({ name: 'shutdown' });
    this.#ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  /** Tells the client that network or machine are back: a pause between two attempts ends at once. The browser entry calls it by itself. */
  wake(): void {
    this.#connection.dispatch({ name: 'wake' });
  }

  isConnected(): boolean {
    return this.#connection.state.name === 'ready';
  }

  /** Whether a lost or failed connection is being opened again. */
  isReconnecting(): boolean {
    return attemptsOf(this.#connection.state) > 0;
  }

  /** Attempts that failed since messages last flowed. */
  getReconnectAttempts(): number {
    return attemptsOf(this.#connection.state);
  }

  /** Whether a lost connection is opened again; true at first. */
  setAutoReconnect(enabled: boolean): void {
    this.#connection.settings.autoReconnect = enabled;
  }

  /** The pause before the first attempt and the longest one; 1,000 and 30,000 at first. Pauses double and vary by up to a half. */
  setReconnectDelay(initialMs: number, maxMs: number): void {
    this.#connection.settings.reconnectDelayMillis = initialMs;
    this.#connection.settings.reconnectDelayMillisMax = maxMs;
  }

  /** Attempts in a row before the client gives up; 0 for no end, as at first. */
  setMaxReconnectAttempts(attempts: number): void {
    this.#connection.settings.attemptsMax = attempts === 0 ? undefined : attempts;
  }

  /** Logs in with the provider's user and password, and uses the new token from now on. */
  async login(): Promise<LoginResponse> {
    this.#assertOpen();
    return await this.#credentials.login();
  }

  /** Exchanges a refresh token, and uses the new token from now on. */
  async refreshToken(refreshToken: string): Promise<LoginResponse> {
    this.#assertOpen();
    const response = await this.#http.refresh(refreshToken);
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

  async #live<T>(
    target: { readonly sql: string; readonly tableName: string },
    callback: (rows: T[]) => void,
    options: LiveRowsOptions<T>,
  ): Promise<Unsubscribe> {
    const { keyColumn, mapRow, onError } = options;
    const keyColumns = options.keyColumns ?? [keyColumn ?? 'id'];
    if (keyColumns.length === 0) throw clientError('INVALID_ARGUMENT', { name: 'keyColumns', reason: 'empty' });
    const sink = (id: string): SubscriptionSink =>
      new LiveRows<T>({
        sql: target.sql,
        // without a mapper T is RowData, which is the default of the type parameter
        mapRow: mapRow ?? ((row) => row as T),
        limit: options.limit,
        keyColumns,
        getKey: options.getKey,
        show: (rows) => this.#callbacks.call(() => callback(rows)),
        failed: ({ code, message }) =>
          this.#callbacks.call((all) =>
            onError === undefined
              ? all.onError?.({ message: `${code}: ${message}`, recoverable: false })
              : onError({ type: 'error', subscription_id: id, code, message }),
          ),
      });
    return await this.#subscribe(target, sink, options.subscriptionOptions);
  }

  #raw(callback: (event: ServerMessage) => void): (id: string) => SubscriptionSink {
    return (id) => rawEvents(id, (event) => this.#callbacks.call(() => callback(event)));
  }

  async #subscribe(
    target: { readonly sql: string; readonly tableName: string },
    sink: (id: string) => SubscriptionSink,
    options: SubscriptionOptions | undefined,
  ): Promise<Unsubscribe> {
    this.#assertOpen();
    const added = this.#subscriptions.add({ ...target, options: wireOptions(options) }, sink);
    // whatever keeps the socket from opening also reaches the subscription, as a refusal or as its time limit
    this.#connection.connect().catch((error: unknown) => this.#log.write(LogLevel.Debug, 'subscription', reasonOf(error)));
    try {
      const { id } = (await added).request;
      const unsubscribe = async (): Promise<void> => this.#subscriptions.remove(id);
      return Object.assign(unsubscribe, { id, [Symbol.asyncDispose]: unsubscribe });
    } catch (error) {
      this.#releaseUnused();
      throw error;
    }
  }

  #connectionListener(): ConnectionListener {
    return {
      ready: () => {
        this.#log.write(LogLevel.Info, 'connection', 'ready');
        this.#subscriptions.resume();
        this.#callbacks.call((all) => all.onConnect?.());
      },
      lost: (reason) => {
        this.#log.write(LogLevel.Info, 'connection', `lost: ${reason.message}`);
        this.#subscriptions.suspend();
        this.#callbacks.call((all) => all.onDisconnect?.(reason));
      },
      gaveUp: (error) => {
        this.#log.write(LogLevel.Error, 'connection', `gave up: ${error.message}`);
        this.#subscriptions.abandon(error);
      },
      failed: (message, recoverable) => {
        this.#log.write(LogLevel.Warn, 'connection', message);
        this.#callbacks.call((all) => all.onError?.({ message, recoverable }));
      },
      frame: (frame) => {
        if (this.#subscriptions.receive(frame) || frame.type !== 'error') return;
        this.#log.write(LogLevel.Warn, 'connection', `${frame.code} for '${frame.id}': ${frame.message}`);
      },
      received: (text) => this.#callbacks.call((all) => all.onReceive?.(text)),
      sent: (text) => this.#callbacks.call((all) => all.onSend?.(text)),
    };
  }

  /** New credentials after a refusal of `token`: always when it expired, otherwise only if they differ. */
  async #renew(error: unknown, token: string | undefined): Promise<string | undefined> {
    if (!(error instanceof KalamServerError) || token === undefined) return undefined;
    const expired = error.code === 'TOKEN_EXPIRED';
    if (!expired && error.code !== 'INVALID_CREDENTIALS') return undefined;
    this.#credentials.invalidate(token);
    this.#log.write(LogLevel.Debug, 'auth', `renewing the token after ${error.code}`);
    const renewed = await this.#credentials.token();
    return expired || renewed !== token ? renewed : undefined;
  }

  /** Stops trying to connect when nothing is left that needs it, so that a process can end. */
  #releaseUnused(): void {
    if (!this.isConnected() && this.#subscriptions.size === 0) this.#connection.dispatch({ name: 'disconnect' });
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

function readBaseUrl(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (error) {
    throw clientError('INVALID_ARGUMENT', { name: 'url', reason: reasonOf(error) });
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') {
    throw clientError('INVALID_ARGUMENT', { name: 'url', reason: `'${url}' begins with neither http:// nor https://` });
  }
  return `${parsed.origin}${parsed.pathname}`.replace(/\/+$/, '');
}
