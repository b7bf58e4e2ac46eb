import { KalamError } from '@kalamdb/protocol';
import type { GeneralPlan, GeneralRequest, Plan, SelectPlan } from '@kalamdb/sql';
import { type Grant, grantFor } from '../access/grant.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Principal } from '../contract.ts';
import type { QueryRunner } from '../read/query-runner.ts';
import type { StatementText } from '../read/scan-messages.ts';
import { StalePlan } from '../write/write-context.ts';
import { type EvaluationSources, evaluationFor } from './evaluation.ts';
import { generalPlan } from './general-select.ts';

/** What {@link coldPlan} works with. */
export interface ColdRouting {
  readonly catalog: Catalog;
  readonly queries: Pick<QueryRunner, 'hasSegments'>;
  readonly evaluation: EvaluationSources;
}

/**
 * The general executor's plan of a SELECT that the compiled one could run too, when the partition has segments and the general one reads them
 * itself; `undefined`: it stays with the compiled one. Throws ACCESS_DENIED and {@link StalePlan}.
 */
export function coldPlan(plan: Plan, statement: StatementText, principal: Principal, routing: ColdRouting): GeneralPlan | undefined {
  const { catalog, queries, evaluation } = routing;
  if (plan.kind !== 'select' || (plan.table?.kind !== 'user' && plan.table?.kind !== 'shared')) return undefined;
  if (plan.keys !== undefined || plan.countsTable) return undefined;
  const table = catalog.tableById(plan.table.id);
  if (table === undefined || table !== plan.table) throw new StalePlan();
  const grant = grantFor(principal, table, 'select');
  const order = queries.hasSegments(grant.partition) ? generalOrder(plan, grant) : undefined;
  if (order === undefined) return undefined;
  const { text, namespace, parameters } = statement;
  const { nowMicros } = evaluationFor(evaluation, principal, []);
  try {
    return generalPlan(catalog, { text, namespace, parameters, principal, nowMicros, ids: evaluation.ids, ...order });
  } catch (error) {
    // What the general executor has no words for is read row by row.
    if (error instanceof KalamError) return undefined;
    throw error;
  }
}

/**
 * In which order the general executor gives what ORDER BY leaves open, so that it answers as the compiled one; `undefined`: the compiled one has the
 * query. That looks keys up, counts rows and begins at the first key without reading every segment, and has what depends on tombstones, on
 * the order in which rows come, or on ids and random numbers.
 */
function generalOrder(plan: SelectPlan, { table, maskedCells }: Grant): Pick<GeneralRequest, 'keyOrder'> | undefined {
  const { mentionsDeleted, isVolatile, grouping, distinct, sort, filter, limit, offset } = plan;
  if (mentionsDeleted || isVolatile || maskedCells.includes(table.keyIndex)) return undefined;
  if (grouping?.aggregates.some(({ ordered }) => ordered === true) === true) return undefined;
  // Which of equal rows come first decides here which ones come at all.
  if (distinct) return limit === undefined && offset === undefined ? {} : undefined;
  // The first key of each group is read for nothing else.
  if (grouping !== undefined)
    return grouping.keys.length > 0 && (limit !== undefined || offset !== undefined) ? { keyOrder: 'groups' } : {};
  return limit !== undefined && filter === undefined && sort.length === 0 ? undefined : { keyOrder: 'rows' };
}
