import type { JsonValue } from '@kalamdb/protocol';
import { clientError, type KalamClientError } from '../client-error.ts';
import type { SchemaField } from '../messages/schema-field.ts';
import type { AckFrame, BatchFrame, ChangeFrame } from '../messages/server-frame.ts';
import { type RowData, rowWrapper, type WireRow } from '../rows/row-data.ts';
import type { LiveViewer, RowSource } from './live-view.ts';
import type { LiveError, LiveState, SubscriptionSink } from './subscription.ts';

/** Which rows of a live query there are, and which of them are the same. */
export interface LiveRowsSettings {
  readonly sql: string;
  /** Rows kept, the newest; `undefined` for all. */
  readonly limit: number | undefined;
  readonly keyColumns: readonly string[];
  /** Instead of `keyColumns`; a delete shows it only the key and the columns the server still knows. */
  readonly getKey: ((row: RowData) => string | number | null | undefined) | undefined;
}

/**
 * Keeps the rows of a subscription: what a SELECT of it would answer, in order of arrival, or, of a window, in the server's order. A
 * snapshot or a resume may come in many batches; the set is shown once when the last is in, then after every commit. A row that did not
 * change is the same object as before. Several views can look at one set. Rows from a store on this side would enter here, as what an earlier
 * socket has left, with their cursor as the subscription's `from`.
 */
export class LiveRows implements SubscriptionSink {
  readonly #settings: LiveRowsSettings;
  readonly #views = new Set<LiveViewer>();
  #entries = new Map<string, WireRow>();
  #schema: readonly SchemaField[] = [];
  #wrap: (row: WireRow) => RowData = rowWrapper([]);
  #window = false;
  #complete = false;
  #state: LiveState = 'loading';
  /** Whether the set differs from what was last shown. */
  #dirty = false;

  constructor(settings: LiveRowsSettings) {
    this.#settings = settings;
  }

