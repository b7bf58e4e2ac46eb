import { type DataType, plainType } from '@kalamdb/protocol';
import type { DefaultValue, TableOptions } from '@kalamdb/sql';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DROPPED_TABLES, droppedTableRepository } from './system-tables/dropped-tables.ts';
import { NAMESPACES, namespaceRepository } from './system-tables/namespaces.ts';
import type { Repository } from './system-tables/repository.ts';
import { SCHEMAS, schemaRowName, tableRepository } from './system-tables/schemas.ts';
import { STORAGES, storageRepository } from './system-tables/storages.ts';
import { USERS, userRepository } from './system-tables/users.ts';
import { NO_OPTIONS, type TableColumn } from './table.ts';
import { newTableRecord, type TableRecord } from './table-record.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const micros = fc.bigInt(0n, 2n ** 52n);
const orNone = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined });

const types: fc.Arbitrary<DataType> = fc.oneof(
  fc.constantFrom(plainType('int'), plainType('text'), plainType('json'), plainType('bytes'), plainType('datetime'), plainType('uuid')),
  fc.record({ kind: fc.constant('decimal' as const), precision: fc.integer({ min: 1, max: 38 }), scale: fc.constant(0) }),
  fc.record({ kind: fc.constant('embedding' as const), dimension: fc.integer({ min: 1, max: 8192 }) }),
);

const defaults: fc.Arbitrary<DefaultValue> = fc.oneof(
  fc.record({ kind: fc.constant('literal' as const), literal: fc.constantFrom('null', 'boolean', 'integer', 'decimal', 'string'), text }),
  fc.record({ kind: fc.constant('function' as const), name: fc.constantFrom('NOW', 'CURRENT_TIMESTAMP', 'SNOWFLAKE_ID', 'ULID') }),
);

const columns: fc.Arbitrary<TableColumn> = fc.record({
  id: fc.nat(),
  name: text,
  type: types,
  nullable: fc.boolean(),
  primaryKey: fc.boolean(),
  default: orNone(defaults),
  system: fc.constant(undefined),
  ordinal: fc.nat(),
  comment: orNone(text),
});

const options: fc.Arbitrary<TableOptions> = fc.record({
  storageId: orNone(text),
  useUserStorage: orNone(fc.boolean()),
  flushPolicy: orNone(fc.record({ rows: orNone(fc.nat()), intervalSeconds: orNone(fc.nat()) })),
  accessLevel: orNone(fc.constantFrom('public', 'private', 'restricted', 'dba')),
  deletedRetentionHours: orNone(fc.oneof(fc.nat(), fc.constant('off' as const))),
  ttlSeconds: orNone(fc.nat()),
  streamScope: orNone(fc.constantFrom('user', 'shared')),
  ephemeral: orNone(fc.boolean()),
  maxBuffer: orNone(fc.nat()),
});

const records: fc.Arbitrary<TableRecord> = fc.record({
  tableId: fc.integer({ min: 1000, max: 2 ** 32 - 1 }),
  namespace: text,
  name: text,
  kind: fc.constantFrom('user', 'shared', 'stream'),
  version: fc.nat(),
  isLatest: fc.boolean(),
  createdAtMicros: micros,
  updatedAtMicros: micros,
  comment: orNone(text),
  columns: fc.array(columns, { maxLength: 5 }),
  systemColumns: fc.constant([]),
  nextColumnId: fc.nat(),
  options,
  accessLevel: orNone(fc.constantFrom('public', 'private', 'restricted', 'dba')),
});

/** The record after being written to bytes and read again. */
function stored<R>(repository: Repository<R>, record: R): R {
  const { codec } = repository.table;
  return repository.read({ cells: codec.decode(codec.encode(repository.toRow(record))) });
}

