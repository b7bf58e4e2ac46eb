import type { CatalogView, StatementCompiler, TableInfo } from '@kalamdb/sql';
import { grantFor } from '../access/grant.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Principal } from '../contract.ts';

/** A statement that could not be compiled. */
interface FailedStatement {
  readonly text: string;
  readonly namespace: string;
  readonly principal: Principal;
}

/**
 * Errors of binding name columns and types. Throws ACCESS_DENIED in their stead when the statement named a table that
 * its principal may not read at all.
 */
export function refuseHiddenTables(compiler: StatementCompiler, catalog: Catalog, { text, namespace, principal }: FailedStatement): void {
  const named = new Set<number>();
  const recorder: CatalogView = {
    hasNamespace: (name) => catalog.hasNamespace(name),
    table: (space, name): TableInfo | undefined => {
      const table = catalog.table(space, name);
      if (table !== undefined) named.add(table.id);
      return table;
    },
  };
  try {
    compiler.compile(text, { catalog: recorder, namespace, parameters: [] });
  } catch {
    // It failed before; what matters is which tables it asked for until then.
  }
  for (const id of named) {
    const table = catalog.tableById(id);
    if (table !== undefined) grantFor(principal, table, 'select');
  }
}
