import { kalamError, type Row } from '@kalamdb/protocol';
import type { RowStream } from '../contract.ts';
import type { Slices } from '../slices/slices.ts';
import type { AnswerSpool } from './answer-spool.ts';
import { rowsOfChunks } from './row-chunks.ts';

/** The rows of a {@link RowStream} whose columns are known elsewhere. */
export type RowBatches = Pick<RowStream, 'next' | 'close'>;

/** What a {@link ThreadRows} is made of. */
export interface ThreadRowsParts {
  readonly spool: AnswerSpool;
  readonly slices: Slices;
  /** Stops the query, which may have ended. */
  readonly giveUp: (error: unknown) => void;
  /** Called once, when it is closed. */
  readonly closed: () => void;
}

/** The rows of a query that the scan thread runs, read in slices as they come. */
export class ThreadRows implements RowBatches {
  readonly #parts: ThreadRowsParts;
  #isClosed = false;

  constructor(parts: ThreadRowsParts) {
    this.#parts = parts;
  }

  async next(): Promise<readonly Row[] | undefined> {
    const { spool, slices } = this.#parts;
    const chunks = await spool.next();
    return chunks === undefined ? undefined : slices.runFirst(rowsOfChunks(chunks));
  }

  /** Fails what is read from now on. */
  fail(error: unknown): void {
    this.#parts.giveUp(error);
    this.#parts.spool.fail(error);
  }

  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#parts.closed();
      this.#parts.giveUp(kalamError('QUERY_INTERRUPTED'));
    }
    await this.#parts.spool.close();
  }
}
