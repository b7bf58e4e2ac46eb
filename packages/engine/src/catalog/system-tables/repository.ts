import type { NonNullCell, Row } from '@kalamdb/protocol';
import type { PartitionId, RowKey } from '@kalamdb/storage';
import type { RowVersion } from '../../contract.ts';
import type { Draft } from '../../sequencer/draft.ts';
import type { Table } from '../table.ts';

/** What a turn offers to the writers of system tables; the sequencer's Draft is one. */
export type SystemWriter = Pick<Draft, 'nowMicros' | 'latest' | 'put'>;

/** How a record becomes a row and back. */
interface RecordMapping<R> {
  toRow(record: R): Row;
  fromRow(cells: Row): R;
}

/** Typed access to one system table. Writing needs a turn of the sequencer: there is no other road. */
export class Repository<R> {
  readonly table: Table;
  readonly partition: PartitionId;
  readonly #mapping: RecordMapping<R>;

  constructor(table: Table, mapping: RecordMapping<R>) {
    this.table = table;
    this.partition = table.partitionFor('');
    this.#mapping = mapping;
  }

  /** The record of a row; tombstones have one too. */
  read(row: Pick<RowVersion, 'cells'>): R {
    return this.#mapping.fromRow(row.cells);
  }

  /** The row of a record, for results that show it. */
  toRow(record: R): Row {
    return this.#mapping.toRow(record);
  }

  /** The record with this key as the turn sees it (commits that are not durable yet included); `undefined` when there is none. */
  latest(writer: SystemWriter, ...keyCells: readonly NonNullCell[]): R | undefined {
    const row = writer.latest(this.table, this.partition, this.table.encodeKey(keyCells));
    return row === undefined || row.deleted ? undefined : this.read(row);
  }

  /** Inserts or replaces. */
  put(writer: SystemWriter, record: R): void {
    const cells = this.#mapping.toRow(record);
    writer.put(this.table, this.partition, { key: this.#keyOf(cells), cells });
  }

  /** Leaves a tombstone that keeps the record. */
  remove(writer: SystemWriter, record: R): void {
    const cells = this.#mapping.toRow(record);
    writer.put(this.table, this.partition, { key: this.#keyOf(cells), cells, deleted: true });
  }

  #keyOf(cells: Row): RowKey {
    return this.table.keyOf(cells, 0n);
  }
}
