import type { ERROR_TEXTS } from './error-texts.ts';

/** What was lost, late, in vain or too much may go right when the same call is made again. */
const RETRYABLE = /LOST|TIMEOUT|FAILED|LARGE|STALLED|DISCONNECTED/;

type ClientErrors = typeof ERROR_TEXTS;

/** The name of an error that the client itself raises. */
export type ClientErrorCode = keyof ClientErrors;

type Placeholders<T extends string> = T extends `${string}{${infer Name}}${infer Rest}` ? Name | Placeholders<Rest> : never;
type Parameters<C extends ClientErrorCode> = Readonly<Record<Placeholders<ClientErrors[C]>, string | number>>;

/** Raised by this library: something was misused, unreachable or too slow. `code` names it, `retryable` says whether trying again may help. */
export class KalamClientError extends Error {
  readonly code: ClientErrorCode;
  readonly retryable: boolean;

  constructor(code: ClientErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'KalamClientError';
    this.code = code;
    this.retryable = RETRYABLE.test(code);
  }
}

let texts: Partial<ClientErrors> = {};

/** Words errors from now on. */
export function wordErrors(words: Partial<ClientErrors>): void {
  texts = words;
}

/** Makes a {@link KalamClientError}; the parameters are those that the code's text names. */
export function clientError<C extends ClientErrorCode>(code: C, parameters: Parameters<C>, cause?: unknown): KalamClientError {
  const values: Readonly<Record<string, string | number>> = parameters;
  const bare = Object.keys(values).map((name) => `, ${name}: {${name}}`);
  const message = (texts[code] ?? code + bare.join('')).replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
  return new KalamClientError(code, message, cause);
}

/** The error of an argument that cannot be used. */
export function invalidArgument(name: string, reason: string): KalamClientError {
  return clientError('INVALID_ARGUMENT', { name, reason });
}

/** The error of an answer that is not of the protocol. */
export function invalidResponse(reason: string): KalamClientError {
  return clientError('RESPONSE_INVALID', { reason });
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
