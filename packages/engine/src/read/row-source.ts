import type { PartitionId } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import type { PartitionView } from '../partition/partition-view.ts';

/** Where a statement reads rows: a snapshot, or a transaction's snapshot with its own writes on top. */
export interface RowSource {
  view(table: Table, partition: PartitionId): PartitionView;
}
