import { type ErrorPosition, kalamError } from '@kalamdb/protocol';
import { checkText, errorPosition } from '../../lexer/position.ts';
import type { QualifiedName, Statement } from '../../statement/ast.ts';
import type { ClassifiedStatement } from '../../statement/classify.ts';
import { parseCreateTable } from './create-table.ts';
import { parseExecuteAs } from './execute-as.ts';
import { parseCreateNamespace, parseDropNamespace, parseShowNamespaces, parseUseNamespace } from './namespace-statements.ts';
import { parseDescribeTable, parseDropTable, parseShowTables } from './table-statements.ts';
import { TokenReader } from './token-reader.ts';
import {
  parseBegin,
  parseCommit,
  parseReleaseSavepoint,
  parseRollback,
  parseRollbackToSavepoint,
  parseSavepoint,
} from './transaction-statements.ts';
import { parseCreateUser, parseDropUser } from './user-statements.ts';

const SIMPLE_PARSERS: ReadonlyMap<string, (reader: TokenReader) => Statement> = new Map([
  ['create-namespace', parseCreateNamespace],
  ['drop-namespace', parseDropNamespace],
  ['show-namespaces', parseShowNamespaces],
  ['use-namespace', parseUseNamespace],
  ['drop-table', parseDropTable],
  ['show-tables', parseShowTables],
  ['describe-table', parseDescribeTable],
  ['create-user', parseCreateUser],
  ['drop-user', parseDropUser],
  ['begin', parseBegin],
  ['commit', parseCommit],
  ['rollback', parseRollback],
  ['savepoint', parseSavepoint],
  ['rollback-to-savepoint', parseRollbackToSavepoint],
  ['release-savepoint', parseReleaseSavepoint],
]);

/**
 * Parses a statement that only KalamDB has; what is not built yet comes back as `not-implemented`, unparsed. Throws SYNTAX_ERROR,
 * INVALID_CREATE_TABLE, INVALID_INPUT (EXECUTE AS USER) and INVALID_NAME, each with its position.
 */
export function parseDialect(text: string, statement: ClassifiedStatement): Statement {
  checkText(text);
  const parser = SIMPLE_PARSERS.get(statement.kind);
  if (parser !== undefined) return parser(new TokenReader(text));
  if (statement.kind === 'create-table') {
    const at = (position: number): { position: ErrorPosition } => ({ position: errorPosition(text, position) });
    return parseCreateTable(new TokenReader(text, (reason, position) => kalamError('INVALID_CREATE_TABLE', { reason }, at(position))));
  }
  if (statement.kind === 'execute-as-user') return parseExecuteAs(text);
  return { kind: 'not-implemented', what: statement.name, table: statement.name === 'ALTER TABLE' ? alteredTable(text) : undefined };
}

/** The table that an ALTER TABLE names; the rest is not looked at. */
function alteredTable(text: string): QualifiedName {
  const reader = new TokenReader(text);
  reader.expectWords('alter');
  reader.acceptOneOf(['user', 'shared', 'stream']);
  reader.expectWords('table');
  return reader.qualifiedName();
}
