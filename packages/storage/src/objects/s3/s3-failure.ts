import { type KalamError, kalamError } from '@kalamdb/protocol';
import { TryAgain } from '../patience.ts';

/** What a request was about, for the errors. */
export interface S3Subject {
  readonly storage: string;
  /** The object, where it is about one. */
  readonly key: string | undefined;
}

/** An answer that is a refusal. */
export interface S3Refusal {
  readonly status: number;
  /** S3's name of the error; empty when the answer had no body. */
  readonly code: string;
  /** How long the server wants to be left alone. */
  readonly retryAfterMillis: number | undefined;
}

const DENIED = 'AccessDenied AllAccessDisabled AccountProblem NotSignedUp InvalidObjectState MethodNotAllowed'.split(' ');
const CREDENTIALS = (
  'InvalidAccessKeyId SignatureDoesNotMatch ExpiredToken InvalidToken TokenRefreshRequired InvalidSecurity ' +
  'AuthorizationHeaderMalformed InvalidClientTokenId UnrecognizedClientException RequestTimeTooSkewed XAdminUserNotFound'
).split(' ');
const SLOW = 'SlowDown Throttling ThrottlingException TooManyRequests RequestLimitExceeded BandwidthLimitExceeded Busy'.split(' ');
/** The request was cut or damaged on its way. */
const TORN = 'IncompleteBody BadDigest InvalidDigest XAmzContentSHA256Mismatch RequestTimeout OperationAborted'.split(' ');
const FULL = 'QuotaExceeded InsufficientStorage XMinioStorageFull NoSpace'.split(' ');

/** The error that a refusal is; {@link TryAgain} around it when the same request may succeed. Only names of S3 get into its text. */
export function s3Failure({ storage, key }: S3Subject, { status, code, retryAfterMillis }: S3Refusal): KalamError | TryAgain {
  const reason = code === '' ? `status ${status}` : `${code.slice(0, 64)} (status ${status})`;
  if (code === 'NoSuchBucket') return kalamError('STORE_BUCKET_MISSING', { storage, reason });
  if (key !== undefined && (code === 'NoSuchKey' || (status === 404 && code === ''))) {
    return kalamError('OBJECT_NOT_FOUND', { key, storage });
  }
  if (CREDENTIALS.includes(code) || (status === 401 && code === '')) return kalamError('STORE_CREDENTIALS_REFUSED', { storage, reason });
  if (DENIED.includes(code) || (status === 403 && code === '')) return kalamError('STORE_ACCESS_DENIED', { storage, reason });
  if (FULL.includes(code) || status === 507) return kalamError('STORE_FULL', { where: `storage '${storage}'`, reason });
  if (SLOW.includes(code) || status === 429 || status === 503) {
    return new TryAgain(kalamError('STORE_THROTTLED', { storage, reason }), retryAfterMillis);
  }
  if (status === 409 && code === 'ConditionalRequestConflict') return new TryAgain(kalamError('STORE_UNREACHABLE', { storage, reason }));
  if (TORN.includes(code) || status >= 500 || status === 408) return new TryAgain(kalamError('STORE_UNREACHABLE', { storage, reason }));
  return kalamError('STORE_REQUEST_REFUSED', { storage, reason });
}

/** What it means that a request got no answer, or only a part of one: nearly always that another try may do better. */
export function networkFailure({ storage }: S3Subject, error: unknown): KalamError | TryAgain {
  const reason = networkReason(error);
  if (/CERT|SELF_SIGNED|ERR_TLS|ERR_SSL/.test(reason)) return kalamError('STORE_REQUEST_REFUSED', { storage, reason }, { cause: error });
  return new TryAgain(kalamError('STORE_UNREACHABLE', { storage, reason }, { cause: error }));
}

function networkReason(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') return at.code;
  }
  return error instanceof Error ? error.message : 'the connection broke';
}
