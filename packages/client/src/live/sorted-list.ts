/** So many changes at once are sorted in rather than put in one by one. */
const singlesMax = 64;

/**
 * Items in the order of a comparison that never calls two different ones equal. An item is found by comparing, so what it is
 * compared by must not change while it is in the list. A comparison that contradicts itself costs the order, and no item.
 */
export class SortedList<T> {
  readonly #compare: (a: T, b: T) => number;
  #items: T[] = [];

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  get items(): readonly T[] {
    return this.#items;
  }

  /** Takes items out and puts items in; those taken out must be there. */
  change(removed: readonly T[], added: readonly T[]): void {
    if (removed.length + added.length <= singlesMax) {
      for (const item of removed) {
        const place = this.#placeOf(item);
        this.#items.splice(this.#items[place] === item ? place : this.#items.indexOf(item), 1);
      }
      for (const item of added) this.#items.splice(this.#placeOf(item), 0, item);
      return;
    }
    const gone = new Set(removed);
    this.#items = [...this.#items.filter((item) => !gone.has(item)), ...added].sort(this.#compare);
  }

  /** The first place whose item does not come before this one. */
  #placeOf(item: T): number {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#compare(this.#items[middle] as T, item) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
