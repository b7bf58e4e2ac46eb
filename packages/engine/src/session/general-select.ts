import { type Cell, KalamError, type SnowflakeSequence } from '@kalamdb/protocol';
import {
  type CatalogView,
  classifyStatement,
  type GeneralPlan,
  type GeneralRequest,
  type GeneralWritePlan,
  needsGeneral,
  planGeneral,
  planGeneralStatement,
  type StatementKind,
  type TableInfo,
  type ViewText,
} from '@kalamdb/sql';
import { grantFor } from '../access/grant.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Principal, ResultColumn } from '../contract.ts';
import type { GeneralExecutor } from '../read/general/general-executor.ts';
import type { GrantedSource } from '../read/general/general-request.ts';
import { StalePlan } from '../write/write-context.ts';

/** A query that the general executor may have to run. */
export interface GeneralText {
  readonly text: string;
  readonly namespace: string;
  readonly parameters: readonly Cell[];
  readonly principal: Principal;
  /** The statement's time: microseconds since the epoch. */
  readonly nowMicros: bigint;
  /** What SNOWFLAKE_ID() draws on; it is refused without. */
  readonly ids?: SnowflakeSequence | undefined;
  /** See `GeneralRequest`. */
  readonly keyOrder?: GeneralRequest['keyOrder'];
}

/** Whether a statement that the compiled executor refused is one for the general one: its own text, or that of a view it reads. */
export function wantsGeneral(error: unknown, text: string): boolean {
  if (!(error instanceof KalamError)) return false;
  if (error.code === 'VIEW_BROKEN') return wantsGeneral(error.cause, text);
  return needsGeneral(error) && PLANNED_KINDS.has(classifyStatement(text).kind);
}

/** The kinds of statements that the general executor has a part in. */
const PLANNED_KINDS: ReadonlySet<StatementKind> = new Set(['select', 'insert', 'update', 'delete']);

/**
 * The plan of a general query, written out down to the tables. Throws ACCESS_DENIED when it names a table, be it through a
 * view, that its principal may not read, whatever else is wrong with it.
 */
export function generalPlan(catalog: Catalog, query: GeneralText): GeneralPlan {
  return planned(catalog, query, planGeneral);
}

/** The plan of a query, or of a statement that writes and needs the general executor; see {@link generalPlan}. */
export function generalStatementPlan(catalog: Catalog, statement: GeneralText): GeneralPlan | GeneralWritePlan {
  return planned(catalog, statement, planGeneralStatement);
}

function planned<T>(catalog: Catalog, statement: GeneralText, plan: (text: string, request: GeneralRequest) => T): T {
  const { text, namespace, parameters, principal, nowMicros, ids, keyOrder } = statement;
  const named = new Set<TableInfo>();
  const { relations } = catalog;
  const recorder: CatalogView = {
    hasNamespace: (name) => relations.hasNamespace(name),
    table: (space, name) => {
      const found = relations.table(space, name);
      if (found !== undefined) named.add(found);
      return found;
    },
  };
  try {
    const { userId, role } = principal;
    return plan(text, {
      catalog: recorder,
      namespace,
      parameters,
      userId,
      role,
      nowMicros,
      ids,
      keyOrder,
      view: (table) => viewText(catalog, table),
    });
  } catch (error) {
    for (const { id } of named) {
      const table = catalog.tableById(id);
      if (table !== undefined) grantFor(principal, table, 'select');
    }
    throw error;
  }
}

function viewText(catalog: Catalog, { id }: TableInfo): ViewText | undefined {
  const record = catalog.viewById(id)?.record;
  if (record === undefined) return undefined;
  return { query: record.query, namespace: record.queryNamespace, columns: record.columns.map(({ name }) => name) };
}

/** The tables of a plan as its principal may read them. Throws ACCESS_DENIED before any of them is read. */
export function grantedSources(catalog: Catalog, { sources }: GeneralPlan, principal: Principal): GrantedSource[] {
  return sources.map(({ name, table: info }) => {
    const table = catalog.tableById(info.id);
    if (table === undefined || table !== info) throw new StalePlan();
    const provider = catalog.provider(table.id);
    return {
      name,
      grant: grantFor(principal, table, 'select'),
      computed: provider === undefined ? undefined : () => provider.rows(principal),
    };
  });
}

/** The columns that a general query gives; none of its tables is read. Throws what {@link generalPlan} and the executor throw. */
export async function generalColumns(
  { catalog, general }: { readonly catalog: Catalog; readonly general: GeneralExecutor },
  query: GeneralText,
): Promise<readonly ResultColumn[]> {
  const { principal } = query;
  const plan = generalPlan(catalog, query);
  const sources = grantedSources(catalog, plan, principal);
  const { columns } = await general.run({ plan, sources, principal, open: undefined, rowsMax: undefined });
  return columns;
}
