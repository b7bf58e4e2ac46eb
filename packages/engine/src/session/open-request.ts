import { type Cell, type Clock, kalamError, type Timers } from '@kalamdb/protocol';
import type { Principal, StatementResult } from '../contract.ts';
import type { QueryRunner } from '../read/query-runner.ts';
import { failureOf } from './failure.ts';
import { LONG_TEXT_UNITS, type RequestLimits, statementsInSteps, statementsOf } from './request.ts';
import type { RequestTransaction } from './request-transaction.ts';
import { rowsOf, type StatementRecord } from './statement-record.ts';

/** Milliseconds that statements of one request may run one after another while everybody else waits. */
const BUSY_MILLIS_MAX = 4;

/** What an {@link OpenRequest} is made of. */
export interface OpenRequestParts {
  readonly principal: Principal;
  readonly transaction: RequestTransaction;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly limits: RequestLimits;
  /** Reads long texts in slices. */
  readonly queries: Pick<QueryRunner, 'run'>;
  readonly requestId: string | undefined;
  /** Told of each statement that ran, whether it failed or not. */
  readonly onStatement: ((record: StatementRecord) => void) | undefined;
  /** Runs one statement. */
  run(text: string, parameters: readonly Cell[]): Promise<StatementResult>;
}

/**
 * A request whose texts come one after another: a transaction may begin in one and end in another. Whoever opens one ends
 * it. One text at a time.
 */
export class OpenRequest {
  readonly #parts: OpenRequestParts;
  /** Since when no statement has waited for anything; set between the first two statements. */
  #busySinceMillis: number | undefined;

  constructor(parts: OpenRequestParts) {
    this.#parts = parts;
  }

  /** As `Session.execute`, but a transaction stays open. After an error there is none. */
  execute(sql: string, parameters: readonly Cell[] = []): Promise<readonly StatementResult[]> {
    return this.#run(sql, parameters, false);
  }

  /** {@link execute}, then {@link end}. */
  executeLast(sql: string, parameters: readonly Cell[]): Promise<readonly StatementResult[]> {
    return this.#run(sql, parameters, true);
  }

  /** Throws TRANSACTION_LEFT_OPEN when a transaction is open; it is rolled back. */
  end(): void {
    if (this.#parts.transaction.abandon()) throw kalamError('TRANSACTION_LEFT_OPEN');
  }

  async #run(sql: string, parameters: readonly Cell[], isLast: boolean): Promise<readonly StatementResult[]> {
    const { principal, transaction, limits, queries } = this.#parts;
    const results: StatementResult[] = [];
    try {
      const request = { sql, parameters, principal };
      const isLong = sql.length > LONG_TEXT_UNITS;
      const statements = isLong ? await queries.run(statementsInSteps(request, limits)) : statementsOf(request, limits);
      for (const [index, text] of statements.entries()) {
        if (index > 0) await this.#rest(results[index - 1]);
        try {
          results.push(await this.#runOne(text, parameters));
        } catch (error) {
          throw failureOf(error, index + 1, text);
        }
      }
    } catch (error) {
      transaction.abandon();
      throw error;
    }
    if (isLast) this.end();
    return results;
  }

  async #runOne(text: string, parameters: readonly Cell[]): Promise<StatementResult> {
    const { principal, requestId, clock, onStatement, run } = this.#parts;
    if (onStatement === undefined) return run(text, parameters);
    const start = clock.elapsed();
    let result: StatementResult | undefined;
    try {
      result = await run(text, parameters);
      return result;
    } finally {
      const rows = result === undefined ? 0 : rowsOf(result);
      onStatement({ text, principal, requestId, millis: clock.elapsed() - start, rows, failed: result === undefined });
    }
  }

  /** Queries and the statements of a transaction do not wait for the disk: without this a long request would hold up all others. */
  async #rest(last: StatementResult | undefined): Promise<void> {
    const { clock, timers, transaction } = this.#parts;
    const waited = transaction.current === undefined && last?.kind === 'message';
    if (!waited && this.#busySinceMillis !== undefined) {
      if (clock.elapsed() - this.#busySinceMillis < BUSY_MILLIS_MAX) return;
      await new Promise<void>((resolve) => timers.after(0, resolve, { keepAlive: true }));
    }
    this.#busySinceMillis = clock.elapsed();
  }
}
