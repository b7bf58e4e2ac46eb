import { Buffer } from 'node:buffer';
import type { PartitionId, StoredRow } from '../contract.ts';
import { commitHeadBytes, partHeadBytes, rowBytes, writeCommitHead, writePartHead, writePartRows, writeRow } from './commit-codec.ts';

/** Bytes that are taken at first; more as rows need them. */
const FIRST_BYTES: number = 1024 * 1024;

/**
 * Encodes rows that replace nothing as `encodeCommit` does, each when it comes, so that none of them is kept. Its memory is used again for the
 * next commit.
 */
export class CommitPacker {
  #target = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #end: number = commitHeadBytes;
  #parts = 0;
  #partition: PartitionId | undefined;
  /** Where the number of rows of the last part stands. */
  #rowsAt = 0;
  #partRows = 0;
  #rows = 0;

  /** Bytes so far. */
  get bytes(): number {
    return this.#end;
  }

  /** Rows so far. */
  get rows(): number {
    return this.#rows;
  }

  /** Takes a row. Those of one partition that come one after another, with the same object, are one part. */
  add(partition: PartitionId, row: StoredRow): void {
    if (partition !== this.#partition) this.#beginPart(partition);
    this.#reserve(rowBytes(row, 0n));
    this.#end = writeRow(this.#target, this.#end, row, 0n);
    this.#partRows += 1;
    this.#rows += 1;
  }

  /** The commit of this name, alone in its memory; rows that come now are of another one. */
  finish(seq: bigint): Uint8Array<ArrayBuffer> {
    this.#endPart();
    writeCommitHead(this.#target, seq, this.#parts);
    const bytes = new Uint8Array(this.#end);
    bytes.set(this.#target.subarray(0, this.#end));
    this.#end = commitHeadBytes;
    this.#parts = 0;
    this.#rows = 0;
    return bytes;
  }

  #beginPart(partition: PartitionId): void {
    this.#endPart();
    this.#reserve(partHeadBytes(partition));
    this.#end = writePartHead(this.#target, this.#end, partition, 0);
    this.#rowsAt = this.#end - 4;
    this.#partition = partition;
    this.#parts += 1;
  }

  #endPart(): void {
    if (this.#partition !== undefined) writePartRows(this.#target, this.#rowsAt, this.#partRows);
    this.#partition = undefined;
    this.#partRows = 0;
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#target.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#target.length, this.#end + bytes));
    this.#target.copy(larger, 0, 0, this.#end);
    this.#target = larger;
  }
}
