import {
  type CatalogView,
  type GeneralRequest,
  needsGeneral,
  planGeneralStatement,
  type StatementCompiler,
  type TableInfo,
} from '@kalamdb/sql';
import { grantFor } from '../access/grant.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Principal } from '../contract.ts';

/** A text, and where it looks up names without a namespace. */
export interface NamingText {
  readonly text: string;
  readonly namespace: string;
}

/** A statement that could not be compiled. */
interface FailedStatement extends NamingText {
  readonly principal: Principal;
}

/**
 * Errors of binding name columns and types. Throws ACCESS_DENIED in their stead when the statement named a table, be it through
 * a view, that its principal may not read at all.
 */
export function refuseHiddenTables(compiler: StatementCompiler, catalog: Catalog, { text, namespace, principal }: FailedStatement): void {
  for (const { id } of namedRelations(compiler, catalog, { text, namespace })) {
    const table = catalog.tableById(id);
    if (table !== undefined) grantFor(principal, table, 'select');
  }
}

/** Whether a text, or a view that it leads to, names a relation, which need not be there. */
export function namesRelation(
  compiler: StatementCompiler,
  catalog: Catalog,
  { name, ...text }: NamingText & { readonly name: { readonly namespace: string; readonly name: string } },
): boolean {
  let found = false;
  namedRelations(compiler, catalog, text, (namespace, named) => {
    if (namespace === name.namespace && named === name.name) found = true;
  });
  return found;
}

/**
 * The tables and views that a text names, and those that the views name, each once; of a wrong text, as far as it was understood.
 * `asked` is told of every name.
 */
export function namedRelations(
  compiler: StatementCompiler,
  catalog: Catalog,
  statement: NamingText,
  asked: (namespace: string, name: string) => void = () => undefined,
): readonly TableInfo[] {
  const found = new Map<number, TableInfo>();
  const recorder: CatalogView = {
    hasNamespace: (name) => catalog.hasNamespace(name),
    table: (space, name): TableInfo | undefined => {
      asked(space, name);
      const relation = catalog.relations.table(space, name);
      if (relation !== undefined) found.set(relation.id, relation);
      return relation;
    },
  };
  const visit = ({ text, namespace }: NamingText): void => {
    try {
      compiler.compile(text, { catalog: recorder, namespace, parameters: [] });
    } catch (error) {
      // What matters is which relations it asked for until then.
      if (needsGeneral(error)) askGeneral(text, { catalog: recorder, namespace, parameters: [], userId: '', role: '', nowMicros: 0n });
    }
  };
  visit(statement);
  // Grows while it is walked: a Map gives what was added meanwhile.
  for (const { id } of found.values()) {
    const record = catalog.viewById(id)?.record;
    if (record !== undefined) visit({ text: record.query, namespace: record.queryNamespace });
  }
  return [...found.values()];
}

/** The compiler has stopped at what only the general executor runs. */
function askGeneral(text: string, request: GeneralRequest): void {
  try {
    planGeneralStatement(text, request);
  } catch {
    // As above.
  }
}
