import type { Statement } from '../statement/ast.ts';
import { classifyStatement } from '../statement/classify.ts';
import { parseDialect } from './dialect/dialect-parser.ts';
import { loadGrammar, parsePostgres } from './postgres/postgres-parser.ts';

/** Loads the grammar that {@link parseStatement} needs. Any number of calls load it once. */
export function initParser(): Promise<void> {
  return loadGrammar();
}

/**
 * Parses one statement: SELECT, INSERT, UPDATE and DELETE by PostgreSQL's grammar, KalamDB's own statements by a parser for them.
 * {@link initParser} must have been awaited. A statement of the dialect that is not built yet is `not-implemented`; a part of a query
 * that is not built is named in the tree. Throws typed errors with a position: EMPTY_SQL, SYNTAX_ERROR, UNSUPPORTED_STATEMENT,
 * UNTERMINATED_STRING, UNTERMINATED_COMMENT, INVALID_CREATE_TABLE, INVALID_INPUT, INVALID_NAME, UNSUPPORTED_TYPE, INVALID_TYPE_PARAMETER.
 */
export function parseStatement(text: string): Statement {
  const statement = classifyStatement(text);
  switch (statement.kind) {
    case 'select':
    case 'insert':
    case 'update':
    case 'delete':
      return parsePostgres(text);
    default:
      return parseDialect(text, statement);
  }
}
