import { type Cell, type Clock, kalamError, type Timers } from '@kalamdb/protocol';
import type { Principal, StatementAnswer, StatementResult } from '../contract.ts';
import type { QueryRunner } from '../read/query-runner.ts';
import { failureOf } from './failure.ts';
import { LONG_TEXT_UNITS, type RequestLimits, statementsInSteps, statementsOf } from './request.ts';
import type { RequestTransaction } from './request-transaction.ts';
import { rowsOf, type StatementRecord } from './statement-record.ts';
import { WatchedStream } from './watched-stream.ts';

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
  /** Runs one statement; `streams`: its rows may be a stream. */
  run(text: string, parameters: readonly Cell[], streams: boolean): Promise<StatementAnswer>;
}

/** Whether a request ends with its text, and whether the rows of its last statement may be a stream. */
interface RequestEnd {
  readonly isLast: boolean;
  readonly streams: boolean;
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
    return this.#run(sql, parameters, { isLast: false, streams: false }).then(heldResults);
  }

  /** {@link execute}, then {@link end}. */
  executeLast(sql: string, parameters: readonly Cell[]): Promise<readonly StatementResult[]> {
    return this.#run(sql, parameters, { isLast: true, streams: false }).then(heldResults);
  }

  /** {@link executeLast} whose last answer may be a stream, unless a transaction is open; whoever gets one closes it. */
  answerLast(sql: string, parameters: readonly Cell[]): Promise<readonly StatementAnswer[]> {
    return this.#run(sql, parameters, { isLast: true, streams: true });
  }

  /** Throws TRANSACTION_LEFT_OPEN when a transaction is open; it is rolled back. */
  end(): void {
    if (this.#parts.transaction.abandon()) throw kalamError('TRANSACTION_LEFT_OPEN');
  }

  async #run(sql: string, parameters: readonly Cell[], { isLast, streams }: RequestEnd): Promise<readonly StatementAnswer[]> {
    const { principal, transaction, limits, queries } = this.#parts;
    const results: StatementAnswer[] = [];
    try {
      const request = { sql, parameters, principal };
      const isLong = sql.length > LONG_TEXT_UNITS;
      const statements = isLong ? await queries.run(statementsInSteps(request, limits)) : statementsOf(request, limits);
      for (const [index, text] of statements.entries()) {
        if (index > 0) await this.#rest(results[index - 1]);
        const mayStream = streams && index === statements.length - 1 && transaction.current === undefined;
        try {
          results.push(await this.#runOne(text, parameters, mayStream ? index + 1 : undefined));
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

  /** `streamed`: the number of the statement when its rows may be a stream. */
  async #runOne(text: string, parameters: readonly Cell[], streamed: number | undefined): Promise<StatementAnswer> {
    const { principal, transaction, requestId, clock, onStatement, run } = this.#parts;
    const start = clock.elapsed();
    const note = (millis: number, rows: number, failed: boolean): void =>
      onStatement?.({ text, principal, requestId, millis, rows, failed });
    let result: StatementAnswer;
    try {
      result = await run(text, parameters, streamed !== undefined);
    } catch (error) {
      note(clock.elapsed() - start, 0, true);
      throw error;
    }
    const millis = clock.elapsed() - start;
    if (result.kind !== 'stream') {
      note(millis, rowsOf(result), false);
      const commit = transaction.takeCommit();
      return commit === undefined ? result : { ...result, commit };
    }
    const failure = (error: unknown): Error => failureOf(error, streamed ?? 1, text);
    return { ...result, stream: new WatchedStream(result.stream, { clock, millis, failure, ended: note }) };
  }

  /** Queries and the statements of a transaction do not wait for the disk: without this a long request would hold up all others. */
  async #rest(last: StatementAnswer | undefined): Promise<void> {
    const { clock, timers, transaction } = this.#parts;
    const waited = transaction.current === undefined && last?.kind === 'message';
    if (!waited && this.#busySinceMillis !== undefined) {
      if (clock.elapsed() - this.#busySinceMillis < BUSY_MILLIS_MAX) return;
      await new Promise<void>((resolve) => timers.after(0, resolve, { keepAlive: true }));
    }
    this.#busySinceMillis = clock.elapsed();
  }
}

function heldResults(answers: readonly StatementAnswer[]): readonly StatementResult[] {
  if (answers.every(isHeld)) return answers;
  throw kalamError('INTERNAL_ERROR', { reason: 'rows were a stream for a caller that takes none' });
}

function isHeld(answer: StatementAnswer): answer is StatementResult {
  return answer.kind !== 'stream';
}