  get wantsState(): boolean {
    return [...this.#views].some((view) => view.wantsState);
  }

  /** Lets another view look, which is shown the set as soon as it is complete. */
  join(view: LiveViewer): void {
    this.#views.add(view);
    if (this.#complete) view.show(this.#source);
    view.stateChanged(this.#state);
  }

  /** Takes a view away; how many are left. */
  leave(view: LiveViewer): number {
    view.close();
    this.#views.delete(view);
    return this.#views.size;
  }

  check(schema: readonly SchemaField[]): void {
    const { getKey, keyColumns } = this.#settings;
    if (getKey !== undefined || schema.length === 0) return;
    if (!keyColumns.every((column) => schema.some((field) => field.name === column))) throw this.#keyMissing();
  }

  acknowledged(frame: AckFrame, fresh: boolean): void {
    this.#schema = frame.schema;
    this.#wrap = rowWrapper(frame.schema);
    this.#complete = false;
    this.#window = frame.window !== undefined;
    if (fresh) this.#clear();
  }

  batch(frame: BatchFrame): void {
    const { batch_num: number, has_more: hasMore } = frame.batch_control;
    if (this.#window && number === 0) this.#clear();
    this.#each(frame.rows, (row) => this.#upsert(row), !(hasMore || frame.more));
  }

  changed({ change_type: type, rows, old_values: old, positions, more }: ChangeFrame): void {
    if (type === 'delete') this.#each(old ?? [], (row) => this.#remove(row), !more);
    else this.#each(rows ?? [], (row, index) => this.#upsert(row, old?.[index], positions?.[index]), !more);
  }

  settled(): void {
    this.#each([], () => undefined, true);
  }

  failed(error: LiveError, ended?: boolean): void {
    // the rows are about to be replaced, which is all there is to it for someone who sees only whole sets
    if (error.code === 'RESYNC_REQUIRED') return;
    for (const view of this.#views) view.failed(error, ended);
  }

  stateChanged(state: LiveState): void {
    this.#state = state;
    for (const view of this.#views) view.stateChanged(state);
  }

  readonly #source: RowSource = () => {
    if (this.#complete) return { rows: this.#entries, window: this.#window, schema: this.#schema, wrap: this.#wrap };
    // whoever asks in vain has not seen what is there, and is shown it when it is complete, changed or not
    this.#dirty = true;
    return undefined;
  };

  #clear(): void {
    this.#entries = new Map();
    this.#touch();
  }

  #touch(key?: string): void {
    this.#dirty = true;
    for (const view of this.#views) view.touched?.(key);
  }

  /** A row that the application's `getKey` throws at costs the others nothing; the first thing it threw is thrown on at the end. */
  #each(rows: readonly WireRow[], take: (row: WireRow, index: number) => void, complete: boolean): void {
    const thrown: unknown[] = [];
    for (const [index, row] of rows.entries()) {
      try {
        take(row, index);
      } catch (error) {
        thrown.push(error);
      }
    }
    this.#complete = complete;
    if (complete && this.#dirty) this.#show();
    if (thrown.length > 0) throw thrown[0];
  }

  #show(): void {
    this.#dirty = false;
    for (const view of this.#views) view.show(this.#source);
  }

  #keyMissing(): KalamClientError {
    return clientError('KEY_MISSING', { sql: this.#settings.sql, columns: this.#settings.keyColumns.join(', ') });
  }

  /** `position`: where the row stands in a window. */
  #upsert(row: WireRow, old?: WireRow, position?: number): void {
    const key = this.#keyOf(row);
    if (key === undefined) {
      this.failed(this.#keyMissing());
      return;
    }
    const before = this.#takeReplaced(row, old, key) ?? this.#entries.get(key);
    const merged = this.#merge(row, old, before);
    if (position !== undefined) this.#entries.delete(key);
    this.#entries.set(key, merged);
    if (position !== undefined) {
      const entries = [...this.#entries];
      entries.splice(position, 0, ...entries.splice(-1));
      this.#entries = new Map(entries);
    }
    this.#touch(key);
    if (this.#entries.size > (this.#settings.limit ?? Number.POSITIVE_INFINITY)) this.#delete(this.#entries.keys().next().value);
  }

  /** Takes out the row under its old key when an update has changed the key, which only columns other than the table's own key can do. */
  #takeReplaced(row: WireRow, old: WireRow | undefined, key: string): WireRow | undefined {
    const oldKey = old === undefined ? key : this.#keyOf({ ...row, ...old });
    if (oldKey === undefined || oldKey === key) return undefined;
    const replaced = this.#entries.get(oldKey);
    this.#delete(oldKey);
    return replaced;
  }

  #remove(row: WireRow): void {
    this.#delete(this.#keyOf(row) ?? this.#keyOfStreamRow(row));
  }

  #delete(key: string | undefined): void {
    if (key !== undefined && this.#entries.delete(key)) this.#touch(key);
  }

  /** A deleted row of a stream is named by `row_id`: `<user>:<_seq>`. */
  #keyOfStreamRow(row: WireRow): string | undefined {
    const rowId = row['row_id'];
    if (typeof rowId !== 'string') return undefined;
    const seq = rowId.slice(rowId.lastIndexOf(':') + 1);
    for (const [key, entry] of this.#entries) if (String(entry['_seq']) === seq) return key;
    return undefined;
  }

  #keyOf(row: WireRow): string | undefined {
    const { getKey, keyColumns } = this.#settings;
    if (getKey !== undefined) {
      const key = getKey(this.#wrap(row));
      return key === null || key === undefined ? undefined : String(key);
    }
    const cells = keyColumns.map((column) => row[column]);
    if (cells.some((cell) => cell === undefined || cell === null)) return undefined;
    return keyText(cells);
  }

  /**
   * An update carries every column that is not NULL. A column missing from it became NULL if the old values name it; if they
   * do not it is what it was. Columns beyond the subscription's (an unselected key) are left out, as in its SELECT.
   */
  #merge(row: WireRow, old: WireRow | undefined, before: WireRow | undefined): WireRow {
    const columns = this.#schema.length > 0 ? this.#schema.map((field) => field.name) : Object.keys({ ...before, ...row });
    const cells = columns.map((column): [string, JsonValue] => {
      const cell = row[column];
      if (cell !== undefined) return [column, cell];
      if (column === '_deleted') return [column, false];
      return [column, old?.[column] !== undefined ? null : (before?.[column] ?? null)];
    });
    const seq = row['_seq'];
    if (seq !== undefined && !columns.includes('_seq')) cells.push(['_seq', seq]);
    return Object.fromEntries(cells);
  }
}

/** The text that names a row among those with the same key columns: a lone cell as it is, several as a list. */
export function keyText(cells: readonly unknown[]): string {
  return cells.length === 1 ? String(cells[0]) : JSON.stringify(cells.map(String));
}
