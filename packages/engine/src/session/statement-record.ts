import type { Principal, StatementResult } from '../contract.ts';

/** One statement that was run, for whoever watches the database. Its text may hold secrets: it is shown through {@link redactStatement} only. */
export interface StatementRecord {
  readonly text: string;
  readonly principal: Principal;
  /** The name of its request, if it was given one. */
  readonly requestId: string | undefined;
  /** From its turn in the request to its answer. */
  readonly millis: number;
  /** Rows that were read or changed; 0 when it failed. */
  readonly rows: number;
  readonly failed: boolean;
}

/** Rows that a result tells of. */
export function rowsOf(result: StatementResult): number {
  return result.kind === 'rows' ? result.rows.length : result.rowCount;
}
