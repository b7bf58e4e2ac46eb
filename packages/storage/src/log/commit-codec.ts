import { Buffer } from 'node:buffer';
import { type KalamError, kalamError } from '@kalamdb/protocol';
import type { ColdMask, Commit, CommitPart, CommitRow, PartitionId, RowKey, StoredRow } from '../contract.ts';
import { writeSeq } from './seq-bytes.ts';

/** First byte of every encoded commit; a decoder refuses what it does not know. */
export const commitFormat: number = 1;
/** Bytes of an encoded commit before its parts. */
export const commitHeadBytes = 13;
const PART_HEAD_BYTES = 10;
const ROW_HEAD_BYTES = 15;
/** Bits of a row's first byte. */
export const rowFlags = { deleted: 1, hasCreated: 2, hasReplaced: 4, hasMask: 8, known: 15 } as const;
/** Bytes of an encoded mask: segment, then row with {@link maskDeletedBit}. */
export const maskBytes = 8;
/** Set in the encoded row of a mask when the cold row is a tombstone. */
const maskDeletedBit = 0x8000_0000;

/** The error for bytes that `encodeCommit` cannot have made. */
export function damagedCommit(reason: string): KalamError {
  return kalamError('DAMAGED_DATA', { where: 'commit', reason });
}

/** Bytes that {@link writeRow} takes. */
export const rowBytes = (row: StoredRow, replacedSeq: bigint): number =>
  ROW_HEAD_BYTES +
  (row.createdSeq === row.seq ? 0 : 8) +
  (replacedSeq === 0n ? 0 : 8) +
  (row.masks === undefined ? 0 : maskBytes) +
  row.key.length +
  row.bytes.length;

/** Bytes of a part before its rows. */
export const partHeadBytes = ({ owner }: PartitionId): number => PART_HEAD_BYTES + Buffer.byteLength(owner);

/** Rows that the encoding of a commit takes in one step. */
const STEP_ROWS = 64;
/** Bytes of cells that take as long to copy as a row by itself. */
const STEP_ROW_BYTES = 8 * 1024;
/** Rows of which one step counts the bytes. */
const STEP_COUNTED_ROWS = 1024;

function* encodedBytesSteps(commit: Commit): Generator<undefined, number> {
  let bytes = commitHeadBytes;
  for (const part of commit.parts) {
    const { rows } = part;
    bytes += partHeadBytes(part.partition);
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index];
      if (row !== undefined) bytes += rowBytes(row, row.replacedSeq);
      if (index % STEP_COUNTED_ROWS === STEP_COUNTED_ROWS - 1) yield;
    }
  }
  return bytes;
}

const writeMask = (target: Buffer, { segment, row, deleted }: ColdMask, start: number): number =>
  target.writeUInt32BE(row + (deleted ? maskDeletedBit : 0), target.writeUInt32BE(segment, start));

/** The mask that lies at `start`. */
export function readMask(source: Buffer, start: number): ColdMask {
  const row = source.readUInt32BE(start + 4);
  const deleted = row >= maskDeletedBit;
  return { segment: source.readUInt32BE(start), row: deleted ? row - maskDeletedBit : row, deleted };
}

/** Writes a row of an encoded commit to `start`; answers where it ends. */
export const writeRow = (target: Buffer, start: number, row: StoredRow, replacedSeq: bigint): number => {
  const hasCreated = row.createdSeq !== row.seq;
  const hasReplaced = replacedSeq !== 0n;
  const { masks } = row;
  const flags =
    (row.deleted ? rowFlags.deleted : 0) |
    (hasCreated ? rowFlags.hasCreated : 0) |
    (hasReplaced ? rowFlags.hasReplaced : 0) |
    (masks === undefined ? 0 : rowFlags.hasMask);
  let at = target.writeUInt8(flags, start);
  at = writeSeq(target, row.seq, at);
  if (hasCreated) at = writeSeq(target, row.createdSeq, at);
  if (hasReplaced) at = writeSeq(target, replacedSeq, at);
  if (masks !== undefined) at = writeMask(target, masks, at);
  at = target.writeUInt16BE(row.key.length, at);
  at += target.write(row.key, at, 'latin1');
  at = target.writeUInt32BE(row.bytes.length, at);
  target.set(row.bytes, at);
  return at + row.bytes.length;
};

