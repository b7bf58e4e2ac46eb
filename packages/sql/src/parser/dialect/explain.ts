import type { Statement } from '../../statement/ast.ts';
import type { TokenReader } from './token-reader.ts';

/** `EXPLAIN [ANALYZE] [VERBOSE] statement` (sql-dialect B17). VERBOSE says no more. */
export function parseExplain(reader: TokenReader): Statement {
  reader.expectWords('explain');
  const analyze = reader.acceptWords('analyze');
  reader.acceptWords('verbose');
  const innerPosition = reader.position;
  if (reader.atEnd) throw reader.refuse('Expected: a query');
  return { kind: 'explain', analyze, inner: reader.text.slice(innerPosition), innerPosition };
}

/** `SET name {TO | =} value`, for settings of the original's query engine: accepted and without effect. */
export function parseSetOption(reader: TokenReader): Statement {
  reader.expectWords('set');
  const start = reader.position;
  while (!reader.atEnd && !reader.isWord('to') && !reader.isSymbol('=')) reader.next();
  const name = reader.text.slice(start, reader.position).trim().toLowerCase();
  if (!reader.acceptWords('to') && !reader.acceptSymbol('=')) throw reader.refuse('Expected: = or TO');
  if (reader.atEnd) throw reader.refuse('Expected: a value');
  return name.startsWith('datafusion.') ? { kind: 'set-option', name } : { kind: 'not-implemented', what: 'SET' };
}
