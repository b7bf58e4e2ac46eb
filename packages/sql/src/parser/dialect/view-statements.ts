import type { Statement } from '../../statement/ast.ts';
import type { TokenReader } from './token-reader.ts';

/** `CREATE [OR REPLACE] [TEMP|TEMPORARY] VIEW [IF NOT EXISTS] [ns.]v [(columns)] AS SELECT …`; the query is taken as it is written. */
export function parseCreateView(reader: TokenReader): Statement {
  reader.expectWords('create');
  const orReplace = reader.acceptWords('or replace');
  reader.acceptOneOf(['temp', 'temporary']);
  reader.expectWords('view');
  const ifNotExists = reader.acceptWords('if not exists');
  const table = reader.qualifiedName();
  const columns = reader.isSymbol('(') ? columnNames(reader) : undefined;
  reader.expectWords('as');
  const queryPosition = reader.position;
  if (reader.atEnd) throw reader.unexpected('a SELECT');
  const query = reader.text.slice(queryPosition).trimEnd().replace(/;$/, '');
  return { kind: 'create-view', table, orReplace, ifNotExists, columns, query, queryPosition };
}

function columnNames(reader: TokenReader): readonly string[] {
  reader.expectSymbol('(');
  const names: string[] = [];
  do names.push(reader.name('a column name'));
  while (reader.acceptSymbol(','));
  reader.expectSymbol(')');
  return names;
}

/** `DROP VIEW [IF EXISTS] [ns.]v` */
export function parseDropView(reader: TokenReader): Statement {
  reader.expectWords('drop view');
  const ifExists = reader.acceptWords('if exists');
  const table = reader.qualifiedName();
  reader.expectEnd();
  return { kind: 'drop-view', table, ifExists };
}
