import { Auth, createClient, type KalamDBClient, type RowData, type ServerMessage, type Unsubscribe } from '@kalamdb/client';
import type { SeededRandom } from '@kalamdb/testing';
import type { Heard } from './judge.ts';
import type { LiveQuery } from './places.ts';
import { mayResync } from './raw-follower.ts';
import type { Cells } from './row-filter.ts';

/** A subscription of the product's client: its events, as a raw follower hears them, or its rows. */
export interface LibraryFollower {
  readonly query: LiveQuery;
  readonly stop: Unsubscribe;
  /** What it has been told since; empty when it keeps rows. */
  heard: Heard[];
  /** The rows that it shows as key and `_seq`; `undefined` when it gets events. */
  rows(): ReadonlyMap<string, bigint> | undefined;
  readonly problems: string[];
}

const cellsOf = (row: RowData): Cells => Object.fromEntries(Object.entries(row).map(([name, cell]) => [name, cell.toJson()]));

function heardOf(event: ServerMessage, isFirst: boolean): Heard | undefined {
  if (event.type === 'subscription_ack') return { kind: 'begin', resumes: !isFirst, at: performance.now() };
  if (event.type === 'initial_data_batch') return { kind: 'batch', rows: event.rows.map(cellsOf), more: event.batch_control.has_more };
  if (event.type !== 'change') return undefined;
  const [row, old] = [event.rows?.[0], event.old_values?.[0]];
  return { kind: 'change', type: event.change_type, row: row && cellsOf(row), old: old && cellsOf(old), more: undefined };
}

/** A client of the product behind a network that fails. */
export class LibraryClient {
  readonly followers: LibraryFollower[] = [];
  readonly #client: KalamDBClient;

  constructor(connection: { readonly url: string; readonly token: string; readonly random: SeededRandom; readonly onConnect: () => void }) {
    const { url, token, random, onConnect } = connection;
    this.#client = createClient({
      url,
      authProvider: async () => Auth.jwt(token),
      pingIntervalMs: 500,
      connectTimeoutMs: 2_000,
      subscribeTimeoutMs: 60_000,
      random,
      onConnect,
    });
    this.#client.setReconnectDelay(20, 200);
  }

  /** Follows a query as events. */
  async events(query: LiveQuery, batchSize: number): Promise<void> {
    const follower = { query, heard: [] as Heard[], problems: [] as string[], rows: () => undefined };
    let isFresh = true;
    const take = (event: ServerMessage): void => {
      if (event.type === 'error' && event.code === 'RESYNC_REQUIRED' && mayResync(query)) isFresh = true;
      else if (event.type === 'error') follower.problems.push(`${event.code}: ${event.message}`);
      const heard = heardOf(event, isFresh);
      if (heard === undefined) return;
      if (heard.kind === 'begin') isFresh = false;
      follower.heard.push(heard);
    };
    const stop = await this.#client.subscribeWithSql(query.sql, take, { batch_size: batchSize });
    this.followers.push(Object.assign(follower, { stop }));
  }

  /** Follows a query as the set of its rows. */
  async rows(query: LiveQuery, batchSize: number): Promise<void> {
    let shown: ReadonlyMap<string, bigint> = new Map();
    const follower = { query, heard: [] as Heard[], problems: [] as string[], rows: () => shown };
    const show = (rows: readonly (readonly [string, bigint])[]): void => {
      shown = new Map(rows);
    };
    const stop = await this.#client.live(query.sql, show, {
      mapRow: (row) => [row['id']?.asString() ?? '', row['_seq']?.asBigInt() ?? 0n] as const,
      subscriptionOptions: { batch_size: batchSize },
      onError: ({ code, message }) => void follower.problems.push(`${code}: ${message}`),
    });
    this.followers.push(Object.assign(follower, { stop }));
  }

  async close(): Promise<void> {
    await this.#client.shutdown();
  }
}
