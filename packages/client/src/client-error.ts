/** Everything that can go wrong on this side of the wire: text, and whether the same call may succeed later. */
const CLIENT_ERRORS = {
  CLIENT_CLOSED: { template: 'The client has been shut down; create another one', retryable: false },
  CONNECT_TIMEOUT: { template: 'No connection to {url} within {millis} ms ({reason})', retryable: true },
  CONNECTION_LOST: { template: 'The connection to {url} ended and is not opened again ({reason}); call connect()', retryable: true },
  CREDENTIALS_FAILED: { template: 'authProvider gave no credentials in {attempts} attempt(s): {reason}', retryable: true },
  CREDENTIALS_NEEDED: { template: 'A live query needs credentials; authProvider returned none', retryable: false },
  CREDENTIALS_REFUSED: { template: 'The server refused the credentials: {reason}', retryable: false },
  DISCONNECTED: { template: 'disconnect() was called while waiting', retryable: true },
  FRAME_TOO_LARGE: { template: 'More than {bytesMax} bytes of {what}', retryable: true },
  INVALID_ARGUMENT: { template: '{name}: {reason}', retryable: false },
  KEY_MISSING: {
    template: "A row of '{sql}' has no value for the key ({columns}); select it, or pass keyColumns or getKey",
    retryable: false,
  },
  LOGIN_NEEDS_PASSWORD: { template: 'login() needs an authProvider that returns Auth.basic(user, password)', retryable: false },
  NO_WEB_SOCKET: { template: 'This runtime has no WebSocket; pass the webSocket option', retryable: false },
  NOT_IMPLEMENTED: { template: '{what} is not available yet', retryable: false },
  REQUEST_FAILED: { template: 'POST {url} failed: {reason}', retryable: true },
  REQUEST_TIMEOUT: { template: 'POST {url} got no answer within {millis} ms', retryable: true },
  RESPONSE_INVALID: { template: 'The server sent something that is not of the protocol: {reason}', retryable: false },
  SUBSCRIBE_TIMEOUT: { template: "'{sql}' was not acknowledged within {millis} ms ({reason})", retryable: true },
  SUBSCRIPTIONS_FULL: { template: 'A client holds at most {subscriptionsMax} subscriptions; end one first', retryable: false },
  SUBSCRIPTION_STALLED: { template: 'The subscription could not be continued after {attempts} attempts: {reason}', retryable: true },
  UNSUBSCRIBED: { template: "'{sql}' was unsubscribed before it was accepted", retryable: false },
} as const;

/** The name of an error that the client itself raises. */
export type ClientErrorCode = keyof typeof CLIENT_ERRORS;

type Placeholders<T extends string> = T extends `${string}{${infer Name}}${infer Rest}` ? Name | Placeholders<Rest> : never;
type Parameters<C extends ClientErrorCode> = Readonly<Record<Placeholders<(typeof CLIENT_ERRORS)[C]['template']>, string | number>>;

/** Raised by this library: something was misused, unreachable or too slow. `code` names it, `retryable` says whether trying again may help. */
export class KalamClientError extends Error {
  readonly code: ClientErrorCode;
  readonly retryable: boolean;

  constructor(code: ClientErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'KalamClientError';
    this.code = code;
    this.retryable = CLIENT_ERRORS[code].retryable;
  }
}

/** Makes a {@link KalamClientError}; the parameters are those that the code's text names. */
export function clientError<C extends ClientErrorCode>(code: C, parameters: Parameters<C>, cause?: unknown): KalamClientError {
  const values: Readonly<Record<string, string | number>> = parameters;
  const message = CLIENT_ERRORS[code].template.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
  return new KalamClientError(code, message, cause);
}

/** What a server's refusal carries. */
interface ServerRefusal {
  /** The wire code, for example `SQL_EXECUTION_ERROR` or `unauthorized`. */
  readonly code: string;
  readonly message: string;
  /** The SQL text, which only administrators get. */
  readonly details?: string | undefined;
  /** HTTP status; `undefined` for a refusal over the socket. */
  readonly status?: number | undefined;
}

/** Statuses that say "not now" rather than "no". */
const BUSY_STATUSES: ReadonlySet<number | undefined> = new Set([429, 502, 503, 504]);

/** The server refused: its own code and text. `retryable` is true when it was busy or away rather than opposed (429, 502, 503, 504). */
export class KalamServerError extends Error {
  readonly code: string;
  readonly status: number | undefined;
  readonly details: string | undefined;
  readonly retryable: boolean;

  constructor(refusal: ServerRefusal) {
    super(refusal.message);
    this.name = 'KalamServerError';
    this.code = refusal.code;
    this.status = refusal.status;
    this.details = refusal.details;
    this.retryable = BUSY_STATUSES.has(refusal.status);
  }
}

/** The text of anything that was thrown. */
export function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  return thrown.cause instanceof Error && thrown.cause.message !== '' ? `${thrown.message}: ${thrown.cause.message}` : thrown.message;
}
