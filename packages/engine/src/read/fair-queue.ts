/**
 * Work of many users in a fair order: users take turns, and each user's work is in the order it came.
 */
export class FairQueue<T> {
  readonly #users = new Map<string, T[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(user: string, item: T): void {
    const items = this.#users.get(user);
    if (items === undefined) this.#users.set(user, [item]);
    else items.push(item);
    this.#size += 1;
  }

  /** Takes the next item of the users whose turn it may be; its user goes to the end of the row. */
  shift(mayBe: (user: string) => boolean = () => true): T | undefined {
    for (const [user, items] of this.#users) {
      if (!mayBe(user)) continue;
      const item = items.shift();
      this.#users.delete(user);
      if (items.length > 0) this.#users.set(user, items);
      this.#size -= 1;
      return item;
    }
    return undefined;
  }

  /** Takes an item out of the row; whether it was there. */
  remove(user: string, item: T): boolean {
    const items = this.#users.get(user);
    const at = items?.indexOf(item) ?? -1;
    if (items === undefined || at < 0) return false;
    items.splice(at, 1);
    if (items.length === 0) this.#users.delete(user);
    this.#size -= 1;
    return true;
  }
}
