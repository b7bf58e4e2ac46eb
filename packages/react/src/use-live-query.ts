import type { LiveCollectionOptions, LiveCollectionState, RowData } from '@kalamdb/client';
import { useCallback, useState, useSyncExternalStore } from 'react';
import { useKalamContext } from './kalam-provider.tsx';
import { type LiveQuery, LOADING, queryName } from './query-store.ts';
import { RowSelection } from './row-selection.ts';

/** How a component asks for rows. Equal queries with equal options share one subscription; the functions of this list make no difference. */
export interface LiveQueryOptions<T>
  extends Pick<LiveCollectionOptions<RowData>, 'params' | 'limit' | 'keyColumn' | 'keyColumns' | 'subscriptionOptions'> {
  /**
   * Makes the component's row of a row. It may be written in place: a row stays the same object if the function makes the same of it (the same value,
   * or an object or list with the same members), and nothing is rendered when nothing that it makes has changed.
   */
  readonly select?: ((row: RowData) => T) | undefined;
  /** Columns of the query, or a comparison of the component's rows. Without it rows come in order of arrival, those of a query with LIMIT in the server's. */
  readonly orderBy?: LiveCollectionOptions<T>['orderBy'];
  /** What to show as long as there have been no rows, and on the server: as the component would get them, in their order. */
  readonly initialRows?: readonly T[] | undefined;
}

/** What a component gets. The same object until something changes. */
export interface LiveQueryResult<T> {
  /** The rows; before there are any, `initialRows` or none. The same array until one changes. */
  readonly rows: readonly T[];
  /** `idle`: there is no query. The others are those of a live collection. */
  readonly state: LiveCollectionState | 'idle';
  /** Why the query has ended (`error`) or is not tried any more (`offline`). */
  readonly error: Error | undefined;
}

const nothing = (): void => undefined;
const IDLE: LiveQueryResult<never> = { rows: [], state: 'idle', error: undefined };

/**
 * The rows of a live query, rendered anew when they change. The query is opened when the component is mounted, and closed a moment after
 * the last component that uses it is gone. Without SQL there is no query and the result is `idle`.
 *
 * ```tsx
 * const { rows, state } = useLiveQuery('SELECT id, title FROM app.tasks WHERE list = $1', {
 *   params: [list],
 *   select: (row) => ({ id: row['id']?.asInt(), title: row['title']?.asString() }),
 *   orderBy: ['title'],
 * });
 * ```
 *
 * Throws while rendering what `select` throws, and `INVALID_ARGUMENT` without a provider.
 */
export function useLiveQuery<T = RowData>(sql: string | undefined, options: LiveQueryOptions<T> = {}): LiveQueryResult<T> {
  return useOpenQuery(sql, options, false);
}

/**
 * {@link useLiveQuery} for Suspense: the component waits until there are rows, and its error boundary gets what the query has ended of,
 * or why it could not be loaded. The query is opened while rendering, so it should be the same for the component's next attempt.
 */
export function useSuspenseLiveQuery<T = RowData>(sql: string, options: LiveQueryOptions<T> = {}): LiveQueryResult<T> {
  return useOpenQuery(sql, options, true);
}

function useOpenQuery<T>(sql: string | undefined, options: LiveQueryOptions<T>, suspend: boolean): LiveQueryResult<T> {
  const { store, graceMillis } = useKalamContext();
  const [selection] = useState(() => new RowSelection<T>());
  const query = sql === undefined ? undefined : queryOf(sql, options);
  const name = query === undefined ? undefined : queryName(query);
  const { select, orderBy, initialRows, keyColumn = 'id', keyColumns = [keyColumn] } = options;
  // with initial rows there is nothing to wait for
  const waits = suspend && initialRows === undefined;
  const shared = query === undefined || name === undefined || !waits ? undefined : store.open(name, query, graceMillis);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the name stands for the query, which is another object each time
  const subscribe = useCallback(
    (changed: () => void) => {
      if (query === undefined || name === undefined) return nothing;
      return store.open(name, query, graceMillis).subscribe(changed, graceMillis);
    },
    [store, name, graceMillis],
  );
  const compare = typeof orderBy === 'function' ? orderBy : undefined;
  const see = (now: boolean): LiveQueryResult<T> => {
    if (name === undefined) return IDLE;
    const seen = now ? store.find(name) : shared;
    const initial = seen?.loaded === true ? undefined : initialRows;
    return selection.of(seen?.snapshot ?? LOADING, { select, compare, keyColumns, initialRows: initial });
  };
  const result = useSyncExternalStore(
    subscribe,
    () => see(true),
    () => see(false),
  );
  if (shared !== undefined && !shared.loaded) {
    if (result.state === 'loading') throw shared.settled;
    if (result.error !== undefined) throw result.error;
  }
  if (suspend && result.state === 'error') throw result.error;
  return result;
}

/** What is opened: the part of the options that makes a difference between queries. */
function queryOf<T>(sql: string, options: LiveQueryOptions<T>): LiveQuery {
  const { params, limit, keyColumn, keyColumns, subscriptionOptions, orderBy } = options;
  const columns = typeof orderBy === 'function' ? undefined : orderBy;
  return { sql, options: { params, limit, keyColumn, keyColumns, subscriptionOptions, orderBy: columns } };
}
