import type { Clock, Row } from '@kalamdb/protocol';
import type { ResultColumn, RowStream } from '../contract.ts';

/** Who watches a stream. */
export interface StreamWatch {
  readonly clock: Clock;
  /** What was waited for before the stream was there. */
  readonly millis: number;
  /** What its reader is told of an error. */
  failure(error: unknown): Error;
  /** Called once, at its end: with the time that was waited for its rows, their number, and whether they were not all of them. */
  ended(millis: number, rows: number, failed: boolean): void;
}

/** The rows of a statement that is counted and timed when they have been read. */
export class WatchedStream implements RowStream {
  readonly columns: readonly ResultColumn[];
  readonly #stream: RowStream;
  readonly #watch: StreamWatch;
  #millis: number;
  #rows = 0;
  #isOver = false;

  constructor(stream: RowStream, watch: StreamWatch) {
    this.columns = stream.columns;
    this.#stream = stream;
    this.#watch = watch;
    this.#millis = watch.millis;
  }

  async next(): Promise<readonly Row[] | undefined> {
    const { clock } = this.#watch;
    const start = clock.elapsed();
    try {
      const rows = await this.#stream.next();
      this.#millis += clock.elapsed() - start;
      if (rows === undefined) this.#over(false);
      else this.#rows += rows.length;
      return rows;
    } catch (error) {
      this.#millis += clock.elapsed() - start;
      this.#over(true);
      throw this.#watch.failure(error);
    }
  }

  close(): Promise<void> {
    this.#over(true);
    return this.#stream.close();
  }

  #over(failed: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#watch.ended(this.#millis, this.#rows, failed);
  }
}
