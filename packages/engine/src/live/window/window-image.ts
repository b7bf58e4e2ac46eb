import { weightOf } from '../../partition/row-cache.ts';
import type { WindowBudget } from './window-bounds.ts';
import type { PlacedRow } from './window-order.ts';

/** What a window showed after one commit. It is not changed; those who have it while newer ones come hold it. */
export class WindowImage {
  readonly rows: readonly PlacedRow[];
  readonly #budget: WindowBudget;
  #holders = 0;
  #bytes = 0;

  constructor(rows: readonly PlacedRow[], budget: WindowBudget) {
    this.rows = rows;
    this.#budget = budget;
  }

  /** Counts its weight once for all its holders; `false`: there is no room for it. Each success is given back by {@link drop}. */
  hold(): boolean {
    if (this.#holders === 0) {
      let bytes = 0;
      for (const { row } of this.rows) bytes += weightOf(row);
      if (this.#budget.lacks(bytes)) return false;
      this.#bytes = bytes;
      this.#budget.count(bytes);
    }
    this.#holders += 1;
    return true;
  }

  drop(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.#budget.count(-this.#bytes);
  }
}
