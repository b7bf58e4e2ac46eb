import type { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import type { ExpiredTombstones, FlushedRows, PurgedRows } from '../contract.ts';
import { reusedMemory } from '../log/log-reader.ts';
import { GatheredCommits } from './gathered-commits.ts';
import { type HotState, type LmdbTables, readState, writeState } from './lmdb-tables.ts';
import { writePacked } from './packed-rows.ts';
import { partitionPrefix, seqKey, tablePrefix } from './partition-key.ts';
import { RowPacker } from './row-packer.ts';
import { isTombstone, seqOfRowValue } from './row-value.ts';

const afterTable = (tableId: number): string => (tableId === 0xffff_ffff ? '\xff\xff\xff\xff\xff' : tablePrefix(tableId + 1));

/**
 * The only writer of the hot tier's tables. Every method is one transaction that is on the disk when it returns, or that left
 * nothing behind when it throws. It runs in a worker thread (applier-worker.ts).
 */
export class Applier {
  readonly #tables: LmdbTables;
  readonly #packer = new RowPacker(reusedMemory());
  #state: HotState;

  /** Writes the state record of a new store with `incarnation`; an existing one keeps its own. */
  constructor(tables: LmdbTables, incarnation: string) {
    this.#tables = tables;
    const found = readState(tables);
    const state: HotState = found ?? { appliedSeq: 0n, incarnation };
    if (found === undefined) tables.root.transactionSync(() => writeState(tables, state));
    this.#state = state;
  }

  get appliedSeq(): bigint {
    return this.#state.appliedSeq;
  }

  /**
   * Applies the commits of blocks of records in order. Those at or below the applied point are passed over, so that an uncertain
   * batch may be sent again.
   */
  apply(blocks: readonly Buffer[]): void {
    const gathered = new GatheredCommits(this.#state.appliedSeq);
    for (const block of blocks) gathered.add(block);
    if (gathered.lastSeq > gathered.afterSeq) this.applyPacked(this.#packer.pack(gathered.rows), gathered);
  }

  /**
   * Applies a batch of commits that was packed for it and follows on `afterSeq`. Does nothing when it holds the batch, and throws
   * INTERNAL_ERROR when it stands elsewhere.
   */
  applyPacked(pieces: Iterable<Buffer>, { afterSeq, lastSeq }: Pick<GatheredCommits, 'afterSeq' | 'lastSeq'>): void {
    if (lastSeq <= this.#state.appliedSeq) return;
    if (afterSeq !== this.#state.appliedSeq) {
      throw kalamError('INTERNAL_ERROR', { reason: `a batch follows on ${afterSeq}, the hot tier ends at ${this.#state.appliedSeq}` });
    }
    const state: HotState = { ...this.#state, appliedSeq: lastSeq };
    this.#tables.root.transactionSync(() => {
      for (const piece of pieces) writePacked(this.#tables, piece);
      writeState(this.#tables, state);
    });
    this.#state = state;
  }

  /** Writes the rows of the one commit in a block of records, and leaves the applied point where it is. */
  load(block: Buffer): void {
    const gathered = new GatheredCommits(0n);
    gathered.add(block);
    const pieces = this.#packer.pack(gathered.rows);
    this.#tables.root.transactionSync(() => {
      for (const piece of pieces) writePacked(this.#tables, piece);
    });
  }

  /** Removes at most `rowsMax` rows of a table, in key order. */
  purge(tableId: number, rowsMax: number): PurgedRows {
    const { root, rows, seqs } = this.#tables;
    const range = { start: tablePrefix(tableId), end: afterTable(tableId) };
    let purged = { rows: 0, bytes: 0 };
    root.transactionSync(() => {
      purged = { rows: 0, bytes: 0 };
      // Collected first: a cursor does not survive removals beside it.
      const doomed = [...rows.getRange({ ...range, limit: rowsMax })];
      for (const { key, value } of doomed) {
        const seq = seqOfRowValue(value);
        if (seq !== undefined) seqs.remove(key.slice(0, key.indexOf('\x00', 4) + 1) + seqKey(seq));
        rows.remove(key);
        if (!isTombstone(value)) purged.rows += 1;
        purged.bytes += key.length + value.length;
      }
    });
    root.resetReadTxn();
    return { ...purged, more: [...rows.getKeys({ ...range, limit: 1 })].length > 0 };
  }

  /** Removes at most `rowsMax` rows of a partition that a segment holds, in `_seq` order. */
  purgeFlushed({ partition, throughSeq }: FlushedRows, rowsMax: number): PurgedRows {
    const { root, rows, seqs } = this.#tables;
    const prefix = partitionPrefix(partition);
    const range = { start: prefix, end: prefix + seqKey(throughSeq + 1n) };
    let purged = { rows: 0, bytes: 0 };
    root.transactionSync(() => {
      purged = { rows: 0, bytes: 0 };
      const doomed = [...seqs.getRange({ ...range, limit: rowsMax })];
      for (const { key, value } of doomed) {
        const rowKey = prefix + value.toString('latin1');
        // Not kept beyond the next read.
        const row = rows.getBinaryFast(rowKey);
        seqs.remove(key);
        // An entry that a newer version has left behind is no reason to lose that one.
        if (row === undefined || (seqOfRowValue(row) ?? 0n) > throughSeq) continue;
        if (!isTombstone(row)) purged.rows += 1;
        purged.bytes += rowKey.length + row.length;
        rows.remove(rowKey);
      }
    });
    root.resetReadTxn();
    return { ...purged, more: [...seqs.getKeys({ ...range, limit: 1 })].length > 0 };
  }

  /** Removes tombstones of a partition that are still the newest versions of their rows. */
  purgeTombstones({ partition, rows: doomed }: ExpiredTombstones): PurgedRows {
    const { root, rows, seqs } = this.#tables;
    const prefix = partitionPrefix(partition);
    let bytes = 0;
    root.transactionSync(() => {
      bytes = 0;
      for (const { key, seq } of doomed) {
        const rowKey = prefix + key;
        const row = rows.get(rowKey);
        if (row === undefined || seqOfRowValue(row) !== seq || !isTombstone(row)) continue;
        seqs.remove(prefix + seqKey(seq));
        rows.remove(rowKey);
        bytes += rowKey.length + row.length;
      }
    });
    root.resetReadTxn();
    return { rows: 0, bytes, more: false };
  }
}
