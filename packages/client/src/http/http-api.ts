import { type JsonValue, parseJson, type Timers } from '@kalamdb/protocol';
import { clientError, KalamServerError, reasonOf } from '../client-error.ts';
import { jsonText } from '../messages/json-text.ts';
import type { SchemaField } from '../messages/schema-field.ts';
import { namedRows, type RowData } from '../rows/row-data.ts';
import type { BasicAuthCredentials } from './auth.ts';

/** Roles, lowest first. */
export type Role = 'anonymous' | 'user' | 'service' | 'dba' | 'system';

/** What a login gives. */
export interface LoginResponse {
  readonly user: {
    readonly id: string;
    readonly role: Role;
    readonly email?: string | null;
    readonly created_at: string;
    readonly updated_at: string;
  };
  readonly admin_ui_access: boolean;
  /** RFC 3339. */
  readonly expires_at: string;
  readonly access_token: string;
  readonly refresh_token?: string;
  readonly refresh_expires_at?: string;
}

/** What one statement answered. */
export interface QueryResult {
  readonly schema: readonly SchemaField[];
  /** The rows as they came: cells in the order of `schema`. */
  readonly rows: readonly (readonly JsonValue[])[];
  /** The same rows by column name, with typed readers. */
  readonly named_rows: RowData[];
  /** Rows returned or affected. */
  readonly row_count: number;
  /** What a statement without rows says. */
  readonly message?: string;
  /** Who the statement ran as. */
  readonly as_user?: string;
}

/** What a request answered. Failures are thrown, so `status` is always `success`. */
export interface QueryResponse {
  readonly status: 'success';
  readonly results: readonly QueryResult[];
  /** Milliseconds on the server. */
  readonly took: number;
}

/** One request. */
export interface SqlRequest {
  readonly sql: string;
  readonly params?: readonly unknown[] | undefined;
  readonly namespace?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What the HTTP side needs. */
interface HttpSettings {
  /** `http://host:port`, without a slash at the end. */
  readonly baseUrl: string;
  readonly fetch: typeof globalThis.fetch;
  readonly timers: Timers;
  readonly requestTimeoutMillis: number;
}

type JsonMembers = Readonly<Record<string, JsonValue>>;
interface Exchange {
  readonly path: string;
  readonly token?: string | undefined;
  readonly body?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The requests of the client, one method each. Every one ends: with an answer, a typed error, the caller's abort, or the time limit. */
export class HttpApi {
  readonly #settings: HttpSettings;

  constructor(settings: HttpSettings) {
    this.#settings = settings;
  }

  /** Runs statements. Throws {@link KalamServerError} for everything that the server refuses. */
  async sql(request: SqlRequest, token: string | undefined): Promise<QueryResponse> {
    const params = request.params === undefined || request.params.length === 0 ? undefined : request.params;
    const body = jsonText({ sql: request.sql, params, namespace_id: request.namespace });
    return readResponse(await this.#post({ path: '/v1/api/sql', token, body, signal: request.signal }));
  }

  /** Exchanges user and password for tokens. */
  async login(credentials: BasicAuthCredentials): Promise<LoginResponse> {
    const body = jsonText({ user: credentials.username, password: credentials.password });
    return readLogin(await this.#post({ path: '/v1/api/auth/login', body }));
  }

  /** Exchanges a refresh token for new tokens. */
  async refresh(refreshToken: string): Promise<LoginResponse> {
    return readLogin(await this.#post({ path: '/v1/api/auth/refresh', token: refreshToken }));
  }

  async #post(exchange: Exchange): Promise<JsonMembers> {
    const { baseUrl, timers, requestTimeoutMillis: millis } = this.#settings;
    const url = `${baseUrl}${exchange.path}`;
    const abort = new AbortController();
    const follow = (): void => abort.abort(exchange.signal?.reason);
    const timer = timers.after(millis, () => abort.abort(clientError('REQUEST_TIMEOUT', { url, millis })), { keepAlive: true });
    exchange.signal?.addEventListener('abort', follow, { once: true });
    if (exchange.signal?.aborted === true) follow();
    try {
      return await this.#answer(url, exchange, abort.signal);
    } catch (error) {
      if (abort.signal.aborted) throw abort.signal.reason;
      if (error instanceof TypeError) throw clientError('REQUEST_FAILED', { url, reason: reasonOf(error) }, error);
      throw error;
    } finally {
      timer.cancel();
      exchange.signal?.removeEventListener('abort', follow);
    }
  }

  async #answer(url: string, exchange: Exchange, signal: AbortSignal): Promise<JsonMembers> {
    const { fetch } = this.#settings;
    const headers: Record<string, string> = {};
    if (exchange.token !== undefined) headers['Authorization'] = `Bearer ${exchange.token}`;
    if (exchange.body !== undefined) headers['Content-Type'] = 'application/json';
    const response = await fetch(url, { method: 'POST', headers, signal, ...(exchange.body === undefined ? {} : { body: exchange.body }) });
    return readAnswer(response.status, await response.text());
  }
}

const isMembers = (value: JsonValue | undefined): value is JsonMembers =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function readAnswer(status: number, text: string): JsonMembers {
  let body: JsonValue | undefined;
  try {
    body = parseJson(text);
  } catch (error) {
    if (status < 400) throw clientError('RESPONSE_INVALID', { reason: reasonOf(error) });
  }
  if (status >= 400 || (isMembers(body) && body['status'] === 'error')) throw new KalamServerError(readRefusal(status, body, text));
  if (!isMembers(body)) throw clientError('RESPONSE_INVALID', { reason: 'an answer is not an object' });
  return body;
}

/** Three shapes of refusal exist: the SQL envelope, `{error, message}` of the auth routes, and plain text. */
function readRefusal(status: number, body: JsonValue | undefined, text: string): ConstructorParameters<typeof KalamServerError>[0] {
  const error = isMembers(body) ? body['error'] : undefined;
  if (isMembers(error)) {
    const { details } = error;
    const refusal = { code: String(error['code']), message: String(error['message']), status };
    return typeof details === 'string' ? { ...refusal, details } : refusal;
  }
  if (isMembers(body) && typeof error === 'string') {
    return { code: String(body['code'] ?? error), message: String(body['message'] ?? error), status };
  }
  return { code: `HTTP_${status}`, message: text.trim() === '' ? `The server answered with status ${status}` : text.trim(), status };
}

function readResponse(body: JsonMembers): QueryResponse {
  const results = body['results'] ?? [];
  if (!Array.isArray(results) || !results.every(isMembers)) throw clientError('RESPONSE_INVALID', { reason: "'results' is not a list" });
  return { status: 'success', results: results.map(readResult), took: typeof body['took'] === 'number' ? body['took'] : 0 };
}

function readResult(result: JsonMembers): QueryResult {
  const schema = (Array.isArray(result['schema']) ? result['schema'] : []) as unknown as readonly SchemaField[];
  const rows = (Array.isArray(result['rows']) ? result['rows'] : []) as readonly (readonly JsonValue[])[];
  const { message, as_user: asUser } = result;
  return {
    schema,
    rows,
    named_rows: namedRows(schema, rows),
    row_count: typeof result['row_count'] === 'number' ? result['row_count'] : rows.length,
    ...(typeof message === 'string' ? { message } : {}),
    ...(typeof asUser === 'string' ? { as_user: asUser } : {}),
  };
}

function readLogin(body: JsonMembers): LoginResponse {
  if (typeof body['access_token'] !== 'string') throw clientError('RESPONSE_INVALID', { reason: "'access_token' is missing" });
  return body as unknown as LoginResponse;
}
