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

/** Turns that work before others may take in a row while others wait. */
const FIRST_TURNS_MAX = 4;

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
  /** Has its turn before everything in `#waiting`, but for every fifth. */
  readonly #waitingFirst: (() => void)[] = [];
  /** Turns since something in `#waiting` had one while it was not empty. */
  #firstTurns = 0;

  constructor(environment: { readonly clock: Clock; readonly timers: Timers }) {
    this.#clock = environment.clock;
    this.#timers = environment.timers;
  }

  /**
   * The result of the work: itself when it could be had at once, else a promise. Throws or rejects with what the work or
   * `check` throws, and QUERIES_BUSY; the work has released what it held then.
   */
  run<T>(steps: Steps<T>, check?: SliceCheck): T | Promise<T> {
    const done = this.#atOnce(steps);
    if (done !== undefined) return done.value;
    if (this.#waiting.length < SLICED_WORK_MAX) return this.#continue(steps, check, this.#waiting);
    steps.return(undefined as never);
    throw kalamError('QUERIES_BUSY', { max: SLICED_WORK_MAX });
  }

  /** {@link run} for work that others wait for: it goes before theirs, leaves them a turn in five, and is never refused. Its owner bounds how much of it there is. */
  runFirst<T>(steps: Steps<T>): T | Promise<T> {
    const done = this.#atOnce(steps);
    return done === undefined ? this.#continue(steps, undefined, this.#waitingFirst) : done.value;
  }

  /** Resolves when no work waits for a slice. */
  async idle(): Promise<void> {
    while (this.#isAwaited) await this.#turn(this.#waiting);
  }

  get #isAwaited(): boolean {
    return this.#waiting.length > 0 || this.#waitingFirst.length > 0;
  }

  #atOnce<T>(steps: Steps<T>): { readonly value: T } | undefined {
    return this.#spentMillis < SLICE_MILLIS ? this.#slice(steps, SLICE_MILLIS - this.#spentMillis) : undefined;
  }

  async #continue<T>(steps: Steps<T>, check: SliceCheck | undefined, queue: (() => void)[]): Promise<T> {
    try {
      for (;;) {
        await this.#turn(queue);
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
      if (this.#isAwaited) this.#setTurn();
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

  #turn(queue: (() => void)[]): Promise<void> {
    return new Promise((resolve) => {
      queue.push(resolve);
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
    const others = this.#waiting.length > 0 && this.#firstTurns >= FIRST_TURNS_MAX ? this.#waiting.shift() : undefined;
    const first = others === undefined ? this.#waitingFirst.shift() : undefined;
    this.#firstTurns = first === undefined || this.#waiting.length === 0 ? 0 : this.#firstTurns + 1;
    (others ?? first ?? this.#waiting.shift())?.();
  }
}
