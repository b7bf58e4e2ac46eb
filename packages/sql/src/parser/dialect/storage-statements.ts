import type { Statement } from '../../statement/ast.ts';
import type { TokenReader } from './token-reader.ts';

/** `STORAGE {FLUSH|COMPACT} TABLE ns.t`; the namespace has to be named. */
export function parseStorageTable(reader: TokenReader): Statement {
  reader.expectWords('storage');
  const action = reader.acceptOneOf(['flush', 'compact']);
  if (action === undefined) throw reader.unexpected('FLUSH or COMPACT');
  reader.expectWords('table');
  const name = `STORAGE ${action.toUpperCase()} TABLE`;
  const table = reader.qualifiedName();
  if (table.namespace === undefined) {
    throw reader.refuse(`Table name must be qualified (namespace.table) for ${name}`, table.position);
  }
  if (!reader.atEnd) throw reader.refuse(`Unexpected tokens after ${name}`);
  return { kind: `storage-${action}-table`, table };
}
