import type { Buffer } from 'node:buffer';
import type { RowKey, StoredRow } from '../contract.ts';
import { checksumOfBytes, checksumOfText } from '../log/checksum.ts';
import type { CommitRows } from '../log/commit-rows.ts';
import { copyBytes } from './partition-key.ts';

const CHECKSUM_BYTES = 4;
const HEAD_BYTES = 13;
const CREATED_BYTES = 8;
/** Bits of a value's flags. */
const DELETED = 1;
const HAS_CREATED = 2;
const checksum = (key: string, value: Buffer): number => checksumOfBytes(value, CHECKSUM_BYTES, value.length, checksumOfText(key));

/**
 * Writes the value of a row in the hot tier to the begin of `target` and answers its bytes; `keyChecksum` is that of the whole key
 * (partition prefix and row key) that it lies under. Numbers are unsigned and big-endian.
 *
 * ```
 *  0  4  CRC32C (Castagnoli) of the whole key followed by this value from byte 4
 *  4  1  flags: 1 deleted, 2 created seq present (else equal to seq)
 *  5  8  seq
 * 13  8  created seq, if flag 2
 *  …  …  cells
 * ```
 *
 * Worked values, without the checksum: a first version with seq 5 and cells `ff` is `00 0000000000000005 ff`; a tombstone with
 * seq 9 of a row created by 5 is `03 0000000000000009 0000000000000005` and its cells; CRC32C of "123456789" is `e3069283`.
 */
export function writeRowValue(target: Buffer, row: CommitRows, keyChecksum: number): number {
  const { source } = row;
  target[4] = (row.deleted ? DELETED : 0) | (row.hasCreated ? HAS_CREATED : 0);
  copyBytes(source, row.seqStart, { target, at: 5, bytes: 8 });
  if (row.hasCreated) copyBytes(source, row.createdStart, { target, at: HEAD_BYTES, bytes: CREATED_BYTES });
  const head = HEAD_BYTES + (row.hasCreated ? CREATED_BYTES : 0);
  const end = head + row.cellsBytes;
  source.copy(target, head, row.cellsStart, row.cellsStart + row.cellsBytes);
  target.writeInt32BE(checksumOfBytes(target, CHECKSUM_BYTES, end, keyChecksum), 0);
  return end;
}

/** Whether the value that lies from `start` to `end` of `source` is one, and belongs to the key that has this checksum. */
export function rowValueFits(source: Buffer, start: number, end: number, keyChecksum: number): boolean {
  if (end - start < HEAD_BYTES || end > source.length) return false;
  return source.readInt32BE(start) === checksumOfBytes(source, start + CHECKSUM_BYTES, end, keyChecksum);
}

/** Bytes that the value of a row with `cellsBytes` of cells takes at most. */
export function rowValueBytesMax(cellsBytes: number): number {
  return HEAD_BYTES + CREATED_BYTES + cellsBytes;
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
  const head = HEAD_BYTES + (hasCreated ? CREATED_BYTES : 0);
  if (flags > (DELETED | HAS_CREATED) || value.length < head) return undefined;
  const seq = value.readBigUInt64BE(5);
  const cells = new Uint8Array(value.buffer, value.byteOffset + head, value.length - head);
  return {
    key: rowKey,
    seq,
    createdSeq: hasCreated ? value.readBigUInt64BE(HEAD_BYTES) : seq,
    deleted: (flags & DELETED) !== 0,
    bytes: volatile ? cells.slice() : cells,
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
