import type { Row } from '@kalamdb/protocol';
import { type SchemaRowName, tableRepository } from './system-tables/schemas.ts';
import type { Table } from './table.ts';
import { type TableRecord, tableFromRecords } from './table-record.ts';

/**
 * All versions of one table. Definitions are parsed when the table is first asked for, so that opening a catalog of many
 * tables costs no more than reading their rows.
 */
export class TableEntry {
  readonly tableId: number;
  readonly namespace: string;
  readonly name: string;
  readonly #rows = new Map<number, Row>();
  /** The commits that wrote them. */
  readonly #seqs = new Map<number, bigint>();
  /** What was parsed of them: a table of many versions gets one more without reading the others again. */
  readonly #parsed = new Map<number, TableRecord>();
  #records: readonly TableRecord[] | undefined;
  #table: Table | undefined;

  constructor({ tableId, namespace, name }: SchemaRowName) {
    this.tableId = tableId;
    this.namespace = namespace;
    this.name = name;
  }

  get isEmpty(): boolean {
    return this.#rows.size === 0;
  }

  /** Sets one version; what was handed out before stays as it was. */
  put(version: number, cells: Row, seq: bigint): void {
    this.#rows.set(version, cells);
    this.#seqs.set(version, seq);
    this.#forget(version);
  }

  remove(version: number): void {
    this.#rows.delete(version);
    this.#seqs.delete(version);
    this.#forget(version);
  }

  /** Every version, oldest first. */
  records(): readonly TableRecord[] {
    this.#records ??= [...this.#rows].map(([version, cells]) => this.#record(version, cells)).sort((a, b) => a.version - b.version);
    return this.#records;
  }

  #record(version: number, cells: Row): TableRecord {
    let record = this.#parsed.get(version);
    if (record === undefined) {
      record = tableRepository.read({ cells });
      this.#parsed.set(version, record);
    }
    return record;
  }

  /** The rows of {@link records}, as they were written. */
  rows(): readonly Row[] {
    return [...this.#rows].sort(([a], [b]) => a - b).map(([, cells]) => cells);
  }

  /** The newest version; `undefined` when all are gone. The same object until the schema changes. */
  table(): Table | undefined {
    if (this.#table !== undefined) return this.#table;
    const records = this.records();
    const newest = records.at(-1);
    if (newest === undefined) return undefined;
    this.#table = tableFromRecords(newest, records.slice(0, -1), this.#seqs.get(newest.version) ?? 0n);
    return this.#table;
  }

  #forget(version: number): void {
    this.#parsed.delete(version);
    this.#records = undefined;
    this.#table = undefined;
  }
}
