import type { StatementCompiler } from '@kalamdb/sql';
import { grantFor } from '../access/grant.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Table } from '../catalog/table.ts';
import type { ReadingRights } from '../catalog/views/information-schema.ts';
import type { Principal } from '../contract.ts';
import { namedRelations } from '../session/hidden-tables.ts';

/** Who may read which tables and views: a view, whoever may read all that it reads. */
export function readingRights(catalog: Catalog, compiler: StatementCompiler): ReadingRights {
  return {
    mayRead,
    mayReadView: (principal, view) => {
      const record = catalog.viewById(view.id)?.record;
      if (record === undefined) return false;
      const relations = namedRelations(compiler, catalog, { text: record.query, namespace: record.queryNamespace });
      return relations.every(({ id }) => {
        const table = catalog.tableById(id);
        return table === undefined || mayRead(principal, table);
      });
    },
  };
}

function mayRead(principal: Principal, table: Table): boolean {
  try {
    grantFor(principal, table, 'select');
    return true;
  } catch {
    // The refusal is the answer.
    return false;
  }
}
