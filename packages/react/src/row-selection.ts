import { type LiveSnapshot, type RowData, sameMembers } from '@kalamdb/client';

/** What a component makes of the rows of a query. */
export interface Selecting<T> {
  readonly select: ((row: RowData) => T) | undefined;
  readonly compare: ((a: T, b: T) => number) | undefined;
  /** By which versions of a row are known as such. */
  readonly keyColumns: readonly string[];
  /** Shown instead, while there have been no rows. */
  readonly initialRows: readonly T[] | undefined;
}

/** A query as a component sees it. */
export interface SelectedRows<T> {
  readonly rows: readonly T[];
  readonly state: LiveSnapshot<RowData>['state'];
  readonly error: Error | undefined;
}

/** What was made of a row. */
interface Selected<T> {
  readonly key: string;
  readonly value: T;
}

/**
 * One component's sight of a query. Asked again, it answers with the same object unless there is something new to see, also when
 * `select` is another function each time: a row stays what it was if the new function, or a new version of the row, makes the same.
 */
export class RowSelection<T> {
  #snapshot: LiveSnapshot<RowData> | undefined;
  #selecting: Selecting<T> | undefined;
  /** By version of a row, for the present `select`. */
  #selected = new WeakMap<RowData, Selected<T>>();
  /** By key, of the rows that there were last. */
  #last: ReadonlyMap<string, Selected<T>> = new Map();
  #rows: readonly T[] = [];
  #result: SelectedRows<T> | undefined;

  /** What there is to see of a snapshot. Throws what `select` and `compare` throw. */
  of(snapshot: LiveSnapshot<RowData>, selecting: Selecting<T>): SelectedRows<T> {
    const last = this.#selecting;
    const sameSelecting =
      last?.select === selecting.select && last?.compare === selecting.compare && last?.initialRows === selecting.initialRows;
    if (this.#result !== undefined && snapshot === this.#snapshot && sameSelecting) return this.#result;
    const rows = this.#rowsOf(snapshot, selecting);
    this.#snapshot = snapshot;
    this.#selecting = selecting;
    this.#rows = sameMembers(this.#rows, rows) ? this.#rows : rows;
    const { state, error } = snapshot;
    const result = this.#result;
    if (result === undefined || result.rows !== this.#rows || result.state !== state || result.error !== error) {
      this.#result = { rows: this.#rows, state, error };
    }
    return this.#result ?? { rows: this.#rows, state, error };
  }

  #rowsOf(snapshot: LiveSnapshot<RowData>, { select, compare, keyColumns, initialRows }: Selecting<T>): readonly T[] {
    if (initialRows !== undefined) return initialRows;
    const selected = this.#selecting?.select === select ? this.#selected : new WeakMap<RowData, Selected<T>>();
    const last = new Map<string, Selected<T>>();
    const rows = snapshot.rows.map((row) => {
      const made = selected.get(row) ?? this.#select(row, select, keyColumns);
      selected.set(row, made);
      last.set(made.key, made);
      return made.value;
    });
    this.#selected = selected;
    this.#last = last;
    return compare === undefined ? rows : rows.sort(compare);
  }

  #select(row: RowData, select: ((row: RowData) => T) | undefined, keyColumns: readonly string[]): Selected<T> {
    const key = keyColumns.map((column) => JSON.stringify(`${row[column]}`)).join();
    // without a selection T is RowData, which is the default of the type parameter
    const value = select === undefined ? (row as T) : select(row);
    const before = this.#last.get(key);
    return before !== undefined && sameMembers(before.value, value) ? before : { key, value };
  }
}
