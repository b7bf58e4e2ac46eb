import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import type { PurgedRows } from '../contract.ts';
import { CommitRows } from '../log/commit-rows.ts';
import { RecordPlace } from '../log/record-place.ts';
import { BatchRows } from './batch-rows.ts';
import { type HotState, type LmdbTables, readState, writeState } from './lmdb-tables.ts';
import { seqKey, tablePrefix } from './partition-key.ts';
import { isTombstone, seqOfRowValue } from './row-value.ts';
import { RowWriter } from './row-writer.ts';

const SEQ_BYTES = 8;

/** Where an encoded seq lies. */
interface SeqPlace {
  readonly source: Buffer;
  readonly at: number;
}

const afterTable = (tableId: number): string => (tableId === 0xffff_ffff ? '\xff\xff\xff\xff\xff' : tablePrefix(tableId + 1));

/** The order of two encoded seqs, without making numbers of them. */
const compareSeqs = (a: SeqPlace, b: SeqPlace): number => {
  for (let at = 0; at < SEQ_BYTES; at += 1) {
    const difference = (a.source[a.at + at] ?? 0) - (b.source[b.at + at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
};

const seqAt = ({ source, at }: SeqPlace): bigint => source.readBigUInt64BE(at);

/**
 * The only writer of the hot tier's tables. Every method is one transaction that is on the disk when it returns, or that left
 * nothing behind when it throws. It runs in a worker thread (applier-worker.ts).
 */
export class Applier {
  readonly #tables: LmdbTables;
  readonly #writer: RowWriter;
  readonly #rows = new CommitRows(Buffer.alloc(0));
  #state: HotState;

  /** Writes the state record of a new store with `incarnation`; an existing one keeps its own. */
  constructor(tables: LmdbTables, incarnation: string) {
    this.#tables = tables;
    this.#writer = new RowWriter(tables);
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
    const batch = new BatchRows();
    const last = this.#gather(blocks, batch);
    if (last === undefined) return;
    const state: HotState = { ...this.#state, appliedSeq: last };
    this.#tables.root.transactionSync(() => {
      this.#writer.write(batch);
      writeState(this.#tables, state);
    });
    this.#state = state;
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

  /** Gathers the rows of all commits above the applied point; answers the name of the last one, if there is one. */
  #gather(blocks: readonly Buffer[], batch: BatchRows): bigint | undefined {
    const before = Buffer.alloc(SEQ_BYTES);
    before.writeBigUInt64BE(this.#state.appliedSeq);
    const applied = { source: before, at: 0 };
    let last: SeqPlace = applied;
    for (const block of blocks) {
      const record = new RecordPlace();
      while (record.next(block)) {
        const named = { source: block, at: record.seqStart };
        if (compareSeqs(named, applied) <= 0) continue;
        const nameAt = this.#rows.open(block, record.payloadStart, record.payloadEnd - record.payloadStart);
        if (compareSeqs({ source: block, at: nameAt }, named) !== 0 || compareSeqs(named, last) <= 0) {
          const reason = `it is named ${seqAt({ source: block, at: nameAt })} and follows ${seqAt(last)}`;
          throw kalamError('DAMAGED_DATA', { where: `commit ${seqAt(named)}`, reason });
        }
        batch.add(block, this.#rows);
        last = named;
      }
    }
    return last === applied ? undefined : seqAt(last);
  }
}
