import { KalamError, kalamError, type WireErrorCode, wireMessage } from '@kalamdb/protocol';
import type { Principal } from '../contract.ts';

/** The codes that `error` frames of subscriptions may carry (wire-protocol 4.8, and ours). */
const SUBSCRIPTION_CODES: ReadonlySet<WireErrorCode> = new Set<WireErrorCode>([
  'INVALID_SUBSCRIPTION_ID',
  'SUBSCRIPTION_LIMIT_EXCEEDED',
  'UNAUTHORIZED',
  'NOT_FOUND',
  'INVALID_SQL',
  'UNSUPPORTED',
  'SUBSCRIPTION_FAILED',
  'CONVERSION_ERROR',
  'BATCH_FETCH_FAILED',
  'RESYNC_REQUIRED',
  'SUBSCRIPTION_ENDED',
  'COMMIT_NOT_REACHED',
  'INTERNAL_ERROR',
]);

/** The error as a subscribe request may end with it: errors of statements become SUBSCRIPTION_FAILED with their text. */
export function asSubscribeError(error: unknown): KalamError {
  const known = asKalamError(error);
  if (SUBSCRIPTION_CODES.has(known.spec.wire)) return known;
  return kalamError('SUBSCRIPTION_FAILED', { reason: known.message }, { cause: known });
}

/** The error of an access decision as a subscribe request may end with it. */
export function asDenial(error: unknown): KalamError {
  const known = asKalamError(error);
  if (SUBSCRIPTION_CODES.has(known.spec.wire)) return known;
  return kalamError('SUBSCRIBE_DENIED', { reason: known.message }, { cause: known });
}

/** What the `error` frame says that ends a running subscription. */
export function endingOf(error: unknown, principal: Principal): { readonly code: WireErrorCode; readonly message: string } {
  const known = asKalamError(error);
  const ending = SUBSCRIPTION_CODES.has(known.spec.wire)
    ? known
    : kalamError('SUBSCRIPTION_ENDED', { reason: known.message }, { cause: known });
  const admin = principal.role === 'dba' || principal.role === 'system';
  return { code: ending.spec.wire, message: wireMessage(ending, { admin }) };
}

/** What `work` gives; what it throws, as `asError` puts it. */
export function tryOr<T>(work: () => T, asError: (error: unknown) => Error): T {
  try {
    return work();
  } catch (error) {
    throw asError(error);
  }
}

function asKalamError(error: unknown): KalamError {
  return error instanceof KalamError ? error : kalamError('INTERNAL_ERROR', { reason: String(error) }, { cause: error });
}
