import { type Cell, KalamError, kalamError, sameType } from '@kalamdb/protocol';
import type { ResultColumnInfo, SelectPlan, StatementCompiler } from '@kalamdb/sql';
import type { Catalog } from '../catalog/catalog.ts';
import type { View } from '../catalog/system-tables/views.ts';
import { wantsGeneral } from './general-select.ts';
import { namesRelation } from './hidden-tables.ts';

/** Views that a query may go through, one in the other. */
export const VIEWS_DEEP_MAX = 16;

/** What views are bound with. */
export interface ViewSources {
  readonly compiler: StatementCompiler;
  readonly catalog: Catalog;
}

/** The plan of a view's query with the values it takes. Throws VIEW_BROKEN when it does not give the view's columns any more. */
export function viewPlan(
  { compiler, catalog }: ViewSources,
  view: View,
): { readonly plan: SelectPlan; readonly parameters: readonly Cell[] } {
  const { namespace, name, query, queryNamespace, columns } = view.record;
  const broken = (reason: string, cause?: unknown): Error => kalamError('VIEW_BROKEN', { view: `${namespace}.${name}`, reason }, { cause });
  try {
    const compiled = compiler.compile(query, { catalog: catalog.relations, namespace: queryNamespace, parameters: [] });
    if (compiled.kind !== 'plan' || compiled.plan.kind !== 'select') throw broken('it is no query');
    const { plan, parameters } = compiled;
    const fits = plan.columns.length === columns.length && columns.every(({ type }, index) => isOfType(plan.columns[index], type));
    if (!fits) throw broken('it gives other columns than it did');
    return { plan, parameters };
  } catch (error) {
    if (!(error instanceof KalamError) || error.code === 'VIEW_BROKEN') throw error;
    throw broken(error.message, error);
  }
}

function isOfType(column: ResultColumnInfo | undefined, type: ResultColumnInfo['type']): boolean {
  return column !== undefined && sameType(column.type, type);
}

/** What a new view is made from. */
export interface ViewQuery {
  readonly query: string;
  readonly namespace: string;
  /** What the view is to be called: the query must not lead to it, also when there is no such view now. */
  readonly view: { readonly namespace: string; readonly name: string };
}

/** What a new view is bound with. */
export interface ViewBinding extends ViewSources {
  /** The columns of a query that only the general executor runs. */
  general(query: ViewQuery): Promise<readonly ResultColumnInfo[]>;
}

/** The columns of a query that is to become a view. Throws INVALID_OPERATION for anything else, and what binding throws. */
export async function viewQueryColumns(binding: ViewBinding, made: ViewQuery): Promise<readonly ResultColumnInfo[]> {
  const { compiler, catalog } = binding;
  const { query, namespace, view } = made;
  const columns = compiledColumns(binding, made) ?? (await binding.general(made));
  if (namesRelation(compiler, catalog, { text: query, namespace, name: view })) {
    throw kalamError('INVALID_OPERATION', { reason: `view '${view.namespace}.${view.name}' would read itself` });
  }
  return columns;
}

/** `undefined`: the compiled executor does not run it. */
function compiledColumns({ compiler, catalog }: ViewSources, { query, namespace }: ViewQuery): readonly ResultColumnInfo[] | undefined {
  try {
    const compiled = compiler.compile(query, { catalog: catalog.relations, namespace, parameters: [] });
    if (compiled.kind === 'plan' && compiled.plan.kind === 'select') return compiled.plan.columns;
  } catch (error) {
    if (wantsGeneral(error, query)) return undefined;
    throw error;
  }
  throw kalamError('INVALID_OPERATION', { reason: 'a view is made of a SELECT' });
}