/**
 * A commit as the payload of a log record. It needs no schema: the applier writes the hot tier from it alone.
 * All numbers are unsigned and big-endian.
 *
 * ```
 * commit   0   1  format, 1
 *          1   8  seq: the commit's name
 *          9   4  number of parts
 *         13   …  parts
 * part     0   4  table id
 *          4   2  bytes of owner (n)
 *          6   n  owner, UTF-8
 *        6+n   4  number of rows
 *       10+n   …  rows
 * row      0   1  flags: 1 deleted, 2 created seq present (else equal to seq), 4 replaced seq present (else 0), 8 mask present
 *          1   8  seq
 *          9   8  created seq, if flag 2
 *          …   8  replaced seq, if flag 4
 *          …   4  segment of the mask, if flag 8
 *          …   4  row of the mask, its highest bit set when that row is a tombstone, if flag 8
 *          …   2  bytes of key (k)
 *          …   k  key, one byte per char of the row key
 *          …   4  bytes of cells (c)
 *          …   c  cells
 * ```
 *
 * Worked values: the empty key and cells of seq 5 that replaces seq 4 in `(7, "al")` and was created by 4, deleted, make
 * `01 0000000000000005 00000001 | 00000007 0002 616c 00000001 | 07 0000000000000005 0000000000000004 0000000000000004 0000 00000000`;
 * a first version (created = seq, nothing replaced) has flags `00` and the row is 15 bytes; the mask of the deleted row 7 of segment 3 is `00000003 80000007`; a commit without parts is `01`, its seq, `00000000`.
 */
export function encodeCommit(commit: Commit): Uint8Array {
  let bytes = commitHeadBytes;
  for (const part of commit.parts) {
    bytes += partHeadBytes(part.partition);
    for (const row of part.rows) bytes += rowBytes(row, row.replacedSeq);
  }
  const target = Buffer.allocUnsafe(bytes);
  let at = writeCommitHead(target, commit.seq, commit.parts.length);
  for (const part of commit.parts) {
    at = writePartHead(target, at, part.partition, part.rows.length);
    for (const row of part.rows) at = writeRow(target, at, row, row.replacedSeq);
  }
  return target;
}

/** Writes what stands before the parts; answers where they begin. */
export const writeCommitHead = (target: Buffer, seq: bigint, parts: number): number => {
  const at = writeSeq(target, seq, target.writeUInt8(commitFormat, 0));
  return target.writeUInt32BE(parts, at);
};

/** Writes what stands before the rows of a part; answers where they begin. The last four bytes are those of {@link writePartRows}. */
export const writePartHead = (target: Buffer, start: number, { tableId, owner }: PartitionId, rows: number): number => {
  const at = target.writeUInt32BE(tableId, start);
  const ownerBytes = target.write(owner, at + 2, 'utf8');
  target.writeUInt16BE(ownerBytes, at);
  return writePartRows(target, at + 2 + ownerBytes, rows);
};

/** Writes how many rows a part has. */
export const writePartRows = (target: Buffer, at: number, rows: number): number => target.writeUInt32BE(rows, at);

/** {@link encodeCommit} in short steps, for commits of many rows. */
export function* encodeCommitSteps(commit: Commit): Generator<undefined, Uint8Array> {
  const target = Buffer.allocUnsafe(yield* encodedBytesSteps(commit));
  let at = writeCommitHead(target, commit.seq, commit.parts.length);
  for (const part of commit.parts) {
    const { rows } = part;
    let left = STEP_ROWS;
    at = writePartHead(target, at, part.partition, part.rows.length);
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index];
      if (row === undefined) continue;
      at = writeRow(target, at, row, row.replacedSeq);
      left -= 1 + row.bytes.length / STEP_ROW_BYTES;
      if (left > 0) continue;
      left = STEP_ROWS;
      yield;
    }
  }
  return target;
}

/**
 * Gives an encoded commit another name and its rows other `_seq`s, in short steps: `nextSeq` is called once for each row, in
 * their order. Created and replaced seqs that are written out stay what they are; a row that was created by this commit stays so.
 */
