import { type Clock, kalamError, type Row, type Timer, type Timers } from '@kalamdb/protocol';
import type { ResultColumn } from '../../contract.ts';
import { AnswerSpool, type SpoolFolder } from '../answer-spool.ts';
import { rowsOfChunks } from '../row-chunks.ts';
import { receivedError } from '../scan-messages.ts';
import type { QueryAnswer } from './query-messages.ts';
import { type FeedParts, SourceFeed } from './source-feed.ts';

/** Bytes that wait for the reader, and after which the thread is asked for no more. */
const AHEAD_BYTES_MAX = 512 * 1024;
/** The same of an answer whose reader is slow: it waits on the disk, and does not keep its slot. */
const ASIDE_BYTES_MAX: number = 256 * 1024 ** 2;
/** How long the thread waits for a reader, all in all, before that reader is slow. */
const PATIENCE_MILLIS = 1000;

/** What a {@link RunningQuery} is made of. */
export interface RunningQueryParts extends Omit<FeedParts, 'signal'> {
  /** Where the answer of a slow reader waits; `undefined`: in memory, as all others do. */
  readonly spool: SpoolFolder | undefined;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Whether one more answer may be put aside on the disk. */
  putsAside(): boolean;
  /** Called once, when the thread holds nothing of it any more. */
  ended(): void;
  /** Called once, when nothing of the answer waits any more. */
  read(): void;
}

/** Some rows of an answer. */
export interface RowBatch {
  readonly rows: readonly Row[];
  /** Characters and bytes of the texts in them. */
  readonly units: number;
}

type Rows = Extract<QueryAnswer, { kind: 'rows' }>;

/** One query in the query thread, seen from the main thread. */
export class RunningQuery {
  /** Resolves when the thread holds nothing of it any more. */
  readonly ended: Promise<void>;
  readonly #parts: RunningQueryParts;
  readonly #feed: SourceFeed;
  readonly #feeding = new AbortController();
  readonly #waiting: AnswerSpool;
  /** Of the batches that wait, in their order. */
  readonly #units: number[] = [];
  #resolveEnded: () => void = () => undefined;
  #columns: readonly ResultColumn[] = [];
  #failure: { readonly error: unknown } | undefined;
  /** The thread works at a batch. */
  #asked = true;
  /** Its last rows have come. */
  #isComplete = false;
  #hasEnded = false;
  /** Nothing of the answer waits any more. */
  #isRead = false;
  /** It runs ahead of its reader. */
  #isAside = false;
  /** Since when the thread waits for the reader, and how long it has before. */
  #pause: { readonly since: number; readonly end: Timer } | undefined;
  #pausedMillis = 0;

