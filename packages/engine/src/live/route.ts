import type { KeyBounds, RoutingCondition, TableInfo } from '@kalamdb/sql';

/** The condition that the router finds a query by: every row that matches fulfils it. */
export type Route = RoutingCondition;

/**
 * The condition of a query that lets the fewest changes through, as far as its form tells; `undefined` when none can be used and every
 * change must be looked at. What masked columns read as is not what is stored.
 */
export function bestRoute(
  conditions: readonly RoutingCondition[],
  { columns }: TableInfo,
  maskedCells: readonly number[],
): Route | undefined {
  let best: Route | undefined;
  let bestRank: number = RANKS.everything;
  for (const condition of conditions) {
    const { columnIndex } = condition;
    if (maskedCells.includes(columnIndex)) continue;
    const rank = rankOf(condition, columns[columnIndex]?.primaryKey === true);
    if (rank >= bestRank) continue;
    best = condition;
    bestRank = rank;
  }
  return best;
}

/** Lower is found by fewer changes. */
const RANKS = { nothing: 0, key: 1, keys: 2, point: 3, points: 4, ranges: 5, fewValues: 6, halfOpen: 7, everything: 8 } as const;

function rankOf({ points, ranges }: RoutingCondition, isKey: boolean): number {
  if (ranges.some(({ from, to }) => from === undefined && to === undefined)) return RANKS.everything;
  if (ranges.some(isHalfOpen)) return RANKS.halfOpen;
  // Half of all rows may be NULL, or true.
  if (points.some((cell) => cell === null || typeof cell === 'boolean')) return RANKS.fewValues;
  if (ranges.length > 0) return RANKS.ranges;
  if (points.length <= 1) return points.length === 0 ? RANKS.nothing : isKey ? RANKS.key : RANKS.point;
  return isKey ? RANKS.keys : RANKS.points;
}

function isHalfOpen({ from, to }: KeyBounds): boolean {
  return from === undefined || to === undefined;
}

/**
 * How the changes are found that concern a query, and with it what one costs. With an index: a change of a row that is in none of its
 * entries, before or after, costs the query nothing, and one that is in an entry is evaluated. `every-change`: each change of the
 * partition is evaluated. Either way it is evaluated once for all subscriptions with that query.
 */
export type RouteDescription =
  | {
      /** A value of a column, a list of values, or ranges, perhaps with values. */
      readonly kind: 'equality' | 'in' | 'range';
      readonly column: string;
      /** Values and ranges; 0: no row can match. */
      readonly entries: number;
    }
  | { readonly kind: 'every-change' };

/** Describes the route of a query on a table. */
export function describeRoute(route: Route | undefined, { columns }: Pick<TableInfo, 'columns'>): RouteDescription {
  const column = route === undefined ? undefined : columns[route.columnIndex];
  if (route === undefined || column === undefined) return { kind: 'every-change' };
  const { points, ranges } = route;
  const kind = ranges.length > 0 ? 'range' : points.length > 1 ? 'in' : 'equality';
  return { kind, column: column.name, entries: points.length + ranges.length };
}
