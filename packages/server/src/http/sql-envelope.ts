import type { StatementResult } from '@kalamdb/engine';
import { jsonString, type Row } from '@kalamdb/protocol';
import { foldBatch } from './batch-folding.ts';
import { columnText } from './result-columns.ts';
import type { SqlFailure } from './sql-failure.ts';

/** What the envelope says besides the results. */
export interface EnvelopeContext {
  /** The user who asked; summaries of a batch are in that name. */
  readonly caller: string;
  readonly tookMillis: number;
}

/**
 * The body of a successful SQL request (wire-protocol 3.4), written as text: a request with one statement that has rows
 * is serialised as the original's stream, everything else as its plain results.
 */
export function successEnvelope(results: readonly StatementResult[], context: EnvelopeContext): string {
  const [first] = results;
  if (results.length === 1 && first !== undefined && first.kind === 'rows') {
    return `{"status":"success","results":[${rowsResult(first, true)}],"took":${took(context)},"error":null}`;
  }
  const parts = foldBatch(results, context.caller).map((result) =>
    result.kind === 'rows' ? rowsResult(result, false) : messageResult(result),
  );
  return `{"status":"success","results":[${parts.join(',')}],"took":${took(context)}}`;
}

/** The body of a refused or failed SQL request. */
export function failureEnvelope(failure: SqlFailure, tookMillis: number): string {
  const details = failure.details === undefined ? '' : `,"details":${jsonString(failure.details)}`;
  const error = `{"code":${jsonString(failure.code)},"message":${jsonString(failure.message)}${details}}`;
  return `{"status":"error","results":[],"took":${took({ tookMillis })},"error":${error}}`;
}

function rowsResult(result: StatementResult & { readonly kind: 'rows' }, schemaAlways: boolean): string {
  const { schema, writers } = columnText(result.columns);
  const head = schemaAlways || result.columns.length > 0 ? `"schema":${schema},` : '';
  let rows = '';
  for (const row of result.rows) rows += `${rows === '' ? '' : ','}${rowText(row, writers)}`;
  return `{${head}"rows":[${rows}],"row_count":${result.rows.length},"as_user":${jsonString(result.asUser)}}`;
}

function rowText(row: Row, writers: readonly ((cell: Row[number]) => string)[]): string {
  let text = '';
  for (let i = 0; i < writers.length; i++) {
    const cell = row[i] ?? null;
    text += `${i === 0 ? '' : ','}${cell === null ? 'null' : writers[i]?.(cell)}`;
  }
  return `[${text}]`;
}

function messageResult(result: StatementResult & { readonly kind: 'message' }): string {
  return `{"row_count":${result.rowCount},"message":${jsonString(result.message)},"as_user":${jsonString(result.asUser)}}`;
}

/** Milliseconds with three decimals. */
function took(context: { readonly tookMillis: number }): string {
  return String(Math.round(Math.max(0, context.tookMillis) * 1000) / 1000);
}
