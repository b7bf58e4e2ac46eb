import type { Timer, Timers } from '@kalamdb/protocol';

/** Timers that fire when the test says so. */
export class ManualTimers implements Timers {
  readonly #waiting: Set<() => void> = new Set();

  after(_millis: number, callback: () => void): Timer {
    const fire = (): void => {
      this.#waiting.delete(fire);
      callback();
    };
    this.#waiting.add(fire);
    return { cancel: () => void this.#waiting.delete(fire) };
  }

  soon(): void {
    throw new Error('not used by storage');
  }

  every(): Timer {
    throw new Error('not used by storage');
  }

  /** Fires everything that waits now. */
  fire(): void {
    for (const callback of [...this.#waiting]) callback();
  }
}
