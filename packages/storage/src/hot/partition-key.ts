import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import type { PartitionId } from '../contract.ts';

/** Longest encoded owner in a partition's prefix. */
export const ownerBytesMax: number = 512;
/**
 * Longest row key. LMDB takes keys of 1,978 bytes on 4 KiB pages; less the table id, the longest owner and its terminator 1,461
 * are left, and a round number is what a user can remember. Writers check it and answer KEY_TOO_LONG.
 */
export const rowKeyBytesMax: number = 1_400;

/** Longest key of the hot tier's tables: table id, owner with its terminator, row key. */
export const keyBytesMax: number = 4 + ownerBytesMax + 1 + rowKeyBytesMax;

const TABLE_ID_MAX = 0xffff_ffff;
const PLAIN_OWNER = /^[ -~]*$/;
const LONE_SURROGATE = /\p{Surrogate}/u;
const TERMINATOR = '\x00';
const AFTER_TERMINATOR = '\x01';
const ESCAPED_ZERO = '\x01\x01';
const ESCAPED_ONE = '\x01\x02';

/** The first four bytes of every key of a table: its id, big-endian, as a binary string. */
export function tablePrefix(tableId: number): string {
  if (!Number.isInteger(tableId) || tableId < 0 || tableId > TABLE_ID_MAX) {
    throw kalamError('INTERNAL_ERROR', { reason: `table id ${tableId} is out of range` });
  }
  return String.fromCharCode(tableId >>> 24, (tableId >>> 16) & 0xff, (tableId >>> 8) & 0xff, tableId & 0xff);
}

const escapeOwner = (owner: string): string => {
  if (PLAIN_OWNER.test(owner)) return owner;
  if (LONE_SURROGATE.test(owner)) throw kalamError('INTERNAL_ERROR', { reason: 'an owner with a lone surrogate' });
  const bytes = Buffer.from(owner, 'utf8').toString('latin1');
  return bytes.replaceAll('\x01', ESCAPED_ONE).replaceAll('\x00', ESCAPED_ZERO);
};

/**
 * What every key of a partition begins with, as a binary string (one char per byte). No prefix is the beginning of another,
 * and prefixes are in the order of table id, then of the owner's UTF-8 bytes.
 *
 * ```
 * 0  4  table id, big-endian
 * 4  n  owner, UTF-8, with 00 written as 01 01 and 01 as 01 02
 * …  1  00
 * ```
 *
 * Worked values: `(1, "")` is `00000001 00`; `(258, "al")` is `00000102 616c 00`; `(1, "a\0b")` is `00000001 61 0101 62 00`.
 *
 * Throws INTERNAL_ERROR for an owner above {@link ownerBytesMax} or one that is not well-formed text.
 */
export function partitionPrefix(partition: PartitionId): string {
  const owner = escapeOwner(partition.owner);
  if (owner.length > ownerBytesMax) throw kalamError('INTERNAL_ERROR', { reason: `an owner of ${owner.length} bytes` });
  return tablePrefix(partition.tableId) + owner + TERMINATOR;
}

/**
 * Writes the prefix that {@link partitionPrefix} answers as a string to the begin of `target` and answers its bytes; the owner is
 * given as UTF-8. Throws INTERNAL_ERROR for an owner above {@link ownerBytesMax}.
 */
export function writePartitionPrefix(
  target: Buffer,
  tableId: number,
  owner: { readonly source: Buffer; readonly start: number; readonly bytes: number },
): number {
  let at = target.writeUInt32BE(tableId, 0);
  const last = 4 + ownerBytesMax;
  for (let from = owner.start; from < owner.start + owner.bytes; from += 1) {
    const byte = owner.source[from] ?? 0;
    if (at + (byte < 2 ? 2 : 1) > last) throw kalamError('INTERNAL_ERROR', { reason: `an owner of more than ${ownerBytesMax} bytes` });
    if (byte < 2) target[at++] = 1;
    target[at++] = byte < 2 ? byte + 1 : byte;
  }
  target[at] = 0;
  return at + 1;
}

/** Copies few bytes: a loop costs less than a call of the runtime then. */
export function copyBytes(
  source: Buffer,
  start: number,
  to: { readonly target: Buffer; readonly at: number; readonly bytes: number },
): void {
  const { target, at, bytes } = to;
  if (bytes > 64) source.copy(target, at, start, start + bytes);
  else for (let done = 0; done < bytes; done += 1) target[at + done] = source[start + done] ?? 0;
}

/** The first binary string after every key of the partition: ranges end before it. */
export function prefixEnd(prefix: string): string {
  return prefix.slice(0, -1) + AFTER_TERMINATOR;
}

/** The owner of a key or prefix. */
export function prefixOwner(key: string): string {
  const end = key.indexOf(TERMINATOR, 4);
  if (end === -1) throw kalamError('DAMAGED_DATA', { where: 'hot tier', reason: 'a key without an owner' });
  const bytes = key.slice(4, end).replaceAll(ESCAPED_ZERO, '\x00').replaceAll(ESCAPED_ONE, '\x01');
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** A `_seq` as it stands in keys: eight bytes, big-endian, so that byte order is number order. */
export function seqKey(seq: bigint): string {
  const high = Number(seq >> 32n);
  const low = Number(seq & 0xffff_ffffn);
  return tablePrefix(high) + tablePrefix(low);
}
