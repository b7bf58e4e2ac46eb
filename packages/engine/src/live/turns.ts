import type { Timers } from '@kalamdb/protocol';

/**
 * Hands out turns of the event loop to those who work in slices. However many wait, each slice has a turn of its own, with what has arrived
 * in between; whoever asks again waits for the next round.
 */
export class Turns {
  readonly #timers: Timers;
  #waiting: (() => void)[] = [];
  #isGiving = false;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Resolves in a later turn; it keeps the process alive until then. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (!this.#isGiving) this.#begin();
    });
  }

  #begin(): void {
    this.#isGiving = true;
    this.#timers.after(
      0,
      () => {
        const round = this.#waiting.values();
        this.#waiting = [];
        this.#give(round);
      },
      { keepAlive: true },
    );
  }

  #give(round: IterableIterator<() => void>): void {
    const { done, value: wake } = round.next();
    if (done !== true) {
      wake();
      this.#timers.soon(() => this.#give(round));
      return;
    }
    this.#isGiving = false;
    if (this.#waiting.length > 0) this.#begin();
  }
}
