import { KalamError, plainType } from '@kalamdb/protocol';
import type { AccessLevel } from '@kalamdb/sql';
import { describe, expect, it } from 'vitest';
import { USERS } from '../catalog/system-tables/users.ts';
import { createTable, NO_OPTIONS, type Table, type TableColumn } from '../catalog/table.ts';
import type { Role } from '../contract.ts';
import { grantFor, type TableAction } from './grant.ts';

const ROLES: readonly Role[] = ['anonymous', 'user', 'service', 'dba', 'system'];
const ACTIONS: readonly TableAction[] = ['select', 'subscribe', 'insert', 'update', 'delete'];

function column(id: number, name: string): TableColumn {
  const type = plainType('text');
  return { id, name, type, nullable: id > 1, primaryKey: id === 1, default: undefined, system: undefined, ordinal: id, comment: undefined };
}

function tableOf(kind: 'user' | 'shared' | 'stream', options: { accessLevel?: AccessLevel; streamScope?: 'user' | 'shared' } = {}): Table {
  return createTable({
    id: 1000,
    version: 1,
    namespace: 'app',
    name: 't',
    kind,
    storedColumns: [column(1, 'id'), column(2, 'credentials')],
    systemColumns: [],
    options: { ...NO_OPTIONS, streamScope: options.streamScope },
    accessLevel: options.accessLevel,
    createdAtMicros: 0n,
    updatedAtMicros: 0n,
  });
}

/** The code of the refusal, or `granted`. */
function outcome(role: Role, table: Table, action: TableAction): string {
  try {
    grantFor({ userId: 'alice', role }, table, action);
    return 'granted';
  } catch (error) {
    return error instanceof KalamError ? error.code : String(error);
  }
}

/** The roles that are granted each action. */
function granted(table: Table): Readonly<Record<TableAction, readonly Role[]>> {
  const rolesFor = (action: TableAction): readonly Role[] => ROLES.filter((role) => outcome(role, table, action) === 'granted');
  return {
    select: rolesFor('select'),
    subscribe: rolesFor('subscribe'),
    insert: rolesFor('insert'),
    update: rolesFor('update'),
    delete: rolesFor('delete'),
  };
}

/** The same roles for reading, and the same for writing. */
const levels = (reading: readonly Role[], writing: readonly Role[]): Readonly<Record<TableAction, readonly Role[]>> => ({
  select: reading,
  subscribe: reading,
  insert: writing,
  update: writing,
  delete: writing,
});

describe('who is granted what', () => {
  const everybody = ROLES;
  const users: readonly Role[] = ['user', 'service', 'dba', 'system'];
  const services: readonly Role[] = ['service', 'dba', 'system'];
  const admins: readonly Role[] = ['dba', 'system'];

  it.each([
    { name: 'USER', table: tableOf('user'), expected: levels(users, users) },
    { name: 'STREAM', table: tableOf('stream'), expected: levels(users, users) },
    { name: 'SHARED without a level', table: tableOf('shared'), expected: levels(services, services) },
    { name: 'SHARED private', table: tableOf('shared', { accessLevel: 'private' }), expected: levels(services, services) },
    { name: 'SHARED restricted', table: tableOf('shared', { accessLevel: 'restricted' }), expected: levels(services, services) },
    { name: 'SHARED public', table: tableOf('shared', { accessLevel: 'public' }), expected: levels(everybody, services) },
    { name: 'SHARED dba', table: tableOf('shared', { accessLevel: 'dba' }), expected: levels(admins, admins) },
    { name: 'system', table: USERS, expected: levels(admins, []) },
  ])('$name tables', ({ table, expected }) => {
    expect(granted(table)).toEqual(expected);
  });

  it('a refusal is typed, and a write to a system table is refused for what it is', () => {
    expect(outcome('user', USERS, 'insert')).toBe('ACCESS_DENIED');
    expect(outcome('dba', USERS, 'insert')).toBe('SYSTEM_TABLE_WRITE');
    expect(outcome('user', tableOf('shared'), 'select')).toBe('ACCESS_DENIED');
    expect(outcome('anonymous', tableOf('shared', { accessLevel: 'public' }), 'insert')).toBe('INSUFFICIENT_PRIVILEGES');
  });
});

describe('which partition is granted', () => {
  it.each(ROLES.filter((role) => role !== 'anonymous'))(
    'a %s gets its own partition of USER tables and of streams that belong to users',
    (role) => {
      for (const kind of ['user', 'stream'] as const) {
        for (const action of ACTIONS) {
          expect(grantFor({ userId: 'alice', role }, tableOf(kind), action).partition).toEqual({ tableId: 1000, owner: 'alice' });
        }
      }
    },
  );

  it('SHARED tables and shared streams have one partition', () => {
    for (const table of [tableOf('shared', { accessLevel: 'public' }), tableOf('stream', { streamScope: 'shared' })]) {
      for (const userId of ['alice', 'bob']) {
        expect(grantFor({ userId, role: 'user' }, table, 'select').partition).toEqual({ tableId: 1000, owner: '' });
      }
    }
  });
});

describe('which cells are masked', () => {
  it('columns with the names of secrets read as *** below dba', () => {
    const masks = ROLES.filter((role) => role !== 'anonymous').map(
      (role) => grantFor({ userId: 'alice', role }, tableOf('user'), 'select').maskedCells,
    );
    expect(masks).toEqual([[1], [1], [], []]);
  });
});
