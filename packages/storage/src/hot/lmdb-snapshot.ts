import { Buffer } from 'node:buffer';
import { type KalamError, kalamError } from '@kalamdb/protocol';
import type { HotSnapshot, KeyRange, PartitionId, RowKey, StoredRow } from '../contract.ts';
import type { ByteTable, LmdbTables, ReadHandle } from './lmdb-tables.ts';
import { partitionPrefix, prefixEnd, prefixOwner, seqKey, tablePrefix } from './partition-key.ts';
import type { ReadTransaction } from './read-transactions.ts';
import { decodeRowValue } from './row-value.ts';

interface RangeEntry {
  readonly key: string;
  readonly value: Buffer;
}

interface RangeBounds {
  readonly start: string;
  readonly end: string;
  readonly exclusiveStart?: boolean;
  readonly inclusiveEnd?: boolean;
  readonly reverse?: boolean;
}

const damagedRow = (partition: PartitionId, key: string, reason: string): KalamError => {
  const where = `row ${Buffer.from(key, 'latin1').toString('hex')} of table ${partition.tableId}, owner '${partition.owner}'`;
  return kalamError('DAMAGED_DATA', { where, reason });
};

const rowBounds = (prefix: string, range: KeyRange): RangeBounds => {
  const low = prefix + (range.from ?? '');
  const high = range.before === undefined ? prefixEnd(prefix) : prefix + range.before;
  if (range.reverse !== true) return { start: low, end: high };
  return { start: high, end: low, exclusiveStart: true, inclusiveEnd: true, reverse: true };
};

/** A view of LMDB on a shared read transaction. */
export class LmdbSnapshot implements HotSnapshot {
  readonly appliedSeq: bigint;
  readonly #tables: LmdbTables;
  readonly #transaction: ReadTransaction;
  readonly #read: { readonly transaction: ReadHandle };
  readonly #cursors = new Set<Iterator<RangeEntry>>();
  #closed = false;

  constructor(tables: LmdbTables, transaction: ReadTransaction) {
    this.#tables = tables;
    this.#transaction = transaction;
    this.#read = { transaction: transaction.handle };
    this.appliedSeq = transaction.appliedSeq;
    transaction.hold(this, () => this.#endCursors());
  }

  get(partition: PartitionId, key: RowKey): StoredRow | undefined {
    this.#assertLive();
    return this.#row(partition, partitionPrefix(partition) + key, key);
  }

  *scan(partition: PartitionId, range: KeyRange = {}): IterableIterator<StoredRow> {
    const prefix = partitionPrefix(partition);
    if (range.from !== undefined && range.before !== undefined && range.from >= range.before) return;
    for (const { key, value } of this.#range(this.#tables.rows, rowBounds(prefix, range))) {
      const row = decodeRowValue(key, key.slice(prefix.length) as RowKey, { value, volatile: false });
      if (row === undefined) throw damagedRow(partition, key.slice(prefix.length), 'it does not match its checksum');
      yield row;
    }
  }

  *scanBySeq(partition: PartitionId, afterSeq: bigint): IterableIterator<StoredRow> {
    const prefix = partitionPrefix(partition);
    const bounds = { start: prefix + seqKey(afterSeq + 1n), end: prefixEnd(prefix) };
    for (const entry of this.#range(this.#tables.seqs, bounds)) {
      const key = entry.value.toString('latin1') as RowKey;
      const row = this.#row(partition, prefix + key, key);
      // The index has no checksum of its own: `_seq` is unique, so the row itself says whether the entry is right.
      if (row === undefined || prefix + seqKey(row.seq) !== entry.key)
        throw damagedRow(partition, key, 'the index by _seq does not match it');
      yield row;
    }
  }

  *owners(tableId: number): IterableIterator<string> {
    const start = tablePrefix(tableId);
    let from = start;
    for (;;) {
      this.#assertLive();
      const options = { start: from, end: `${start}\xff`, limit: 1, transaction: this.#transaction.handle };
      const [key] = [...this.#tables.rows.getKeys(options)];
      if (key === undefined) return;
      const owner = prefixOwner(key);
      yield owner;
      from = prefixEnd(partitionPrefix({ tableId, owner }));
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#endCursors();
    this.#transaction.release(this);
  }

  #assertLive(): void {
    if (this.#closed) throw kalamError('INTERNAL_ERROR', { reason: 'the snapshot is closed' });
    if (!this.#transaction.live) throw kalamError('SNAPSHOT_TOO_OLD');
  }

  #endCursors(): void {
    for (const cursor of this.#cursors) cursor.return?.();
    this.#cursors.clear();
  }

  #row(partition: PartitionId, key: string, rowKey: RowKey): StoredRow | undefined {
    const value = this.#tables.rows.getBinaryFast(key, this.#read);
    if (value === undefined) return undefined;
    const row = decodeRowValue(key, rowKey, { value, volatile: true });
    if (row === undefined) throw damagedRow(partition, rowKey, 'it does not match its checksum');
    return row;
  }

  *#range(table: ByteTable, bounds: RangeBounds): IterableIterator<RangeEntry> {
    this.#assertLive();
    const cursor = table.getRange({ ...bounds, transaction: this.#transaction.handle })[Symbol.iterator]();
    this.#cursors.add(cursor);
    try {
      for (let step = cursor.next(); step.done !== true; step = cursor.next()) {
        yield step.value;
        this.#assertLive();
      }
    } finally {
      if (this.#cursors.delete(cursor)) cursor.return?.();
    }
  }
}
