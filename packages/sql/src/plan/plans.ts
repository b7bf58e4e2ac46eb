import type { Cell, DataType, NonNullCell, Row } from '@kalamdb/protocol';
import type { AggregateCall } from '../expression/aggregates.ts';
import type { ColumnInfo, EvalContext, InputRow } from '../expression/input-row.ts';
import type { Evaluator, Predicate, Typed } from '../expression/typed.ts';
import type { TableInfo } from './table-info.ts';

/**
 * Candidate keys found in the top-level ANDs of a filter (`key = x`, `key IN (…)`): ascending, each once. No row outside
 * them can qualify; the filter still has to be applied to those inside. `[]`: no row qualifies.
 * `undefined`: the values of this execution do not bound the key.
 */
export type KeyLookup = (context: EvalContext) => readonly NonNullCell[] | undefined;

/** One end of a {@link KeyRange}. */
export interface KeyBound {
  readonly cell: NonNullCell;
  readonly inclusive: boolean;
}

/** Bounds of the primary key found in the top-level ANDs of a filter (`<`, `<=`, `>`, `>=`, BETWEEN). An absent end is open. */
export interface KeyBounds {
  readonly from: KeyBound | undefined;
  readonly to: KeyBound | undefined;
}

/** {@link KeyBounds} for the values of one execution; `undefined`: no row qualifies. The filter still has to be applied. */
export type KeyRangeLookup = (context: EvalContext) => KeyBounds | undefined;

/** A condition `column = text`. The filter still has to be applied. */
export interface DemandedText {
  readonly column: string;
  /** The text for the values of one execution; `undefined` when they say nothing. */
  text(context: EvalContext): string | undefined;
}

/** A column of a result. `flags` out of `pk`, `nn`, `uq`, in that order; computed columns have none. */
export interface ResultColumnInfo {
  readonly name: string;
  readonly type: DataType;
  /** The type that clients are told when it is not that of the cells: `CAST(t AS DATE)` of a TIMESTAMP column is called Timestamp. */
  readonly shownAs?: DataType;
  readonly flags: readonly ('pk' | 'nn' | 'uq')[];
}

/**
 * How rows are put into groups. Expressions behind it read a group's row, whose cells are the aggregates in order and then
 * the keys in reverse order: the last cell is the first key. Without keys there is one group, even of no rows.
 */
export interface Grouping {
  readonly keys: readonly Typed[];
  readonly aggregates: readonly AggregateCall[];
}

/** One sort key: a column of the projected row (hidden ones included). */
export interface SortKey {
  readonly column: number;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
  readonly compare: (a: NonNullCell, b: NonNullCell) => number;
}

/**
 * A bound SELECT over at most one table. Steps of the executor, in order: filter, grouping, having, projection, distinct,
 * sort, offset, limit, and removal of the hidden columns behind `columns.length`.
 */
export interface SelectPlan {
  readonly kind: 'select';
  /** `undefined`: a SELECT without FROM, evaluated over one empty row. */
  readonly table: TableInfo | undefined;
  readonly alias: string | undefined;
  readonly columns: readonly ResultColumnInfo[];
  readonly keys: KeyLookup | undefined;
  readonly keyRange: KeyRangeLookup | undefined;
  readonly filter: Predicate | undefined;
  /** The WHERE clause says what to do with `_deleted`: tombstones belong to the input. */
  readonly mentionsDeleted: boolean;
  /** Literals of the WHERE clause that are texts to be read as values of another type; the compiler tries them first. */
  readonly texts: readonly Typed[];
  /** What the top-level ANDs of the filter demand of text columns of a system table: whoever computes its rows may leave out others. */
  readonly demanded: readonly DemandedText[];
  readonly grouping: Grouping | undefined;
  readonly having: Predicate | undefined;
  /** One expression per column, then the hidden ones that only ORDER BY needs. */
  readonly projection: readonly Typed[];
  /** The projection is exactly the table's columns in order. */
  readonly star: boolean;
  readonly distinct: boolean;
  /** Empty: keep the order of the input (also when ORDER BY is what the input already has). */
  readonly sort: readonly SortKey[];
  /** Rows at most; `undefined`: all. Throws INVALID_ARGUMENT for a negative number. */
  readonly limit: ((context: EvalContext) => number | undefined) | undefined;
  readonly offset: ((context: EvalContext) => number | undefined) | undefined;
  /** `SELECT COUNT(*) FROM t` with nothing else: the answer is the number of live rows. */
  readonly countsTable: boolean;
  /** What it gives depends on ids or random numbers, of which there is one source. */
  readonly isVolatile: boolean;
}

/** A bound list behind RETURNING. */
export interface Returning {
  /** A SELECT of the list, without clauses, from the table: its projection makes one row of the answer out of each written row. */
  readonly select: SelectPlan;
  /** Outputs that are the column `_seq`. */
  readonly seqColumns: readonly number[];
  /** Another output computes with `_seq`. */
  readonly computesWithSeq: boolean;
}

