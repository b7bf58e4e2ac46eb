import type { Statement } from '../../statement/ast.ts';
import type { TokenReader } from './token-reader.ts';

/** `CREATE NAMESPACE [IF NOT EXISTS] n`; the name is checked by the handler. */
export function parseCreateNamespace(reader: TokenReader): Statement {
  reader.expectWords('create namespace');
  const ifNotExists = reader.acceptWords('if not exists');
  const name = reader.name('a namespace name');
  reader.expectEnd();
  return { kind: 'create-namespace', name, ifNotExists };
}

/** `DROP NAMESPACE [IF EXISTS] n [CASCADE | RESTRICT]` */
export function parseDropNamespace(reader: TokenReader): Statement {
  reader.expectWords('drop namespace');
  const ifExists = reader.acceptWords('if exists');
  const name = reader.name('a namespace name');
  const cascade = reader.acceptWords('cascade');
  if (!cascade) reader.acceptWords('restrict');
  reader.expectEnd();
  return { kind: 'drop-namespace', name, ifExists, cascade };
}

/** `SHOW NAMESPACES` */
export function parseShowNamespaces(reader: TokenReader): Statement {
  reader.expectWords('show namespaces');
  reader.expectEnd();
  return { kind: 'show-namespaces' };
}

/** `USE n`, `USE NAMESPACE n`, `SET NAMESPACE n`. A namespace called `namespace` is what `USE NAMESPACE` alone means. */
export function parseUseNamespace(reader: TokenReader): Statement {
  if (!reader.acceptWords('set')) reader.expectWords('use');
  if (reader.peek(1).kind !== 'end') reader.acceptWords('namespace');
  const name = reader.nameOrString('a namespace name').toLowerCase();
  reader.expectEnd();
  return { kind: 'use-namespace', name };
}
