/** The codes that clients see in an answer's `error.code` (wire-protocol 3.13, 4.8) or `error` (2.3). */
export type WireErrorCode =
  | 'EMPTY_SQL'
  | 'BATCH_PARSE_ERROR'
  | 'INVALID_SQL'
  | 'PERMISSION_DENIED'
  | 'SQL_EXECUTION_ERROR'
  | 'PARAMS_WITH_BATCH'
  | 'INVALID_PARAMETER'
  | 'INVALID_INPUT'
  | 'FILE_TOO_LARGE'
  | 'TOO_MANY_FILES'
  | 'RATE_LIMIT_EXCEEDED'
  | 'INTERNAL_ERROR'
  | 'MISSING_AUTHORIZATION'
  | 'TOKEN_EXPIRED'
  | 'INVALID_CREDENTIALS'
  | 'SETUP_REQUIRED'
  | 'ACCOUNT_LOCKED'
  | 'unauthorized'
  | 'account_locked'
  | 'forbidden'
  | 'setup_required'
  | 'rate_limited'
  | 'weak_password'
  | 'invalid_user'
  | 'already_configured'
  | 'user_exists'
  | 'no_password'
  | 'invalid_token_request'
  | 'too_many_tokens'
  | 'not_found'
  | 'AUTHENTICATION_ERROR'
  | 'AUTH_REQUIRED'
  | 'INVALID_SUBSCRIPTION_ID'
  | 'SUBSCRIPTION_LIMIT_EXCEEDED'
  | 'UNAUTHORIZED'
  | 'NOT_FOUND'
  | 'UNSUPPORTED'
  | 'SUBSCRIPTION_FAILED'
  | 'BATCH_FETCH_FAILED'
  | 'CONVERSION_ERROR'
  | 'MESSAGE_TOO_LARGE'
  | 'UNSUPPORTED_DATA'
  | 'RESYNC_REQUIRED'
  | 'SUBSCRIPTION_ENDED'
  | 'COMMIT_NOT_REACHED';

/** One row of the error table. */
export interface ErrorSpec {
  readonly wire: WireErrorCode;
  /** HTTP status of an answer that carries it. */
  readonly status: number;
  /** The text; `{name}` is filled from the error's parameters. */
  readonly template: string;
  /** Whether the same request may succeed later without a change. */
  readonly retryable: boolean;
  /** Whether roles below dba see the text; otherwise they get the generic one of the wire code. */
  readonly visible: boolean;
  /** What the caller can do about it. */
  readonly next: string;
}
