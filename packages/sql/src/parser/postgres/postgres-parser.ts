import { kalamError } from '@kalamdb/protocol';
import { hasSqlDetails, loadModule, type Node, type ParseResult, parseSync, type SelectStmt } from 'libpg-query';
import { errorPosition, syntaxError } from '../../lexer/position.ts';
import type { Statement } from '../../statement/ast.ts';
import { createConverter } from './expressions.ts';
import { convertQuery } from './queries.ts';
import { SourceText } from './source-text.ts';
import { tableAlias } from './tables.ts';
import { convertDelete, convertInsert, convertUpdate } from './writes.ts';

/** Loads PostgreSQL's grammar; {@link parsePostgres} needs it. Any number of calls load it once. */
export function loadGrammar(): Promise<void> {
  return loadModule();
}

/**
 * Parses SELECT, INSERT, UPDATE and DELETE. What the compiled executor does not run is named in the tree. Throws SYNTAX_ERROR with its
 * position, UNSUPPORTED_STATEMENT, and for casts UNSUPPORTED_TYPE and INVALID_TYPE_PARAMETER.
 */
export function parsePostgres(text: string): Statement {
  const source = new SourceText(text);
  const statement = convertStatement(source, parseNode(text, source));
  if (statement !== undefined) return statement;
  throw kalamError('UNSUPPORTED_STATEMENT', { statement: text.trim().slice(0, 500) }, { position: errorPosition(text, 0) });
}

/** The tree of a text that is one statement. Throws SYNTAX_ERROR. */
export function parseNode(text: string, source: SourceText): Node {
  const [first, second] = parseTree(text, source).stmts ?? [];
  if (first?.stmt === undefined) throw kalamError('EMPTY_SQL');
  if (second !== undefined) throw syntaxError(text, source.position(second.stmt_location), 'one statement is expected, found several');
  return first.stmt;
}

/** The tree of a text that is one SELECT. Throws SYNTAX_ERROR, and UNSUPPORTED_STATEMENT for any other statement. */
export function parseSelect(text: string, source: SourceText): SelectStmt {
  const node = parseNode(text, source);
  if ('SelectStmt' in node) return node.SelectStmt;
  throw kalamError('UNSUPPORTED_STATEMENT', { statement: text.trim().slice(0, 500) }, { position: errorPosition(text, 0) });
}

function parseTree(text: string, source: SourceText): ParseResult {
  try {
    return parseSync(source.text);
  } catch (error) {
    if (error instanceof RangeError) throw syntaxError(text, 0, 'nested too deeply');
    if (!hasSqlDetails(error)) throw error;
    throw syntaxError(text, source.cursor(error.sqlDetails?.cursorPosition ?? 0), error.message);
  }
}

function convertStatement(source: SourceText, node: Node): Statement | undefined {
  if ('SelectStmt' in node) return { kind: 'select', query: convertQuery(createConverter(source, undefined), node.SelectStmt) };
  if ('InsertStmt' in node) return convertInsert(createConverter(source, undefined), node.InsertStmt);
  if ('UpdateStmt' in node) {
    return convertUpdate(createConverter(source, tableAlias(source, node.UpdateStmt.relation)), node.UpdateStmt);
  }
  if ('DeleteStmt' in node) {
    return convertDelete(createConverter(source, tableAlias(source, node.DeleteStmt.relation)), node.DeleteStmt);
  }
  return undefined;
}
