import type { MessagePort } from 'node:worker_threads';
import type { ExpiredTombstones, FlushedRows, PurgedRows } from '../contract.ts';
import type { PackedReceiver } from './packed-stream.ts';

/** The store that an applier's thread is started on. */
export interface ApplierStore {
  readonly path: string;
  readonly mapBytes: number;
  /** For a new store. */
  readonly incarnation: string;
}

/** What the applier's thread is started with. */
export interface ApplierStart extends ApplierStore {
  /** The words of its write gate (write-gate.ts). */
  readonly gate: Int32Array<SharedArrayBuffer>;
  /** Is closed when the thread ends, before the thread cleans up. */
  readonly life: MessagePort;
}

/** A call to the applier's thread. Calls are answered in the order in which they were sent, one answer each. */
export type ApplierCall =
  /** Records of the log; each block is alone in its memory, which is handed over (posting a view would copy all of it). */
  | { readonly kind: 'apply'; readonly blocks: readonly Uint8Array[] }
  /** A batch that the caller packs, and sends piece by piece meanwhile. */
  | { readonly kind: 'apply-packed'; readonly afterSeq: bigint; readonly lastSeq: bigint; readonly pieces: PackedReceiver }
  | { readonly kind: 'purge'; readonly tableId: number; readonly rowsMax: number }
  | { readonly kind: 'purge-flushed'; readonly flushed: FlushedRows; readonly rowsMax: number }
  | { readonly kind: 'purge-tombstones'; readonly expired: ExpiredTombstones }
  /** One record, whose rows are written without moving the applied point. */
  | { readonly kind: 'load'; readonly block: Uint8Array }
  | { readonly kind: 'close' };

/** The answer: the applied point after the call, or why it failed. `ready` is sent once, before every answer. */
export type ApplierAnswer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly appliedSeq: bigint; readonly purged: PurgedRows | undefined }
  /** `broken`: LMDB will refuse everything until each handle of the process on it has been closed; the thread has closed its own and ends. */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string; readonly broken: boolean };
