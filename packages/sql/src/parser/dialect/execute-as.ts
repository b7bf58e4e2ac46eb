import { type KalamError, kalamError } from '@kalamdb/protocol';
import { errorPosition } from '../../lexer/position.ts';
import type { Statement } from '../../statement/ast.ts';
import { checkUserName } from '../../statement/names.ts';
import { splitStatements } from '../../statement/split.ts';
import { TokenReader } from './token-reader.ts';

/** `EXECUTE AS USER name ( statement )`. Throws INVALID_INPUT with the texts of sql-dialect B19, INVALID_NAME for ids that are no names. */
export function parseExecuteAs(text: string): Statement {
  const refuse = (reason: string, position: number): KalamError =>
    kalamError('INVALID_INPUT', { reason: `EXECUTE AS USER ${reason}` }, { position: errorPosition(text, position) });
  const reader = new TokenReader(text, refuse);
  reader.expectWords('execute as user');
  const user = parseUser(reader);
  if (!reader.acceptSymbol('(')) throw reader.refuse('must wrap SQL in parentheses');
  const start = reader.position;
  const end = closingParenthesis(reader);
  reader.next();
  const [piece, second] = splitStatements(text.slice(start, end));
  if (piece === undefined) throw reader.refuse('requires a non-empty inner SQL statement', start);
  if (second !== undefined) throw reader.refuse('can only wrap a single SQL statement', start + second.offset);
  if (!reader.atEnd) throw reader.refuse('must contain exactly one wrapped SQL statement');
  return { kind: 'execute-as-user', user, inner: piece.text, innerPosition: start + piece.offset };
}

function parseUser(reader: TokenReader): string {
  if (reader.atEnd || reader.isSymbol('(')) throw reader.refuse('username cannot be empty');
  const user = reader.nameOrString('a user name');
  if (user.trim() === '') throw reader.refuse('username cannot be empty');
  checkUserName(user);
  return user;
}

/** Moves to the parenthesis that closes the open one; where it stands. */
function closingParenthesis(reader: TokenReader): number {
  let depth = 1;
  for (;;) {
    if (reader.atEnd) throw reader.refuse("missing closing ')'");
    if (reader.isSymbol('(')) depth += 1;
    else if (reader.isSymbol(')')) depth -= 1;
    if (depth === 0) return reader.position;
    reader.next();
  }
}
