import type { DataType, Row } from '@kalamdb/protocol';
import type { EvalContext } from '../../expression/input-row.ts';
import type { InsertPlan, Returning } from '../../plan/plans.ts';
import type { TableInfo } from '../../plan/table-info.ts';
import type { GeneralCheck, GeneralPlan } from '../general-plan.ts';

/** RETURNING of a statement that reads several tables: its expressions read a written row with further cells behind its own. */
export interface BesideReturning extends Returning {
  /** Where those cells begin in a row of the row set. */
  readonly besideFrom: number;
}

/**
 * An UPDATE or DELETE whose rows the general executor finds. `rows` gives each row of the table once, in the order of their keys: its key,
 * its `_seq`, then what `apply` and `returning` want.
 */
export interface GeneralChangePlan {
  readonly kind: 'general-change';
  readonly verb: 'update' | 'delete';
  readonly table: TableInfo;
  readonly rows: GeneralPlan;
  /** The new stored cells of a row, out of the old ones and the row's own of `rows`; NOT NULL is not checked. `undefined`: DELETE. */
  readonly apply: ((before: Row, found: Row, context: EvalContext) => Row) | undefined;
  readonly returning: BesideReturning | undefined;
}

/** ON CONFLICT DO UPDATE that the general executor computes, for the rows to insert whose keys are taken. */
export interface GeneralConflict {
  /** Gives, for each such row, its number, `_seq` of the row that is there, then what `apply` wants. */
  readonly query: GeneralPlan;
  /** The source that holds the rows to insert, 0-based numbers in `_seq`. */
  readonly excluded: string;
  /** In the checks of the query's sources, where the keys of the rows to insert belong; the check itself has none. */
  readonly proposed: GeneralCheck;
  /** The new stored cells of the row that is there; `undefined` when WHERE does not want it. NOT NULL is not checked. */
  apply(before: Row, found: Row, context: EvalContext): Row | undefined;
}

/** An INSERT that needs the general executor somewhere. */
export interface GeneralInsertPlan {
  readonly kind: 'general-insert';
  readonly table: TableInfo;
  readonly source: /** INSERT … SELECT: `plan` makes the INSERT out of the types that the query's columns have; the rows are for its `rowsFor`. */
    | { readonly kind: 'rows'; readonly query: GeneralPlan; plan(types: readonly DataType[]): InsertPlan }
    /** VALUES: the one row of the query goes behind the parameters of the execution. Without a query there is nothing to compute. */
    | { readonly kind: 'values'; readonly query: GeneralPlan | undefined; readonly plan: InsertPlan };
  /** It has an ON CONFLICT, of whatever kind: not every row need be inserted. */
  readonly mayConflict: boolean;
  readonly conflict: GeneralConflict | undefined;
  readonly returning: Returning | undefined;
}

/** A statement that writes and needs the general executor. */
export type GeneralWritePlan = GeneralChangePlan | GeneralInsertPlan;
