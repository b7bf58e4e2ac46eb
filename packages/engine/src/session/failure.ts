import { KalamError, kalamError } from '@kalamdb/protocol';
import { classifyStatement } from '@kalamdb/sql';
import { StatementError } from './statement-error.ts';

const WHOLE_REQUEST: ReadonlySet<string> = new Set([
  'SYNTAX_ERROR',
  'UNSUPPORTED_STATEMENT',
  'INVALID_CREATE_TABLE',
  'VIEW_MISSING',
  'SUBSCRIBE_TO_INVALID',
  'EXECUTE_AS_DENIED',
  'EXECUTE_AS_SHARED',
  'INVALID_INPUT',
  'INVALID_ROLE',
  'ADMIN_REQUIRED',
]);

const QUERIES: ReadonlySet<string> = new Set(['select', 'insert', 'update', 'delete']);

/** Errors that refuse a request as a whole keep their form; all others name the statement they happened in, 1-based. */
export function failureOf(error: unknown, statement: number, sql: string): Error {
  if (!(error instanceof KalamError)) {
    return new StatementError({ statement, sql, error: kalamError('INTERNAL_ERROR', { reason: String(error) }, { cause: error }) });
  }
  if (error.code === 'SYNTAX_ERROR' && isQuery(sql)) return new StatementError({ statement, sql, error: querySyntax(error) });
  if (WHOLE_REQUEST.has(error.code)) return error;
  return new StatementError({ statement, sql, error });
}

/** A mistake in the syntax of a query counts as a failure of running it (wire-protocol 3.13, the case of an unterminated text). */
export function querySyntax(error: KalamError): KalamError {
  const reason = error.message.replace(/^Invalid SQL: /, '');
  return kalamError('QUERY_SYNTAX', { reason }, { cause: error, position: error.position });
}

function isQuery(sql: string): boolean {
  try {
    return QUERIES.has(classifyStatement(sql).kind);
  } catch {
    return false;
  }
}
