import type { ScanProvider } from '../catalog.ts';
import { required, systemTable } from '../system-tables/system-table.ts';
import type { Table } from '../table.ts';
import { computedRow } from './computed-row.ts';

const TRANSACTIONS: Table = systemTable({
  id: 108,
  name: 'transactions',
  comment: 'Explicit transactions in progress',
  columns: [
    required('transaction_id', 'text', 'Transaction'),
    required('owner_id', 'text', 'Request or session'),
    required('origin', 'text', 'SqlBatch, PgRpc or Internal'),
    required('state', 'text', 'open_read, open_write, …'),
    required('age_ms', 'bigint', 'Age'),
    required('idle_ms', 'bigint', 'Since the last statement'),
    required('write_count', 'bigint', 'Rows written'),
    required('write_bytes', 'bigint', 'Bytes written'),
    required('touched_tables_count', 'bigint', 'Tables'),
    required('snapshot_commit_seq', 'bigint', 'Commit it reads at'),
  ],
});

/** One explicit transaction that is open. */
export interface TransactionRecord {
  readonly id: string;
  /** The request it belongs to. */
  readonly owner: string;
  readonly ageMillis: number;
  readonly idleMillis: number;
  readonly writeCount: number;
  readonly writeBytes: number;
  readonly touchedTables: number;
  readonly snapshotSeq: bigint;
}

const whole = (value: number): bigint => BigInt(Math.trunc(value));

/** `system.transactions` (catalog B5). */
export function transactionsView(source: () => Iterable<TransactionRecord>): ScanProvider {
  return {
    table: TRANSACTIONS,
    rows: () =>
      [...source()].map((record) =>
        computedRow([
          record.id,
          record.owner,
          'SqlBatch',
          record.writeCount > 0 ? 'open_write' : 'open_read',
          whole(record.ageMillis),
          whole(record.idleMillis),
          whole(record.writeCount),
          whole(record.writeBytes),
          whole(record.touchedTables),
          record.snapshotSeq,
        ]),
      ),
  };
}
