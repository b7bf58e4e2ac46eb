import type { Timers } from '@kalamdb/protocol';

/** What one connection may have waiting while all together are over the budget. */
const SHARE_BYTES_MAX = 16_384;
/** Loads that begin at once when there is room again; each brings up to one batch. */
const WOKEN_MAX = 8;

/**
 * The bytes that wait in the outboxes of the whole server. Nothing is refused here: while they are over their bound, an
 * outbox counts as full with far less in it, and loads wait for room.
 */
export class OutboxBudget {
  readonly #bytesMax: number;
  #bytes = 0;
  readonly #waiting = new Set<() => void>();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes that wait in all outboxes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Over the bound. */
  get exhausted(): boolean {
    return this.#bytes > this.#bytesMax;
  }

  /** Above how many bytes an outbox is full now, if `bytesMax` is what it may hold in better times. */
  shareOf(bytesMax: number): number {
    return this.exhausted ? Math.min(bytesMax, SHARE_BYTES_MAX) : bytesMax;
  }

  /** An outbox holds so many bytes more, or less. */
  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#waiting.size === 0 || this.exhausted) return;
    let woken = 0;
    for (const wake of this.#waiting) {
      if (++woken > WOKEN_MAX) return;
      wake();
    }
  }

  /** Resolves to true when there is room, to false when there is none for `millisMax`. */
  room(timers: Timers, millisMax: number): boolean | Promise<boolean> {
    if (!this.exhausted) return true;
    return new Promise((resolve) => {
      const done = (found: boolean) => (): void => {
        this.#waiting.delete(wake);
        timer.cancel();
        resolve(found);
      };
      const wake = done(true);
      const timer = timers.after(millisMax, done(false), { keepAlive: true });
      this.#waiting.add(wake);
    });
  }
}
