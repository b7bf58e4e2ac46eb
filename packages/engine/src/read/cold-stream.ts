import type { Row } from '@kalamdb/protocol';
import type { Slices } from '../slices/slices.ts';
import type { Steps } from '../slices/steps.ts';
import type { AnswerSpool } from './answer-spool.ts';
import { type ColdSelect, selectOverCold } from './cold-select.ts';
import { chunksOfRows } from './row-chunks.ts';

/** Rows up to which an answer is held, and of the parts that a longer one is put aside in. */
const HELD_ROWS_MAX = 2000;

/** What {@link ColdRowsToSpool} works with. */
export interface ColdStreamParts {
  readonly select: Omit<ColdSelect, 'take' | 'run'>;
  readonly slices: Slices;
  /** Asked between two slices; what it throws ends the query. */
  readonly check: () => void;
  /** Makes the spool of an answer that is long. Throws QUERIES_BUSY. */
  readonly spool: () => AnswerSpool;
}

/**
 * Runs a SELECT over cold rows. A short answer is held; a longer one goes through a spool from its first rows on, at the pace of the query: its
 * view of the data does not wait for its reader.
 */
export class ColdRowsToSpool {
  readonly #parts: ColdStreamParts;
  #held: Row[] = [];
  #spool: AnswerSpool | undefined;
  #stopped: { readonly error: unknown } | undefined;

  constructor(parts: ColdStreamParts) {
    this.#parts = parts;
  }

  /** Resolves with the rows, or as soon as they are too many with the spool that they go to. */
  begin(): Promise<readonly Row[] | AnswerSpool> {
    return new Promise((resolve, reject) => {
      const select = { ...this.#parts.select, run: this.#run, take: (rows: readonly Row[]) => this.#take(rows, resolve) };
      selectOverCold(select)
        .then(async (rest) => {
          for (let at = 0; at < rest.length; at += HELD_ROWS_MAX) await this.#take(rest.slice(at, at + HELD_ROWS_MAX), resolve);
          if (this.#spool === undefined) resolve(this.#held);
          else {
            await this.#putAside(this.#spool);
            this.#spool.ended();
          }
        })
        .catch((error: unknown) => {
          this.#spool?.fail(error);
          reject(error);
        });
    });
  }

  /** Ends the query at its next step. */
  stop(error: unknown): void {
    this.#stopped ??= { error };
  }

  readonly #run = <T>(steps: Steps<T>): T | Promise<T> => this.#parts.slices.run(steps, this.#check);

  readonly #check = (): void => {
    if (this.#stopped !== undefined) throw this.#stopped.error;
    this.#parts.check();
  };

  async #take(rows: readonly Row[], begun: (spool: AnswerSpool) => void): Promise<void> {
    this.#check();
    for (const row of rows) this.#held.push(row);
    if (this.#held.length < HELD_ROWS_MAX) return;
    this.#spool ??= this.#parts.spool();
    await this.#putAside(this.#spool);
    begun(this.#spool);
  }

  async #putAside(spool: AnswerSpool): Promise<void> {
    const rows = this.#held;
    this.#held = [];
    await spool.take(await this.#run(chunksOfRows(rows)));
  }
}
