import { type ErrorCode, KalamError, kalamError } from '@kalamdb/protocol';
import { bindCondition, bindExpression } from '../expression/bind.ts';
import { dependsOnTime, USER_FUNCTIONS } from '../expression/functions/context-functions.ts';
import type { ColumnInfo } from '../expression/input-row.ts';
import { canonical, mentionsColumn } from '../expression/syntax-tree.ts';
import { someNode, type Typed } from '../expression/typed.ts';
import type { ParameterInfo } from '../expression/value.ts';
import { parseStatement } from '../parser/parse.ts';
import type { QualifiedName, SelectQuery } from '../statement/ast.ts';
import { splitStatements } from '../statement/split.ts';
import type { SubscriptionPlan, WindowPlan } from './plans.ts';
import { toPredicate } from './predicate.ts';
import { routingReader } from './routing.ts';
import { type BindRequest, columnNotFound, rowScope } from './scope.ts';
import { bindSelectOf } from './select.ts';
import type { CatalogView, TableInfo } from './table-info.ts';
import { mentionsDeleted } from './where.ts';

/** What a subscription query is bound with. */
export interface SubscriptionRequest {
  readonly catalog: CatalogView;
  /** For a bare table name; `undefined`: such a name is refused. */
  readonly namespace?: string | undefined;
  /** ORDER BY, LIMIT and OFFSET are allowed. */
  readonly windows?: boolean | undefined;
  /** Of the literals that were lifted out of the text. */
  readonly parameters?: readonly ParameterInfo[] | undefined;
}

const ONLY_FILTERS = 'Only SELECT ... FROM ... [WHERE ...] is supported.';

/**
 * Binds the query of a subscription: plain columns of one table and any row predicate, no parameters.
 *
 * Throws SUBSCRIBE_INVALID_SQL for anything of another shape (texts of wire-protocol 4.5), SUBSCRIBE_NOT_FOUND for an
 * unknown table, SUBSCRIPTION_FAILED for wrong columns, types and functions.
 */
export function bindSubscription(
  text: string,
  { catalog, namespace, windows = false, parameters = [] }: SubscriptionRequest,
): SubscriptionPlan {
  const query = subscriptionQuery(text, windows);
  const name = query.from?.table;
  if (name === undefined) throw invalid(SEVERAL_TABLES);
  const space = name.namespace ?? namespace;
  if (space === undefined) throw invalid('Query must use namespace.table format');
  const table = catalog.table(space, name.name);
  if (table === undefined) throw kalamError('SUBSCRIBE_NOT_FOUND', { table: `${space}:${name.name}` });
  if (table.kind === 'view') throw invalid(`${INDIRECT_TABLE} '${space}.${name.name}' is a view.`);
  const request: BindRequest = { text, catalog, namespace: space, parameters };
  return asSubscriptionFailure(() => subscriptionPlan(query, table, request));
}

/** Checks the shape of a subscription's query, not its names, and gives its table. Throws SUBSCRIBE_INVALID_SQL. */
export function checkSubscriptionShape(text: string): QualifiedName {
  const { from } = subscriptionQuery(text, false);
  if (from === undefined) throw invalid(SEVERAL_TABLES);
  return from.table;
}

function subscriptionPlan(query: SelectQuery, table: TableInfo, request: BindRequest): SubscriptionPlan {
  const { where } = query;
  const star = query.items.every((item) => item.kind === 'star');
  const projection = star ? table.columns : query.items.flatMap((item) => projectedColumns(item, table));
  const filter =
    where === undefined ? undefined : bindCondition(where, rowScope(request, { table, alias: query.from?.alias }, 'WHERE'), 'WHERE');
  if (filter !== undefined && someNode(filter, (node) => node.stability === 'volatile')) {
    throw kalamError('SUBSCRIPTION_FAILED', {
      reason: 'the filter of a subscription must not call functions that give another value each time',
    });
  }
  const columns = projection.map((column) => column.id).join(',');
  const window = boundWindow(query, table, request);
  return {
    kind: 'subscription',
    table,
    shape: `${table.id}.${table.version} ${star ? '*' : columns} ${where === undefined ? '' : canonical(where)}${window?.shape ?? ''}`,
    projection,
    star,
    filter: filter === undefined ? undefined : toPredicate(filter),
    mentionsDeleted: filter !== undefined && mentionsDeleted(filter),
    mentionsUser: [filter, ...(window?.keys ?? [])].some((node) => node !== undefined && callsUser(node)),
    routing: routingReader(filter),
    window: window?.plan,
  };
}

function callsUser(expression: Typed): boolean {
  return someNode(expression, (node) => node.kind === 'operation' && USER_FUNCTIONS.has(node.name));
}

interface BoundWindow {
  readonly plan: WindowPlan;
  /** The clauses in a canonical spelling. */
  readonly shape: string;
  readonly keys: readonly Typed[];
}

