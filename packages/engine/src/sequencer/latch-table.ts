/**
 * Latches on tables. DDL holds its tables while it runs; writers to a latched table wait outside and then look at the
 * catalog again. A turn is synchronous, so a table that was free when a turn began stays free until it ends.
 */
export class LatchTable {
  /** Table id -> settles when its holder is done. */
  readonly #held = new Map<number, Promise<void>>();
  /** The statements that want to be the only DDL, one after another. */
  #exclusive: Promise<void> = Promise.resolve();

  isHeld(tableId: number): boolean {
    return this.#held.has(tableId);
  }

  /** Resolves when the table is free. */
  async free(tableId: number): Promise<void> {
    for (let held = this.#held.get(tableId); held !== undefined; held = this.#held.get(tableId)) await held;
  }

  /** Runs `work` while the tables are latched. Waits until they are free first. */
  async hold<T>(tableIds: readonly number[], work: () => Promise<T>): Promise<T> {
    for (let busy = tableIds.find((id) => this.isHeld(id)); busy !== undefined; busy = tableIds.find((id) => this.isHeld(id))) {
      await this.free(busy);
    }
    const { promise, resolve } = settleable();
    for (const id of tableIds) this.#held.set(id, promise);
    try {
      return await work();
    } finally {
      for (const id of tableIds) this.#held.delete(id);
      resolve();
    }
  }

  /** Runs `work` when every exclusive work before it is done, and before any after it. */
  async exclusive<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#exclusive;
    const { promise, resolve } = settleable();
    this.#exclusive = promise;
    await before;
    try {
      return await work();
    } finally {
      resolve();
    }
  }
}

function settleable(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
