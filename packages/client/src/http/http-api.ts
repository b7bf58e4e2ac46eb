import type { JsonObject, JsonValue } from '@kalamdb/protocol';
import { clientError, invalidResponse, KalamServerError, reasonOf } from '../client-error.ts';
import type { ClientSettings } from '../client-options.ts';
import { isObject, readJson } from '../messages/json-reading.ts';
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
  /** The name of the commit that the statement has made, to be passed as `atLeast`. */
  readonly commit?: string;
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
  readonly atLeast?: string | undefined;
  readonly files?: Readonly<Record<string, Blob>> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a server that knows it gives on top: the names of commits. Others pass it over. */
const extensions = ['commit-token'] as const;

/** What the HTTP side needs. */
type HttpSettings = Pick<ClientSettings, 'fetch' | 'timers' | 'requestTimeoutMs'>;

interface Exchange {
  readonly path: string;
  readonly token?: string | undefined;
  readonly body?: string | FormData | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The requests of the client, one method each. Every one ends: with an answer, a typed error, the caller's abort, or the time limit. */
export class HttpApi {
  readonly #baseUrl: string;
  readonly #settings: HttpSettings;

  /** `baseUrl`: `http://host:port`, without a slash at the end. */
  constructor(baseUrl: string, settings: HttpSettings) {
    this.#baseUrl = baseUrl;
    this.#settings = settings;
  }

  /** Runs statements. Throws {@link KalamServerError} for everything that the server refuses. */
  async sql(request: SqlRequest, token: string | undefined): Promise<QueryResponse> {
    const params = request.params === undefined || request.params.length === 0 ? undefined : request.params;
    const { sql, namespace, atLeast, files, signal } = request;
    const wire = { sql, params, namespace_id: namespace, extensions, at_least: atLeast };
    const body = files === undefined ? jsonText(wire) : formOf(request, files);
    return readResponse(await this.#post({ path: '/v1/api/sql', token, body, signal }));
  }

  /** Exchanges user and password for tokens. */
  async login(credentials: BasicAuthCredentials, signal?: AbortSignal): Promise<LoginResponse> {
    const body = jsonText({ user: credentials.username, password: credentials.password });
    return readLogin(await this.#post({ path: '/v1/api/auth/login', body, signal }));
  }

  /** Exchanges a refresh token for new tokens. */
  async refresh(refreshToken: string, signal?: AbortSignal): Promise<LoginResponse> {
    return readLogin(await this.#post({ path: '/v1/api/auth/refresh', token: refreshToken, signal }));
  }

  async #post(exchange: Exchange): Promise<JsonObject> {
    const { timers, requestTimeoutMs: millis } = this.#settings;
    const url = this.#baseUrl + exchange.path;
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

  async #answer(url: string, exchange: Exchange, signal: AbortSignal): Promise<JsonObject> {
    const { fetch = globalThis.fetch } = this.#settings;
    const headers: Record<string, string> = {};
    if (exchange.token !== undefined) headers['Authorization'] = `Bearer ${exchange.token}`;
    if (typeof exchange.body === 'string') headers['Content-Type'] = 'application/json';
    const response = await fetch.call(globalThis, url, {
      method: 'POST',
      headers,
      signal,
      body: exchange.body ?? null,
    });
    return readAnswer(response.status, await response.text());
  }
}

/** The parts of a request with files, as the wire names them. */
function formOf({ sql, params, namespace }: SqlRequest, files: Readonly<Record<string, Blob>>): FormData {
  const form = new FormData();
  form.set('sql', sql);
  if (params !== undefined) form.set('params', jsonText(params));
  if (namespace !== undefined) form.set('namespace_id', namespace);
  for (const [name, file] of Object.entries(files)) form.set(`file:${name}`, file);
  return form;
}

function readAnswer(status: number, text: string): JsonObject {
  let body: JsonValue | undefined;
  try {
    body = readJson(text);
  } catch (error) {
    if (status < 400) throw invalidResponse(reasonOf(error));
  }
  if (status >= 400 || (isObject(body) && body['status'] === 'error')) throw new KalamServerError(readRefusal(status, body, text));
  if (!isObject(body)) throw invalidResponse('an answer is not an object');
  return body;
}

/** Three shapes of refusal exist: the SQL envelope, `{error, message}` of the auth routes, and plain text. */
function readRefusal(status: number, body: JsonValue | undefined, text: string): ConstructorParameters<typeof KalamServerError>[0] {
  const error = isObject(body) ? body['error'] : undefined;
  if (isObject(error)) {
    const details = error['details'];
    return {
      code: String(error['code']),
      message: String(error['message']),
      status,
      details: typeof details === 'string' ? details : undefined,
    };
  }
  if (isObject(body) && typeof error === 'string') {
    return { code: String(body['code'] ?? error), message: String(body['message'] ?? error), status };
  }
  return { code: `HTTP_${status}`, message: text.trim() === '' ? `The server answered with status ${status}` : text.trim(), status };
}

function readResponse(body: JsonObject): QueryResponse {
  const results = body['results'] ?? [];
  if (!Array.isArray(results) || !results.every(isObject)) throw invalidResponse("'results' is not a list");
  return { status: 'success', results: results.map(readResult), took: typeof body['took'] === 'number' ? body['took'] : 0 };
}

function readResult(result: JsonObject): QueryResult {
  const schema = (result['schema'] ?? []) as unknown as readonly SchemaField[];
  const rows = (result['rows'] ?? []) as readonly (readonly JsonValue[])[];
  return { row_count: rows.length, ...result, schema, rows, named_rows: namedRows(schema, rows) };
}

function readLogin(body: JsonObject): LoginResponse {
  if (typeof body['access_token'] !== 'string') throw invalidResponse("'access_token' is missing");
  return body as unknown as LoginResponse;
}
