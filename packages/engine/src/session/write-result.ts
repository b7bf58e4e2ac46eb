import type { InsertPlan } from '@kalamdb/sql';
import type { StatementResult } from '../contract.ts';
import type { Written } from '../write/returned-rows.ts';

const VERBS = { insert: 'Inserted', update: 'Updated', delete: 'Deleted' } as const;

/** What a statement answers that has written: how many rows, or what RETURNING makes of them. */
export function writeResult(
  { kind, returning }: { readonly kind: keyof typeof VERBS; readonly returning: InsertPlan['returning'] },
  written: Written,
  { userId: asUser }: { readonly userId: string },
): StatementResult {
  if (typeof written === 'number') {
    return { kind: 'message', message: `${VERBS[kind]} ${written} row(s)`, rowCount: written, dml: kind, asUser };
  }
  return { kind: 'rows', columns: returning?.select.columns ?? [], rows: written, asUser };
}
