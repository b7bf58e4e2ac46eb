import { type KalamError, type Random, uuidV7 } from '@kalamdb/protocol';
import { Transaction, type TransactionFigures, type TransactionLimits, type TransactionSources } from './transaction.ts';

/** Heap bytes of writes that a transaction may hold unless the database is opened with another limit. */
export const TRANSACTION_BUFFER_BYTES_MAX: number = 100 * 1024 * 1024;
/** Milliseconds that a transaction may wait for its next statement unless the database is opened with another limit. */
export const TRANSACTION_IDLE_MILLIS_MAX: number = 300 * 1000;

/** {@link TransactionSources} with limits that need not be said. */
export type TransactionsSources = Omit<TransactionSources, 'limits'> & {
  readonly random: Random;
  readonly limits?: Partial<TransactionLimits> | undefined;
};

/** The explicit transactions that are open. */
export class Transactions {
  readonly #sources: TransactionSources;
  readonly #random: Random;
  readonly #open = new Set<Transaction>();

  constructor({ random, limits = {}, ...sources }: TransactionsSources) {
    const { bufferBytesMax = TRANSACTION_BUFFER_BYTES_MAX, idleMillisMax = TRANSACTION_IDLE_MILLIS_MAX } = limits;
    this.#random = random;
    this.#sources = { ...sources, limits: { bufferBytesMax, idleMillisMax } };
  }

  /** Begins a transaction at the present watermark. `owner` names the request that it belongs to; whoever begins one ends it. */
  begin(owner: string): Transaction {
    const id = uuidV7(this.#sources.clock, this.#random);
    const transaction: Transaction = new Transaction({ id, owner, ended: () => this.#open.delete(transaction) }, this.#sources);
    this.#open.add(transaction);
    return transaction;
  }

  /** How many are open. */
  get size(): number {
    return this.#open.size;
  }

  /** What `system.transactions` shows, in the order of BEGIN. */
  list(): readonly TransactionFigures[] {
    return [...this.#open].map((transaction) => transaction.figures());
  }

  /** Ends all that are open; their next statements fail with the error. */
  abortAll(error: KalamError): void {
    for (const transaction of [...this.#open]) transaction.abort(error);
  }
}
