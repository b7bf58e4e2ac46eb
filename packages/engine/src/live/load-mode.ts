import { kalamError } from '@kalamdb/protocol';

/** The options of a subscribe request; a member that is absent was not sent. */
export interface SubscribeOptions {
  /** Rows per batch. */
  readonly batchSize?: number | undefined;
  /** Only the newest rows, in one batch. */
  readonly lastRows?: number | undefined;
  /** Resume: only what is newer than this `_seq`, missed deletes included. */
  readonly from?: bigint | undefined;
  /** What is loaded holds this commit. */
  readonly atLeast?: bigint | undefined;
}

/** What a subscription loads before it is live. */
export type LoadMode =
  | { readonly kind: 'none' }
  | { readonly kind: 'rows'; readonly batchRowsMax: number }
  | { readonly kind: 'resume'; readonly from: bigint; readonly batchRowsMax: number }
  | { readonly kind: 'last'; readonly rowsMax: number };

const NO_DATA: LoadMode = { kind: 'none' };

/** Rows that `last_rows` may ask for when no batch size is given. */
export const LAST_ROWS_MAX = 1000;

/**
 * Reads the options (wire-protocol 4.7): absent means no initial data; `from` goes before `last_rows`, which goes before
 * plain batches. Throws SUBSCRIBE_UNSUPPORTED.
 */
export function loadMode(options: SubscribeOptions | undefined): LoadMode {
  if (options === undefined) return NO_DATA;
  const { batchSize, lastRows, from } = options;
  refuseNegative('batch_size', batchSize);
  const batchRowsMax = batchSize ?? Number.POSITIVE_INFINITY;
  // Nothing can be missing at or below 0, so such a resume is a plain load.
  if (from !== undefined) return from > 0n ? { kind: 'resume', from, batchRowsMax } : { kind: 'rows', batchRowsMax };
  if (lastRows === undefined) return { kind: 'rows', batchRowsMax };
  refuseNegative('last_rows', lastRows);
  const rowsMax = batchSize ?? LAST_ROWS_MAX;
  if (lastRows > rowsMax) {
    throw kalamError('SUBSCRIBE_UNSUPPORTED', {
      reason: `last_rows (${lastRows}) cannot exceed batch_size (${rowsMax}); paginated last_rows replay is not supported`,
    });
  }
  return { kind: 'last', rowsMax: lastRows };
}

function refuseNegative(name: string, value: number | undefined): void {
  if (value !== undefined && value < 0) throw kalamError('SUBSCRIBE_UNSUPPORTED', { reason: `${name} (${value}) cannot be negative` });
}