  constructor(parts: RunningQueryParts) {
    this.#parts = parts;
    this.#waiting = new AnswerSpool(parts.spool);
    this.#feed = new SourceFeed({ ...parts, signal: this.#feeding.signal });
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  /** What the rows have; known when the first of them are, or none. */
  get columns(): readonly ResultColumn[] {
    return this.#columns;
  }

  /** All of its answer has come, though it may not be read yet. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Sends it to the thread. Throws what opening a snapshot throws. */
  begin(): void {
    const { id, query, post } = this.#parts;
    this.#feed.pin();
    try {
      post({ kind: 'query', id, query }, []);
    } catch (error) {
      this.#feed.unpin();
      this.#feed.release();
      throw error;
    }
    if (!query.columnsOnly && query.sources.length > 0 && query.sources.every(({ hot }) => hot === undefined)) this.#feedSources(0n);
  }

  /** The next rows; `undefined` at the end. Rejects with what the query fails with. One call at a time. */
  async next(): Promise<RowBatch | undefined> {
    if (this.#failure !== undefined) throw this.#failure.error;
    const chunks = this.#isRead ? undefined : await this.#waiting.next();
    if (chunks === undefined) {
      this.#leave();
      return undefined;
    }
    const units = this.#units.shift() ?? 0;
    this.#resume();
    this.#ask();
    const rows = await this.#parts.slices.runFirst(rowsOfChunks(chunks));
    return { rows, units };
  }

  /** Ends it with an error, wherever it is; one that is over already only forgets its rows. */
  abandon(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#fail(error);
    if (!this.#hasEnded) this.#parts.post({ kind: 'abandon', id: this.#parts.id }, []);
  }

  /** Takes what the thread says. */
  answered(answer: QueryAnswer): void {
    switch (answer.kind) {
      case 'opened':
        this.#feedSources(answer.appliedSeq);
        break;
      case 'taken':
        this.#feed.taken();
        break;
      case 'rows':
        this.#received(answer);
        break;
      case 'failed':
        this.#fail(receivedError(answer.error));
        this.#end();
        break;
      default:
        answer satisfies never;
    }
  }

  /** The thread has ended with it. */
  died(cause: unknown): void {
    if (!this.#isComplete) this.#fail(kalamError('QUERY_INTERRUPTED', {}, { cause }));
    this.#end();
  }

  #feedSources(appliedSeq: bigint): void {
    if (this.#feeding.signal.aborted) return;
    this.#feed.run(appliedSeq).catch((error: unknown) => this.abandon(error));
  }

  #received(batch: Rows): void {
    this.#asked = false;
    if (batch.last) this.#end();
    if (this.#failure !== undefined) return;
    this.#columns = batch.columns ?? this.#columns;
    this.#isComplete = batch.last;
    if (batch.report !== undefined) this.#parts.request.report?.(batch.report);
    if (batch.chunks.length > 0) this.#units.push(batch.units);
    // What fails to be put aside ends the answer; its reader hears of it from the spool.
    Promise.resolve(this.#waiting.take(batch.chunks)).then(
      () => this.#ask(),
      (error: unknown) => this.abandon(error),
    );
    if (batch.last) this.#waiting.ended();
  }

  #ask(): void {
    if (this.#asked || this.#isComplete || this.#failure !== undefined) return;
    if (this.#waiting.waitingBytes >= (this.#isAside ? ASIDE_BYTES_MAX : AHEAD_BYTES_MAX)) {
      this.#wait();
      return;
    }
    this.#asked = true;
    this.#parts.post({ kind: 'more', id: this.#parts.id }, []);
  }

  /** The thread waits for the reader. */
  #wait(): void {
    const { spool, clock, timers } = this.#parts;
    if (this.#pause !== undefined || this.#isAside || spool === undefined) return;
    const slow = (): void => {
      this.#pause = undefined;
      this.#isAside = this.#parts.putsAside();
      if (this.#isAside) this.#ask();
    };
    this.#pause = { since: clock.elapsed(), end: timers.after(PATIENCE_MILLIS - this.#pausedMillis, slow) };
  }

  #resume(): void {
    if (this.#pause === undefined || this.#waiting.waitingBytes >= AHEAD_BYTES_MAX) return;
    this.#stopPause();
  }

  #stopPause(): void {
    if (this.#pause === undefined) return;
    this.#pausedMillis = Math.min(PATIENCE_MILLIS, this.#pausedMillis + this.#parts.clock.elapsed() - this.#pause.since);
    this.#pause.end.cancel();
    this.#pause = undefined;
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#waiting.fail(error);
    this.#stopFeeding(error);
    this.#leave();
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#stopFeeding(kalamError('QUERY_INTERRUPTED'));
    this.#feed.release();
    this.#parts.ended();
    this.#resolveEnded();
  }

  #stopFeeding(error: unknown): void {
    this.#feeding.abort(error);
    this.#feed.unpin();
  }

  /** Nobody reads on. */
  #leave(): void {
    if (this.#isRead) return;
    this.#isRead = true;
    this.#stopPause();
    this.#parts.read();
    void this.#waiting.close();
  }
}
