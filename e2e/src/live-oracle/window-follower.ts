import type { SeededRandom } from '@kalamdb/testing';
import { told } from './judge.ts';
import { type LiveQuery, STABLE_COLUMNS } from './places.ts';
import type { Frame, RawConnection } from './raw-connection.ts';
import type { Cells } from './row-filter.ts';

/** Frames kept for the case that something is wrong. */
const HEARD_MAX = 60;
const ORDERS: readonly string[] = [
  'n',
  'n DESC',
  'txt NULLS FIRST, n DESC',
  'abs(n - 4), f DESC',
  'big DESC NULLS LAST',
  'length(txt) + n',
  "doc->>'kind', w DESC",
  'flag, txt DESC',
];

/** A live query of the first rows in an order. */
export interface WindowQuery {
  readonly query: LiveQuery;
  readonly order: string;
  readonly limit: number;
  readonly offset: number;
}

/** Draws a window over the rows of a live query. */
export function drawWindow(random: SeededRandom, query: LiveQuery): WindowQuery {
  return { query, order: random.pick(ORDERS), limit: random.pick([1, 3, 5, 12]), offset: random.pick([0, 0, 2]) };
}

/** The columns that are compared: those that nobody alters. */
export const windowColumns = ({ query }: WindowQuery): readonly string[] =>
  query.columns?.filter((name) => STABLE_COLUMNS.includes(name)) ?? STABLE_COLUMNS;

/** What a window must show, as a SELECT: ties go by the key. */
export function windowSelect(window: WindowQuery): string {
  const { query, order, limit, offset } = window;
  const { place, filter } = query;
  const rows = `SELECT ${windowColumns(window).join(', ')}, _seq FROM ${place.table.name} WHERE ${filter.sql}`;
  return `${rows} ORDER BY ${order}, id LIMIT ${limit} OFFSET ${offset}`;
}

/** One subscription to a window, by the rules of the `window` extension; it is sent whole whenever it is asked for. */
export class WindowFollower {
  readonly id: string;
  readonly window: WindowQuery;
  /** The newest frames, as text. */
  readonly heard: string[] = [];
  readonly problems: string[] = [];
  /** Changes that were applied. */
  changes = 0;
  readonly #connection: RawConnection;
  readonly #batchSize: number | undefined;
  #rows: Cells[] = [];
  #loading = true;

  constructor(id: string, connection: RawConnection, of: { readonly window: WindowQuery; readonly batchSize: number | undefined }) {
    this.id = id;
    this.#connection = connection;
    this.window = of.window;
    this.#batchSize = of.batchSize;
  }

  /** The rows in their order, as a SELECT of them answers; `undefined` while they are being loaded. */
  get shown(): readonly (readonly unknown[])[] | undefined {
    if (this.#loading) return undefined;
    const columns = [...windowColumns(this.window), '_seq'];
    return this.#rows.map((row) => columns.map((name) => (typeof row[name] === 'bigint' ? Number(row[name]) : (row[name] ?? null))));
  }

  ask(): void {
    const { query, order, limit, offset } = this.window;
    const options = this.#batchSize === undefined ? {} : { batch_size: this.#batchSize };
    const sql = `${query.sql} ORDER BY ${order} LIMIT ${limit} OFFSET ${offset}`;
    this.#loading = true;
    this.#connection.send({ type: 'subscribe', subscription: { id: this.id, sql, options } });
  }

  cutOff(): void {
    this.#loading = true;
  }

  take(frame: Frame): void {
    this.heard.push(told(frame));
    if (this.heard.length > HEARD_MAX) this.heard.shift();
    switch (frame['type']) {
      case 'subscription_ack':
        if ((frame['window'] as { limit: unknown } | undefined)?.limit !== this.window.limit)
          this.problems.push('not acknowledged as a window');
        return;
      case 'initial_data_batch':
        this.#batch(frame);
        return;
      case 'change':
        this.changes += 1;
        this.#change(frame);
        return;
      case 'progress':
        return;
      default:
        this.problems.push(told(frame));
    }
  }

  #batch(frame: Frame): void {
    const { batch_num: num, has_more: more, last_seq_id: last } = frame['batch_control'] as Readonly<Record<string, unknown>>;
    if (num === 0) this.#rows = [];
    for (const row of frame['rows'] as readonly Cells[]) this.#insert(row, this.#rows.length);
    this.#loading = more === true;
    if (more === true) this.#connection.send({ type: 'next_batch', subscription_id: this.id, last_seq_id: last });
  }

  #change(frame: Frame): void {
    const [row] = (frame['rows'] as readonly Cells[] | undefined) ?? [];
    const [old] = (frame['old_values'] as readonly Cells[] | undefined) ?? [];
    const [at] = (frame['positions'] as readonly number[] | undefined) ?? [];
    const type = frame['change_type'];
    if (type === 'delete') {
      const gone = this.#takeOut(old);
      if (gone !== undefined && gone['_seq'] !== old?.['_seq']) this.problems.push(`deleted at ${old?.['_seq']}, shown at ${gone['_seq']}`);
    } else if (row === undefined || at === undefined) this.problems.push(`${type} without a row or a position`);
    else if (type === 'insert') this.#insert(row, at);
    else {
      const merged: Record<string, unknown> = { ...this.#takeOut(row) };
      for (const name of Object.keys(old ?? {})) merged[name] = null;
      this.#insert(Object.assign(merged, row), at);
    }
  }

  #takeOut(row: Cells | undefined): Cells | undefined {
    const index = this.#rows.findIndex(({ id }) => id === row?.['id']);
    if (index === -1) this.problems.push(`${row?.['id']} is not there`);
    return index === -1 ? undefined : this.#rows.splice(index, 1)[0];
  }

  #insert(row: Cells, at: number): void {
    if (this.#rows.some(({ id }) => id === row['id'])) this.problems.push(`${row['id']} is there twice`);
    if (at > this.#rows.length) this.problems.push(`${row['id']} is put at ${at} of ${this.#rows.length} rows`);
    this.#rows.splice(at, 0, row);
    if (this.#rows.length > this.window.limit) this.problems.push(`more than ${this.window.limit} rows`);
  }
}
