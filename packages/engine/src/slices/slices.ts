import { type Clock, kalamError, type Timers } from '@kalamdb/protocol';
import type { Steps } from './steps.ts';

/** Milliseconds that scans may take of one turn of the event loop, all together; other work has its turn after that. */
export const SLICE_MILLIS = 4;
/** Milliseconds of a turn for work that goes on; what is left of {@link SLICE_MILLIS} is for short reads that come in the same turn. */
const CONTINUED_MILLIS = 3;
/** Milliseconds of a turn that scans may take before the turn is counted at all: short reads set no timer. */
const UNCOUNTED_MILLIS = 1;
/** Pieces of work that wait for their next slice. */
export const SLICED_WORK_MAX = 1000;

/** Asked before each slice but the first; what it throws ends the work. */
export type SliceCheck = () => void;

/**
 * Runs long synchronous work in slices, so that the event loop is never busy with it for longer than {@link SLICE_MILLIS}.
 * One slice per turn, in the order of asking: many scans at once take as much of a turn as one. Work that is done within what
 * is left of the present turn is done at once.
 */
export class Slices {
  readonly #clock: Clock;
  readonly #timers: Timers;
  #spentMillis = 0;
  #turnSet = false;
  readonly #waiting: (() => void)[] = [];

  constructor(environment: { readonly clock: Clock; readonly timers: Timers }) {
    this.#clock = environment.clock;
    this.#timers = environment.timers;
  }

  /**
   * The result of the work: itself when it could be had at once, else a promise. Throws or rejects with what the work or
   * `check` throws, and QUERIES_BUSY; the work has released what it held then.
   */
  run<T>(steps: Steps<T>, check?: SliceCheck): T | Promise<T> {
    if (this.#spentMillis < SLICE_MILLIS) {
      const done = this.#slice(steps, SLICE_MILLIS - this.#spentMillis);
      if (done !== undefined) return done.value;
    }
    return this.#continue(steps, check);
  }

  /** Resolves when no work waits for a slice. */
  async idle(): Promise<void> {
    while (this.#waiting.length > 0) await this.#turn();
  }

  async #continue<T>(steps: Steps<T>, check: SliceCheck | undefined): Promise<T> {
    try {
      for (;;) {
        await this.#turn();
        const done = this.#continuedSlice(steps, check);
        if (done !== undefined) return done.value;
      }
    } finally {
      // Ends work that was left between two steps; otherwise it has ended already and this does nothing.
      steps.return(undefined as never);
    }
  }

  #continuedSlice<T>(steps: Steps<T>, check: SliceCheck | undefined): { readonly value: T } | undefined {
    try {
      check?.();
      return this.#slice(steps, CONTINUED_MILLIS);
    } finally {
      if (this.#waiting.length > 0) this.#setTurn();
    }
  }

  #slice<T>(steps: Steps<T>, millis: number): { readonly value: T } | undefined {
    const start = this.#clock.elapsed();
    const end = start + millis;
    let now = start;
    try {
      for (;;) {
        const step = steps.next();
        now = this.#clock.elapsed();
        if (step.done === true) return step;
        if (now >= end) return undefined;
      }
    } finally {
      this.#spend(now - start);
    }
  }

  #spend(millis: number): void {
    this.#spentMillis += millis;
    if (this.#spentMillis > UNCOUNTED_MILLIS) this.#setTurn();
  }

  #turn(): Promise<void> {
    if (this.#waiting.length >= SLICED_WORK_MAX) throw kalamError('QUERIES_BUSY', { max: SLICED_WORK_MAX });
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#setTurn();
    });
  }

  #setTurn(): void {
    if (this.#turnSet) return;
    this.#turnSet = true;
    this.#timers.after(0, () => this.#begin(), { keepAlive: true });
  }

  #begin(): void {
    this.#turnSet = false;
    this.#spentMillis = 0;
    this.#waiting.shift()?.();
  }
}
