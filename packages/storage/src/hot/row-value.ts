import type { Buffer } from 'node:buffer';
import type { RowKey, StoredRow } from '../contract.ts';
import { checksumOfBytes, checksumOfText } from '../log/checksum.ts';
import { maskBytes, readMask } from '../log/commit-codec.ts';
import type { CommitRows } from '../log/commit-rows.ts';
import { copyBytes } from './partition-key.ts';

const CHECKSUM_BYTES = 4;
const HEAD_BYTES = 13;
const CREATED_BYTES = 8;
/** Bits of a value's flags. */
const DELETED = 1;
const HAS_CREATED = 2;
const HAS_MASK = 4;
const KNOWN: number = DELETED | HAS_CREATED | HAS_MASK;
const checksum = (key: string, value: Buffer): number => checksumOfBytes(value, CHECKSUM_BYTES, value.length, checksumOfText(key));

/**
 * Writes the value of a row in the hot tier to `at` of `target` and answers where it ends; `keyChecksum` is that of the whole key
 * (partition prefix and row key) that it lies under. Numbers are unsigned and big-endian.
 *
 * ```
 *  0  4  CRC32C (Castagnoli) of the whole key followed by this value from byte 4
 *  4  1  flags: 1 deleted, 2 created seq present (else equal to seq), 4 mask present
 *  5  8  seq
 * 13  8  created seq, if flag 2
 *  …  8  mask as in `encodeCommit`, if flag 4
 *  …  …  cells
 * ```
 *
 * Worked values, without the checksum: a first version with seq 5 and cells `ff` is `00 0000000000000005 ff`; a tombstone with
 * seq 9 of a row created by 5 is `03 0000000000000009 0000000000000005` and its cells; CRC32C of "123456789" is `e3069283`.
 */
export function writeRowValue(target: Buffer, at: number, row: CommitRows, keyChecksum: number): number {
  const { source } = row;
  target[at + 4] = (row.deleted ? DELETED : 0) | (row.hasCreated ? HAS_CREATED : 0) | (row.hasMask ? HAS_MASK : 0);
  copyBytes(source, row.seqStart, { target, at: at + 5, bytes: 8 });
  if (row.hasCreated) copyBytes(source, row.createdStart, { target, at: at + HEAD_BYTES, bytes: CREATED_BYTES });
  let head = at + HEAD_BYTES + (row.hasCreated ? CREATED_BYTES : 0);
  if (row.hasMask) {
    copyBytes(source, row.maskStart, { target, at: head, bytes: maskBytes });
    head += maskBytes;
  }
  const end = head + row.cellsBytes;
  source.copy(target, head, row.cellsStart, row.cellsStart + row.cellsBytes);
  target.writeInt32BE(checksumOfBytes(target, at + CHECKSUM_BYTES, end, keyChecksum), at);
  return end;
}

/** Whether the value that lies from `start` to `end` of `source` is one, and belongs to the key that has this checksum. */
export function rowValueFits(source: Buffer, start: number, end: number, keyChecksum: number): boolean {
  if (end - start < HEAD_BYTES || end > source.length) return false;
  return source.readInt32BE(start) === checksumOfBytes(source, start + CHECKSUM_BYTES, end, keyChecksum);
}

/** Bytes that the value of a row with `cellsBytes` of cells takes at most. */
export function rowValueBytesMax(cellsBytes: number): number {
  return HEAD_BYTES + CREATED_BYTES + maskBytes + cellsBytes;
}

/**
 * The inverse of {@link writeRowValue}, `undefined` when the checksum says that key and value do not belong together. The cells are a
 * copy when `volatile` (LMDB's shared buffer) and otherwise a view of `value`.
 */
export function decodeRowValue(key: string, rowKey: RowKey, options: { value: Buffer; volatile: boolean }): StoredRow | undefined {
  const { value, volatile } = options;
  if (value.length < HEAD_BYTES || value.readInt32BE(0) !== checksum(key, value)) return undefined;
  const flags = value.readUInt8(4);
  const hasCreated = (flags & HAS_CREATED) !== 0;
  const hasMask = (flags & HAS_MASK) !== 0;
  const maskStart = HEAD_BYTES + (hasCreated ? CREATED_BYTES : 0);
  const head = maskStart + (hasMask ? maskBytes : 0);
  if (flags > KNOWN || value.length < head) return undefined;
  const seq = value.readBigUInt64BE(5);
  const cells = new Uint8Array(value.buffer, value.byteOffset + head, value.length - head);
  return {
    key: rowKey,
    seq,
    createdSeq: hasCreated ? value.readBigUInt64BE(HEAD_BYTES) : seq,
    deleted: (flags & DELETED) !== 0,
    bytes: volatile ? cells.slice() : cells,
    masks: hasMask ? readMask(value, maskStart) : undefined,
  };
}

/** The `_seq` of a value, unchecked: for removing the index entry of a row that goes away in any case. */
export function seqOfRowValue(value: Buffer): bigint | undefined {
  return value.length < HEAD_BYTES ? undefined : value.readBigUInt64BE(5);
}

/** Whether a value is a tombstone, unchecked, as {@link seqOfRowValue} is. */
export function isTombstone(value: Buffer): boolean {
  return value.length >= HEAD_BYTES && (value.readUInt8(4) & DELETED) !== 0;
}
