import type { Table } from '../table.ts';
import { CellReader } from './cell-reader.ts';
import { Repository } from './repository.ts';
import { key, optional, required, systemTable } from './system-table.ts';

/**
 * The manifests of the cold tier, one row for each partition that has had segments. Not visible to statements, which see
 * `system.manifest`.
 */
export const MANIFESTS: Table = systemTable({
  id: 20,
  name: 'manifests',
  comment: 'What the cold tier holds of each partition',
  columns: [
    key('table_number', 'bigint', 'Table id of the storage layer'),
    key('owner', 'text', 'Whose rows; empty in SHARED tables'),
    required('storage_id', 'text', 'The storage of the segments'),
    required('folder', 'text', 'What the keys of the segments begin with there, with a slash at the end'),
    required('manifest', 'text', 'The segments'),
    optional('pending', 'int', 'The number of a segment whose files may be there although it was not published'),
    optional('dropped', 'text', 'The numbers of segments that were replaced and whose files may still be there'),
    required('created_at', 'timestamp', 'When the first segment was published'),
    required('updated_at', 'timestamp', 'When it was last changed'),
  ],
});

/** The manifest of one partition as its row holds it. */
export interface ManifestRecord {
  readonly tableId: number;
  readonly owner: string;
  readonly storageId: string;
  /** Ends with a slash. */
  readonly folder: string;
  /** Of storage's manifest codec. */
  readonly text: string;
  /** The number of a segment that is being written, or whose writing was cut short: its files may be there. */
  readonly pending: number | undefined;
  /** The numbers of segments that the manifest does not name any more and whose files are deleted when nobody reads them. */
  readonly dropped: readonly number[];
  readonly createdAtMicros: bigint;
  readonly updatedAtMicros: bigint;
}

/** Reads and writes the manifests. */
export const manifestRepository: Repository<ManifestRecord> = new Repository<ManifestRecord>(MANIFESTS, {
  toRow: (record) => [
    BigInt(record.tableId),
    record.owner,
    record.storageId,
    record.folder,
    record.text,
    record.pending ?? null,
    record.dropped.length === 0 ? null : record.dropped.join(' '),
    record.createdAtMicros,
    record.updatedAtMicros,
  ],
  fromRow: (cells) => {
    const reader = new CellReader(MANIFESTS.name, cells);
    return {
      tableId: Number(reader.bigint()),
      owner: reader.text(),
      storageId: reader.text(),
      folder: reader.text(),
      text: reader.text(),
      pending: reader.numberOrNone(),
      dropped: numbersOf(reader.textOrNone()),
      createdAtMicros: reader.bigint(),
      updatedAtMicros: reader.bigint(),
    };
  },
});

function numbersOf(text: string | undefined): readonly number[] {
  return text === undefined ? [] : text.split(' ').map(Number);
}
