import type { Clock, Timer, Timers } from '@kalamdb/protocol';

interface Due {
  atMillis: number;
  readonly order: number;
  readonly everyMillis: number | undefined;
  readonly callback: () => void;
}

/** A clock and timers that stand still until a test moves them. Timers fire in the order in which they are due. */
export class VirtualTime implements Clock, Timers {
  #nowMillis: number;
  #elapsedMillis = 0;
  #order = 0;
  readonly #due = new Set<Due>();

  /** `startMillis` is the wall time it begins at. */
  constructor(startMillis: number = Date.UTC(2026, 0, 1)) {
    this.#nowMillis = startMillis;
  }

  now(): number {
    return this.#nowMillis;
  }

  elapsed(): number {
    return this.#elapsedMillis;
  }

  after(millis: number, callback: () => void): Timer {
    return this.#set({ atMillis: this.#elapsedMillis + millis, order: this.#order++, everyMillis: undefined, callback });
  }

  every(millis: number, callback: () => void): Timer {
    return this.#set({ atMillis: this.#elapsedMillis + millis, order: this.#order++, everyMillis: millis, callback });
  }

  /** Needs no time to pass. */
  soon(callback: () => void): void {
    queueMicrotask(callback);
  }

  /** Timers that are set. */
  get pendingTimers(): number {
    return this.#due.size;
  }

  /** Moves wall and elapsed time, firing what becomes due on the way. */
  advance(millis: number): void {
    const end = this.#elapsedMillis + millis;
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#moveTo(Math.max(next.atMillis, this.#elapsedMillis));
      if (next.everyMillis === undefined) this.#due.delete(next);
      else next.atMillis += next.everyMillis;
      next.callback();
    }
    this.#moveTo(end);
  }

  /** Moves the wall time alone, in either direction, as a clock that is set does. */
  jump(millis: number): void {
    this.#nowMillis += millis;
  }

  #moveTo(elapsedMillis: number): void {
    this.#nowMillis += elapsedMillis - this.#elapsedMillis;
    this.#elapsedMillis = elapsedMillis;
  }

  #set(due: Due): Timer {
    this.#due.add(due);
    return { cancel: () => this.#due.delete(due) };
  }

  #next(endMillis: number): Due | undefined {
    let next: Due | undefined;
    for (const due of this.#due) {
      if (due.atMillis > endMillis) continue;
      if (next === undefined || due.atMillis < next.atMillis || (due.atMillis === next.atMillis && due.order < next.order)) next = due;
    }
    return next;
  }
}
