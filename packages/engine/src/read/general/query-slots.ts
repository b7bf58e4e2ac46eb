import { kalamError } from '@kalamdb/protocol';
import { FairQueue } from '../fair-queue.ts';

/** How many may be at work. */
export interface SlotLimits {
  /** Of all users together. */
  readonly runningMax: number;
  /** Of one user, so that the others find a slot. */
  readonly userRunningMax: number;
  readonly waitingMax: number;
}

interface Waiting {
  readonly user: string;
  enter(): void;
}

/** Lets a bounded number of queries run at a time; users take turns. */
export class QuerySlots {
  readonly #limits: SlotLimits;
  readonly #waiting = new FairQueue<Waiting>();
  /** Running queries of each user. */
  readonly #running = new Map<string, number>();
  #count = 0;

  constructor(limits: SlotLimits) {
    this.#limits = limits;
  }

  get running(): number {
    return this.#count;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Resolves when the user has a slot, with what gives it back. Throws QUERIES_BUSY, and what the signal is aborted with. */
  async enter(user: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (!this.#hasRoom(user)) await this.#wait(user, signal);
    else this.#take(user);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#leave(user);
    };
  }

  #wait(user: string, signal: AbortSignal): Promise<void> {
    const { waitingMax } = this.#limits;
    if (this.#waiting.size >= waitingMax) throw kalamError('QUERIES_BUSY', { max: waitingMax });
    return new Promise((resolve, reject) => {
      const give = (): void => {
        if (this.#waiting.remove(user, waiting)) reject(signal.reason);
      };
      const waiting: Waiting = {
        user,
        enter: () => {
          signal.removeEventListener('abort', give);
          resolve();
        },
      };
      signal.addEventListener('abort', give, { once: true });
      this.#waiting.push(user, waiting);
    });
  }

  #hasRoom(user: string): boolean {
    return this.#count < this.#limits.runningMax && (this.#running.get(user) ?? 0) < this.#limits.userRunningMax;
  }

  #take(user: string): void {
    this.#count += 1;
    this.#running.set(user, (this.#running.get(user) ?? 0) + 1);
  }

  #leave(user: string): void {
    const left = (this.#running.get(user) ?? 0) - 1;
    if (left > 0) this.#running.set(user, left);
    else this.#running.delete(user);
    this.#count -= 1;
    const next = this.#waiting.shift((name) => this.#hasRoom(name));
    if (next === undefined) return;
    this.#take(next.user);
    next.enter();
  }
}
