import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import { checksumOfBytes } from '../log/checksum.ts';
import { CommitRows } from '../log/commit-rows.ts';
import type { BatchPartition, BatchRows } from './batch-rows.ts';
import { packedHeadBytes, packedOperations } from './packed-rows.ts';
import { copyBytes, keyBytesMax, rowKeyBytesMax, writePartitionPrefix } from './partition-key.ts';
import { rowValueBytesMax, writeRowValue } from './row-value.ts';

/** Bytes of a piece, unless one operation takes more. */
export const packedPieceBytes: number = 512 * 1024;
/** Rows after which the index of their partitions is written: they are still near the processor then. */
const ROWS_BEFORE_INDEX = 4_096;
const SEQ_BYTES = 8;

/**
 * Turns the rows of a batch into what the hot tier's tables get (packed-rows.ts), in the order of the tables, byte by byte from the
 * payload: no key, value or row becomes an object.
 */
export class RowPacker {
  readonly #memory: (bytes: number) => Buffer;
  readonly #row = new CommitRows(Buffer.alloc(0));
  readonly #prefix = Buffer.alloc(keyBytesMax);
  #prefixBytes = 0;
  #prefixChecksum = 0;
  #piece: Buffer = Buffer.alloc(0);
  #at = 0;

  /** `memory` gives the memory of a piece; it is asked for the next one when the piece before has been dealt with. */
  constructor(memory: (bytes: number) => Buffer) {
    this.#memory = memory;
  }

  /** All operations of a batch, in pieces. */
  *pack(batch: BatchRows): Generator<Buffer, void> {
    this.#piece = Buffer.alloc(0);
    this.#at = 0;
    const partitions = batch.arrange();
    let first = 0;
    let rows = 0;
    for (const [index, partition] of partitions.entries()) {
      rows += partition.rows.length;
      if (rows < ROWS_BEFORE_INDEX && index < partitions.length - 1) continue;
      for (let at = first; at <= index; at += 1) yield* this.#packRows(batch, partitions[at]);
      for (let at = first; at <= index; at += 1) yield* this.#packIndex(batch, partitions[at]);
      first = index + 1;
      rows = 0;
    }
    if (this.#at > 0) yield this.#piece.subarray(0, this.#at);
  }

  *#packRows(batch: BatchRows, partition: BatchPartition | undefined): Generator<Buffer, void> {
    if (partition === undefined) return;
    this.#begin(partition);
    for (const index of partition.newest) {
      const row = this.#row;
      batch.open(row, index);
      if (row.keyBytes > rowKeyBytesMax) throw kalamError('INTERNAL_ERROR', { reason: `a row key of ${row.keyBytes} bytes` });
      const bytes = packedHeadBytes + this.#prefixBytes + row.keyBytes + rowValueBytesMax(row.cellsBytes);
      if (this.#at + bytes > this.#piece.length) yield* this.#turn(bytes);
      const at = this.#at;
      const keyStart = at + packedHeadBytes;
      const keyEnd = this.#putKey(row.source, row.keyStart, row.keyBytes);
      const keyChecksum = checksumOfBytes(this.#piece, keyStart + this.#prefixBytes, keyEnd, this.#prefixChecksum);
      this.#at = writeRowValue(this.#piece, keyEnd, row, keyChecksum);
      this.#putHead(at, packedOperations.putRow, keyEnd);
    }
  }

  *#packIndex(batch: BatchRows, partition: BatchPartition | undefined): Generator<Buffer, void> {
    if (partition === undefined) return;
    this.#begin(partition);
    for (const index of partition.rows) {
      const row = this.#row;
      batch.open(row, index);
      const bytes = 2 * (packedHeadBytes + this.#prefixBytes + SEQ_BYTES) + row.keyBytes;
      if (this.#at + bytes > this.#piece.length) yield* this.#turn(bytes);
      if (row.hasReplaced && batch.isOldest(index)) {
        const at = this.#at;
        this.#at = this.#putKey(row.source, row.replacedStart, SEQ_BYTES);
        this.#putHead(at, packedOperations.removeSeq, this.#at);
      }
      if (!batch.isNewest(index)) continue;
      const at = this.#at;
      const keyEnd = this.#putKey(row.source, row.seqStart, SEQ_BYTES);
      copyBytes(row.source, row.keyStart, { target: this.#piece, at: keyEnd, bytes: row.keyBytes });
      this.#at = keyEnd + row.keyBytes;
      this.#putHead(at, packedOperations.putSeq, keyEnd);
    }
  }

  /** Gives away the piece that has no room for `bytes` more, and begins the next one. */
  *#turn(bytes: number): Generator<Buffer, void> {
    if (this.#at > 0) yield this.#piece.subarray(0, this.#at);
    this.#piece = this.#memory(Math.max(packedPieceBytes, bytes));
    this.#at = 0;
  }

  #begin({ tableId, owner }: BatchPartition): void {
    this.#prefixBytes = writePartitionPrefix(this.#prefix, tableId, owner);
    this.#prefixChecksum = checksumOfBytes(this.#prefix, 0, this.#prefixBytes, 0);
  }

  /** Writes the key of the operation that begins here: the partition's prefix and `bytes` of `source`. Answers its end. */
  #putKey(source: Buffer, start: number, bytes: number): number {
    const at = this.#at + packedHeadBytes;
    copyBytes(this.#prefix, 0, { target: this.#piece, at, bytes: this.#prefixBytes });
    copyBytes(source, start, { target: this.#piece, at: at + this.#prefixBytes, bytes });
    return at + this.#prefixBytes + bytes;
  }

  /** Writes the head of the operation that began at `at`, whose key ends at `keyEnd` and whose value ends here. */
  #putHead(at: number, operation: number, keyEnd: number): void {
    const keyBytes = keyEnd - at - packedHeadBytes;
    this.#piece[at] = operation;
    this.#piece[at + 1] = keyBytes & 0xff;
    this.#piece[at + 2] = keyBytes >> 8;
    this.#piece.writeInt32LE(this.#at - keyEnd, at + 3);
  }
}
