import type { RowKey } from '@kalamdb/storage';
import { weightOf } from '../../partition/row-cache.ts';
import type { PlacedRow, WindowOrder } from './window-order.ts';

/** No place was touched. */
export const NOWHERE: number = Number.POSITIVE_INFINITY;

/**
 * The first rows of a query in its order: as many as may be held, and whether these are all there are. Rows behind the last one that is held
 * are not known, unless it holds them all. A change takes a binary search.
 */
export class RankedRows {
  readonly #order: WindowOrder;
  readonly #rowsMax: number;
  readonly #rows: PlacedRow[] = [];
  readonly #byKey = new Map<RowKey, PlacedRow>();
  #isWhole = true;
  #bytes = 0;

  constructor(order: WindowOrder, rowsMax: number) {
    this.#order = order;
    this.#rowsMax = rowsMax;
  }

  /** Approximate heap weight of the rows. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the first `count` rows of the query, or all if there are fewer, are held. */
  knows(count: number): boolean {
    return this.#isWhole || this.#rows.length >= count;
  }

  /** Some of the rows that are held, in order. */
  slice(from: number, before: number): readonly PlacedRow[] {
    return this.#rows.slice(from, before);
  }

  /** Takes in the newest version of a row; answers the first place that it has changed, or {@link NOWHERE}. */
  put(row: PlacedRow): number {
    const left = this.remove(row.row.key);
    const index = this.#placeOf(row);
    if (index === this.#rows.length && !this.#isWhole) return left;
    this.#rows.splice(index, 0, row);
    this.#byKey.set(row.row.key, row);
    this.#bytes += weightOf(row.row);
    if (this.#rows.length > this.#rowsMax) this.#dropLast();
    return Math.min(left, index);
  }

  /** The row is not among the query's any more; answers as {@link put}. */
  remove(key: RowKey): number {
    const held = this.#byKey.get(key);
    if (held === undefined) return NOWHERE;
    const index = this.#placeOf(held);
    this.#rows.splice(index, 1);
    this.#forget(held);
    return index;
  }

  /** The version of a row that is held. */
  get(key: RowKey): PlacedRow | undefined {
    return this.#byKey.get(key);
  }

  #dropLast(): void {
    const last = this.#rows.pop();
    this.#isWhole = false;
    if (last !== undefined) this.#forget(last);
  }

  #forget(held: PlacedRow): void {
    this.#byKey.delete(held.row.key);
    this.#bytes -= weightOf(held.row);
  }

  /** The place that a row has or would get. */
  #placeOf(row: PlacedRow): number {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#rows[middle];
      if (other !== undefined && this.#order.compare(other, row) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
