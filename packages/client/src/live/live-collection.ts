import { type ClientInside, clientInside, type KalamDBClient } from '../client.ts';
import type { LiveSetOptions } from '../client-options.ts';
import type { RowData, WireRow } from '../rows/row-data.ts';
import { boundSql } from '../sql/bound-sql.ts';
import type { WaitOptions } from '../waiting.ts';
import { columnOrder, type LiveOrder } from './column-order.ts';
import type { Handle } from './live-queries.ts';
import { keyText } from './live-rows.ts';
import type { LiveViewer, RowSet, RowSource } from './live-view.ts';
import { SortedList } from './sorted-list.ts';
import type { LiveError, LiveState } from './subscription.ts';

/**
 * How a collection stands.
 *
 * - `loading`: there is no set of rows yet.
 * - `live`: the rows are the answer of the query; what is committed from now on follows.
 * - `reconnecting`: the connection is lost, or a new set is on its way; the rows are those of before.
 * - `offline`: nothing is tried any more until `connect()` or another live query is begun; `error` says why. The rows are those of before.
 * - `error`: it has ended; `error` says why. The rows are those of before.
 * - `closed`: it was ended from this side.
 */
export type LiveCollectionState = 'loading' | 'live' | 'reconnecting' | 'offline' | 'error' | 'closed';

/** What names a row: the value of its key column, or a list of them when the key has several. */
export type LiveKey = string | number | bigint | boolean | readonly (string | number | bigint | boolean)[];

/** What became of one row. */
export type LiveRowChange<T> =
  | { readonly type: 'insert'; readonly key: string; readonly row: T }
  | { readonly type: 'update'; readonly key: string; readonly row: T; readonly before: T }
  | { readonly type: 'delete'; readonly key: string; readonly before: T };

/** A collection at one moment. It never changes, and is the same object for as long as nothing has happened. */
export interface LiveSnapshot<T> {
  readonly rows: readonly T[];
  readonly state: LiveCollectionState;
  /** Why it is `offline` or ended; `undefined` otherwise. */
  readonly error: Error | undefined;
}

/** How a collection is made. */
export interface LiveCollectionOptions<T> extends LiveSetOptions {
  /** What `$1` … `$n` of the query stand for; written into it as literals. */
  readonly params?: readonly unknown[] | undefined;
  /**
   * Makes the application's row of a row, once for every version. A version of which it makes the same (the same value, or an object or list with
   * the same members) is no change.
   */
  readonly select?: ((row: RowData) => T) | undefined;
  /** The order of the rows: columns of the query, or a comparison of the application's rows. Without it they come in order of arrival, those of a query with LIMIT in the server's. */
  readonly orderBy?: readonly LiveOrder[] | ((a: T, b: T) => number) | undefined;
}

/** The rows of a live query, kept up to date on this side. Made by {@link liveCollection}. */
export interface LiveCollection<T> {
  /** The rows in their order. The same array until something changes, and a row that did not change is the same object in the next. */
  readonly rows: readonly T[];
  readonly size: number;
  readonly state: LiveCollectionState;
  readonly error: Error | undefined;
  /** All of it, as one unchanging object. */
  readonly snapshot: LiveSnapshot<T>;
  /** Resolves when the first set is there; rejects with what ends it before that. */
  readonly ready: Promise<void>;
  /** The row of this key. */
  get(key: LiveKey): T | undefined;
  /** Calls after every commit that changed the rows, with the changes in the order in which they came, and after every change of state, with none. Answers what ends that. */
  subscribe(listener: (changes: readonly LiveRowChange<T>[]) => void): () => void;
  /** Calls for every row that changes, when the whole commit is in the collection. Answers what ends that. */
  onChange(listener: (change: LiveRowChange<T>) => void): () => void;
  /** Resolves when everything that was committed on the server before the call is in the collection. Rejects when it ends. */
  caughtUp(options?: WaitOptions): Promise<void>;
  /** Ends it; the rows stay readable. */
  close(): void;
}

/**
 * Keeps the rows of a live query at hand: readable at any time, sorted, by key, with news of each commit. What it shows is always the
 * answer at one commit (on servers that grant the extension `progress`), never the half of one. It waits for a server that is away for
 * as long as it takes; only a refusal ends it. Queries with the same SQL, key and `limit` share one subscription.
 *
 * ```ts
 * const tasks = liveCollection(client, 'SELECT * FROM app.tasks WHERE list = $1', { params: [7], orderBy: ['position'] });
 * await tasks.ready;
 * tasks.subscribe(() => render(tasks.rows));
 * ```
 *
 * Throws `INVALID_ARGUMENT`, `SUBSCRIPTIONS_FULL` and `CLIENT_CLOSED`.
 */
export function liveCollection<T = RowData>(client: KalamDBClient, sql: string, options: LiveCollectionOptions<T> = {}): LiveCollection<T> {
  return new LocalCollection<T>(clientInside(client), sql, options);
}

