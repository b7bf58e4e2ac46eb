import { plainType } from '@kalamdb/protocol';
import type { Statement, TableInfo } from '@kalamdb/sql';
import type { ResultColumn, StatementResult } from '../contract.ts';
import type { ExplainedLive, ExplainedRow } from '../live/explained-live.ts';
import { type DdlContext, requireRole } from './ddl-context.ts';

const column = (name: string, type: 'text' | 'bigint' = 'text'): ResultColumn => ({ name, type: plainType(type), flags: [] });

const QUERY_COLUMNS: readonly ResultColumn[] = [column('property'), column('value')];
const ROW_COLUMNS: readonly ResultColumn[] = [
  column('live_id'),
  column('reason'),
  column('detail'),
  column('row_seq', 'bigint'),
  column('told_seq', 'bigint'),
];

/** `EXPLAIN LIVE SELECT …`: how the query is served. `EXPLAIN LIVE 'id' FOR KEY …`: whether a client has a row, and why. */
export async function explainLive(
  { subject }: Extract<Statement, { kind: 'explain-live' }>,
  context: DdlContext,
): Promise<StatementResult> {
  requireRole(context, 'dba', 'EXPLAIN LIVE requires DBA or System role');
  const asUser = context.principal.userId;
  if (subject.kind === 'query') {
    return { kind: 'rows', columns: QUERY_COLUMNS, rows: propertiesOf(context.live.explain(subject.sql, context.principal)), asUser };
  }
  const { liveId, key } = subject;
  const found = await context.live.explainRow(liveId, key);
  return {
    kind: 'rows',
    columns: ROW_COLUMNS,
    rows: [[liveId, found.reason, detailOf(found), found.rowSeq ?? null, found.toldSeq ?? null]],
    asUser,
  };
}

function propertiesOf(query: ExplainedLive): readonly (readonly [string, string])[] {
  const { table, owner, columns, filtered, limit, subscriptions } = query;
  return [
    ['table', `${table.namespace}.${table.name}`],
    ['rows', readRows(table, owner)],
    ['columns', columns.join(', ')],
    ['filter', filtered ? 'evaluated in memory, compiled once' : 'none'],
    ['window', limit === undefined ? 'none' : `the first ${limit} rows, kept in order once for all subscriptions with this query`],
    ['route', routeOf(query)],
    ['cost_of_a_change', costOf(query)],
    ['subscriptions', `${subscriptions} with this query on these rows`],
  ];
}

function readRows({ kind }: TableInfo, owner: string): string {
  return owner === '' || kind === 'shared' || kind === 'system' ? 'all' : `those of ${owner}`;
}

function routeOf({ route }: ExplainedLive): string {
  if (route.kind === 'every-change') return 'every change: no condition of the query can be indexed';
  const entries = route.entries === 1 ? '1 entry' : `${route.entries} entries`;
  return `${route.kind} on ${route.column}, ${entries} in the index`;
}

function costOf({ route, filtered, limit }: ExplainedLive): string {
  const concerned =
    route.kind === 'every-change' ? 'each change of the table' : 'a change of a row that the index finds, before or after it';
  const evaluated = filtered ? 'one evaluation of the filter' : 'no evaluation';
  const placed = limit === undefined ? '' : ', one binary search in the window';
  const others = route.kind === 'every-change' ? '' : '; other changes cost nothing';
  return `${concerned}: ${evaluated}${placed}, and one encoding if it matches, shared by all subscriptions with this query${others}`;
}

function detailOf({ reason, failure, toldSeq, rowSeq }: ExplainedRow): string {
  switch (reason) {
    case 'DELIVERED':
      return 'The client has the newest version of the row.';
    case 'NO_SUCH_ROW':
      return 'The rows that the subscription reads hold none with this key, or its deletion has been forgotten. Check the key, and whose rows it is.';
    case 'DELETED':
      return 'The row was deleted; the client was told if it had it.';
    case 'FILTER_MISMATCH':
      return 'The filter of the query does not accept the newest version of the row; a client that had it was told that it left.';
    case 'FILTER_FAILED':
      return `The filter cannot be evaluated for the row: ${failure ?? ''} A subscription that meets it ends.`;
    case 'LOADING':
      return 'The client has not fetched all batches of its initial data yet (next_batch).';
    case 'BEHIND':
      return `The client was told everything up to ${toldSeq ?? 0n}; version ${rowSeq ?? 0n} reaches it when it reads faster, or when catch-up comes to it.`;
    case 'BEFORE_SUBSCRIPTION':
      return 'The row is older than the subscription, which did not ask for it: see its last_rows, from, or options null.';
    case 'OUTSIDE_WINDOW':
      return 'Other rows come before it in the order of the query, up to its LIMIT.';
    default:
      return reason satisfies never;
  }
}
