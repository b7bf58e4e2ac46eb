import { type PlainTypeKind, plainType } from '@kalamdb/protocol';
import { counterRepository, NEXT_TABLE_ID } from './system-tables/counters.ts';
import { namespaceRepository } from './system-tables/namespaces.ts';
import type { SystemWriter } from './system-tables/repository.ts';
import { tableRepository } from './system-tables/schemas.ts';
import { storageRepository } from './system-tables/storages.ts';
import { type UserRecord, userRepository } from './system-tables/users.ts';
import { FIRST_USER_TABLE_ID, NO_OPTIONS } from './table.ts';
import { DEFAULT_STORAGE, newTableRecord } from './table-record.ts';

/** The user that exists from the first start. */
export const ROOT_USER = 'root';
/** Namespaces that exist from the first start. */
export const INITIAL_NAMESPACES: readonly string[] = ['default', 'dba'];
/** Path of a shared table's cold rows below its storage. */
/** Where the cold rows of SHARED tables lie in a storage that says nothing else. */
export const SHARED_TABLES_TEMPLATE = '{namespace}/{tableName}';
/** Path of a user table's cold rows below its storage. */
/** Where the cold rows of USER tables lie in a storage that says nothing else. */
export const USER_TABLES_TEMPLATE = '{namespace}/{tableName}/{userId}';

const column = (name: string, type: PlainTypeKind, nullable = false) => ({
  name,
  type: plainType(type),
  nullable,
  primaryKey: name === 'id',
  default: name === 'is_read' ? ({ kind: 'literal', literal: 'boolean', text: 'false' } as const) : undefined,
});

/** The ordinary shared tables of the namespace `dba` (catalog B7). */
const DBA_TABLES = [
  {
    name: 'notifications',
    accessLevel: 'public',
    options: { ...NO_OPTIONS, accessLevel: 'public' },
    columns: [
      column('id', 'text'),
      column('user_id', 'text'),
      column('title', 'text'),
      column('body', 'text', true),
      column('is_read', 'boolean'),
      column('created_at', 'timestamp'),
      column('updated_at', 'timestamp'),
    ],
  },
  {
    name: 'stats',
    accessLevel: 'dba',
    options: { ...NO_OPTIONS, accessLevel: 'dba', flushPolicy: { rows: 10_000, intervalSeconds: undefined } },
    columns: [
      column('id', 'text'),
      column('node_id', 'text'),
      column('metric_name', 'text'),
      column('metric_value', 'double'),
      column('metric_unit', 'text', true),
      column('sampled_at', 'timestamp'),
    ],
  },
] as const;

/** What the first start puts into an empty database. */
interface BootstrapOptions {
  /** Encoded hash of root's password; empty = the database needs setup. */
  readonly rootPasswordHash: string;
  /** Directory of the storage `local`. */
  readonly storageDirectory: string;
}

/** A user that nothing has happened to yet. */
export function newUser(
  user: Pick<UserRecord, 'userId' | 'role' | 'authType' | 'passwordHash' | 'email' | 'authData'>,
  nowMicros: bigint,
): UserRecord {
  return {
    ...user,
    storageMode: 'Table',
    storageId: undefined,
    failedLoginAttempts: 0,
    lockedUntilMicros: undefined,
    lastLoginAtMicros: undefined,
    createdAtMicros: nowMicros,
    updatedAtMicros: nowMicros,
    lastSeenMicros: undefined,
    deletedAtMicros: undefined,
  };
}

/** Writes what is missing (wire-protocol 2.9): root, the storage `local`, the namespaces. Of what is there only the path of `local` follows the data directory. */
export function bootstrapCatalog(writer: SystemWriter, options: BootstrapOptions): void {
  const nowMicros = writer.nowMicros;
  if (userRepository.latest(writer, ROOT_USER) === undefined) {
    const root = {
      userId: ROOT_USER,
      role: 'system',
      authType: 'Internal',
      passwordHash: options.rootPasswordHash,
      email: 'root@localhost',
      authData: undefined,
    } as const;
    userRepository.put(writer, newUser(root, nowMicros));
  }
  const local = storageRepository.latest(writer, DEFAULT_STORAGE);
  if (local === undefined) {
    storageRepository.put(writer, {
      storageId: DEFAULT_STORAGE,
      name: 'Local Filesystem',
      description: 'Default local filesystem storage',
      type: 'filesystem',
      baseDirectory: options.storageDirectory,
      credentials: undefined,
      config: undefined,
      sharedTablesTemplate: SHARED_TABLES_TEMPLATE,
      userTablesTemplate: USER_TABLES_TEMPLATE,
      createdAtMicros: nowMicros,
      updatedAtMicros: nowMicros,
    });
  } else if (local.baseDirectory !== options.storageDirectory) {
    storageRepository.put(writer, { ...local, baseDirectory: options.storageDirectory });
  }
  if (counterRepository.latest(writer, NEXT_TABLE_ID) !== undefined) return;
  counterRepository.put(writer, { name: NEXT_TABLE_ID, value: BigInt(FIRST_USER_TABLE_ID) });
  for (const namespaceId of INITIAL_NAMESPACES) {
    namespaceRepository.put(writer, { namespaceId, createdAtMicros: nowMicros, options: '{}' });
  }
  for (const table of DBA_TABLES) {
    const tableId = allocateTableId(writer);
    tableRepository.put(writer, newTableRecord({ ...table, tableId, namespace: 'dba', kind: 'shared', nowMicros }));
  }
}

/** Gives out the next table id, which no other table ever had or gets. */
export function allocateTableId(writer: SystemWriter): number {
  const next = counterRepository.latest(writer, NEXT_TABLE_ID)?.value ?? BigInt(FIRST_USER_TABLE_ID);
  counterRepository.put(writer, { name: NEXT_TABLE_ID, value: next + 1n });
  return Number(next);
}
