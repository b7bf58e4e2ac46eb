import type { SelectPlan } from '@kalamdb/sql';

/** Bounds on the rows of a SELECT's answer; 0: none. They cap silently (wire-protocol 3.7). */
export interface RowLimits {
  /** For a SELECT without LIMIT. */
  readonly defaultRows: number;
  /** For every SELECT. */
  readonly rowsMax: number;
}

/** Every row that was asked for. */
export const NO_ROW_LIMITS: RowLimits = { defaultRows: 0, rowsMax: 0 };

/** Rows that an answer has at most; `undefined`: no bound. */
export function answerRowsMax({ defaultRows, rowsMax }: RowLimits, limited: boolean): number | undefined {
  const bounds = [limited ? 0 : defaultRows, rowsMax].filter((bound) => bound > 0);
  return bounds.length === 0 ? undefined : Math.min(...bounds);
}

/** The plan with its answer capped; what is read inside of it (groups, other statements' sources) is not. */
export function limitedPlan(plan: SelectPlan, { defaultRows, rowsMax }: RowLimits): SelectPlan {
  if (defaultRows === 0 && rowsMax === 0) return plan;
  const most = rowsMax === 0 ? Number.POSITIVE_INFINITY : rowsMax;
  const own = plan.limit;
  if (own !== undefined) return rowsMax === 0 ? plan : { ...plan, limit: (context) => Math.min(own(context) ?? most, most) };
  const rows = Math.min(defaultRows === 0 ? most : defaultRows, most);
  return { ...plan, limit: () => rows };
}
