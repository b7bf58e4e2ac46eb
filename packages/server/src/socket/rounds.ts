import type { Timer, Timers } from '@kalamdb/protocol';

/** Time between two slices. */
const TICK_MILLIS = 100;

/** What is done in a round. */
export interface RoundOptions<T> {
  readonly members: ReadonlySet<T>;
  readonly periodMillis: number;
  readonly visit: (member: T) => void;
}

/**
 * Visits every member of a set once in each period, a few at a time: with ten thousand of them no turn of the event loop is
 * long. Members that come or go meanwhile are no harm; a new one has its turn in this round or the next.
 */
export class Rounds<T> {
  readonly #options: RoundOptions<T>;
  readonly #timer: Timer;
  readonly #ticks: number;
  #tick = 0;
  #round: SetIterator<T> | undefined;

  constructor(timers: Timers, options: RoundOptions<T>) {
    this.#options = options;
    this.#ticks = Math.max(1, Math.floor(options.periodMillis / TICK_MILLIS));
    this.#timer = timers.every(options.periodMillis / this.#ticks, () => this.#visitSlice());
  }

  cancel(): void {
    this.#timer.cancel();
  }

  #visitSlice(): void {
    const { members, visit } = this.#options;
    if (this.#tick === 0) this.#round = members.values();
    this.#tick = (this.#tick + 1) % this.#ticks;
    // The last slice takes what is left: more members may have come than the earlier ones reckoned with.
    const countMax = this.#tick === 0 ? members.size : Math.ceil(members.size / this.#ticks);
    for (let count = 0; count < countMax; count++) {
      const next = this.#round?.next();
      if (next === undefined || next.done === true) {
        this.#round = undefined;
        return;
      }
      visit(next.value);
    }
  }
}
