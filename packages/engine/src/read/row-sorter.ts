import { kalamError, type Row } from '@kalamdb/protocol';
import type { SortKey } from '@kalamdb/sql';

/** A row with its place in the input, which decides between rows that are equal in every sort key. */
interface Numbered {
  readonly row: Row;
  readonly place: number;
}

/** Bounds of a {@link RowSorter}. */
export interface SorterBounds {
  /** Rows held at most; one more is QUERY_TOO_LARGE. */
  readonly rowsMax: number;
  /** How many of the first rows are wanted; `Infinity`: all. */
  readonly first: number;
}

/** Rows that are sorted or merged in one step: about a millisecond. */
const STEP_SORT_ROWS = 1024;

/**
 * Sorts rows stably. When only the first k are wanted it holds k rows in a heap whose root is the worst of them, so that a
 * row that cannot be among them costs one comparison.
 */
export class RowSorter {
  readonly #keys: readonly SortKey[];
  readonly #bounds: SorterBounds;
  readonly #held: Numbered[] = [];
  readonly #isHeap: boolean;
  #place = 0;

  constructor(keys: readonly SortKey[], bounds: SorterBounds) {
    this.#keys = keys;
    this.#bounds = bounds;
    this.#isHeap = Number.isFinite(bounds.first);
  }

  add(row: Row): void {
    const item = { row, place: this.#place };
    this.#place += 1;
    const held = this.#held;
    if (held.length < this.#bounds.first) {
      if (held.length >= this.#bounds.rowsMax) throw kalamError('QUERY_TOO_LARGE', { max: this.#bounds.rowsMax, what: 'rows to sort' });
      held.push(item);
      // From the first row on: making a heap of a million rows at once would take a third of a second.
      if (this.#isHeap) this.#rise(held.length - 1);
      return;
    }
    const worst = held[0];
    if (worst === undefined || this.#compare(item, worst) >= 0) return;
    held[0] = item;
    this.#sink(0);
  }

  /** The rows in order, with `undefined` between steps. Call once, at the end. */
  *sortedInSteps(): Generator<Row | undefined, void> {
    let runs: Numbered[][] = [];
    for (let start = 0; start < this.#held.length; start += STEP_SORT_ROWS) {
      if (start > 0) yield;
      runs.push(this.#held.slice(start, start + STEP_SORT_ROWS).sort((a, b) => this.#compare(a, b)));
    }
    while (runs.length > 1) {
      const merged: Numbered[][] = [];
      for (let i = 0; i < runs.length; i += 2) merged.push(yield* this.#merge(runs[i] ?? [], runs[i + 1] ?? []));
      runs = merged;
    }
    let left = STEP_SORT_ROWS;
    for (const { row } of runs[0] ?? []) {
      yield row;
      if (--left > 0) continue;
      left = STEP_SORT_ROWS;
      yield;
    }
  }

  *#merge(first: Numbered[], second: Numbered[]): Generator<undefined, Numbered[]> {
    if (second.length === 0) return first;
    const merged: Numbered[] = [];
    let left = STEP_SORT_ROWS;
    for (let i = 0, j = 0; ; ) {
      const [a, b] = [first[i], second[j]];
      if (a !== undefined && (b === undefined || this.#compare(a, b) <= 0)) {
        merged.push(a);
        i += 1;
      } else if (b !== undefined) {
        merged.push(b);
        j += 1;
      } else return merged;
      if (--left > 0) continue;
      left = STEP_SORT_ROWS;
      yield;
    }
  }

  #rise(start: number): void {
    const held = this.#held;
    for (let at = start; at > 0; ) {
      const parent = (at - 1) >> 1;
      const a = held[at];
      const b = held[parent];
      if (a === undefined || b === undefined || this.#compare(a, b) <= 0) return;
      held[at] = b;
      held[parent] = a;
      at = parent;
    }
  }

  #sink(start: number): void {
    const held = this.#held;
    let at = start;
    for (;;) {
      const worse = this.#worse(this.#worse(at, 2 * at + 1), 2 * at + 2);
      const a = held[at];
      const b = held[worse];
      if (worse === at || a === undefined || b === undefined) return;
      held[at] = b;
      held[worse] = a;
      at = worse;
    }
  }

  #worse(a: number, b: number): number {
    const [left, right] = [this.#held[a], this.#held[b]];
    return left !== undefined && right !== undefined && this.#compare(right, left) > 0 ? b : a;
  }

  #compare(a: Numbered, b: Numbered): number {
    for (const key of this.#keys) {
      const order = compareByKey(a.row, b.row, key);
      if (order !== 0) return order;
    }
    return a.place - b.place;
  }
}

function compareByKey(a: Row, b: Row, { column, descending, nullsFirst, compare }: SortKey): number {
  const x = a[column] ?? null;
  const y = b[column] ?? null;
  if (x === null) return y === null ? 0 : nullsFirst ? -1 : 1;
  if (y === null) return nullsFirst ? 1 : -1;
  const order = compare(x, y);
  return descending ? -order : order;
}
