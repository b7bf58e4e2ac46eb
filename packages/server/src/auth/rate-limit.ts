import type { Clock } from '@kalamdb/protocol';

/** Keys that are remembered at a time; the oldest windows go first. */
const KEYS_MAX = 100_000;
const WINDOW_MILLIS = 1000;

/** Counts the events of one caller. Its second begins with its first event, so a caller that keeps to the limit is never refused. */
export class RateWindow {
  #start = Number.NEGATIVE_INFINITY;
  #count = 0;

  /** Counts one event at `now` (the clock's `elapsed`, in ms); false: it is one too many. */
  allows(now: number, perSecond: number): boolean {
    if (this.isOver(now)) {
      this.#start = now;
      this.#count = 0;
    }
    this.#count += 1;
    return this.#count <= perSecond;
  }

  /** Whether its second is over, so that the next event begins a new one. */
  isOver(now: number): boolean {
    return now - this.#start >= WINDOW_MILLIS;
  }
}

/** At most `perSecond` events a second and key. Memory is bounded: beyond 100,000 keys the one whose second began first is forgotten. */
export class RateLimit {
  readonly #windows = new Map<string, RateWindow>();
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #onRefused: (() => void) | undefined;

  constructor(clock: Clock, perSecond: number, onRefused?: () => void) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#onRefused = onRefused;
  }

  /** Counts one event; false: it is one too many. */
  allows(key: string): boolean {
    const now = this.#clock.elapsed();
    const window = this.#windows.get(key) ?? new RateWindow();
    if (window.isOver(now)) this.#putLast(key, window);
    const allowed = window.allows(now, this.#perSecond);
    if (!allowed) this.#onRefused?.();
    return allowed;
  }

  /** Keeps the map in the order in which the windows began. */
  #putLast(key: string, window: RateWindow): void {
    this.#windows.delete(key);
    this.#windows.set(key, window);
    if (this.#windows.size <= KEYS_MAX) return;
    const oldest = this.#windows.keys().next();
    if (oldest.done !== true) this.#windows.delete(oldest.value);
  }
}
