import { kalamError, type Row } from '@kalamdb/protocol';
import type { ResultColumn, RowStream } from '../../contract.ts';
import type { RowBatch, RunningQuery } from './running-query.ts';

/** What a stream ends with. */
export interface StreamEnd {
  /** Aborted when the statement has to end, with the error. */
  readonly signal: AbortSignal;
  /** Called once, when the stream has ended on any path. */
  ended(): void;
}

/** The rows of a general query as they are made. */
export class AnswerStream implements RowStream {
  readonly columns: readonly ResultColumn[];
  readonly #query: RunningQuery;
  readonly #end: StreamEnd;
  readonly #abort: () => void;
  /** Read already, because it says what the columns are. */
  #first: RowBatch | undefined;
  #isOver = false;

  /** Resolves when the first rows are there. Rejects with what the query fails with. */
  static async begin(query: RunningQuery, end: StreamEnd): Promise<AnswerStream> {
    const { signal } = end;
    const abort = (): void => query.abandon(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      const first = await query.next();
      return new AnswerStream(query, end, { first, abort });
    } catch (error) {
      signal.removeEventListener('abort', abort);
      throw error;
    }
  }

  private constructor(
    query: RunningQuery,
    end: StreamEnd,
    { first, abort }: { readonly first: RowBatch | undefined; readonly abort: () => void },
  ) {
    this.#query = query;
    this.#end = end;
    this.#abort = abort;
    this.#first = first;
    this.columns = query.columns;
  }

  /** {@link next} with what the rows weigh. */
  async nextBatch(): Promise<RowBatch | undefined> {
    this.#end.signal.throwIfAborted();
    try {
      for (;;) {
        const batch = this.#first ?? (await this.#query.next());
        this.#first = undefined;
        if (batch === undefined) this.#over();
        if (batch === undefined || batch.rows.length > 0) return batch;
      }
    } catch (error) {
      this.#over();
      throw error;
    }
  }

  async next(): Promise<readonly Row[] | undefined> {
    return (await this.nextBatch())?.rows;
  }

  async close(): Promise<void> {
    if (this.#isOver) return;
    this.#over();
    this.#query.abandon(kalamError('QUERY_INTERRUPTED'));
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#first = undefined;
    this.#end.signal.removeEventListener('abort', this.#abort);
    this.#end.ended();
  }
}
