import { invalidArgument } from '../client-error.ts';
import { sqlLiteral } from './sql-text.ts';

/** What a `$1` may stand in without being a placeholder, and placeholders. */
const tokens =
  /\b[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\r\n]*|\/\*[\s\S]*?\*\/|\$((?!\d)[^\s$]*)\$[\s\S]*?\$\1\$|(?<![\w$])\$(\d+)/g;

/**
 * A statement with its parameters written in as literals: subscriptions have none on the wire. Placeholders in texts, names and
 * comments are left alone. Throws `INVALID_ARGUMENT` for one that has no parameter.
 *
 * | sql | params | bound |
 * |---|---|---|
 * | `a = $1 AND b = '$1'` | `["it's"]` | `a = 'it''s' AND b = '$1'` |
 * | `a -$1` | `[-1]` | `a - -1` |
 */
export function boundSql(sql: string, params: readonly unknown[] = []): string {
  if (params.length === 0) return sql;
  return sql.replace(tokens, (token: string, _tag: string | undefined, digits: string | undefined) => {
    // a comment in a comment would end elsewhere for the server than it does here
    if (token.startsWith('/*') && token.includes('/*', 2)) throw invalidArgument('sql', 'a comment within a comment, beside parameters');
    if (digits === undefined) return token;
    const index = Number(digits) - 1;
    if (!(index in params)) throw invalidArgument('params', `no $${digits}`);
    const literal = sqlLiteral(params[index]);
    // two minus signs would begin a comment
    return literal.startsWith('-') ? ` ${literal}` : literal;
  });
}
