import { EventEmitter, once } from 'node:events';
import { Auth, createClient, type KalamDBClient, type RowData, type ServerMessage } from '@kalamdb/client';

/** Milliseconds after which a subscriber that has not caught up is called lost; only a safety net. */
const CATCH_UP_MILLIS_MAX = 30_000;

/** What a subscriber has put together of a table: `id` to commit, count and `_seq` as text. */
export type LiveTable = ReadonlyMap<number, string>;

/** How a row is written in a {@link LiveTable}. */
export const liveRow = (commit: unknown, count: unknown, block: unknown, seq: unknown): string => `${commit} ${count} ${block} ${seq}`;

/** What a {@link Subscriber} tells while it follows. */
export interface SubscriberEvents {
  /** A version of a row was delivered. */
  delivered(commit: number, seq: bigint): void;
}

interface Followed {
  rows: LiveTable;
  /** The highest `_seq` that was delivered. */
  seq: bigint;
}

/**
 * A client that follows tables through every crash with the product's own client library, with `live` (the reconciled set)
 * and as raw events, whose `_seq` must rise and never repeat, whatever happened between two of them.
 */
export class Subscriber {
  readonly counts = { resumes: 0, versions: 0 };
  readonly #client: KalamDBClient;
  readonly #events: SubscriberEvents;
  readonly #changed = new EventEmitter();
  readonly #tables = new Map<string, Followed>();
  #failure: Error | undefined;

  constructor(connection: { readonly url: string; readonly token: string }, events: SubscriberEvents) {
    this.#events = events;
    this.#client = createClient({ url: connection.url, authProvider: async () => Auth.jwt(connection.token) });
    this.#client.setReconnectDelay(20, 100);
    this.#client.onConnect(() => this.counts.resumes++);
  }

  /** Begins to follow a table; resolves when the server has accepted. */
  async follow(table: string): Promise<void> {
    const followed: Followed = { rows: new Map(), seq: 0n };
    this.#tables.set(table, followed);
    const sql = `SELECT * FROM ${table}`;
    const onError = ({ code, message }: { code: string; message: string }): void => this.#fail(`${table}: ${code}: ${message}`);
    const show = (rows: RowData[]): void => {
      followed.rows = new Map(rows.map((row) => [row['id']?.asInt() ?? -1, textOf(row)]));
      this.#changed.emit('shown');
    };
    await this.#client.live(sql, show, { onError });
    await this.#client.subscribeWithSql(sql, (event) => this.#raw(table, followed, event));
  }

  /** Resolves when what was put together of the table equals this. */
  async catchUp(table: string, expected: LiveTable): Promise<void> {
    const followed = this.#tables.get(table);
    if (followed === undefined) throw new Error(`${table} is not followed`);
    const signal = AbortSignal.timeout(CATCH_UP_MILLIS_MAX);
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const difference = differenceOf(expected, followed.rows);
      if (difference === undefined) return;
      await once(this.#changed, 'shown', { signal }).catch(() => {
        throw new Error(`the subscriber of ${table} does not catch up: ${difference}`);
      });
    }
  }

  async close(): Promise<void> {
    await this.#client.shutdown();
  }

  #raw(table: string, followed: Followed, event: ServerMessage): void {
    if (event.type === 'error') this.#fail(`${table}: ${event.code}: ${event.message}`);
    if (event.type !== 'initial_data_batch' && event.type !== 'change') return;
    const rows = event.type === 'change' && event.change_type === 'delete' ? (event.old_values ?? []) : (event.rows ?? []);
    const versions = rows.map((row) => ({ seq: BigInt(row['_seq']?.asString() ?? 0), commit: row['c']?.asInt() }));
    versions.sort((a, b) => (a.seq < b.seq ? -1 : 1));
    for (const { seq, commit } of versions) {
      if (seq <= followed.seq) this.#fail(`${table}: _seq ${seq} was delivered after ${followed.seq}`);
      followed.seq = seq;
      this.counts.versions += 1;
      const isDelete = event.type === 'change' && event.change_type === 'delete';
      // A tombstone names the commit that wrote the row, not the one that deleted it.
      if (!isDelete && typeof commit === 'number') this.#events.delivered(commit, seq);
    }
  }

  #fail(what: string): void {
    this.#failure ??= new Error(what);
    this.#changed.emit('shown');
  }
}

const textOf = (row: RowData): string =>
  liveRow(...(['c', 'n', 'block', '_seq'].map((name) => row[name]?.asString()) as Parameters<typeof liveRow>));

function differenceOf(expected: LiveTable, got: LiveTable): string | undefined {
  for (const id of new Set([...expected.keys(), ...got.keys()])) {
    if (expected.get(id) !== got.get(id)) return `row ${id} is '${got.get(id)}' instead of '${expected.get(id)}'`;
  }
  return undefined;
}
