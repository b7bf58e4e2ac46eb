import { KalamError, kalamError, type Timer, type Timers } from '@kalamdb/protocol';
import { type LmdbTables, type ReadHandle, readState } from './lmdb-tables.ts';

/** Live read transactions. LMDB refuses the 127th reader, and old readers keep pages from being reused. */
export const readTransactionsMax: number = 64;
/** How long a view may be read after the hot tier has moved on from it. */
export const supersededMillisMax: number = 30_000;

/** One LMDB read transaction, shared by the snapshots that were taken between two applies. */
export class ReadTransaction {
  readonly handle: ReadHandle;
  readonly appliedSeq: bigint;
  /** Ends the cursors of each holder; a transaction must not end before its cursors. */
  readonly #holders = new Map<object, () => void>();
  readonly #ended: (transaction: ReadTransaction) => void;
  #timer: Timer | undefined;
  #current = true;
  #live = true;

  constructor(tables: LmdbTables, ended: (transaction: ReadTransaction) => void) {
    tables.root.resetReadTxn();
    this.handle = tables.root.useReadTransaction();
    this.#ended = ended;
    this.appliedSeq = readState(tables, { transaction: this.handle })?.appliedSeq ?? 0n;
  }

  get live(): boolean {
    return this.#live;
  }

  /** `endCursors` is called if the transaction has to end while it is still held. */
  hold(holder: object, endCursors: () => void): void {
    this.#holders.set(holder, endCursors);
  }

  release(holder: object): void {
    this.#holders.delete(holder);
    if (this.#holders.size === 0 && !this.#current) this.end();
  }

  /** The hot tier has moved on: nobody else joins, and who is inside has `millisMax` left. */
  supersede(timers: Timers, millisMax: number): void {
    this.#current = false;
    if (this.#holders.size === 0) this.end();
    else this.#timer = timers.after(millisMax, () => this.end());
  }

  /** Ends the transaction now. Holders that still read get SNAPSHOT_TOO_OLD. */
  end(): void {
    if (!this.#live) return;
    this.#live = false;
    this.#timer?.cancel();
    for (const endCursors of this.#holders.values()) endCursors();
    this.#holders.clear();
    this.handle.done();
    this.#ended(this);
  }
}

/** The read transactions of one handle: the current one is shared until the next apply, at most {@link readTransactionsMax} live. */
export class ReadTransactions {
  readonly #tables: LmdbTables;
  readonly #timers: Timers;
  readonly #supersededMillisMax: number;
  /** Oldest first. */
  readonly #live = new Set<ReadTransaction>();
  #current: ReadTransaction | undefined;
  #closed = false;

  constructor(tables: LmdbTables, timers: Timers, millisMax: number = supersededMillisMax) {
    this.#tables = tables;
    this.#timers = timers;
    this.#supersededMillisMax = millisMax;
  }

  get liveCount(): number {
    return this.#live.size;
  }

  /** The current transaction, at the newest durable batch. When there are too many, the oldest ends. */
  current(): ReadTransaction {
    if (this.#closed) throw kalamError('INTERNAL_ERROR', { reason: 'the hot store is closed' });
    if (this.#current !== undefined) return this.#current;
    const [oldest] = this.#live;
    if (oldest !== undefined && this.#live.size >= readTransactionsMax) oldest.end();
    const transaction = this.#begin();
    this.#live.add(transaction);
    this.#current = transaction;
    return transaction;
  }

  /** The hot tier has a new batch: the next snapshot gets a new transaction. */
  moveOn(): void {
    const superseded = this.#current;
    this.#current = undefined;
    superseded?.supersede(this.#timers, this.#supersededMillisMax);
  }

  close(): void {
    this.#closed = true;
    this.end();
  }

  /** Ends every transaction. */
  end(): void {
    this.#current = undefined;
    for (const transaction of [...this.#live]) transaction.end();
  }

  #begin(): ReadTransaction {
    try {
      return new ReadTransaction(this.#tables, (ended) => this.#live.delete(ended));
    } catch (cause) {
      if (cause instanceof KalamError) throw cause;
      // LMDB refuses everything after some failures of the disk, until the store has opened it anew: soon a new view can be had.
      throw kalamError('SNAPSHOT_TOO_OLD', {}, { cause });
    }
  }
}
