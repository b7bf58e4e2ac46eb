import type { Principal } from '../contract.ts';
import type { LiveCounters } from './counters.ts';
import type { QueryGroup } from './query-group.ts';
import { QueryShape } from './query-shape.ts';
import { asDenial, asSubscribeError, tryOr } from './refusal.ts';
import type { Router } from './router.ts';
import type { LiveSources } from './sources.ts';

/** Where groups are found and what they are made of. */
export interface GroupSources {
  readonly sources: LiveSources;
  readonly router: Router;
  readonly counters: LiveCounters;
}

/** Who asks for what. */
export interface GroupRequest {
  readonly principal: Principal;
  readonly sql: string;
  /** Queries may have ORDER BY and LIMIT. */
  readonly windows: boolean;
}

/** The group of a query as this principal may see it. The caller releases it. Throws the errors of wire-protocol 4.5 and 4.8. */
export function acquireGroup({ sources, router, counters }: GroupSources, { principal, sql, windows }: GroupRequest): QueryGroup {
  const { plan, ...query } = tryOr(() => sources.bind(sql, { windows }), asSubscribeError);
  const { partition, maskedCells } = tryOr(() => sources.grant(principal, plan.table), asDenial);
  const caller = plan.mentionsUser ? [principal.userId, principal.role] : [];
  const name = JSON.stringify([partition.tableId, plan.table.version, partition.owner, plan.shape, maskedCells, ...caller]);
  return router.acquire(name, query, () => {
    const sinceSeq = sources.sinceSeq(plan.table);
    const { clock } = sources;
    return new QueryShape({ name, plan, partition, sinceSeq, maskedCells, caller: sources.context(principal), clock, counters });
  });
}
