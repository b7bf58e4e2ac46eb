import { kalamError, type Row } from '@kalamdb/protocol';
import type { ResultColumn } from '../../contract.ts';
import { rowsOfChunks } from '../row-chunks.ts';
import { receivedError } from '../scan-messages.ts';
import type { QueryAnswer } from './query-messages.ts';
import { type FeedParts, SourceFeed } from './source-feed.ts';

/** Batches that wait for the reader, and after which the thread is asked for no more: about half a megabyte. */
const BATCHES_READY_MAX = 2;

/** What a {@link RunningQuery} is made of. */
export interface RunningQueryParts extends Omit<FeedParts, 'signal'> {
  /** Called once, when the thread holds nothing of it any more. */
  ended(): void;
}

/** Some rows of an answer. */
export interface RowBatch {
  readonly columns: readonly ResultColumn[];
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
  readonly #ready: Rows[] = [];
  #resolveEnded: () => void = () => undefined;
  #columns: readonly ResultColumn[] = [];
  #failure: { readonly error: unknown } | undefined;
  /** The thread works at a batch. */
  #asked = true;
  /** Its last rows have come. */
  #isComplete = false;
  #hasEnded = false;
  #reader: (() => void) | undefined;

  constructor(parts: RunningQueryParts) {
    this.#parts = parts;
    this.#feed = new SourceFeed({ ...parts, signal: this.#feeding.signal });
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
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
    while (this.#ready.length === 0) {
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#isComplete) return undefined;
      await new Promise<void>((resolve) => {
        this.#reader = resolve;
      });
    }
    if (this.#failure !== undefined) throw this.#failure.error;
    const [batch] = this.#ready.splice(0, 1);
    if (batch === undefined) return undefined;
    this.#ask();
    const rows = await this.#parts.slices.runFirst(rowsOfChunks(batch.chunks));
    return { columns: this.#columns, rows, units: batch.units };
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
    this.#ready.push(batch);
    this.#ask();
    this.#wake();
  }

  #ask(): void {
    if (this.#asked || this.#isComplete || this.#failure !== undefined || this.#ready.length >= BATCHES_READY_MAX) return;
    this.#asked = true;
    this.#parts.post({ kind: 'more', id: this.#parts.id }, []);
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#ready.length = 0;
    this.#stopFeeding(error);
    this.#wake();
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

  #wake(): void {
    this.#reader?.();
    this.#reader = undefined;
  }
}
