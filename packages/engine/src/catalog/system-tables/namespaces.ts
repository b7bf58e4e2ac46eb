import type { Table } from '../table.ts';
import { CellReader } from './cell-reader.ts';
import { Repository } from './repository.ts';
import { key, optional, required, systemTable, timeOfWriting } from './system-table.ts';

/** `system.namespaces` (catalog B3). */
export const NAMESPACES: Table = systemTable({
  id: 1,
  name: 'namespaces',
  comment: 'The namespaces of the database',
  columns: [
    key('namespace_id', 'text', 'Name of the namespace, lower case'),
    required('name', 'text', 'Name as displayed'),
    timeOfWriting('created_at', 'When it was created'),
    optional('options', 'json', 'Options set by ALTER NAMESPACE'),
    required('table_count', 'int', 'Kept for clients that select it; always 0'),
  ],
});

/** One namespace. */
export interface NamespaceRecord {
  readonly namespaceId: string;
  readonly createdAtMicros: bigint;
  /** JSON object text. */
  readonly options: string;
}

/** Reads and writes `system.namespaces`. */
export const namespaceRepository: Repository<NamespaceRecord> = new Repository<NamespaceRecord>(NAMESPACES, {
  toRow: (record) => [record.namespaceId, record.namespaceId, record.createdAtMicros, record.options, 0],
  fromRow: (cells) => {
    const reader = new CellReader(NAMESPACES.name, cells);
    const namespaceId = reader.text();
    reader.skip();
    return { namespaceId, createdAtMicros: reader.bigint(), options: reader.textOrNone() ?? '{}' };
  },
});
