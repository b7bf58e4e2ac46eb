import { KalamError, type WireErrorCode, wireMessage } from '@kalamdb/protocol';

/** The codes that clients know in `error` frames (wire-protocol 4.8); everything else is SUBSCRIPTION_FAILED. */
const FRAME_CODES: ReadonlySet<WireErrorCode> = new Set<WireErrorCode>([
  'INVALID_SUBSCRIPTION_ID',
  'SUBSCRIPTION_LIMIT_EXCEEDED',
  'UNAUTHORIZED',
  'NOT_FOUND',
  'INVALID_SQL',
  'UNSUPPORTED',
  'SUBSCRIPTION_FAILED',
  'BATCH_FETCH_FAILED',
  'RESYNC_REQUIRED',
  'SUBSCRIPTION_ENDED',
  'COMMIT_NOT_REACHED',
]);

/** Code and text of the frame that answers a refused `subscribe` or `next_batch`. */
export function subscriptionFailure(error: unknown, admin: boolean): { readonly code: WireErrorCode; readonly message: string } {
  if (!(error instanceof KalamError)) return { code: 'SUBSCRIPTION_FAILED', message: 'Internal error: see the server log' };
  const { wire } = error.spec;
  return { code: FRAME_CODES.has(wire) ? wire : 'SUBSCRIPTION_FAILED', message: wireMessage(error, { admin }) };
}
