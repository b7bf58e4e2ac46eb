import { kalamError } from '@kalamdb/protocol';
import type { QualifiedName, TableInfo } from '@kalamdb/sql';
import type { View } from '../catalog/system-tables/views.ts';
import type { Table } from '../catalog/table.ts';
import type { DdlContext } from './ddl-context.ts';

/** What a name after DESCRIBE or SHOW COLUMNS means; `table` is what statements are bound to. */
export type NamedRelation =
  | { readonly kind: 'table'; readonly table: Table }
  | { readonly kind: 'view'; readonly table: TableInfo; readonly view: View };

/** The table or view of that name. Throws TABLE_MISSING. */
export function namedRelation(named: QualifiedName, context: DdlContext): NamedRelation {
  const namespace = (named.namespace ?? context.namespace).toLowerCase();
  const name = named.name.toLowerCase();
  const table = context.catalog.table(namespace, name);
  if (table !== undefined) return { kind: 'table', table };
  const view = context.catalog.view(namespace, name);
  if (view === undefined) throw kalamError('TABLE_MISSING', { namespace, name });
  return { kind: 'view', table: view.info, view };
}

/** The table of that name. Throws TABLE_MISSING, INVALID_OPERATION for a view. */
export function namedTable(named: QualifiedName, context: DdlContext): Table {
  const relation = namedRelation(named, context);
  if (relation.kind === 'table') return relation.table;
  const { namespace, name } = relation.table;
  throw kalamError('INVALID_OPERATION', { reason: `'${namespace}.${name}' is a view: it has no rows of its own` });
}
