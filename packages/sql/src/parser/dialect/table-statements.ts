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

/** `DESCRIBE TABLE t [HISTORY | EXTENDED]` */
export function parseDescribeTable(reader: TokenReader): Statement {
  if (!reader.acceptWords('desc')) reader.expectWords('describe');
  reader.expectWords('table');
  const table = reader.qualifiedName();
  const history = reader.acceptWords('history');
  const extended = !history && reader.acceptWords('extended');
  reader.expectEnd();
  return { kind: 'describe-table', table, history, extended };
}

/** `DESCRIBE t`, `DESC t` */
export function parseDescribeColumns(reader: TokenReader): Statement {
  if (!reader.acceptWords('desc')) reader.expectWords('describe');
  const table = reader.qualifiedName();
  reader.expectEnd();
  return { kind: 'describe-columns', table };
}

/** `SHOW COLUMNS {FROM|IN} t` */
export function parseShowColumns(reader: TokenReader): Statement {
  reader.expectWords('show columns');
  if (reader.acceptOneOf(['from', 'in']) === undefined) throw reader.unexpected('FROM');
  const table = reader.qualifiedName();
  reader.expectEnd();
  return { kind: 'show-columns', table };
}

/** `SHOW STATS FOR TABLE t`, `SHOW TABLE STATS t` */
export function parseShowStats(reader: TokenReader): Statement {
  reader.expectWords('show');
  if (!reader.acceptWords('stats for table')) reader.expectWords('table stats');
  const table = reader.qualifiedName();
  reader.expectEnd();
  return { kind: 'show-stats', table };
}

/** `SHOW STORAGES`, `SHOW MANIFEST` */
export function parseShowAll(reader: TokenReader): Statement {
  reader.expectWords('show');
  const what = reader.acceptOneOf(['storages', 'manifest']);
  if (what === undefined) throw reader.unexpected('STORAGES or MANIFEST');
  reader.expectEnd();
  return { kind: `show-${what}` };
}
