/** A row of the tables that the model knows: `id INT PRIMARY KEY, txt TEXT, n BIGINT, flag BOOLEAN NOT NULL`. */
export interface ModelRow {
  readonly id: number;
  readonly txt: string | null;
  readonly n: number | null;
  readonly flag: boolean;
}

/** SQL's three truth values. */
export type Truth = boolean | null;

/** A predicate as SQL text and as the model evaluates it. */
export interface ModelPredicate {
  readonly sql: string;
  test(row: ModelRow): Truth;
}

/** One partition: slow, obvious, right. */
export class TableModel {
  #rows = new Map<number, ModelRow>();

  /** Live rows by key. */
  rows(): readonly ModelRow[] {
    return [...this.#rows.values()].sort((a, b) => a.id - b.id);
  }

  matching(predicate: ModelPredicate): readonly ModelRow[] {
    return this.rows().filter((row) => predicate.test(row) === true);
  }

  /** Whether the INSERT succeeds; all rows or none. */
  insert(rows: readonly ModelRow[]): boolean {
    const ids = new Set(rows.map(({ id }) => id));
    if (ids.size < rows.length || rows.some(({ id }) => this.#rows.has(id))) return false;
    for (const row of rows) this.#rows.set(row.id, row);
    return true;
  }

  /** The number of rows that changed. */
  update(predicate: ModelPredicate, change: (row: ModelRow) => ModelRow): number {
    let changed = 0;
    for (const row of this.matching(predicate)) {
      const after = change(row);
      if (JSON.stringify(after) === JSON.stringify(row)) continue;
      this.#rows.set(row.id, after);
      changed += 1;
    }
    return changed;
  }

  /** The number of rows that are gone. */
  delete(predicate: ModelPredicate): number {
    const gone = this.matching(predicate);
    for (const { id } of gone) this.#rows.delete(id);
    return gone.length;
  }

  clone(): TableModel {
    const copy = new TableModel();
    copy.#rows = new Map(this.#rows);
    return copy;
  }
}
