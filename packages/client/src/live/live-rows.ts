import type { JsonValue } from '@kalamdb/protocol';
import { clientError } from '../client-error.ts';
import type { SchemaField } from '../messages/schema-field.ts';
import type { ChangeFrame, ServerFrame } from '../messages/server-frame.ts';
import { type RowData, rowWrapper, type WireRow } from '../rows/row-data.ts';
import type { SubscriptionSink } from './subscription.ts';

/** How rows become the application's, and which of them are the same. */
export interface LiveRowsSettings<T> {
  readonly sql: string;
  readonly mapRow: (row: RowData) => T;
  /** Rows kept, the newest; `undefined` for all. */
  readonly limit: number | undefined;
  readonly keyColumns: readonly string[];
  /** Instead of `keyColumns`; a delete shows it only the key and the columns the server still knows. */
  readonly getKey: ((row: RowData) => string | number | null | undefined) | undefined;
  /** The whole reconciled set, in order of arrival. A row that did not change is the same object as before. */
  readonly show: (rows: T[]) => void;
  readonly failed: (error: { readonly code: string; readonly message: string }) => void;
}

interface Entry<T> {
  readonly row: WireRow;
  /** What `mapRow` made of it, once it was shown. */
  shown: { readonly value: T } | undefined;
}

/**
 * Keeps the rows of a subscription: what a SELECT of it would answer. A snapshot or a resume may come in many batches; the set is
 * shown once when the last is in, then after every change.
 */
export class LiveRows<T> implements SubscriptionSink {
  readonly #settings: LiveRowsSettings<T>;
  #entries = new Map<string, Entry<T>>();
  #columns: readonly string[] = [];
  #wrap: (row: WireRow) => RowData = rowWrapper([]);
  /** Whether the set differs from what was last shown. */
  #dirty = false;

  constructor(settings: LiveRowsSettings<T>) {
    this.#settings = settings;
  }

  /** The set as it stands. */
  get rows(): T[] {
    return Array.from(this.#entries.values(), (entry) => {
      entry.shown ??= { value: this.#settings.mapRow(this.#wrap(entry.row)) };
      return entry.shown.value;
    });
  }

  acknowledged(frame: Extract<ServerFrame, { type: 'subscription_ack' }>, fresh: boolean): void {
    this.#checkKey(frame.schema);
    this.#columns = frame.schema.map((field) => field.name);
    this.#wrap = rowWrapper(frame.schema);
    if (!fresh) return;
    this.#entries = new Map();
    this.#dirty = true;
  }

  batch(frame: Extract<ServerFrame, { type: 'initial_data_batch' }>): void {
    this.#each(frame.rows, (row) => this.#upsert(row, undefined), !frame.position.hasMore);
  }

  changed(frame: ChangeFrame): void {
    if (frame.changeType === 'delete') this.#each(frame.oldValues, (row) => this.#remove(row), true);
    else this.#each(frame.rows, (row, index) => this.#upsert(row, frame.oldValues[index]), true);
  }

  failed(error: { readonly code: string; readonly message: string }): void {
    // the rows are about to be replaced, which is all there is to it for someone who sees only whole sets
    if (error.code !== 'RESYNC_REQUIRED') this.#settings.failed(error);
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
    if (complete && this.#dirty) this.#show();
    if (thrown.length > 0) throw thrown[0];
  }

  #show(): void {
    this.#dirty = false;
    this.#settings.show(this.rows);
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
    const before = this.#takeReplaced(row, old, key) ?? this.#entries.get(key)?.row;
    const merged = this.#merge(row, old, before);
    this.#entries.set(key, { row: merged, shown: undefined });
    this.#dirty = true;
    if (limit !== undefined && this.#entries.size > limit) this.#dropOldest();
  }

  /** Takes out the row under its old key when an update has changed the key, which only columns other than the table's own key can do. */
  #takeReplaced(row: WireRow, old: WireRow | undefined, key: string): WireRow | undefined {
    const oldKey = old === undefined ? key : this.#keyOf({ ...row, ...old });
    if (oldKey === undefined || oldKey === key) return undefined;
    const replaced = this.#entries.get(oldKey)?.row;
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
    for (const [key, entry] of this.#entries) if (String(entry.row['_seq']) === seq) return key;
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
