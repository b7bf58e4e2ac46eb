import type { StatementResult } from '@kalamdb/engine';
import { jsonString, type Row } from '@kalamdb/protocol';
import { foldBatch } from './batch-folding.ts';
import { columnText } from './result-columns.ts';
import type { SqlFailure } from './sql-failure.ts';

/** Characters of an answer after which a piece ends; making one takes about a third of a millisecond. */
const PIECE_CHARS = 32_768;

/** What the envelope says besides the results. */
export interface EnvelopeContext {
  /** The user who asked; summaries of a batch are in that name. */
  readonly caller: string;
  readonly tookMillis: number;
}

/** A body: all of it, or its first piece and what makes the others. */
export type Envelope = string | EnvelopePieces;

/** A body that is too long to be written at once. */
export interface EnvelopePieces {
  readonly first: string;
  /** To be asked for one piece at a time, with a rest between; ended early it lets go of the rows. */
  readonly rest: Iterator<string, string, void> & { return(value: string): unknown };
}

/**
 * The body of a successful SQL request (wire-protocol 3.4), written as text: a request with one statement that has rows
 * is serialised as the original's stream, everything else as its plain results.
 */
export function successEnvelope(results: readonly StatementResult[], context: EnvelopeContext): Envelope {
  const [only] = results;
  if (results.length === 1 && only?.kind === 'message') {
    return `{"status":"success","results":[${messageResult(only)}],"took":${took(context)}}`;
  }
  const pieces = envelopePieces(results, context);
  const { done, value } = pieces.next();
  return done === true ? value : { first: value, rest: pieces };
}

/** The body of a refused or failed SQL request. */
export function failureEnvelope(failure: SqlFailure, tookMillis: number): string {
  const details = failure.details === undefined ? '' : `,"details":${jsonString(failure.details)}`;
  const error = `{"code":${jsonString(failure.code)},"message":${jsonString(failure.message)}${details}}`;
  return `{"status":"error","results":[],"took":${took({ tookMillis })},"error":${error}}`;
}

/** Gives pieces as long as there are more, and returns the last one. */
function* envelopePieces(results: readonly StatementResult[], context: EnvelopeContext): Generator<string, string, void> {
  const [first] = results;
  // An answer with JSON in it is made by a statement and not by a query, and is written as those are.
  const streamed = results.length === 1 && !(first?.kind === 'rows' && first.columns.some(({ isRawJson }) => isRawJson === true));
  let text = '{"status":"success","results":[';
  let separator = '';
  for (const result of foldBatch(results, context.caller)) {
    text += separator;
    separator = ',';
    if (result.kind === 'message') {
      text += messageResult(result);
      continue;
    }
    const { schema, writers } = columnText(result.columns);
    text += streamed || result.columns.length > 0 ? `{"schema":${schema},"rows":[` : '{"rows":[';
    let between = '';
    for (const row of result.rows) {
      if (text.length >= PIECE_CHARS) {
        yield text;
        text = '';
      }
      text += between + rowText(row, writers);
      between = ',';
    }
    text += `],"row_count":${result.rows.length},"as_user":${jsonString(result.asUser)}}`;
  }
  return `${text}],"took":${took(context)}${streamed ? ',"error":null' : ''}}`;
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
