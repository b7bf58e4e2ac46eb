import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import type { CommitRows } from '../log/commit-rows.ts';
import { checksumOfBytes } from './checksum.ts';
import { type KeyBytes, type LmdbTables, type ValueBytes, valueBytes } from './lmdb-tables.ts';
import { copyBytes, keyBytesMax, rowKeyBytesMax, writePartitionPrefix } from './partition-key.ts';
import { rowValueBytesMax, writeRowValue } from './row-value.ts';

const SEQ_BYTES = 8;
const VALUE_BYTES_FIRST = 64 * 1024;

/** Writes the rows of encoded commits to the tables, byte by byte from the payload: no key, value or row becomes an object. */
export class RowWriter {
  readonly #tables: LmdbTables;
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

  /** Writes everything of the commit that `rows` was opened on; only inside a write transaction. */
  write(rows: CommitRows): void {
    while (rows.nextPart()) {
      this.#prefixBytes = writePartitionPrefix(this.#rowKey.bytes, rows.tableId, {
        source: rows.source,
        start: rows.ownerStart,
        bytes: rows.ownerBytes,
      });
      copyBytes(this.#rowKey.bytes, 0, { target: this.#seqKey.bytes, at: 0, bytes: this.#prefixBytes });
      this.#seqKey.length = this.#prefixBytes + SEQ_BYTES;
      this.#prefixChecksum = checksumOfBytes(this.#rowKey.bytes, { start: 0, end: this.#prefixBytes }, 0);
      while (rows.nextRow()) this.#writeRow(rows);
    }
  }

  #writeRow(row: CommitRows): void {
    const { source, keyStart, keyBytes } = row;
    if (keyBytes > rowKeyBytesMax) throw kalamError('INTERNAL_ERROR', { reason: `a row key of ${keyBytes} bytes` });
    if (row.hasReplaced) {
      this.#putSeq(source, row.replacedStart);
      this.#tables.seqs.remove(this.#seqKey);
    }
    const end = this.#prefixBytes + keyBytes;
    copyBytes(source, keyStart, { target: this.#rowKey.bytes, at: this.#prefixBytes, bytes: keyBytes });
    this.#rowKey.length = end;
    if (rowValueBytesMax(row.cellsBytes) > this.#value.length) this.#value = valueBytes(2 * rowValueBytesMax(row.cellsBytes));
    const keyChecksum = checksumOfBytes(this.#rowKey.bytes, { start: this.#prefixBytes, end }, this.#prefixChecksum);
    this.#value.end = writeRowValue(this.#value, row, keyChecksum);
    this.#tables.rows.put(this.#rowKey, this.#value);
    copyBytes(source, keyStart, { target: this.#indexValue, at: 0, bytes: keyBytes });
    this.#indexValue.end = keyBytes;
    this.#putSeq(source, row.seqStart);
    this.#tables.seqs.put(this.#seqKey, this.#indexValue);
  }

  #putSeq(source: Buffer, start: number): void {
    copyBytes(source, start, { target: this.#seqKey.bytes, at: this.#prefixBytes, bytes: SEQ_BYTES });
  }
}
