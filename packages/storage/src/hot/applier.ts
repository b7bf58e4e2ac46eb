import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import { CommitRows } from '../log/commit-rows.ts';
import { packedEnd, packedHeadBytes } from './applier-messages.ts';
import { type HotState, type LmdbTables, readState, writeState } from './lmdb-tables.ts';
import { seqKey, tablePrefix } from './partition-key.ts';
import { seqOfRowValue } from './row-value.ts';
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
   * Applies packed commits (`packEntries`) in order. Those at or below the applied point are passed over, so that an uncertain
   * batch may be sent again.
   */
  apply(packed: Buffer): void {
    let lastAt = 0;
    for (let at = 0; at < packed.length; at = packedEnd(packed, at)) lastAt = at;
    const last = packed.length === 0 ? 0n : packed.readBigUInt64BE(lastAt);
    if (last <= this.#state.appliedSeq) return;
    const state: HotState = { ...this.#state, appliedSeq: last };
    this.#tables.root.transactionSync(() => {
      this.#writeCommits(packed);
      writeState(this.#tables, state);
    });
    this.#state = state;
  }

  /** Removes at most `rowsMax` rows of a table, in key order; answers whether some are left. */
  purge(tableId: number, rowsMax: number): boolean {
    const { root, rows, seqs } = this.#tables;
    const range = { start: tablePrefix(tableId), end: afterTable(tableId) };
    root.transactionSync(() => {
      // Collected first: a cursor does not survive removals beside it.
      const doomed = [...rows.getRange({ ...range, limit: rowsMax })];
      for (const { key, value } of doomed) {
        const seq = seqOfRowValue(value);
        if (seq !== undefined) seqs.remove(key.slice(0, key.indexOf('\x00', 4) + 1) + seqKey(seq));
        rows.remove(key);
      }
    });
    root.resetReadTxn();
    return [...rows.getKeys({ ...range, limit: 1 })].length > 0;
  }

  #writeCommits(packed: Buffer): void {
    const before = Buffer.alloc(SEQ_BYTES);
    before.writeBigUInt64BE(this.#state.appliedSeq);
    let last: Buffer = before;
    let lastAt = 0;
    for (let at = 0; at < packed.length; at = packedEnd(packed, at)) {
      if (compareSeqs({ source: packed, at }, { source: before, at: 0 }) <= 0) continue;
      const start = at + packedHeadBytes;
      const nameAt = this.#rows.open(packed, start, packedEnd(packed, at) - start);
      if (
        compareSeqs({ source: packed, at: nameAt }, { source: packed, at }) !== 0 ||
        compareSeqs({ source: packed, at }, { source: last, at: lastAt }) <= 0
      ) {
        const named = packed.readBigUInt64BE(nameAt);
        const reason = `it is named ${named} and follows ${last.readBigUInt64BE(lastAt)}`;
        throw kalamError('DAMAGED_DATA', { where: `commit ${packed.readBigUInt64BE(at)}`, reason });
      }
      this.#writer.write(this.#rows);
      last = packed;
      lastAt = at;
    }
  }
}
