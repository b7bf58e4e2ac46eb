import { kalamError } from '@kalamdb/protocol';
import type { LogEntry } from '../contract.ts';

/** Largest payload of one log record. */
export const entryBytesMax: number = 32 * 1024 * 1024;

/**
 * Asserts what the log's contract demands of an append: at least one entry, names that rise strictly above `lastSeq`, payloads of
 * 1 to {@link entryBytesMax} bytes. Throws INTERNAL_ERROR; nothing was written then.
 */
export function checkEntries(entries: readonly LogEntry[], lastSeq: bigint): void {
  let last = lastSeq;
  for (const { seq, payload } of entries) {
    if (seq <= last) throw kalamError('INTERNAL_ERROR', { reason: `log entry ${seq} does not follow ${last}` });
    if (payload.length === 0 || payload.length > entryBytesMax) {
      throw kalamError('INTERNAL_ERROR', { reason: `log entry ${seq} has ${payload.length} bytes` });
    }
    last = seq;
  }
}
