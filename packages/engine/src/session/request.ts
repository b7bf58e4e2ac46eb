import { type Cell, type ErrorCode, KalamError, kalamError } from '@kalamdb/protocol';
import { classifyStatement, liftLiterals, parseStatement, type StatementKind, splitStatements, splitStatementsSteps } from '@kalamdb/sql';
import { isAdmin } from '../access/grant.ts';
import type { Principal } from '../contract.ts';
import { finishSteps, STEP_ROWS, type Steps } from '../slices/steps.ts';
import { failureOf, querySyntax } from './failure.ts';
import { StatementError } from './statement-error.ts';

/** UTF-16 units of SQL above which a text is read in slices. */
export const LONG_TEXT_UNITS: number = 16 * 1024;

/** What one request may hold. */
export interface RequestLimits {
  /** UTF-8 bytes of SQL. */
  readonly sqlBytesMax: number;
  /** Parameters of a statement. */
  readonly parametersMax: number;
  /** UTF-8 bytes of one parameter. */
  readonly parameterBytesMax: number;
}

/** What holds unless the database is opened with other limits (wire-protocol 2.9). */
export const REQUEST_LIMITS: RequestLimits = { sqlBytesMax: 1_048_576, parametersMax: 50, parameterBytesMax: 512 * 1024 };

/** One request's text with its parameters, and who sent it. */
export interface RequestText {
  readonly sql: string;
  readonly parameters: readonly Cell[];
  readonly principal: Principal;
}

/**
 * Splits and classifies a request and parses a batch: everything that refuses it as a whole, before any statement runs (wire-protocol 3.3).
 * Throws SQL_TOO_LONG, EMPTY_SQL, PARAMS_WITH_BATCH, ADMIN_REQUIRED and the errors of splitting and classification.
 */
export function statementsOf(request: RequestText, limits: RequestLimits): readonly string[] {
  return finishSteps(statementsInSteps(request, limits));
}

/** {@link statementsOf} in short steps, for long texts. */
export function* statementsInSteps({ sql, parameters, principal }: RequestText, limits: RequestLimits): Steps<readonly string[]> {
  const bytes = utf8Length(sql, limits.sqlBytesMax);
  if (bytes > limits.sqlBytesMax) throw kalamError('SQL_TOO_LONG', { bytes, bytesMax: limits.sqlBytesMax });
  const statements = isOneStatement(sql) ? [sql] : yield* split(sql);
  const [first] = statements;
  if (first === undefined) throw kalamError('EMPTY_SQL');
  if (statements.length === 1) kindOf(first, principal);
  else yield* checkBatch(statements, principal);
  if (parameters.length > 0 && statements.length > 1) throw kalamError('PARAMS_WITH_BATCH');
  checkParameters(parameters, limits);
  return statements;
}

function kindOf(text: string, principal: Principal): StatementKind {
  const { kind, adminFor } = classifyStatement(text);
  if (adminFor !== undefined && !isAdmin(principal.role)) throw kalamError('ADMIN_REQUIRED', { what: adminFor });
  return kind;
}

function* checkBatch(statements: readonly string[], principal: Principal): Steps<void> {
  const shapes = new Set<string>();
  for (const [index, text] of statements.entries()) {
    const problem = syntaxProblem(text, kindOf(text, principal), shapes);
    if (problem !== undefined) throw failureOf(problem, index + 1, text);
    if (index % STEP_ROWS === STEP_ROWS - 1) yield;
  }
}

/** Failures of parsing that refuse a request before anything of it runs; others wait for the statement's turn. */
const SYNTAX_ERRORS: ReadonlySet<ErrorCode> = new Set(['SYNTAX_ERROR', 'UNSUPPORTED_STATEMENT', 'INVALID_CREATE_TABLE', 'INVALID_INPUT']);

/** One statement and nothing else can be written with these characters: no `;`, no comment, no quoting but of plain texts, no escape. */
const PLAIN = /^[!#%-,.0-:<-[\]-~][\t\n\r !#%-,.0-:<-[\]-~]*$/;

/** Whether a text certainly is one statement as it stands; most are, and need not be cut then. */
function isOneStatement(sql: string): boolean {
  if (!PLAIN.test(sql) || sql.charCodeAt(sql.length - 1) <= 32) return false;
  let quotes = 0;
  for (let at = sql.indexOf("'"); at !== -1; at = sql.indexOf("'", at + 1)) quotes += 1;
  return quotes % 2 === 0;
}

/** The statements of a request. A text that does not end is a failure of the statement when there is only this one. */
function* split(sql: string): Steps<readonly string[]> {
  try {
    return (yield* splitStatementsSteps(sql)).map(({ text }) => text);
  } catch (error) {
    if (!(error instanceof KalamError) || error.code !== 'UNTERMINATED_STRING' || error.position === undefined) throw error;
    const head = sql.slice(0, error.position.offset);
    if (splitStatements(`${head} x`).length > 1) throw error;
    throw new StatementError({ statement: 1, sql, error: querySyntax(error) });
  }
}

/** Parses a statement of a batch ahead of its turn, so that a mistake in a later one leaves nothing behind. Of many alike, one is parsed. */
function syntaxProblem(text: string, kind: StatementKind, shapes: Set<string>): KalamError | undefined {
  const isQuery = kind === 'select' || kind === 'insert' || kind === 'update' || kind === 'delete';
  const shape = isQuery ? liftLiterals(text, 0).shape : text;
  if (shapes.has(shape)) return undefined;
  shapes.add(shape);
  try {
    parseStatement(text);
  } catch (error) {
    if (!(error instanceof KalamError)) throw error;
    if (SYNTAX_ERRORS.has(error.code)) return error;
  }
  return undefined;
}

function checkParameters(parameters: readonly Cell[], { parametersMax, parameterBytesMax }: RequestLimits): void {
  if (parameters.length > parametersMax) {
    throw kalamError('PARAMETER_COUNT_EXCEEDED', { max: parametersMax, count: parameters.length });
  }
  for (const [index, cell] of parameters.entries()) {
    const bytes = typeof cell === 'string' ? utf8Length(cell, parameterBytesMax) : 0;
    if (bytes > parameterBytesMax) {
      throw kalamError('PARAMETER_SIZE_EXCEEDED', { parameter: `$${index + 1}`, bytes, bytesMax: parameterBytesMax });
    }
  }
}

/** Length in UTF-8; counts only when the text can be longer than the bound at all. */
function utf8Length(text: string, bytesMax: number): number {
  return text.length * 3 <= bytesMax ? text.length : Buffer.byteLength(text);
}
