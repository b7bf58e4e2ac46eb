import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import { crc32c } from '@node-rs/crc32';
import type { LogEntry } from '../contract.ts';
import { writeSeq } from './seq-bytes.ts';

/** Version of the log's file format. */
export const logFormat: number = 1;
/** Size of a file's header; records begin behind it. A whole block, so that the first record does not share one with it. */
export const logHeaderBytes: number = 4_096;

const MAGIC = 'KALAMLOG';
const HEADER_CHECKED_BYTES = 56;
/** Bytes of a header's salt. */
export const logSaltBytes: number = 8;
/** Bytes of a record before its payload, without its {@link runTagBytes}. */
export const recordHeadBytes: number = 12;
/** Bytes of the tag that the first record of a run has in its head. */
export const runTagBytes: number = 4;
/** Set in a record's length when it begins a run. */
export const runFlag: number = 0x8000_0000;
const CHECKSUM_BYTES = 4;
/** Bytes of a record beside its payload. */
export const recordOverheadBytes: number = recordHeadBytes + CHECKSUM_BYTES;

/** A place on the chain: a commit's name and the checksum of its record. */
export interface ChainPoint {
  readonly seq: bigint;
  readonly crc: number;
}

/** What the header of a log file says. */
export interface LogHeader {
  readonly incarnation: string;
  readonly number: number;
  /** The last good commit before this file. It cuts the file before: what follows that commit there does not exist. */
  readonly base: ChainPoint;
  /** {@link logSaltBytes} random bytes as hex: no record of the file's earlier life, or of a failed attempt with the same base, fits behind it. */
  readonly salt: string;
}

/**
 * A file's header. Numbers are unsigned and big-endian; the bytes from 60 to 4,095 are zero.
 *
 * ```
 *  0   8  "KALAMLOG"
 *  8   4  format, 1
 * 12  16  incarnation of the database
 * 28   8  number of the file
 * 36   8  base: name of the last good commit before this file (0: none)
 * 44   4  base: checksum of that commit's record (0: none)
 * 48   8  salt: random
 * 56   4  CRC32C of bytes 0 to 55, which the first record's checksum begins with
 * ```
 *
 * Worked values: for file 1 of a new database bytes 8 to 11 are `00000001`, 28 to 35 `0000000000000001`, 36 to 47 zero.
 */
export function encodeHeader(header: LogHeader): Buffer {
  const bytes = Buffer.alloc(logHeaderBytes);
  bytes.write(MAGIC, 0, 'latin1');
  bytes.writeUInt32BE(logFormat, 8);
  bytes.write(header.incarnation, 12, 'hex');
  bytes.writeBigUInt64BE(BigInt(header.number), 28);
  bytes.writeBigUInt64BE(header.base.seq, 36);
  bytes.writeUInt32BE(header.base.crc, 44);
  bytes.write(header.salt, 48, 'hex');
  bytes.writeUInt32BE(headerChecksum(bytes), HEADER_CHECKED_BYTES);
  return bytes;
}

const headerChecksum = (bytes: Buffer): number => crc32c(bytes.subarray(0, HEADER_CHECKED_BYTES));

/** What the first record of a file is seeded with: the header's own checksum. */
export function headerSeed(header: LogHeader): number {
  return headerChecksum(encodeHeader(header));
}

/** Reads a header. Throws DAMAGED_DATA naming `path` when it is none or not `number`'s, FORMAT_UNKNOWN for another format. */
export function decodeHeader(bytes: Buffer, path: string, number: number): LogHeader {
  const damaged = (reason: string): Error => kalamError('DAMAGED_DATA', { where: path, reason });
  if (bytes.length < logHeaderBytes || bytes.toString('latin1', 0, 8) !== MAGIC) throw damaged('it does not begin like a log file');
  const format = bytes.readUInt32BE(8);
  if (format !== logFormat) throw kalamError('FORMAT_UNKNOWN', { path, found: format, known: logFormat });
  if (bytes.readUInt32BE(HEADER_CHECKED_BYTES) !== headerChecksum(bytes)) throw damaged('its header does not match its checksum');
  const base: ChainPoint = { seq: bytes.readBigUInt64BE(36), crc: bytes.readUInt32BE(44) };
  const found = Number(bytes.readBigUInt64BE(28));
  if (found !== number) throw damaged(`its header says that it is file ${found}`);
  return { incarnation: bytes.toString('hex', 12, 28), number, base, salt: bytes.toString('hex', 48, HEADER_CHECKED_BYTES) };
}

/** Bytes that entries take in a file at most. */
export function recordsBytes(entries: readonly LogEntry[]): number {
  let bytes = runTagBytes;
  for (const { payload } of entries) bytes += recordOverheadBytes + payload.length;
  return bytes;
}

/** Entries as they lie in a file. */
export interface EncodedRecords {
  readonly bytes: Buffer;
  /** Checksum of the last record, the seed of whatever follows. */
  readonly crc: number;
  /** Where the first payload begins. */
  readonly payloadStart: number;
}

/**
 * Entries as records, in one block for one write. Numbers are unsigned and big-endian.
 *
 * ```
 *    0  4  bytes of payload (n), 1 to 32 Mi; with the highest bit set the record begins a run and has a tag
 *    4  8  name: the commit's seq
 *   12  4  tag, if it has one: the checksum of the file's header
 *    …  n  payload
 *    …  4  CRC32C of all bytes before, begun with the checksum of the record before (of the header for the first of a file)
 * ```
 *
 * A record begins a run when everything before it was on the disk as it was written. So where a chain ends before the head of a run, what is
 * missing between was not cut off by a power cut but is damaged. The tag is one that no payload and no earlier life of the file has.
 *
 * `runTag`: the first record begins a run.
 */
export function encodeRecords(entries: readonly LogEntry[], seed: number, runTag?: number): EncodedRecords {
  for (const steps = encodeRecordsSteps(entries, seed, runTag); ; ) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Bytes that one step of {@link encodeRecordsSteps} copies and checks. */
const STEP_BYTES: number = 512 * 1024;

/** {@link encodeRecords} in short steps, for groups of many bytes. The entries must not change meanwhile. */
export function* encodeRecordsSteps(entries: readonly LogEntry[], seed: number, runTag?: number): Generator<undefined, EncodedRecords> {
  const bytes = Buffer.allocUnsafe(recordsBytes(entries) - (runTag === undefined ? runTagBytes : 0));
  let crc = seed;
  let at = 0;
  let left = STEP_BYTES;
  for (const [index, { seq, payload }] of entries.entries()) {
    let unchecked = at;
    const tag = index === 0 ? runTag : undefined;
    at = bytes.writeUInt32BE(payload.length + (tag === undefined ? 0 : runFlag), at);
    at = writeSeq(bytes, seq, at);
    if (tag !== undefined) at = bytes.writeUInt32BE(tag, at);
    for (let from = 0; from < payload.length; from += STEP_BYTES) {
      const piece = payload.length <= STEP_BYTES ? payload : payload.subarray(from, from + STEP_BYTES);
      bytes.set(piece, at);
      at += piece.length;
      crc = crc32c(bytes.subarray(unchecked, at), crc);
      unchecked = at;
      left -= piece.length;
      if (left > 0) continue;
      left = STEP_BYTES;
      yield;
    }
    at = bytes.writeUInt32BE(crc, at);
  }
  return { bytes, crc, payloadStart: recordHeadBytes + (runTag === undefined ? 0 : runTagBytes) };
}