/** What a bound INSERT does with rows whose key is taken. */
export type ConflictPlan =
  | { readonly kind: 'nothing' }
  | {
      readonly kind: 'update';
      /** See {@link SelectPlan}. */
      readonly texts: readonly Typed[];
      /**
       * The new stored cells of the row that is there, `proposed` being what was to be inserted; `undefined` when the WHERE clause does
       * not want it. NOT NULL is not checked.
       */
      apply(row: InputRow, proposed: Row, context: EvalContext): Row | undefined;
    }
  /** The row that is there is updated with what the general executor makes of it. */
  | { readonly kind: 'general' };

/** A bound INSERT. */
export interface InsertPlan {
  readonly kind: 'insert';
  readonly table: TableInfo;
  /** `INSERT … SELECT`: run it first and hand its rows to `rowsFor`; `undefined` for VALUES. */
  readonly source: SelectPlan | undefined;
  /** Stored columns that neither the statement nor a default fills; their cells are NULL. */
  readonly missing: readonly ColumnInfo[];
  /** `undefined`: a key that is taken is an error. */
  readonly conflict: ConflictPlan | undefined;
  readonly returning: Returning | undefined;
  /**
   * The rows to store: cells in the order of the stored columns, coerced, defaults evaluated for each row. NOT NULL is not
   * checked. `selected` are the rows of `source`.
   */
  rowsFor(context: EvalContext, selected?: readonly Row[]): Row[];
  /** Of VALUES, the same rows some at a time; `undefined` for SELECT. */
  readonly values: ValuesRows | undefined;
}

/** The rows of VALUES. */
export interface ValuesRows {
  readonly count: number;
  /** The rows from number `from`, 0-based, up to and without `to`, as `rowsFor` gives them. */
  rows(context: EvalContext, from: number, to: number): Row[];
}

/** A bound UPDATE. */
export interface UpdatePlan {
  readonly kind: 'update';
  readonly table: TableInfo;
  readonly keys: KeyLookup | undefined;
  readonly keyRange: KeyRangeLookup | undefined;
  readonly filter: Predicate | undefined;
  readonly mentionsDeleted: boolean;
  /** See {@link SelectPlan}. */
  readonly texts: readonly Typed[];
  /** The row's new stored cells, coerced. Expressions see the old row. NOT NULL is not checked. */
  apply(row: InputRow, context: EvalContext): Row;
  readonly returning: Returning | undefined;
}

/** A bound DELETE. */
export interface DeletePlan {
  readonly kind: 'delete';
  readonly table: TableInfo;
  readonly keys: KeyLookup | undefined;
  readonly keyRange: KeyRangeLookup | undefined;
  readonly filter: Predicate | undefined;
  readonly mentionsDeleted: boolean;
  /** See {@link SelectPlan}. */
  readonly texts: readonly Typed[];
  readonly returning: Returning | undefined;
}

/** What the executors run. */
export type Plan = SelectPlan | InsertPlan | UpdatePlan | DeletePlan;

/** An expression that rows are ordered by. */
export interface RowOrder extends Pick<SortKey, 'descending' | 'nullsFirst' | 'compare'> {
  readonly evaluate: Evaluator;
}

/** The first rows of a query in an order. */
export interface WindowPlan {
  /** Rows that are equal in all of them come in the order of their keys; empty: all do. */
  readonly order: readonly RowOrder[];
  /** Rows, and rows before them that are left out. Throw INVALID_ARGUMENT for a negative number; `undefined`: no bound was named. */
  readonly limit: (context: EvalContext) => number | undefined;
  readonly offset: (context: EvalContext) => number | undefined;
}

/**
 * Cells of one column: some points, of which NULL may be one, and the cells between bounds. All but NULL are numbers, or all bigints,
 * or all texts, or all booleans, which have no ranges.
 */
export interface CellSet {
  /** Each once, as keys of a Map are. */
  readonly points: readonly Cell[];
  /** Not empty, in no order; they may overlap. */
  readonly ranges: readonly KeyBounds[];
}

/**
 * A condition on a stored column: `cells[columnIndex]` must be one of the points, or lie in one of the ranges. Points are compared as
 * keys of a Map are, bounds by value and texts by code point; what is equal in SQL is equal so.
 */
export interface RoutingCondition extends CellSet {
  readonly columnIndex: number;
}

/** A bound subscription query: one table, plain columns, any row predicate. */
export interface SubscriptionPlan {
  readonly kind: 'subscription';
  readonly table: TableInfo;
  /**
   * The query in a canonical spelling, literals and resolved columns included: two subscriptions with the same shape on the
   * same partition deliver the same bodies, unless `mentionsUser`.
   */
  readonly shape: string;
  /** In wire order. */
  readonly projection: readonly ColumnInfo[];
  readonly star: boolean;
  readonly filter: Predicate | undefined;
  readonly mentionsDeleted: boolean;
  /** The filter calls CURRENT_USER or CURRENT_ROLE: share it only between connections of one user in one role. */
  readonly mentionsUser: boolean;
  /** Conditions that every matching row fulfils, all of them, for the parameters and the caller of a context. */
  readonly routing: (context: EvalContext) => readonly RoutingCondition[];
  /** `undefined`: the query has neither ORDER BY nor LIMIT. */
  readonly window?: WindowPlan | undefined;
}