/** ORDER BY, LIMIT and OFFSET of a subscription; `undefined` without them. */
function boundWindow(query: SelectQuery, table: TableInfo, request: BindRequest): BoundWindow | undefined {
  const { orderBy, limit, offset } = query;
  if (orderBy.length === 0 && limit === undefined && offset === undefined) return undefined;
  const { sort, projection, ...counts } = bindSelectOf(query, { table, alias: query.from?.alias }, request);
  const keys = sort.flatMap(({ column }) => projection[column] ?? []);
  if (keys.some((key) => someNode(key, dependsOnTime)))
    throw kalamError('SUBSCRIPTION_FAILED', { reason: 'the order of a subscription must not depend on when it is computed' });
  // They are computed once for all who share the query.
  const bounds = [limit, offset].flatMap((count) =>
    count === undefined ? [] : bindExpression(count, rowScope(request, undefined, 'LIMIT')),
  );
  if (bounds.some((bound) => callsUser(bound) || someNode(bound, dependsOnTime)))
    throw kalamError('SUBSCRIPTION_FAILED', { reason: 'LIMIT and OFFSET of a subscription must not depend on who asks or when' });
  const order = sort.flatMap(({ column, ...direction }) => {
    const key = projection[column];
    return key === undefined ? [] : [{ ...direction, evaluate: key.evaluate }];
  });
  const spelled = orderBy.map(({ expression, descending, nulls }) => `${canonical(expression)} ${descending} ${nulls ?? ''}`);
  return {
    plan: { order, limit: counts.limit ?? (() => undefined), offset: counts.offset ?? (() => undefined) },
    shape: ` ORDER BY ${spelled.join()} LIMIT ${limit === undefined ? '' : canonical(limit)} OFFSET ${offset === undefined ? '' : canonical(offset)}`,
    keys,
  };
}

/** The one SELECT of the text, checked for shape. */
function subscriptionQuery(text: string, windows: boolean): SelectQuery {
  const [statement, own] = asInvalidSql(() => {
    const pieces = splitStatements(text);
    const [piece] = pieces;
    if (piece === undefined) throw invalid('Empty SQL statement');
    if (pieces.length > 1) throw invalid('Subscription query must contain exactly one SELECT statement');
    return [parseStatement(piece.text), piece.text] as const;
  });
  if (statement.kind !== 'select') throw invalid('Only SELECT queries are supported for subscriptions');
  const { query } = statement;
  if (query.unsupported !== undefined) throw invalid(unsupportedReason(query.unsupported, own));
  if (query.orderBy.length > 0 && !windows) throw invalid(`Subscription query does not support ORDER BY. ${ONLY_FILTERS}`);
  if (query.groupBy.length > 0) throw invalid(`Subscription query does not support GROUP BY. ${ONLY_FILTERS}`);
  const isBounded = (query.limit !== undefined || query.offset !== undefined) && !windows;
  if (query.distinct || query.having !== undefined || isBounded) {
    throw invalid('Subscription query supports only SELECT ... FROM ... [WHERE ...].');
  }
  for (const item of query.items) {
    if (item.kind === 'expression' && (mentionsColumn(item.expression, '_seq') || mentionsColumn(item.expression, '_deleted'))) {
      throw invalid("Subscription query cannot project system columns '_seq' or '_deleted'.");
    }
  }
  return query;
}

const SEVERAL_TABLES = 'Subscription query requires exactly one table in the FROM clause.';
const INDIRECT_TABLE = 'Subscription query requires a direct table reference in FROM.';

/** Why a query with a part that the parser names is no subscription. */
function unsupportedReason({ what, position }: NonNullable<SelectQuery['unsupported']>, text: string): string {
  switch (what) {
    case 'WITH':
      return `Subscription query does not support WITH clauses. ${ONLY_FILTERS}`;
    case 'JOIN':
      if (text.slice(0, position).trimEnd().endsWith(',')) return SEVERAL_TABLES;
      return `Subscription query does not support JOIN clauses. ${ONLY_FILTERS}`;
    case 'LATERAL':
    case 'subqueries':
    case 'table functions':
    case 'TABLESAMPLE':
      return INDIRECT_TABLE;
    default:
      return 'Subscription query supports only SELECT ... FROM ... [WHERE ...].';
  }
}

function projectedColumns(item: SelectQuery['items'][number], table: TableInfo): readonly ColumnInfo[] {
  if (item.kind === 'star') return table.columns;
  const { expression, alias } = item;
  if (expression.kind !== 'column' || (alias !== undefined && alias !== expression.name)) {
    throw kalamError('SUBSCRIPTION_FAILED', {
      reason: 'Execution error: a subscription projects plain columns, without expressions or aliases',
    });
  }
  const column = table.columns.find((candidate) => candidate.name === expression.name);
  if (column === undefined) throw columnNotFound(expression.name, table);
  return [column];
}

function invalid(reason: string): KalamError {
  return kalamError('SUBSCRIBE_INVALID_SQL', { reason });
}

const EDGE_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['SUBSCRIBE_INVALID_SQL', 'SUBSCRIPTION_FAILED', 'SUBSCRIBE_NOT_FOUND']);

function asInvalidSql<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof KalamError) || EDGE_CODES.has(error.code)) throw error;
    throw new KalamError('SUBSCRIBE_INVALID_SQL', `Invalid SQL: ${error.message.replace(/^Invalid SQL: /, '')}`, {
      cause: error,
      position: error.position,
    });
  }
}

function asSubscriptionFailure<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof KalamError) || EDGE_CODES.has(error.code)) throw error;
    throw new KalamError('SUBSCRIPTION_FAILED', error.message, { cause: error, position: error.position });
  }
}
