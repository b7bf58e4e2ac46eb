import type { Cell, DataType, NonNullCell } from '@kalamdb/protocol';
import type { ColumnInfo } from '../expression/input-row.ts';
import type { TableInfo } from '../plan/table-info.ts';

/** A condition on one column of a table, with values of the column's type. A NULL meets none but `null`. Evaluating it fails for no value. */
export type GeneralCheck =
  | { readonly column: string; readonly test: '=' | '<' | '<=' | '>' | '>='; readonly cell: NonNullCell }
  | { readonly column: string; readonly test: 'in'; readonly cells: readonly NonNullCell[] }
  | { readonly column: string; readonly test: 'null' | 'not null' };

/** A table that a general query reads: one scan of what access grants of it. */
export interface GeneralSource {
  /** What the query calls it: `k0`, `k1`, …; one name per table, however often the query names it. */
  readonly name: string;
  /** A table or a system table; views are written out into their queries and do not appear. */
  readonly table: TableInfo;
  /**
   * What the query says of the table's rows wherever it names it: a list for each place, and a row that does not meet the whole of
   * one of them changes nothing in the answer. Absent: every row may be needed. The text tests all of it again.
   */
  readonly checks?: readonly (readonly GeneralCheck[])[] | undefined;
}

/** Where an output column comes from. */
export interface GeneralOutput {
  readonly name: string;
  /** The table column that it is, unchanged; `undefined`: computed, so that its type is what the executor finds. */
  readonly column: ColumnInfo | undefined;
  /** Its type in the dialect; `undefined` when only DuckDB has one for it (intervals, lists). */
  readonly type: DataType | undefined;
  /** The type that clients are told when it is not that of the cells. */
  readonly shownAs?: DataType;
}

/**
 * A query that the compiled executor does not run (joins, subqueries, CTEs, set operations, window functions …), rewritten for
 * the general one. `text` is one SELECT in DuckDB's SQL: every table reference is the double-quoted name of a source, every
 * function is on the allow-list, and nothing in it names a file, a setting or a catalog of DuckDB's own.
 */
export interface GeneralPlan {
  readonly kind: 'general';
  readonly text: string;
  readonly sources: readonly GeneralSource[];
  /** Values for `$1 … $n` of `text`, in order, as the client sent them. */
  readonly parameters: readonly Cell[];
  /** The output columns as far as the rewriting can tell; `undefined` when their number is not known before the query runs. */
  readonly outputs: readonly GeneralOutput[] | undefined;
  /** CURRENT_USER() and its kin occur: the executor sets them for the reader. */
  readonly mentionsUser: boolean;
  /** The query itself says how many rows it wants at most. */
  readonly limited: boolean;
}