describe('records survive being stored', () => {
  it('tables', () => {
    fc.assert(
      fc.property(records, (record) => {
        expect(stored(tableRepository, record)).toEqual(record);
        const { tableId, namespace, name, version } = record;
        expect(schemaRowName(tableRepository.toRow(record))).toEqual({ tableId, namespace, name, version });
      }),
    );
  });

  it('users', () => {
    const users = fc.record({
      userId: text,
      passwordHash: text,
      role: fc.constantFrom('anonymous' as const, 'user' as const, 'service' as const, 'dba' as const, 'system' as const),
      email: orNone(text),
      authType: fc.constantFrom('Password' as const, 'OAuth' as const, 'Internal' as const),
      authData: orNone(text),
      storageMode: fc.constantFrom('Table' as const, 'Region' as const),
      storageId: orNone(text),
      failedLoginAttempts: fc.nat(),
      lockedUntilMicros: orNone(micros),
      lastLoginAtMicros: orNone(micros),
      createdAtMicros: micros,
      updatedAtMicros: micros,
      lastSeenMicros: orNone(micros),
      deletedAtMicros: orNone(micros),
    });
    fc.assert(
      fc.property(users, (user) => {
        expect(stored(userRepository, user)).toEqual(user);
      }),
    );
  });

  it('namespaces, storages and dropped tables', () => {
    const namespace = { namespaceId: 'app', createdAtMicros: 7n, options: '{"a":1}' };
    expect(stored(namespaceRepository, namespace)).toEqual(namespace);
    const storage = {
      storageId: 's',
      name: 'S',
      description: undefined,
      type: 's3',
      baseDirectory: 's3://bucket',
      credentials: '{"key":"x"}',
      config: undefined,
      sharedTablesTemplate: '{namespace}/{tableName}',
      userTablesTemplate: '{namespace}/{tableName}/{userId}',
      createdAtMicros: 1n,
      updatedAtMicros: 2n,
    } as const;
    expect(stored(storageRepository, storage)).toEqual(storage);
    const dropped = { tableId: 4_000_000_000, namespace: 'app', name: 't', kind: 'stream', jobId: 'CL-0', droppedAtMicros: 3n } as const;
    expect(stored(droppedTableRepository, dropped)).toEqual(dropped);
  });
});

describe('a damaged row', () => {
  it('is refused by the name of its table', () => {
    for (const [table, read] of [
      [USERS, () => userRepository.read({ cells: ['u', null] })],
      [NAMESPACES, () => namespaceRepository.read({ cells: [7] })],
      [STORAGES, () => storageRepository.read({ cells: ['s', 'n', null, 'tape'] })],
      [DROPPED_TABLES, () => droppedTableRepository.read({ cells: [] })],
    ] as const) {
      expect(read).toThrow(`system.${table.name}`);
    }
  });
});

describe('what system.schemas shows', () => {
  const made = newTableRecord({
    tableId: 1000,
    namespace: 'app',
    name: 't',
    kind: 'shared',
    columns: [
      { name: 'id', type: plainType('bigint'), nullable: false, primaryKey: true, default: undefined },
      {
        name: 'name',
        type: plainType('text'),
        nullable: false,
        primaryKey: false,
        default: { kind: 'literal', literal: 'string', text: 'x' },
      },
      { name: 'at', type: plainType('timestamp'), nullable: true, primaryKey: false, default: { kind: 'function', name: 'NOW' } },
    ],
    options: { ...NO_OPTIONS, flushPolicy: { rows: 100, intervalSeconds: 60 } },
    accessLevel: 'public',
    nowMicros: 9n,
  });
  const cells = tableRepository.toRow(made);
  const json = (name: string): unknown => JSON.parse(String(cells[SCHEMAS.columns.findIndex((column) => column.name === name)]));

  it('has the columns of the original', () => {
    expect(json('columns')).toMatchObject([
      { column_id: 1, column_name: 'id', column_comment: null, data_type: 'BigInt', default_value: 'None', is_primary_key: true },
      { column_id: 2, data_type: 'Text', default_value: { Literal: 'x' }, ordinal_position: 2, is_nullable: false },
      { column_id: 3, data_type: 'Timestamp', default_value: { FunctionCall: { name: 'NOW', args: [] } }, is_partition_key: false },
      { column_id: 4, column_name: '_seq', data_type: 'BigInt', default_value: 'None' },
      { column_id: 5, column_name: '_deleted', data_type: 'Boolean', default_value: { Literal: false } },
    ]);
  });

  it('has the options of the original by kind', () => {
    expect(json('options')).toEqual({
      table_type: 'SHARED',
      storage_id: 'local',
      access_level: 'Public',
      flush_policy: { type: 'combined', row_limit: 100, interval_seconds: 60 },
      compression: 'snappy',
    });
    const optionsOf = (kind: TableRecord['kind'], set: Partial<TableOptions>): unknown =>
      JSON.parse(String(tableRepository.toRow({ ...made, kind, accessLevel: undefined, options: { ...NO_OPTIONS, ...set } })[9]));
    expect(optionsOf('user', { flushPolicy: { rows: undefined, intervalSeconds: 60 } })).toEqual({
      table_type: 'USER',
      storage_id: 'local',
      use_user_storage: false,
      flush_policy: { type: 'time_interval', interval_seconds: 60 },
      compression: 'snappy',
    });
    expect(optionsOf('stream', { ttlSeconds: 30 })).toEqual({
      table_type: 'STREAM',
      ttl_seconds: 30,
      eviction_strategy: 'time_based',
      max_stream_size_bytes: 0,
      compression: 'snappy',
    });
  });
});
