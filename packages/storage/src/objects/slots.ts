import { kalamError } from '@kalamdb/protocol';

/** Those who wait for a slot at most. */
const WAITING_MAX = 10_000;

/** Lets a few at once do what is costly; the others wait in order. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Runs `work` in a slot. Whoever gives up while it waits rejects with the signal's reason; STORE_THROTTLED when too many wait. */
  async during<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#take();
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  async #take(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    if (this.#waiting.length >= WAITING_MAX) {
      throw kalamError('STORE_THROTTLED', { storage: '*', reason: `${WAITING_MAX} downloads are waiting` });
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
