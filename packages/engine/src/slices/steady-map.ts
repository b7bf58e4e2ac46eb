/** Entries of one map: to grow beyond it takes the runtime more than a millisecond at once. */
export const STEADY_ENTRIES_MAX: number = 32 * 1024;

/**
 * A Map of which no single call takes long. The runtime moves all entries of a Map when it grows, 100,000 of them in one turn of the event
 * loop; this one goes on in a further map instead. A look-up asks each: it is meant for some 100,000 entries, not for millions.
 * Iterates in the order in which the keys came.
 */
export class SteadyMap<Key, Value extends {}> {
  #newest = new Map<Key, Value>();
  /** Full ones, oldest first. */
  #older: Map<Key, Value>[] = [];

  get size(): number {
    return this.#older.reduce((sum, { size }) => sum + size, this.#newest.size);
  }

  has(key: Key): boolean {
    return this.get(key) !== undefined;
  }

  get(key: Key): Value | undefined {
    const value = this.#newest.get(key);
    if (value !== undefined || this.#older.length === 0) return value;
    for (const map of this.#older) {
      const older = map.get(key);
      if (older !== undefined) return older;
    }
    return undefined;
  }

  set(key: Key, value: Value): void {
    const newest = this.#newest;
    if (newest.size < STEADY_ENTRIES_MAX && this.#older.length === 0) {
      newest.set(key, value);
      return;
    }
    const holder = newest.has(key) ? newest : this.#holder(key);
    if (holder !== undefined) holder.set(key, value);
    else if (newest.size < STEADY_ENTRIES_MAX) newest.set(key, value);
    else {
      this.#older.push(newest);
      this.#newest = new Map([[key, value]]);
    }
  }

  delete(key: Key): boolean {
    if (this.#newest.delete(key)) return true;
    const holder = this.#holder(key);
    holder?.delete(key);
    if (holder?.size === 0) this.#older = this.#older.filter((map) => map !== holder);
    return holder !== undefined;
  }

  *values(): Generator<Value, void> {
    for (const map of this.#older) yield* map.values();
    yield* this.#newest.values();
  }

  /** Which of the full maps has the key. */
  #holder(key: Key): Map<Key, Value> | undefined {
    for (const map of this.#older) if (map.has(key)) return map;
    return undefined;
  }
}
