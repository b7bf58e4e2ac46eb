import { KalamError, kalamError } from '@kalamdb/protocol';
import type { TableInfo } from '@kalamdb/sql';
import type { RowVersion } from '../contract.ts';
import { acquireGroup, type GroupRequest, type GroupSources } from './acquire-group.ts';
import { asSubscribeError, tryOr } from './refusal.ts';
import { describeRoute, type RouteDescription } from './route.ts';
import type { Subscription, Withholding } from './subscription.ts';
import type { Windows } from './window/windows.ts';

/** How a query is served if it is subscribed to. */
export interface ExplainedLive {
  readonly table: TableInfo;
  /** Whose rows it reads of a table of users or streams. */
  readonly owner: string;
  readonly columns: readonly string[];
  readonly filtered: boolean;
  /** Rows of its window; `undefined`: it has no LIMIT. */
  readonly limit: number | undefined;
  readonly route: RouteDescription;
  /** Subscriptions that are open with this query on these rows: they share what a change costs. */
  readonly subscriptions: number;
}

/**
 * Why a row is with the client of a subscription or is not:
 *
 * - `DELIVERED`: it is.
 * - `NO_SUCH_ROW`: the rows that the subscription reads hold none with this key, or its deletion has been forgotten.
 * - `DELETED`: its newest version is a deletion, which the client was told of if it had the row.
 * - `FILTER_MISMATCH`: the filter does not accept its newest version.
 * - `FILTER_FAILED`: the filter cannot be evaluated for it, which ends a subscription that meets it.
 * - `LOADING`: the client has not fetched all batches yet.
 * - `BEHIND`: its newest version is above what the client was told so far.
 * - `BEFORE_SUBSCRIPTION`: it is older than the subscription, which did not ask for it (`last_rows`, `from`, `options` null).
 * - `OUTSIDE_WINDOW`: other rows come before it in the order of the query.
 */
export type LiveReason = 'DELIVERED' | 'NO_SUCH_ROW' | 'DELETED' | 'FILTER_MISMATCH' | 'FILTER_FAILED' | 'LOADING' | 'BEHIND' | Withholding;

/** What a subscription makes of one row. */
export interface ExplainedRow {
  readonly reason: LiveReason;
  /** `_seq` of the row's newest version; `undefined`: there is none. */
  readonly rowSeq: bigint | undefined;
  /** Every change at or below it was told to the client, or means nothing to it; `undefined` while it loads. */
  readonly toldSeq: bigint | undefined;
  /** What the filter failed with. */
  readonly failure: string | undefined;
}

/** How a query would be served. Throws the errors of wire-protocol 4.5 and 4.8. */
export function explainedLive(parts: GroupSources & { readonly windows: Windows }, request: GroupRequest): ExplainedLive {
  const group = acquireGroup(parts, request);
  try {
    const { plan, partition, route, uses } = group;
    return {
      table: plan.table,
      owner: partition.owner,
      columns: plan.projection.map(({ name }) => name),
      filtered: plan.filter !== undefined,
      limit: tryOr(() => parts.windows.of(group), asSubscribeError)?.bounds.limit,
      route: describeRoute(route, plan.table),
      // One use is this one.
      subscriptions: uses - 1,
    };
  } finally {
    parts.router.release(group);
  }
}

/** What a running subscription makes of the newest version of a row. Rejects as `Live.explainRow`. */
export async function explainedRow(subscription: Subscription, key: readonly string[]): Promise<ExplainedRow> {
  const { group, host } = subscription;
  const { principal, sources } = host;
  const row = await sources.newest({ table: group.plan.table, partition: group.partition, key, principal });
  if (subscription.state === 'ended') throw kalamError('LIVE_QUERY_NOT_FOUND', { id: subscription.liveId });
  const { toldSeq } = subscription;
  const found = { rowSeq: row?.seq, toldSeq, failure: undefined };
  if (row === undefined) return { ...found, reason: 'NO_SUCH_ROW' };
  try {
    return { ...found, reason: reasonFor(subscription, row) };
  } catch (error) {
    if (!(error instanceof KalamError)) throw error;
    return { ...found, reason: 'FILTER_FAILED', failure: error.message };
  }
}

function reasonFor(subscription: Subscription, row: RowVersion): LiveReason {
  const { group, toldSeq } = subscription;
  const matches = group.matches(row);
  if (toldSeq === undefined) return 'LOADING';
  if (row.seq > toldSeq) return 'BEHIND';
  if (!matches) return row.deleted ? 'DELETED' : 'FILTER_MISMATCH';
  return subscription.withheld(row) ?? 'DELIVERED';
}
