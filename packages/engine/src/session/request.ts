import { type Cell, type ErrorCode, KalamError, kalamError } from '@kalamdb/protocol';
import { classifyStatement, liftLiterals, parseStatement, type StatementKind, splitStatements } from '@kalamdb/sql';
import { isAdmin } from '../access/grant.ts';
import type { Principal } from '../contract.ts';
import { failureOf, querySyntax } from './failure.ts';
import { StatementError } from './statement-error.ts';

/** UTF-8 bytes of SQL that one request may hold. */
export const SQL_BYTES_MAX = 1_048_576;
/** Parameters that one statement may have. */
export const PARAMETERS_MAX = 50;
/** UTF-8 bytes of one parameter. */
export const PARAMETER_BYTES_MAX: number = 512 * 1024;

/**
 * Splits and classifies a request and parses a batch: everything that refuses it as a whole, before any statement runs (wire-protocol 3.3).
 * Throws SQL_TOO_LONG, EMPTY_SQL, PARAMS_WITH_BATCH, ADMIN_REQUIRED and the errors of splitting and classification.
 */
export function statementsOf(sql: string, parameters: readonly Cell[], principal: Principal): readonly string[] {
  const bytes = utf8Length(sql, SQL_BYTES_MAX);
  if (bytes > SQL_BYTES_MAX) throw kalamError('SQL_TOO_LONG', { bytes, bytesMax: SQL_BYTES_MAX });
  const statements = split(sql);
  if (statements.length === 0) throw kalamError('EMPTY_SQL');
  const shapes = new Set<string>();
  for (const [index, text] of statements.entries()) {
    const { kind, adminFor } = classifyStatement(text);
    if (adminFor !== undefined && !isAdmin(principal.role)) throw kalamError('ADMIN_REQUIRED', { what: adminFor });
    const problem = statements.length > 1 ? syntaxProblem(text, kind, shapes) : undefined;
    if (problem !== undefined) throw failureOf(problem, index + 1, text);
  }
  if (parameters.length > 0 && statements.length > 1) throw kalamError('PARAMS_WITH_BATCH');
  checkParameters(parameters);
  return statements;
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
function split(sql: string): readonly string[] {
  if (isOneStatement(sql)) return [sql];
  try {
    return splitStatements(sql).map(({ text }) => text);
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

function checkParameters(parameters: readonly Cell[]): void {
  if (parameters.length > PARAMETERS_MAX) {
    throw kalamError('PARAMETER_COUNT_EXCEEDED', { max: PARAMETERS_MAX, count: parameters.length });
  }
  for (const [index, cell] of parameters.entries()) {
    const bytes = typeof cell === 'string' ? utf8Length(cell, PARAMETER_BYTES_MAX) : 0;
    if (bytes > PARAMETER_BYTES_MAX) {
      throw kalamError('PARAMETER_SIZE_EXCEEDED', { parameter: `$${index + 1}`, bytes, bytesMax: PARAMETER_BYTES_MAX });
    }
  }
}

/** Length in UTF-8; counts only when the text can be longer than the bound at all. */
function utf8Length(text: string, bytesMax: number): number {
  return text.length * 3 <= bytesMax ? text.length : Buffer.byteLength(text);
}
