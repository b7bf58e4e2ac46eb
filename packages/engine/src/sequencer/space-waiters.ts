import type { Timers } from '@kalamdb/protocol';

/** Writers that wait until the overlay may have room again. */
export class SpaceWaiters {
  readonly #timers: Timers;
  readonly #waiting = new Set<() => void>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Resolves at the next {@link wake}, and after `millis` in any case. */
  wait(millis: number): Promise<void> {
    return new Promise<void>((resolve) => {
      const wake = (): void => {
        timer.cancel();
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = this.#timers.after(millis, wake, { keepAlive: true });
      this.#waiting.add(wake);
    });
  }

  /** There may be room, or none will come any more. */
  wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}
