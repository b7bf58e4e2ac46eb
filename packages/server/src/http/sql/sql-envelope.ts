import type { RowStream, StatementAnswer, StatementResult } from '@kalamdb/engine';
import { jsonString, kalamError, type Row } from '@kalamdb/protocol';
import { foldBatch } from './batch-folding.ts';
import { columnText } from './result-columns.ts';
import type { SqlFailure } from './sql-failure.ts';

/** Characters of an answer after which a piece ends; making one takes about a third of a millisecond. */
const PIECE_CHARS = 32_768;

/** What the envelope says besides the results. */
export interface EnvelopeContext {
  /** The user who asked; summaries of a batch are in that name. */
  readonly caller: string;
  /** Milliseconds since the request came; asked when they are written. */
  tookMillis(): number;
}

/** A body: all of it, or its first piece and what makes the others. */
export type Envelope = string | EnvelopePieces;

/** A body that is too long to be written at once. */
export interface EnvelopePieces {
  readonly first: string;
  /**
   * To be asked for one piece at a time, with a rest between; a promise in a piece's stead is to be waited for first (rows are made), and what
   * it rejects with ends the body. Ended early it lets go of the rows.
   */
  readonly rest: Iterator<string | Promise<void>, string, void> & { return(value: string): unknown };
}

/**
 * The body of a successful SQL request (wire-protocol 3.4), written as text: a request with one statement that has rows
 * is serialised as the original's stream, everything else as its plain results.
 */
export function successEnvelope(results: readonly StatementAnswer[], context: EnvelopeContext): Envelope {
  const [only] = results;
  if (results.length === 1 && only?.kind === 'message') {
    return `{"status":"success","results":[${messageResult(only)}],"took":${took(context.tookMillis())}}`;
  }
  const pieces = envelopePieces(results, context);
  const { done, value } = pieces.next();
  if (done === true) return value;
  if (typeof value !== 'string') throw kalamError('INTERNAL_ERROR', { reason: 'a body that does not begin with text' });
  return { first: value, rest: pieces };
}

/** The body of a refused or failed SQL request. */
export function failureEnvelope(failure: SqlFailure, tookMillis: number): string {
  const details = failure.details === undefined ? '' : `,"details":${jsonString(failure.details)}`;
  const error = `{"code":${jsonString(failure.code)},"message":${jsonString(failure.message)}${details}}`;
  return `{"status":"error","results":[],"took":${took(tookMillis)},"error":${error}}`;
}

/** What makes a body: its pieces, and promises of rows to wait for; returns the last piece. */
type Pieces = Generator<string | Promise<void>, string, void>;

/** Streams among the results are closed on every path. */
function* envelopePieces(results: readonly StatementAnswer[], context: EnvelopeContext): Pieces {
  try {
    return yield* bodyPieces(results, context);
  } finally {
    // Whoever leaves may do so before a stream has its turn. It has said already what went wrong with it, and there is nobody left to tell.
    for (const result of results) if (result.kind === 'stream') result.stream.close().catch(() => undefined);
  }
}

function* bodyPieces(results: readonly StatementAnswer[], context: EnvelopeContext): Pieces {
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
    let count: number;
    if (result.kind === 'rows') {
      const { schema, writers } = columnText(result.columns);
      text += streamed || result.columns.length > 0 ? `{"schema":${schema},"rows":[` : '{"rows":[';
      text = yield* rowPieces({ text, rows: result.rows, writers, between: '' });
      count = result.rows.length;
    } else {
      const made: StreamedRows = yield* streamPieces(text, result.stream);
      ({ text, count } = made);
    }
    text += `],"row_count":${count},"as_user":${jsonString(result.asUser)}${result.kind === 'rows' ? commitText(result) : ''}}`;
  }
  return `${text}],"took":${took(context.tookMillis())}${streamed ? ',"error":null' : ''}}`;
}

interface RowsOfPieces {
  /** What comes before them. */
  readonly text: string;
  readonly rows: readonly Row[];
  readonly writers: readonly CellWriter[];
  /** Stands before the first row. */
  readonly between: string;
}

/** Gives pieces as long as there are more, and returns what is left. */
function* rowPieces({ text: before, rows, writers, between: first }: RowsOfPieces): Generator<string, string, void> {
  let text = before;
  let between = first;
  for (const row of rows) {
    if (text.length >= PIECE_CHARS) {
      yield text;
      text = '';
    }
    text += between + rowText(row, writers);
    between = ',';
  }
  return text;
}

/** What is left of the text of a stream, and how many rows it had. */
interface StreamedRows {
  readonly text: string;
  readonly count: number;
}

/** The same for rows that are made while they are written. */
function* streamPieces(before: string, stream: RowStream): Generator<string | Promise<void>, StreamedRows, void> {
  const { schema, writers } = columnText(stream.columns);
  yield `${before}{"schema":${schema},"rows":[`;
  let text = '';
  let count = 0;
  for (;;) {
    const made: { rows?: readonly Row[] | undefined } = {};
    yield stream.next().then((rows) => {
      made.rows = rows;
    });
    if (made.rows === undefined) return { text, count };
    text = yield* rowPieces({ text, rows: made.rows, writers, between: count === 0 ? '' : ',' });
    count += made.rows.length;
  }
}

type CellWriter = (cell: Row[number]) => string;

function rowText(row: Row, writers: readonly CellWriter[]): string {
  let text = '';
  for (let i = 0; i < writers.length; i++) {
    const cell = row[i] ?? null;
    text += `${i === 0 ? '' : ','}${cell === null ? 'null' : writers[i]?.(cell)}`;
  }
  return `[${text}]`;
}

function messageResult(result: StatementResult & { readonly kind: 'message' }): string {
  return `{"row_count":${result.rowCount},"message":${jsonString(result.message)},"as_user":${jsonString(result.asUser)}${commitText(result)}}`;
}

function commitText({ commit }: StatementResult): string {
  return commit === undefined ? '' : `,"commit":"${commit}"`;
}

/** Milliseconds with three decimals. */
function took(millis: number): string {
  return String(Math.round(Math.max(0, millis) * 1000) / 1000);
}
