import type { Buffer } from 'node:buffer';
import { type ByteTable, type KeyBytes, type LmdbTables, rangeOf, type ValueRange } from './lmdb-tables.ts';

/** What is done with a key of the hot tier's tables. */
export const packedOperations = { putRow: 0, putSeq: 1, removeSeq: 2 } as const;
/** Bytes of an operation before its key. */
export const packedHeadBytes: number = 7;

const APPEND = { append: true } as const;

/**
 * Puts entries behind the last one of a table as long as they rise above it: that spares looking for the place of each, a fifth of what a
 * put costs. From the first that does not on, every entry gets its place.
 */
class RisingEntries {
  readonly #table: ByteTable;
  #rise = true;

  constructor(table: ByteTable) {
    this.#table = table;
  }

  put(key: KeyBytes, value: ValueRange): void {
    if (this.#rise && this.#table.putSync(key, value, APPEND) === true) return;
    this.#rise = false;
    this.#table.put(key, value);
  }
}

/**
 * Carries out packed operations; only inside a write transaction. They never leave the process. An operation:
 *
 * ```
 *  0  1  which, see {@link packedOperations}
 *  1  2  bytes of key (k), little-endian, as the next
 *  3  4  bytes of value (v); 0 for a removal
 *  7  k  key
 *  …  v  value
 * ```
 */
export function writePacked({ rows, seqs }: LmdbTables, packed: Buffer): void {
  const key: KeyBytes = { bytes: packed, start: 0, length: 0 };
  const value = rangeOf(packed);
  // Asked anew for each piece: one try is nothing beside its thousands of entries.
  const risingRows = new RisingEntries(rows);
  const risingSeqs = new RisingEntries(seqs);
  const shift = packed.byteOffset;
  for (let at = 0; at < packed.length; ) {
    const operation = packed[at];
    key.length = (packed[at + 1] ?? 0) | ((packed[at + 2] ?? 0) << 8);
    const valueBytes = packed.readInt32LE(at + 3);
    key.start = at + packedHeadBytes;
    const valueStart = key.start + key.length;
    at = valueStart + valueBytes;
    value.start = shift + valueStart;
    value.end = shift + at;
    if (operation === packedOperations.removeSeq) seqs.remove(key);
    else if (operation === packedOperations.putSeq) risingSeqs.put(key, value);
    else risingRows.put(key, value);
  }
}