interface Entry<T> {
  readonly key: string;
  readonly row: WireRow;
  readonly value: T;
  /** Counts arrivals. */
  readonly ordinal: number;
}

/** Whoever is called of a kind of news. */
class Listeners<N> {
  readonly #all = new Set<{ readonly tell: (news: N) => void }>();

  add(tell: (news: N) => void): () => void {
    const listener = { tell };
    this.#all.add(listener);
    return () => {
      this.#all.delete(listener);
    };
  }

  tell(news: N, callbacks: ClientInside['callbacks']): void {
    for (const listener of [...this.#all]) if (this.#all.has(listener)) callbacks.call(() => listener.tell(news));
  }
}

class LocalCollection<T> implements LiveCollection<T>, LiveViewer {
  readonly ready: Promise<void>;
  readonly wantsState = true;
  readonly #inside: ClientInside;
  readonly #options: LiveCollectionOptions<T>;
  readonly #handle: Handle;
  readonly #commits = new Listeners<readonly LiveRowChange<T>[]>();
  readonly #changes = new Listeners<LiveRowChange<T>>();
  /** In order of arrival; of a window in its order. */
  #entries = new Map<string, Entry<T>>();
  /** The entries in the order that the application wants; `undefined` while that is the one that they have. */
  #sorted: SortedList<Entry<T>> | undefined;
  #arrivals = 0;
  /** Keys of rows that may differ from those shown; `undefined`: all of them. */
  #touched: Set<string> | undefined;
  #state: LiveCollectionState = 'loading';
  #error: Error | undefined;
  #rows: readonly T[] | undefined;
  #snapshot: LiveSnapshot<T> | undefined;
  #settle: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;

  constructor(inside: ClientInside, sql: string, options: LiveCollectionOptions<T>) {
    this.#inside = inside;
    this.#options = options;
    this.ready = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // whoever does not wait for it learns it from the state
    this.ready.catch(() => undefined);
    const { live } = inside;
    const target = { id: live.nextId(), sql: boundSql(sql, options.params), tableName: sql };
    this.#handle = live.hold({ ...target, view: this, options, patient: true });
    // told by `failed`
    this.#handle.subscription.accepted.catch(() => undefined);
    live.begin(this.#handle, options.signal);
  }

  get rows(): readonly T[] {
    this.#rows ??= Array.from(this.#sorted?.items ?? this.#entries.values(), (entry) => entry.value);
    return this.#rows;
  }

  get size(): number {
    return this.#entries.size;
  }

  get state(): LiveCollectionState {
    return this.#state;
  }

  get error(): Error | undefined {
    return this.#error;
  }

  get snapshot(): LiveSnapshot<T> {
    this.#snapshot ??= { rows: this.rows, state: this.#state, error: this.#error };
    return this.#snapshot;
  }

  get(key: LiveKey): T | undefined {
    return this.#entries.get(keyText([key].flat()))?.value;
  }

  subscribe(listener: (changes: readonly LiveRowChange<T>[]) => void): () => void {
    return this.#commits.add(listener);
  }

  onChange(listener: (change: LiveRowChange<T>) => void): () => void {
    return this.#changes.add(listener);
  }

  async caughtUp(options?: WaitOptions): Promise<void> {
    await this.#inside.live.caughtUp(this.#handle, options);
  }

  close(): void {
    const { live } = this.#inside;
    // which comes back here: others end it as well, each with a reason
    live.remove(this.#handle.id);
    if (this.#isOver()) return;
    // attempts to connect are for nobody then; the subscription is still there while this is told
    if (this.#state === 'loading') void Promise.resolve().then(() => live.releaseUnused());
    this.#become('closed', this.#handle.over.signal.reason);
  }

  touched(key?: string): void {
    if (key === undefined) this.#touched = undefined;
    else this.#touched?.add(key);
  }

  show(source: RowSource): void {
    const set = source();
    if (set === undefined || this.#isOver()) return;
    const changes = this.#take(set);
    // later on it is live when it has caught up, which is told
    if (this.#state === 'loading') this.#become('live', undefined, changes);
    else if (changes !== undefined) this.#tell(changes);
  }

  stateChanged(state: LiveState): void {
    if (this.#isOver() || this.#state === 'loading') return;
    if (state === 'caught-up') this.#become('live');
    else if (state === 'stale' && this.#state === 'live') this.#become('reconnecting');
  }

  failed(error: LiveError, ended?: boolean): void {
    const { code, message } = error;
    if (!(error instanceof Error) || ended === undefined) {
      this.#inside.callbacks.call((all) => all.onError?.({ message: `${code}: ${message}`, recoverable: true }));
    } else if (!this.#isOver()) {
      this.#become(ended ? 'error' : 'offline', error);
    }
  }

  #isOver(): boolean {
    return this.#state === 'closed' || this.#state === 'error';
  }

  #become(state: LiveCollectionState, error?: Error, changes: readonly LiveRowChange<T>[] = []): void {
    if (state === this.#state && error === this.#error) return;
    this.#state = state;
    this.#error = state === 'closed' ? undefined : error;
    if (state === 'live') this.#settle?.resolve();
    else if (this.#isOver() && error !== undefined) this.#settle?.reject(error);
    this.#tell(changes);
  }

  #tell(changes: readonly LiveRowChange<T>[]): void {
    this.#snapshot = undefined;
    const { callbacks } = this.#inside;
    for (const change of changes) this.#changes.tell(change, callbacks);
    this.#commits.tell(changes, callbacks);
  }

  /** Takes over a set; `undefined` when nothing that the application sees has changed. No changes: some rows have moved. */
  #take(set: RowSet): readonly LiveRowChange<T>[] | undefined {
    const all = this.#touched === undefined;
    const keys = this.#touched ?? new Set([...this.#entries.keys(), ...set.rows.keys()]);
    this.#touched = new Set();
    const changes: LiveRowChange<T>[] = [];
    const removed: Entry<T>[] = [];
    const added: Entry<T>[] = [];
    for (const key of keys) {
      const before = this.#entries.get(key);
      const after = this.#entryOf(key, before, set, all);
      if (after === before) continue;
      if (before !== undefined) removed.push(before);
      if (after === undefined) {
        this.#entries.delete(key);
      } else {
        added.push(after);
        this.#entries.set(key, after);
      }
      changes.push(...changeOf(before, after));
    }
    if (all || set.window) this.#arrange(set);
    this.#sort(set, all ? undefined : { removed, added });
    return this.#differs(changes) ? changes : undefined;
  }

  #entryOf(key: string, before: Entry<T> | undefined, set: RowSet, all: boolean): Entry<T> | undefined {
    const row = set.rows.get(key);
    if (row === undefined) return undefined;
    // a whole set holds many rows that are there already
    if (before !== undefined && (before.row === row || (all && JSON.stringify(before.row) === JSON.stringify(row)))) return before;
    const { select } = this.#options;
    try {
      const wrapped = set.wrap(row);
      // without a selection T is RowData, which is the default of the type parameter
      const value = select === undefined ? (wrapped as T) : select(wrapped);
      const same = before !== undefined && sameMembers(before.value, value);
      return { key, row, value: same ? before.value : value, ordinal: before?.ordinal ?? this.#arrivals++ };
    } catch (error) {
      this.#inside.callbacks.threw(error);
      return before;
    }
  }

  /** Puts the entries into the order of the set. */
  #arrange(set: RowSet): void {
    const entries = this.#entries;
    this.#entries = new Map();
    this.#arrivals = 0;
    for (const key of set.rows.keys()) {
      const entry = entries.get(key);
      if (entry !== undefined) this.#entries.set(key, { ...entry, ordinal: this.#arrivals++ });
    }
  }

  /** Keeps the application's order; `change` is what is new, unless everything is. */
  #sort(set: RowSet, change: { readonly removed: readonly Entry<T>[]; readonly added: readonly Entry<T>[] } | undefined): void {
    const { orderBy } = this.#options;
    if (orderBy === undefined) return;
    try {
      if (change !== undefined && this.#sorted !== undefined && !set.window) {
        this.#sorted.change(change.removed, change.added);
        return;
      }
      const compare =
        typeof orderBy === 'function'
          ? (a: Entry<T>, b: Entry<T>) => orderBy(a.value, b.value)
          : byRow<T>(columnOrder(orderBy, set.schema));
      this.#sorted = new SortedList((a, b) => compare(a, b) || a.ordinal - b.ordinal);
      this.#sorted.change([], [...this.#entries.values()]);
    } catch (error) {
      this.#sorted = undefined;
      this.#inside.callbacks.threw(error);
    }
  }

  /** Whether there is anything new to see. Rows that nobody has looked at yet cannot have moved. */
  #differs(changes: readonly LiveRowChange<T>[]): boolean {
    const shown = this.#rows;
    this.#rows = undefined;
    if (changes.length > 0) return true;
    if (shown !== undefined && !sameMembers(shown, this.rows)) return true;
    this.#rows = shown;
    return false;
  }
}

const byRow =
  <T>(compare: (a: WireRow, b: WireRow) => number) =>
  (a: Entry<T>, b: Entry<T>): number =>
    compare(a.row, b.row);

/** What became of a row as the application sees it: one change, or none. */
function changeOf<T>(before: Entry<T> | undefined, after: Entry<T> | undefined): readonly LiveRowChange<T>[] {
  if (before === undefined) return after === undefined ? [] : [{ type: 'insert', key: after.key, row: after.value }];
  if (after === undefined) return [{ type: 'delete', key: before.key, before: before.value }];
  return after.value === before.value ? [] : [{ type: 'update', key: after.key, row: after.value, before: before.value }];
}

/** Whether two values are the same, or objects or lists with the same members. */
export function sameMembers(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  const names = Object.keys(a);
  const plain = Array.isArray(a) || Object.getPrototypeOf(a) === Object.prototype;
  return (
    plain && names.length === Object.keys(b).length && names.every((name) => Object.is(a[name as never], b[name as never]) && name in b)
  );
}
