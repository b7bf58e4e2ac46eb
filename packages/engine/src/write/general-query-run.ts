import type { Cell } from '@kalamdb/protocol';
import type { EvalContext, GeneralPlan, GeneralSource, InputRow } from '@kalamdb/sql';
import type { GeneralAnswer } from '../read/general/general-executor.ts';

/** How one query of a statement is run. */
export interface GeneralQueryOptions {
  /** A source that is none of the catalog's: its rows are those of the statement itself. */
  readonly rows?: { readonly source: string; rows(): Iterable<InputRow> } | undefined;
  /** The plan's sources with what is known of their rows only now. */
  readonly sources?: readonly GeneralSource[] | undefined;
  /** Rows of the answer at most; it ends there. `undefined`: all of them. */
  readonly rowsMax?: number | undefined;
}

/** What a statement that writes asks the general executor with. Its sources are granted before the first query runs. */
export interface GeneralQueryRun {
  /** Runs a query at the present watermark, or in the transaction of the statement. */
  query(plan: GeneralPlan, options?: GeneralQueryOptions): Promise<GeneralAnswer>;
  /** The statement's evaluation with further parameters behind its own. */
  withParameters(cells: readonly Cell[]): EvalContext;
}
