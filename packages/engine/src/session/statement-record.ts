import type { Principal, StatementAnswer, StatementResult } from '../contract.ts';

/** One statement that was run, for whoever watches the database. Its text may hold secrets: it is shown through {@link redactStatement} only. */
export interface StatementRecord {
  readonly text: string;
  readonly principal: Principal;
  /** The name of its request, if it was given one. */
  readonly requestId: string | undefined;
  /** From its turn in the request to its answer; of an answer that was read as a stream, what its rows were waited for. */
  readonly millis: number;
  /** Rows that were read or changed; 0 when it failed. */
  readonly rows: number;
  readonly failed: boolean;
}

/** Rows that a result tells of. */
export function rowsOf(result: StatementResult): number {
  return result.kind === 'rows' ? result.rows.length : result.rowCount;
}

/** Rows that an answer tells of, read to its end. */
export async function countedRows(answer: StatementAnswer): Promise<number> {
  if (answer.kind !== 'stream') return rowsOf(answer);
  const { stream } = answer;
  let rows = 0;
  try {
    for (let batch = await stream.next(); batch !== undefined; batch = await stream.next()) rows += batch.length;
    return rows;
  } finally {
    await stream.close();
  }
}
