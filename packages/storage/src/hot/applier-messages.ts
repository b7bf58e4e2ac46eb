import { Buffer } from 'node:buffer';
import type { LogEntry } from '../contract.ts';

/** Bytes of a packed entry before its payload. */
export const packedHeadBytes: number = 12;

/** What the applier's thread is started with. */
export interface ApplierStart {
  readonly path: string;
  readonly mapBytes: number;
  /** For a new store. */
  readonly incarnation: string;
}

/** A call to the applier's thread. Calls are answered in the order in which they were sent, one answer each. */
export type ApplierCall =
  | { readonly kind: 'apply'; readonly entries: Uint8Array }
  | { readonly kind: 'purge'; readonly tableId: number; readonly rowsMax: number }
  | { readonly kind: 'close' };

/** The answer: the applied point after the call, or why it failed. `ready` is sent once, before every answer. */
export type ApplierAnswer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly appliedSeq: bigint; readonly left: boolean }
  /** `broken`: LMDB will refuse everything until each handle of the process on it has been closed; the thread has closed its own and ends. */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string; readonly broken: boolean };

/**
 * Entries as one block that can be handed to another thread without a copy (posting views would copy the whole memory behind each).
 *
 * ```
 * entry  0  8  seq, big-endian
 *        8  4  bytes of payload (n), big-endian
 *       12  n  payload
 * ```
 */
export function packEntries(entries: readonly LogEntry[]): Uint8Array<ArrayBuffer> {
  let bytes = 0;
  for (const entry of entries) bytes += packedHeadBytes + entry.payload.length;
  const packed = new Uint8Array(bytes);
  const target = Buffer.from(packed.buffer);
  let at = 0;
  for (const { seq, payload } of entries) {
    at = target.writeBigUInt64BE(seq, at);
    at = target.writeUInt32BE(payload.length, at);
    packed.set(payload, at);
    at += payload.length;
  }
  return packed;
}

/** Where the packed entry at `at` ends. */
export function packedEnd(packed: Buffer, at: number): number {
  return at + packedHeadBytes + packed.readUInt32BE(at + 8);
}
