import type { Node, RangeVar } from 'libpg-query';
import type { QualifiedName } from '../../statement/ast.ts';
import type { Unsupported } from './converter.ts';
import type { SourceText } from './source-text.ts';

/** The only catalog there is. */
const CATALOG = 'kalam';

/** A table name, folded to lower case: table names are compared without case however they are written. */
export function tableName(source: SourceText, relation: RangeVar | undefined): QualifiedName {
  const schema = relation?.schemaname;
  return {
    namespace: schema === undefined ? undefined : source.name(schema).toLowerCase(),
    name: source.name(relation?.relname ?? '').toLowerCase(),
    position: source.position(relation?.location),
  };
}

/** The alias of a table, lower case. */
export function tableAlias(source: SourceText, relation: RangeVar | undefined): string | undefined {
  const alias = relation?.alias?.aliasname;
  return alias === undefined ? undefined : source.name(alias).toLowerCase();
}

/** What about a table reference is not built. */
export function missingInTable(source: SourceText, relation: RangeVar | undefined): Unsupported | undefined {
  const position = source.position(relation?.location);
  const catalog = relation?.catalogname;
  if (catalog !== undefined && catalog.toLowerCase() !== CATALOG) return { what: `catalog '${catalog}'`, position };
  if (relation?.alias?.colnames !== undefined) return { what: 'column names in a table alias', position };
  return undefined;
}

/** What about an entry of FROM is not built, when it is not a plain table. */
export function missingInFrom(source: SourceText, node: Node): Unsupported | undefined {
  if ('RangeVar' in node) return missingInTable(source, node.RangeVar);
  if ('JoinExpr' in node) return { what: 'JOIN', position: firstPosition(source, node) };
  if ('RangeSubselect' in node) {
    return { what: node.RangeSubselect.lateral === true ? 'LATERAL' : 'subqueries', position: firstPosition(source, node) };
  }
  if ('RangeFunction' in node || 'RangeTableFunc' in node || 'JsonTable' in node) {
    return { what: 'table functions', position: firstPosition(source, node) };
  }
  if ('RangeTableSample' in node) return { what: 'TABLESAMPLE', position: source.position(node.RangeTableSample.location) };
  return { what: 'this FROM clause', position: 0 };
}

/** The first location that the tree below a node mentions. */
export function firstPosition(source: SourceText, node: unknown): number {
  if (typeof node !== 'object' || node === null) return 0;
  for (const [key, value] of Object.entries(node)) {
    if (key === 'location' && typeof value === 'number' && value > 0) return source.position(value);
    const inner = firstPosition(source, value);
    if (inner > 0) return inner;
  }
  return 0;
}
