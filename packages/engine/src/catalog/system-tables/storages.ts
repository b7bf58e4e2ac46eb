import type { StorageType } from '@kalamdb/sql';
import type { Table } from '../table.ts';
import { CellReader } from './cell-reader.ts';
import { Repository } from './repository.ts';
import { key, optional, required, systemTable, timeOfWriting } from './system-table.ts';

/** `system.storages` (catalog B3). */
export const STORAGES: Table = systemTable({
  id: 4,
  name: 'storages',
  comment: 'Where cold rows lie',
  columns: [
    key('storage_id', 'text', 'Name in STORAGE_ID options'),
    required('storage_name', 'text', 'Name as displayed'),
    optional('description', 'text', 'Description'),
    required('storage_type', 'text', 'filesystem, s3, gcs or azure'),
    required('base_directory', 'text', 'Path or bucket URL'),
    optional('credentials', 'json', 'Whether there are credentials; they are never shown'),
    optional('config_json', 'json', 'Settings of the storage type'),
    required('shared_tables_template', 'text', 'Path of a shared table below the base directory'),
    required('user_tables_template', 'text', 'Path of a user table below the base directory'),
    timeOfWriting('created_at', 'When it was created'),
    timeOfWriting('updated_at', 'When it was last changed'),
  ],
  hidden: [optional('secret_credentials', 'text', 'The credentials themselves')],
});

/** What stands in the visible column in the place of credentials, as JSON. */
const SHOWN_CREDENTIALS = '"***"';

/** One storage. */
export interface StorageRecord {
  readonly storageId: string;
  readonly name: string;
  readonly description: string | undefined;
  readonly type: StorageType;
  readonly baseDirectory: string;
  /** JSON object text; a secret. Rows of the table show that there are some, and not which. */
  readonly credentials: string | undefined;
  /** JSON object text. */
  readonly config: string | undefined;
  readonly sharedTablesTemplate: string;
  readonly userTablesTemplate: string;
  readonly createdAtMicros: bigint;
  readonly updatedAtMicros: bigint;
}

/** Reads and writes `system.storages`. */
export const storageRepository: Repository<StorageRecord> = new Repository<StorageRecord>(STORAGES, {
  toRow: (record) => [
    record.storageId,
    record.name,
    record.description ?? null,
    record.type,
    record.baseDirectory,
    record.credentials === undefined ? null : SHOWN_CREDENTIALS,
    record.config ?? null,
    record.sharedTablesTemplate,
    record.userTablesTemplate,
    record.createdAtMicros,
    record.updatedAtMicros,
    record.credentials ?? null,
  ],
  fromRow: (cells) => {
    const reader = new CellReader(STORAGES.name, cells);
    const head = {
      storageId: reader.text(),
      name: reader.text(),
      description: reader.textOrNone(),
      type: reader.oneOf(['filesystem', 's3', 'gcs', 'azure']),
      baseDirectory: reader.text(),
    };
    reader.skip();
    const rest = {
      config: reader.textOrNone(),
      sharedTablesTemplate: reader.text(),
      userTablesTemplate: reader.text(),
      createdAtMicros: reader.bigint(),
      updatedAtMicros: reader.bigint(),
    };
    return { ...head, ...rest, credentials: reader.textOrNone() };
  },
});
