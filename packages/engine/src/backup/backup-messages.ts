import { ERRORS, type ErrorCode, KalamError, kalamError } from '@kalamdb/protocol';
import type { SegmentFile } from './backup-keys.ts';
import type { BackedUpTable, ChunkKind } from './backup-manifest.ts';

/** What a backup's thread is started with. */
export interface BackupStart {
  /** The hot tier's folder; `undefined`: it only checks chunks. */
  readonly hotPath: string | undefined;
}

/** Rows that were read for a backup. */
export interface ReadChunk {
  readonly kind: ChunkKind;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly checksum: number;
  readonly rows: number;
  /** The objects of the segments that its rows name. */
  readonly files: readonly SegmentFile[];
}

/** A chunk that is looked at before it is used. */
export interface ChunkToCheck {
  readonly bytes: Uint8Array;
  /** The ids that tables get, by those they had: rows of other tables are left out. Absent: they keep them, and none is left out. */
  readonly tableIds?: ReadonlyMap<number, number> | undefined;
  /** Whether the chunk is wanted back. */
  readonly wanted: boolean;
}

/** A chunk that was found to be as it was written. */
export interface CheckedChunk {
  /** As rows are to be written; `undefined` when it was not wanted or nothing is left of it. */
  readonly bytes: Uint8Array<ArrayBuffer> | undefined;
  readonly rows: number;
  /** Rows by the ids that their tables had. */
  readonly rowsByTable: ReadonlyMap<number, number>;
  /** The highest `_seq`. */
  readonly lastSeq: bigint;
}

/** A call to the thread. Calls are answered one by one, in their order. */
export type BackupCall =
  /** Takes a view of the hot tier; `namespace` `undefined`: of everything. */
  | { readonly kind: 'open'; readonly namespace: string | undefined }
  | { readonly kind: 'next' }
  /** Gives the view up. */
  | { readonly kind: 'end' }
  | { readonly kind: 'check'; readonly chunk: ChunkToCheck }
  | { readonly kind: 'close' };

/** Its answer. */
export type BackupAnswer =
  | { readonly kind: 'opened'; readonly seq: bigint }
  | { readonly kind: 'chunk'; readonly chunk: ReadChunk }
  /** There is no further chunk. */
  | { readonly kind: 'tables'; readonly tables: readonly BackedUpTable[] }
  | { readonly kind: 'ended' }
  | { readonly kind: 'checked'; readonly chunk: CheckedChunk }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

/** An error on its way from the thread. */
export function sentFailure(error: unknown): Extract<BackupAnswer, { kind: 'failed' }> {
  const code = error instanceof KalamError ? error.code : 'INTERNAL_ERROR';
  return { kind: 'failed', code, message: error instanceof Error ? error.message : String(error) };
}

/** And back. */
export function receivedFailure({ code, message }: Extract<BackupAnswer, { kind: 'failed' }>): Error {
  if (code === 'INTERNAL_ERROR' || !Object.hasOwn(ERRORS, code)) return kalamError('INTERNAL_ERROR', { reason: message });
  return new KalamError(code as ErrorCode, message);
}
