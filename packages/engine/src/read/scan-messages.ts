import { type Cell, ERRORS, type ErrorCode, type ErrorPosition, KalamError, kalamError } from '@kalamdb/protocol';
import type { PartitionId } from '@kalamdb/storage';
import type { RowVersion } from '../contract.ts';
import type { RowLimits } from './row-limits.ts';

/** What the scan thread is started with. */
export interface ScanStart {
  /** The hot tier's folder. */
  readonly path: string;
  /** Of its `ScanControl`. */
  readonly control: SharedArrayBuffer;
}

/** The text of a SELECT and what it is compiled with. */
export interface StatementText {
  readonly text: string;
  /** For tables named without one. */
  readonly namespace: string;
  /** The client's. */
  readonly parameters: readonly Cell[];
  readonly rowLimits: RowLimits;
}

/** A table on its way between threads. */
export interface TableCopy {
  readonly id: number;
  readonly version: number;
  /** Its `TableSpec`, serialized: the thread reads it when it does not know the version yet. A table may have many versions behind it. */
  readonly spec: Uint8Array;
}

/** One query as the thread gets it. */
export interface ScanQuery extends StatementText {
  readonly table: TableCopy;
  readonly partition: PartitionId;
  readonly maskedCells: readonly number[];
  readonly nowMicros: bigint;
  readonly userId: string;
  readonly role: string;
  /** The rows are sent as they are found; otherwise all at once. */
  readonly streams: boolean;
}

/**
 * What is sent to the thread. A query is followed by one `recent` (the versions that its view of the hot tier lacks) or by
 * `abandon`; one query at a time.
 */
export type ScanCall =
  | { readonly kind: 'query'; readonly id: number; readonly query: ScanQuery }
  | { readonly kind: 'recent'; readonly id: number; readonly watermark: bigint; readonly chunks: readonly Uint8Array[] }
  | { readonly kind: 'abandon'; readonly id: number }
  | { readonly kind: 'close' };

/**
 * What the thread answers: `opened`, then any number of `part` (counted in the `ScanControl`), then one of the others: `rows` are the last
 * ones, `declined`: the query calls what only the main thread has.
 */
export type ScanAnswer =
  | { readonly kind: 'opened'; readonly id: number; readonly appliedSeq: bigint }
  | { readonly kind: 'part'; readonly id: number; readonly chunks: readonly Uint8Array[] }
  | { readonly kind: 'rows'; readonly id: number; readonly chunks: readonly Uint8Array[]; readonly rowsRead: number }
  | { readonly kind: 'failed'; readonly id: number; readonly error: SentError }
  | { readonly kind: 'declined'; readonly id: number }
  | { readonly kind: 'stopped'; readonly id: number };

/** An error on its way between threads. */
export interface SentError {
  readonly code: string;
  readonly message: string;
  readonly position: ErrorPosition | undefined;
}

/** Makes an error sendable. */
export function sentError(error: unknown): SentError {
  if (error instanceof KalamError) return { code: error.code, message: error.message, position: error.position };
  const { code, message } = kalamError('INTERNAL_ERROR', { reason: String(error) });
  return { code, message, position: undefined };
}

/** The error that was sent. */
export function receivedError({ code, message, position }: SentError): KalamError {
  return isErrorCode(code) ? new KalamError(code, message, { position }) : kalamError('INTERNAL_ERROR', { reason: message });
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERRORS, code);

/** A version as a row of a chunk: its key, numbers and state before its cells. */
export function versionCells({ key, seq, createdSeq, deleted, cells }: RowVersion): readonly Cell[] {
  return [key, seq, createdSeq, deleted, ...cells];
}

/** The inverse of {@link versionCells}. */
export function versionOf(row: readonly Cell[]): RowVersion {
  const [key, seq, createdSeq, deleted, ...cells] = row;
  return {
    key: key as RowVersion['key'],
    seq: seq as bigint,
    createdSeq: createdSeq as bigint,
    deleted: deleted as boolean,
    cells,
  };
}
