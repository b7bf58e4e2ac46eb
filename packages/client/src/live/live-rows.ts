import type { JsonValue } from '@kalamdb/protocol';
import { clientError } from '../client-error.ts';
import type { SchemaField } from '../messages/schema-field.ts';
import type { AckFrame, BatchFrame, ChangeFrame } from '../messages/server-frame.ts';
import { type RowData, rowWrapper, type WireRow } from '../rows/row-data.ts';
import type { LiveView, RowSource } from './live-view.ts';
import type { LiveState, SubscriptionSink } from './subscription.ts';

/** A view of whatever type of rows. */
type View = Pick<LiveView<unknown>, 'show' | 'close' | 'failed' | 'stateChanged' | 'wantsState'>;

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
 * Keeps the rows of a subscription: what a SELECT of it would answer, in order of arrival. A snapshot or a resume may come in
 * many batches; the set is shown once when the last is in, then after every change. A row that did not change is the same object
 * as before. Several views can look at one set.
 */
export class LiveRows implements SubscriptionSink {
  readonly #settings: LiveRowsSettings;
  readonly #views = new Set<View>();
  #entries = new Map<string, WireRow>();
  #columns: readonly string[] = [];
  #wrap: (row: WireRow) => RowData = rowWrapper([]);
  #complete = false;
  #state: LiveState = 'loading';
  /** Whether the set differs from what was last shown. */
  #dirty = false;

  constructor(settings: LiveRowsSettings) {
    this.#settings = settings;
  }

  /** The set as it stands. */
  get rows(): Iterable<WireRow> {
    return this.#entries.values();
  }

  get wantsState(): boolean {
    return [...this.#views].some((view) => view.wantsState);
  }

  /** Lets another view look, which is shown the set as soon as it is complete. */
  join(view: View): void {
    this.#views.add(view);
    if (this.#complete) view.show(this.#source);
    view.stateChanged(this.#state);
  }

  /** Takes a view away; how many are left. */
  leave(view: View): number {
    view.close();
    this.#views.delete(view);
    return this.#views.size;
  }

  check(schema: readonly SchemaField[]): void {
    this.#checkKey(schema);
  }

  acknowledged(frame: AckFrame, fresh: boolean): void {
    this.#columns = frame.schema.map((field) => field.name);
    this.#wrap = rowWrapper(frame.schema);
    this.#complete = false;
    if (!fresh) return;
    this.#entries = new Map();
    this.#dirty = true;
  }

  batch(frame: BatchFrame): void {
    this.#each(frame.rows, (row) => this.#upsert(row, undefined), !frame.batch_control.has_more);
  }

  changed({ change_type: type, rows, old_values: old }: ChangeFrame): void {
    if (type === 'delete') this.#each(old ?? [], (row) => this.#remove(row), true);
    else this.#each(rows ?? [], (row, index) => this.#upsert(row, old?.[index]), true);
  }

  failed(error: { readonly code: string; readonly message: string }): void {
    // the rows are about to be replaced, which is all there is to it for someone who sees only whole sets
    if (error.code === 'RESYNC_REQUIRED') return;
    for (const view of this.#views) view.failed(error);
  }

  stateChanged(state: LiveState): void {
    this.#state = state;
    for (const view of this.#views) view.stateChanged(state);
  }

  closed(): void {
    for (const view of this.#views) view.close();
  }

  readonly #source: RowSource = () => (this.#complete ? { rows: this.rows, wrap: this.#wrap } : undefined);

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

  #checkKey(schema: readonly SchemaField[]): void {
    const { getKey, keyColumns } = this.#settings;
    if (getKey !== undefined || schema.length === 0) return;
    const names = new Set(schema.map((field) => field.name));
    if (!keyColumns.every((column) => names.has(column))) throw this.#keyMissing();
  }

  #keyMissing(): Error & { readonly code: string } {
    return clientError('KEY_MISSING', { sql: this.#settings.sql, columns: this.#settings.keyColumns.join(', ') });
  }

  #upsert(row: WireRow, old: WireRow | undefined): void {
    const { limit } = this.#settings;
    const key = this.#keyOf(row);
    if (key === undefined) {
      this.failed(this.#keyMissing());
      return;
    }
    const before = this.#takeReplaced(row, old, key) ?? this.#entries.get(key);
    this.#entries.set(key, this.#merge(row, old, before));
    this.#dirty = true;
    if (limit !== undefined && this.#entries.size > limit) this.#dropOldest();
  }

  /** Takes out the row under its old key when an update has changed the key, which only columns other than the table's own key can do. */
  #takeReplaced(row: WireRow, old: WireRow | undefined, key: string): WireRow | undefined {
    const oldKey = old === undefined ? key : this.#keyOf({ ...row, ...old });
    if (oldKey === undefined || oldKey === key) return undefined;
    const replaced = this.#entries.get(oldKey);
    this.#entries.delete(oldKey);
    return replaced;
  }

  #dropOldest(): void {
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }

  #remove(row: WireRow): void {
    const key = this.#keyOf(row) ?? this.#keyOfStreamRow(row);
    if (key !== undefined && this.#entries.delete(key)) this.#dirty = true;
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
    return JSON.stringify(cells.map(String));
  }

  /**
   * An update carries every column that is not NULL. A column missing from it became NULL if the old values name it; if they
   * do not it is what it was. Columns beyond the subscription's (an unselected key) are left out, as in its SELECT.
   */
  #merge(row: WireRow, old: WireRow | undefined, before: WireRow | undefined): WireRow {
    const columns = this.#columns.length > 0 ? this.#columns : Object.keys({ ...before, ...row });
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
