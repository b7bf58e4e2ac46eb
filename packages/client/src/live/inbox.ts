/** What all inboxes of a client may hold together, and what they hold. */
export class InboxBudget {
  readonly bytesMax: number;
  bytes = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }
}

interface Delivery {
  readonly bytes: number;
  act(): unknown;
}

/** What an inbox needs to know. */
interface InboxOptions {
  readonly budget: InboxBudget;
  /** The application's code threw, or its promise rejected. */
  readonly thrown: (error: unknown) => void;
  /** Nothing waits any more. */
  readonly drained: () => void;
}

/**
 * The deliveries to one callback, one after the other: while a promise that it returned is pending, the next ones wait. It
 * holds no more than the client's budget allows, by being asked for room before anything is put in.
 */
export class Inbox {
  readonly #options: InboxOptions;
  readonly #waiting: Delivery[] = [];
  #state: 'idle' | 'busy' | 'closed' = 'idle';

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  /** Whether so much may be put in. What need not wait always may. */
  hasRoom(bytes: number): boolean {
    const { budget } = this.#options;
    return this.#state !== 'busy' || budget.bytes + bytes <= budget.bytesMax;
  }

  /** Calls `act` now, or as soon as everything put in before is done. */
  put(act: () => unknown, bytes = 0): void {
    if (this.#state === 'closed') return;
    this.#waiting.push({ act, bytes });
    this.#options.budget.bytes += bytes;
    if (this.#state === 'idle') this.#deliver();
  }

  /** Forgets what waits, and takes nothing any more. */
  close(): void {
    this.#state = 'closed';
    for (const { bytes } of this.#waiting.splice(0)) this.#options.budget.bytes -= bytes;
  }

  #deliver(): void {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      this.#options.budget.bytes -= next.bytes;
      this.#state = 'busy';
      const pending = this.#attempt(next);
      if (pending !== undefined) {
        void pending.then(() => this.#isClosed() || this.#deliver());
        return;
      }
      if (this.#isClosed()) return;
    }
    this.#state = 'idle';
    this.#options.drained();
  }

  /** A promise that never rejects, if there is something to wait for. */
  #attempt({ act }: Delivery): Promise<unknown> | undefined {
    try {
      const returned = act();
      return isThenable(returned) ? Promise.resolve(returned).catch(this.#options.thrown) : undefined;
    } catch (error) {
      this.#options.thrown(error);
      return undefined;
    }
  }

  /** Asked anew after every call out, which can close it. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }
}

/** Whether something can be waited for. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
