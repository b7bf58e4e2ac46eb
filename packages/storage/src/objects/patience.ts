import type { KalamError, Random, Timer, Timers } from '@kalamdb/protocol';

/** How long and how often a store over a network tries. */
export interface Patience {
  /** Tries of one request, the first included. */
  readonly triesMax: number;
  /** Longest wait for an answer, or for the next bytes of one. */
  readonly answerMillisMax: number;
  /** The wait before the second try is random below this, and below twice as much before each further one … */
  readonly pauseMillisFirst: number;
  /** … up to this. Also the most that a server's own wish for a pause is followed. */
  readonly pauseMillisMax: number;
}

/** For stores that nobody has told otherwise. */
export const PATIENCE: Patience = { triesMax: 5, answerMillisMax: 30_000, pauseMillisFirst: 200, pauseMillisMax: 10_000 };

/** What tries work with. */
export interface TryContext {
  readonly patience: Patience;
  readonly timers: Timers;
  readonly random: Random;
  /** Ends waiting and trying. */
  readonly signal: AbortSignal;
}

/** A failure after which another try makes sense, and when the server wants it. */
export class TryAgain extends Error {
  /** What the caller gets when there are no more tries. */
  readonly failure: KalamError;
  readonly afterMillis: number | undefined;

  constructor(failure: KalamError, afterMillis?: number) {
    super(failure.message, { cause: failure });
    this.failure = failure;
    this.afterMillis = afterMillis;
  }
}

/**
 * Runs `attempt` until it succeeds, fails with anything but {@link TryAgain}, or has had all its tries; pauses grow and are random, so
 * that those who failed together do not come back together.
 */
export async function withTries<T>(context: TryContext, attempt: () => Promise<T>): Promise<T> {
  const { triesMax, pauseMillisFirst, pauseMillisMax } = context.patience;
  for (let number = 1; ; number += 1) {
    context.signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof TryAgain)) throw error;
      if (number >= triesMax) throw error.failure;
      const bound = Math.min(pauseMillisMax, pauseMillisFirst * 2 ** (number - 1));
      await pause(context, Math.min(pauseMillisMax, error.afterMillis ?? context.random.uniform() * bound));
    }
  }
}

function pause({ timers, signal }: TryContext, millis: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      timer.cancel();
      reject(signal.reason);
    };
    const timer = timers.after(
      millis,
      () => {
        signal.removeEventListener('abort', end);
        resolve();
      },
      { keepAlive: true },
    );
    signal.addEventListener('abort', end, { once: true });
  });
}

/** A signal that ends with the first of several, for as long as it is not released. */
export interface LinkedSignal {
  readonly signal: AbortSignal;
  release(): void;
}

/** Links signals. `AbortSignal.any` does the same, but in some releases of Node a signal that lives long remembers every one made from it. */
export function linkSignals(signals: readonly (AbortSignal | undefined)[]): LinkedSignal {
  const controller = new AbortController();
  const links = signals.flatMap((signal) => (signal === undefined ? [] : [{ signal, end: (): void => controller.abort(signal.reason) }]));
  for (const { signal, end } of links) {
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  }
  const release = (): void => {
    for (const { signal, end } of links) signal.removeEventListener('abort', end);
  };
  return { signal: controller.signal, release };
}

/** Aborts a request that makes no progress, or that somebody else ends. */
export class Watchdog {
  readonly #timers: Timers;
  readonly #controller = new AbortController();
  readonly #linked: LinkedSignal;
  #timer: Timer | undefined;
  /** Whether it was this that ended the request. */
  hasBitten = false;

  constructor(timers: Timers, ended: AbortSignal) {
    this.#timers = timers;
    this.#linked = linkSignals([ended, this.#controller.signal]);
  }

  get signal(): AbortSignal {
    return this.#linked.signal;
  }

  /** From now on there have to be news within this time. */
  expect(millis: number): void {
    this.#timer?.cancel();
    this.#timer = this.#timers.after(millis, () => {
      this.hasBitten = true;
      this.#controller.abort();
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#linked.release();
  }
}
