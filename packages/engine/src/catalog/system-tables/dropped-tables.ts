import type { TableKind } from '@kalamdb/sql';
import type { Table } from '../table.ts';
import { CellReader } from './cell-reader.ts';
import { Repository } from './repository.ts';
import { key, required, systemTable } from './system-table.ts';

/** Tables whose rows are still to be purged. Written in the commit of the DROP, so no crash can forget one. Not visible to statements. */
export const DROPPED_TABLES: Table = systemTable({
  id: 11,
  name: 'dropped_tables',
  comment: 'Dropped tables whose rows are still stored',
  columns: [
    key('table_number', 'bigint', 'Table id of the storage layer'),
    required('namespace_id', 'text', 'Namespace the table was in'),
    required('table_name', 'text', 'Name the table had'),
    required('table_type', 'text', 'user, shared or stream'),
    required('job_id', 'text', 'The cleanup job named in the answer'),
    required('dropped_at', 'timestamp', 'When it was dropped'),
  ],
});

/** One dropped table. */
export interface DroppedTableRecord {
  readonly tableId: number;
  readonly namespace: string;
  readonly name: string;
  readonly kind: TableKind;
  readonly jobId: string;
  readonly droppedAtMicros: bigint;
}

/** Reads and writes the list of dropped tables. */
export const droppedTableRepository: Repository<DroppedTableRecord> = new Repository<DroppedTableRecord>(DROPPED_TABLES, {
  toRow: (record) => [BigInt(record.tableId), record.namespace, record.name, record.kind, record.jobId, record.droppedAtMicros],
  fromRow: (cells) => {
    const reader = new CellReader(DROPPED_TABLES.name, cells);
    return {
      tableId: Number(reader.bigint()),
      namespace: reader.text(),
      name: reader.text(),
      kind: reader.oneOf(['user', 'shared', 'stream']),
      jobId: reader.text(),
      droppedAtMicros: reader.bigint(),
    };
  },
});
