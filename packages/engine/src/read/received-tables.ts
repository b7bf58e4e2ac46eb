import { deserialize } from 'node:v8';
import { createTable, type Table } from '../catalog/table.ts';
import type { TableCopy } from './scan-messages.ts';

/** Tables that are kept for the next query on them. */
const TABLES_MAX = 200;

/** Tables that another thread has sent: the very same object for the same version, as the compiler wants it. */
export class ReceivedTables {
  readonly #tables = new Map<string, Table>();

  of({ id, version, spec }: TableCopy): Table {
    const name = `${id}/${version}`;
    const known = this.#tables.get(name);
    if (known !== undefined) return known;
    const table = createTable(deserialize(spec));
    const [oldest] = this.#tables.keys();
    if (this.#tables.size >= TABLES_MAX && oldest !== undefined) this.#tables.delete(oldest);
    this.#tables.set(name, table);
    return table;
  }
}
