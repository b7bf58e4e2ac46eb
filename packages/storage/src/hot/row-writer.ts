import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import { checksumOfBytes } from '../log/checksum.ts';
import { CommitRows } from '../log/commit-rows.ts';
import type { BatchPartition, BatchRows } from './batch-rows.ts';
import { type KeyBytes, type LmdbTables, type ValueBytes, valueBytes } from './lmdb-tables.ts';
import { copyBytes, keyBytesMax, rowKeyBytesMax, writePartitionPrefix } from './partition-key.ts';
import { rowValueBytesMax, writeRowValue } from './row-value.ts';

const SEQ_BYTES = 8;
const VALUE_BYTES_FIRST = 64 * 1024;

/** Writes the rows of encoded commits to the tables, byte by byte from the payload: no key, value or row becomes an object. */
export class RowWriter {
  readonly #tables: LmdbTables;
  readonly #row = new CommitRows(Buffer.alloc(0));
  /** Partition prefix and row key, of the row that is being written. */
  readonly #rowKey: KeyBytes = { bytes: Buffer.alloc(keyBytesMax), length: 0 };
  /** Partition prefix and `_seq`. */
  readonly #seqKey: KeyBytes = { bytes: Buffer.alloc(keyBytesMax), length: 0 };
  /** The row key alone, which is the value of the index. */
  readonly #indexValue: ValueBytes = valueBytes(rowKeyBytesMax);
  #value: ValueBytes = valueBytes(VALUE_BYTES_FIRST);
  #prefixBytes = 0;
  #prefixChecksum = 0;

  constructor(tables: LmdbTables) {
    this.#tables = tables;
  }

  /** Writes all rows of a batch, then the index; only inside a write transaction. Each table's new pages lie together then. */
  write(batch: BatchRows): void {
    for (const partition of batch.partitions) {
      this.#begin(partition);
      batch.each(partition, this.#row, this.#writeRow);
    }
    for (const partition of batch.partitions) {
      this.#begin(partition);
      batch.each(partition, this.#row, this.#writeSeq);
    }
  }

  #begin({ tableId, source, ownerStart, ownerBytes }: BatchPartition): void {
    this.#prefixBytes = writePartitionPrefix(this.#rowKey.bytes, tableId, { source, start: ownerStart, bytes: ownerBytes });
    copyBytes(this.#rowKey.bytes, 0, { target: this.#seqKey.bytes, at: 0, bytes: this.#prefixBytes });
    this.#seqKey.length = this.#prefixBytes + SEQ_BYTES;
    this.#prefixChecksum = checksumOfBytes(this.#rowKey.bytes, 0, this.#prefixBytes, 0);
  }

  readonly #writeRow = (row: CommitRows): void => {
    const { source, keyStart, keyBytes } = row;
    if (keyBytes > rowKeyBytesMax) throw kalamError('INTERNAL_ERROR', { reason: `a row key of ${keyBytes} bytes` });
    const end = this.#prefixBytes + keyBytes;
    copyBytes(source, keyStart, { target: this.#rowKey.bytes, at: this.#prefixBytes, bytes: keyBytes });
    this.#rowKey.length = end;
    if (rowValueBytesMax(row.cellsBytes) > this.#value.bytes.length) this.#value = valueBytes(2 * rowValueBytesMax(row.cellsBytes));
    const keyChecksum = checksumOfBytes(this.#rowKey.bytes, this.#prefixBytes, end, this.#prefixChecksum);
    this.#value.range.end = writeRowValue(this.#value.bytes, row, keyChecksum);
    this.#tables.rows.put(this.#rowKey, this.#value.range);
  };

  readonly #writeSeq = (row: CommitRows): void => {
    const { source, keyStart, keyBytes } = row;
    if (row.hasReplaced) {
      this.#putSeq(source, row.replacedStart);
      this.#tables.seqs.remove(this.#seqKey);
    }
    copyBytes(source, keyStart, { target: this.#indexValue.bytes, at: 0, bytes: keyBytes });
    this.#indexValue.range.end = keyBytes;
    this.#putSeq(source, row.seqStart);
    this.#tables.seqs.put(this.#seqKey, this.#indexValue.range);
  };

  #putSeq(source: Buffer, start: number): void {
    copyBytes(source, start, { target: this.#seqKey.bytes, at: this.#prefixBytes, bytes: SEQ_BYTES });
  }
}
