import { serialize } from 'node:v8';
import type { Table } from '../catalog/table.ts';
import type { TableCopy } from './scan-messages.ts';

/** Tables as other threads get them, each made once. */
export class TableCopies {
  readonly #copies = new WeakMap<Table, TableCopy>();

  of(table: Table): TableCopy {
    let copy = this.#copies.get(table);
    if (copy === undefined) {
      copy = { id: table.id, version: table.version, spec: new Uint8Array(serialize(table.spec)) };
      this.#copies.set(table, copy);
    }
    return copy;
  }
}
