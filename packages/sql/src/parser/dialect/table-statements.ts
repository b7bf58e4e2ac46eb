import type { Statement } from '../../statement/ast.ts';
import type { TokenReader } from './token-reader.ts';

/** `DROP [USER|SHARED|STREAM] TABLE [IF EXISTS] t`; the kind is not compared with the table's. */
export function parseDropTable(reader: TokenReader): Statement {
  reader.expectWords('drop');
  reader.acceptOneOf(['user', 'shared', 'stream']);
  reader.expectWords('table');
  const ifExists = reader.acceptWords('if exists');
  const table = reader.qualifiedName();
  reader.expectEnd();
  return { kind: 'drop-table', table, ifExists };
}

/** `SHOW TABLES [IN [NAMESPACE] n]` */
export function parseShowTables(reader: TokenReader): Statement {
  reader.expectWords('show tables');
  let namespace: string | undefined;
  if (reader.acceptOneOf(['in', 'from']) !== undefined) {
    if (reader.peek(1).kind !== 'end') reader.acceptWords('namespace');
    namespace = reader.name('a namespace name');
  }
  reader.expectEnd();
  return { kind: 'show-tables', namespace };
}

/** `DESCRIBE TABLE t [HISTORY]` */
export function parseDescribeTable(reader: TokenReader): Statement {
  if (!reader.acceptWords('desc')) reader.expectWords('describe');
  reader.expectWords('table');
  const table = reader.qualifiedName();
  const history = reader.acceptWords('history');
  reader.expectEnd();
  return { kind: 'describe-table', table, history };
}
