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

/** `ALTER NAMESPACE n SET OPTIONS (k = v, …)` */
export function parseAlterNamespace(reader: TokenReader): Statement {
  reader.expectWords('alter namespace');
  const name = reader.name('a namespace name');
  if (!reader.acceptWords('set options')) throw reader.refuse('Expected SET OPTIONS clause');
  reader.expectSymbol('(');
  const options = new Map<string, string | number | boolean>();
  do {
    const key = reader.nameOrString('an option');
    reader.expectSymbol('=');
    options.set(key, optionValue(reader));
  } while (reader.acceptSymbol(','));
  reader.expectSymbol(')');
  reader.expectEnd();
  return { kind: 'alter-namespace', name, options };
}

function optionValue(reader: TokenReader): string | number | boolean {
  if (reader.peek().kind === 'string') return reader.string('a value');
  const word = reader.acceptOneOf(['true', 'false']);
  if (word !== undefined) return word === 'true';
  const sign = reader.acceptSymbol('-') ? -1 : 1;
  const token = reader.peek();
  const value = token.kind === 'number' ? Number(token.value) : Number.NaN;
  if (!Number.isFinite(value)) throw reader.unexpected('a text, a number, TRUE or FALSE');
  reader.next();
  return sign * value;
}
