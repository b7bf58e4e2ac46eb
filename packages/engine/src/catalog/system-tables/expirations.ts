import type { Table } from '../table.ts';
import { CellReader } from './cell-reader.ts';
import { Repository } from './repository.ts';
import { key, required, systemTable } from './system-table.ts';

/** Up to where tombstones of the hot tier were removed, one row for each partition without segments. Not visible to statements. */
export const EXPIRATIONS: Table = systemTable({
  id: 21,
  name: 'expirations',
  comment: 'Tombstones that were removed because of their age',
  columns: [
    key('table_number', 'bigint', 'Table id of the storage layer'),
    key('owner', 'text', 'Whose rows; empty in SHARED tables'),
    required('expired_seq', 'bigint', 'Highest _seq of a tombstone that was removed'),
  ],
});

/** How far the tombstones of one partition have expired. */
export interface ExpirationRecord {
  readonly tableId: number;
  readonly owner: string;
  readonly expiredSeq: bigint;
}

/** Reads and writes them. */
export const expirationRepository: Repository<ExpirationRecord> = new Repository<ExpirationRecord>(EXPIRATIONS, {
  toRow: ({ tableId, owner, expiredSeq }) => [BigInt(tableId), owner, expiredSeq],
  fromRow: (cells) => {
    const reader = new CellReader(EXPIRATIONS.name, cells);
    return { tableId: Number(reader.bigint()), owner: reader.text(), expiredSeq: reader.bigint() };
  },
});