export function* renumberCommitSteps(payload: Uint8Array, seq: bigint, nextSeq: () => bigint): Generator<undefined, void> {
  const target = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  target.writeBigUInt64BE(seq, 1);
  let at = commitHeadBytes;
  for (let parts = target.readUInt32BE(9); parts > 0; parts -= 1) {
    at += PART_HEAD_BYTES + target.readUInt16BE(at + 4);
    for (let rows = target.readUInt32BE(at - 4); rows > 0; rows -= 1) {
      at = renumberRow(target, at, nextSeq());
      if (rows % STEP_ROWS === 0) yield;
    }
  }
}

const renumberRow = (target: Buffer, start: number, seq: bigint): number => {
  const flags = target.readUInt8(start);
  let at = target.writeBigUInt64BE(seq, start + 1);
  if ((flags & rowFlags.hasCreated) !== 0) at += 8;
  if ((flags & rowFlags.hasReplaced) !== 0) at += 8;
  if ((flags & rowFlags.hasMask) !== 0) at += maskBytes;
  at += 2 + target.readUInt16BE(at);
  return at + 4 + target.readUInt32BE(at);
};

/** The name of an encoded commit. */
export function commitName(payload: Uint8Array): bigint {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).readBigUInt64BE(1);
}

class CommitReader {
  readonly #source: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return this.#at === this.#source.length;
  }

  /** Moves over `bytes` and answers where they began. */
  #take(bytes: number): number {
    const start = this.#at;
    if (start + bytes > this.#source.length) throw damagedCommit('it ends too early');
    this.#at = start + bytes;
    return start;
  }

  byte(): number {
    return this.#source.readUInt8(this.#take(1));
  }

  short(): number {
    return this.#source.readUInt16BE(this.#take(2));
  }

  word(): number {
    return this.#source.readUInt32BE(this.#take(4));
  }

  seq(): bigint {
    return this.#source.readBigUInt64BE(this.#take(8));
  }

  text(encoding: 'utf8' | 'latin1'): string {
    const bytes = this.short();
    const start = this.#take(bytes);
    return this.#source.toString(encoding, start, start + bytes);
  }

  mask(): ColdMask {
    return readMask(this.#source, this.#take(maskBytes));
  }

  bytes(): Uint8Array {
    const bytes = this.word();
    const start = this.#take(bytes);
    return new Uint8Array(this.#source.buffer, this.#source.byteOffset + start, bytes);
  }
}

const readRow = (reader: CommitReader): CommitRow => {
  const flags = reader.byte();
  if ((flags & ~rowFlags.known) !== 0) throw damagedCommit(`unknown row flags ${flags}`);
  const seq = reader.seq();
  const createdSeq = (flags & rowFlags.hasCreated) === 0 ? seq : reader.seq();
  const replacedSeq = (flags & rowFlags.hasReplaced) === 0 ? 0n : reader.seq();
  const masks = (flags & rowFlags.hasMask) === 0 ? undefined : reader.mask();
  const key = reader.text('latin1') as RowKey;
  return { key, seq, createdSeq, replacedSeq, masks, deleted: (flags & rowFlags.deleted) !== 0, bytes: reader.bytes() };
};

const readPart = (reader: CommitReader): CommitPart => {
  const partition: PartitionId = { tableId: reader.word(), owner: reader.text('utf8') };
  const rows: CommitRow[] = [];
  for (let left = reader.word(); left > 0; left -= 1) rows.push(readRow(reader));
  return { partition, rows };
};

/**
 * The inverse of {@link encodeCommit}. The rows' cells are views of `bytes`, not copies: whoever keeps a row keeps the
 * payload, and whoever reuses the payload's memory copies first. Throws DAMAGED_DATA for anything encodeCommit cannot have made.
 */
export function decodeCommit(bytes: Uint8Array): Commit {
  const reader = new CommitReader(bytes);
  const format = reader.byte();
  if (format !== commitFormat) throw damagedCommit(`unknown commit format ${format}`);
  const seq = reader.seq();
  const parts: CommitPart[] = [];
  for (let left = reader.word(); left > 0; left -= 1) parts.push(readPart(reader));
  if (!reader.atEnd) throw damagedCommit('it has bytes after its end');
  return { seq, parts };
}
