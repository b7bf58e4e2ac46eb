import type { Row } from '@kalamdb/protocol';
import type { EvalContext, WindowPlan } from '@kalamdb/sql';
import type { RowVersion } from '../../contract.ts';

/** A version as the readers of a window see it, with the cells that decide where it stands. */
export interface PlacedRow {
  readonly row: RowVersion;
  readonly place: Row;
}

/** The order of a window's rows: that of ORDER BY, then that of the keys. It is total: no two rows stand in the same place. */
export class WindowOrder {
  readonly #keys: WindowPlan['order'];
  readonly #context: EvalContext;

  constructor({ order }: Pick<WindowPlan, 'order'>, context: EvalContext) {
    this.#keys = order;
    this.#context = context;
  }

  /** Computes where a version stands. Throws what the expressions of ORDER BY throw. */
  placed(row: RowVersion): PlacedRow {
    return { row, place: this.#keys.map(({ evaluate }) => evaluate(row, this.#context)) };
  }

  /** Below 0: `a` comes before `b`. 0 only for versions of one row. */
  compare(a: PlacedRow, b: PlacedRow): number {
    for (const [index, { descending, nullsFirst, compare }] of this.#keys.entries()) {
      const x = a.place[index] ?? null;
      const y = b.place[index] ?? null;
      if (x === null && y === null) continue;
      if (x === null) return nullsFirst ? -1 : 1;
      if (y === null) return nullsFirst ? 1 : -1;
      const order = compare(x, y);
      if (order !== 0) return descending ? -order : order;
    }
    if (a.row.key === b.row.key) return 0;
    return a.row.key < b.row.key ? -1 : 1;
  }
}
