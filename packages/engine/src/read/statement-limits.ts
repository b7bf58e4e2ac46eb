import { type Clock, kalamError, type Timers } from '@kalamdb/protocol';
import type { SliceCheck } from '../slices/slices.ts';

/** What a {@link StatementLimits} watches. */
export interface LimitSources {
  readonly clock: Clock;
  readonly timeoutMillis: number;
  /** Of the runner. */
  readonly closed: AbortSignal;
  /** Of the statement. */
  readonly signal: AbortSignal | undefined;
}

/** When a statement has to end before it is done. */
export class StatementLimits {
  /** Throws when the statement has to end. */
  readonly check: SliceCheck;
  readonly #sources: LimitSources;
  readonly #endMillis: number;

  constructor(sources: LimitSources) {
    const { clock, timeoutMillis, closed, signal } = sources;
    const endMillis = clock.elapsed() + timeoutMillis;
    this.#sources = sources;
    this.#endMillis = endMillis;
    this.check = () => {
      if (closed.aborted) throw closed.reason;
      if (signal?.aborted === true) throw signal.reason;
      if (clock.elapsed() >= endMillis) throw this.#timeout();
    };
  }

  /** Calls `end` with the error as soon as the statement has to end; returns what stops watching. */
  watch(timers: Timers, end: (error: unknown) => void): () => void {
    const { clock, signal } = this.#sources;
    const aborted = (): void => end(signal?.reason);
    if (signal?.aborted === true) aborted();
    signal?.addEventListener('abort', aborted);
    const left = Math.max(0, this.#endMillis - clock.elapsed());
    const timer = timers.after(left, () => end(this.#timeout()), { keepAlive: true });
    return () => {
      timer.cancel();
      signal?.removeEventListener('abort', aborted);
    };
  }

  #timeout(): Error {
    return kalamError('STATEMENT_TIMEOUT', { seconds: this.#sources.timeoutMillis / 1000 });
  }
}
