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
  put(version: number, cells: Row): void {
    this.#rows.set(version, cells);
    this.#forget();
  }

  remove(version: number): void {
    this.#rows.delete(version);
    this.#forget();
  }

  /** Every version, oldest first. */
  records(): readonly TableRecord[] {
    this.#records ??= [...this.#rows.values()].map((cells) => tableRepository.read({ cells })).sort((a, b) => a.version - b.version);
    return this.#records;
  }

  /** The newest version; `undefined` when all are gone. The same object until the schema changes. */
  table(): Table | undefined {
    if (this.#table !== undefined) return this.#table;
    const records = this.records();
    const newest = records.at(-1);
    if (newest === undefined) return undefined;
    this.#table = tableFromRecords(newest, records.slice(0, -1));
    return this.#table;
  }

  #forget(): void {
    this.#records = undefined;
    this.#table = undefined;
  }
}
