import {
  type KalamDBClient,
  type LiveCollection,
  type LiveCollectionOptions,
  type LiveSnapshot,
  liveCollection,
  type RowData,
} from '@kalamdb/client';
import { systemTimers, type Timer } from '@kalamdb/protocol';

/** A live query as components name it; equal ones are one. */
export interface LiveQuery {
  readonly sql: string;
  readonly options: LiveCollectionOptions<RowData>;
}

/**
 * So many times longer than after its last user a query stays open that no component has come to use yet: between its first rows and the moment
 * in which a waiting component is on the page React takes its time.
 */
const unclaimedGraces = 5;

/** What there is of a query that is not open. */
export const LOADING: LiveSnapshot<RowData> = { rows: [], state: 'loading', error: undefined };

/** Longer ones are for ever: a timer would take them for none. */
const graceMillisMax = 2 ** 31 - 1;

/** The longest for a query that has ended or has no rows: whoever comes later asks anew. */
const uselessMillisMax = 1_000;

const stores = new WeakMap<KalamDBClient, QueryStore>();

/** The open queries of a client. Equal ones are opened once, whatever number of components asks for them. */
export class QueryStore {
  readonly #client: KalamDBClient;
  readonly #open = new Map<string, SharedQuery>();

  private constructor(client: KalamDBClient) {
    this.#client = client;
  }

  /** The store of a client: always the same. */
  static of(client: KalamDBClient): QueryStore {
    const store = stores.get(client) ?? new QueryStore(client);
    stores.set(client, store);
    return store;
  }

  /** How many are open. */
  get size(): number {
    return this.#open.size;
  }

  /** The query of this name if it is open. */
  find(name: string): SharedQuery | undefined {
    return this.#open.get(name);
  }

  /** The query of this name, opened if it is not. If nobody subscribes it is closed a while after its first rows, and soon if there are none. */
  open(name: string, query: LiveQuery, graceMillis: number): SharedQuery {
    const known = this.#open.get(name);
    if (known !== undefined) return known;
    const shared: SharedQuery = new SharedQuery(
      () => liveCollection<RowData>(this.#client, query.sql, query.options),
      () => {
        if (this.#open.get(name) === shared) this.#open.delete(name);
      },
    );
    this.#open.set(name, shared);
    void shared.settled.then(() => shared.release(shared.loaded ? graceMillis * unclaimedGraces : graceMillis));
    return shared;
  }
}

/** One open query and who uses it. */
class SharedQuery {
  /** Resolves when it is no longer loading, whatever came of that. Never rejects. */
  readonly settled: Promise<void>;
  readonly #collection: LiveCollection<RowData> | undefined;
  readonly #failure: LiveSnapshot<RowData> | undefined;
  readonly #closed: () => void;
  #users = 0;
  #grace: Timer | undefined;
  #loaded = false;

  /** `closed` is called when nobody has used it for long enough and it has been closed. */
  constructor(open: () => LiveCollection<RowData>, closed: () => void) {
    this.#closed = closed;
    try {
      this.#collection = open();
    } catch (error) {
      this.#failure = { rows: [], state: 'error', error: error instanceof Error ? error : new Error(String(error)) };
    }
    this.settled = this.#left();
  }

  get snapshot(): LiveSnapshot<RowData> {
    return this.#collection?.snapshot ?? this.#failure ?? LOADING;
  }

  /** Whether there has been a whole set of rows. */
  get loaded(): boolean {
    return this.#loaded;
  }

  /** Calls after every change, until the answer is called. After the last user it stays open for `graceMillis`. */
  subscribe(changed: () => void, graceMillis: number): () => void {
    this.#users++;
    this.#grace?.cancel();
    const end = this.#collection?.subscribe(changed);
    return () => {
      end?.();
      this.#users--;
      this.release(graceMillis);
    };
  }

  /** Closes it when nobody comes to use it in time. */
  release(graceMillis: number): void {
    this.#grace?.cancel();
    const millis = this.#loaded && !this.#isOver() ? graceMillis : Math.min(graceMillis, uselessMillisMax);
    if (this.#users > 0 || millis > graceMillisMax) return;
    this.#grace = systemTimers.after(millis, () => {
      this.#closed();
      this.#collection?.close();
    });
  }

  #isOver(): boolean {
    const { state } = this.snapshot;
    return state === 'error' || state === 'closed';
  }

  #left(): Promise<void> {
    const collection = this.#collection;
    if (collection === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const look = (): void => {
        if (collection.state === 'live') this.#loaded = true;
        if (collection.state !== 'loading') resolve();
        if (this.#isOver()) this.release(uselessMillisMax);
      };
      collection.subscribe(look);
      // it is there at once where another query has the same rows
      look();
    });
  }
}

/** What tells queries apart. Throws `TypeError` for parameters that JSON cannot hold. */
export function queryName({ sql, options }: LiveQuery): string {
  // JSON has one spelling for what differs in SQL: a date and its text, null and what is no number
  const kinds = options.params?.map((param) => typeof param);
  return JSON.stringify([sql, kinds, options], (_name, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
}
