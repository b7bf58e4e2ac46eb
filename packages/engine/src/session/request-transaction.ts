import { kalamError } from '@kalamdb/protocol';
import type { Statement } from '@kalamdb/sql';
import type { StatementResult } from '../contract.ts';
import type { Transaction } from '../transaction/transaction.ts';
import type { Transactions } from '../transaction/transactions.ts';
import type { Autocommit } from '../write/autocommit.ts';
import type { WriteTarget } from '../write/write-target.ts';

/** The statements that begin, mark and end a transaction. */
export type TransactionStatement = Extract<
  Statement,
  { kind: 'begin' | 'commit' | 'rollback' | 'savepoint' | 'rollback-to-savepoint' | 'release-savepoint' }
>;

const KINDS: ReadonlySet<string> = new Set<TransactionStatement['kind']>([
  'begin',
  'commit',
  'rollback',
  'savepoint',
  'rollback-to-savepoint',
  'release-savepoint',
]);

/** Statements without a plan that an open transaction lets through: they change no data. What is not built refuses itself. */
const NOT_DDL: ReadonlySet<string> = new Set<Statement['kind']>([
  'show-namespaces',
  'show-tables',
  'show-storages',
  'show-manifest',
  'show-columns',
  'show-stats',
  'describe-table',
  'describe-columns',
  'subscribe-to',
  'use-namespace',
  'not-implemented',
]);

/** Whether a statement is one of {@link TransactionStatement}. */
export function isTransactionStatement(statement: Statement): statement is TransactionStatement {
  return KINDS.has(statement.kind);
}

/** The transaction of one request, if it has one; several may follow each other. */
export class RequestTransaction {
  readonly #transactions: Transactions;
  readonly #owner: () => string;
  readonly #namesCommits: boolean;
  #current: Transaction | undefined;
  #committedSeq: bigint | undefined;

  /** `owner` names the request; it is asked when a transaction begins. `namesCommits`: {@link takeCommit} is asked. */
  constructor(transactions: Transactions, { owner, namesCommits }: { readonly owner: () => string; readonly namesCommits: boolean }) {
    this.#transactions = transactions;
    this.#owner = owner;
    this.#namesCommits = namesCommits;
  }

  /** The transaction between BEGIN and COMMIT or ROLLBACK. */
  get current(): Transaction | undefined {
    return this.#current;
  }

  /** Where a statement writes: in the transaction, or at once. */
  writeTarget(autocommit: Autocommit): WriteTarget {
    if (this.#current !== undefined) return this.#current;
    return this.#namesCommits ? autocommit.telling(this.#committed) : autocommit;
  }

  /** The commit that was made since the last call, if commits are to be named. */
  takeCommit(): bigint | undefined {
    const seq = this.#committedSeq;
    this.#committedSeq = undefined;
    return seq;
  }

  /** Runs BEGIN, COMMIT and their kin. Throws TRANSACTION_ACTIVE, TRANSACTION_REQUIRED and what the transaction throws. */
  async run(statement: TransactionStatement, asUser: string): Promise<StatementResult> {
    return { kind: 'message', message: await this.#message(statement), rowCount: 0, dml: undefined, asUser };
  }

  /** Throws TRANSACTION_DDL when the statement is DDL and a transaction is open. */
  refuseDdl(statement: Statement): void {
    if (this.#current !== undefined && !NOT_DDL.has(statement.kind)) throw kalamError('TRANSACTION_DDL', { id: this.#current.id });
  }

  /** Throws TRANSACTION_TABLE_KIND when a transaction is open and the table takes no part in transactions. */
  refuseTable({ kind }: { readonly kind: string }): void {
    if (this.#current === undefined || (kind !== 'stream' && kind !== 'system')) return;
    throw kalamError('TRANSACTION_TABLE_KIND', { kind });
  }

  /** Rolls back what is open; whether anything was. */
  abandon(): boolean {
    const abandoned = this.#current;
    this.#current = undefined;
    abandoned?.rollback();
    return abandoned !== undefined;
  }

  readonly #committed = (seq: bigint): void => {
    this.#committedSeq = seq;
  };

  async #message(statement: TransactionStatement): Promise<string> {
    switch (statement.kind) {
      case 'begin':
        if (this.#current !== undefined) throw kalamError('TRANSACTION_ACTIVE', { id: this.#current.id });
        this.#current = this.#transactions.begin(this.#owner());
        return `Transaction started (${this.#current.id})`;
      case 'commit': {
        const transaction = this.#required('COMMIT');
        await transaction.commit(this.#namesCommits ? this.#committed : undefined);
        this.#current = undefined;
        return `Transaction committed (${transaction.id})`;
      }
      case 'rollback': {
        const transaction = this.#required('ROLLBACK');
        this.abandon();
        return `Transaction rolled back (${transaction.id})`;
      }
      case 'savepoint':
        this.#required('SAVEPOINT').savepoint(statement.name);
        return `Savepoint '${statement.name}' created`;
      case 'rollback-to-savepoint':
        await this.#required('ROLLBACK TO SAVEPOINT').rollbackTo(statement.name);
        return `Rolled back to savepoint '${statement.name}'`;
      case 'release-savepoint':
        this.#required('RELEASE SAVEPOINT').release(statement.name);
        return `Savepoint '${statement.name}' released`;
      default:
        return statement satisfies never;
    }
  }

  #required(statement: string): Transaction {
    if (this.#current === undefined) throw kalamError('TRANSACTION_REQUIRED', { statement });
    return this.#current;
  }
}
