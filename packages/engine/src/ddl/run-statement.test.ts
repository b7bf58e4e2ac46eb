import { kalamError, plainType, SnowflakeSequence } from '@kalamdb/protocol';
import type { ColumnDefinition, QualifiedName, Statement, TableOptions } from '@kalamdb/sql';
import { openMemoryStore, systemFiles } from '@kalamdb/storage';
import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import { describe, expect, it } from 'vitest';
import type { Accounts } from '../access/accounts.ts';
import { PasswordHasher } from '../access/password.ts';
import { Backups } from '../backup/backups.ts';
import { type CatalogWorld, openCatalog } from '../catalog/catalog.fixture.ts';
import { NO_OPTIONS } from '../catalog/table.ts';
import type { Principal, Role, StatementResult } from '../contract.ts';
import { openAccess } from '../database/open-access.ts';
import { JobIndex } from '../jobs/job-index.ts';
import { JobLedger } from '../jobs/job-ledger.ts';
import { evaluationFor } from '../session/evaluation.ts';
import { StorageRegistry } from '../stores/storage-registry.ts';
import type { DdlContext } from './ddl-context.ts';
import { runDdl } from './run-statement.ts';

/** None run. */
const NO_LIVE_QUERIES: DdlContext['live'] = {
  kill: () => false,
  explain: () => {
    throw kalamError('INTERNAL_ERROR', { reason: 'no live queries here' });
  },
  explainRow: async (id) => {
    throw kalamError('LIVE_QUERY_NOT_FOUND', { id });
  },
};

const root: Principal = { userId: 'root', role: 'system' };
const as = (role: Role, userId: string = role): Principal => ({ userId, role });

interface World extends CatalogWorld {
  readonly accounts: Accounts;
  run(statement: Statement, principal?: Principal): Promise<StatementResult>;
  /** The answer's text. */
  say(statement: Statement, principal?: Principal): Promise<string>;
  rows(statement: Statement, principal?: Principal): Promise<readonly (readonly unknown[])[]>;
}

function worldOf(world: CatalogWorld, environment: { time: VirtualTime; random: SeededRandom }): World {
  const { catalog, commit, latches, sequencer } = world;
  const hasher = new PasswordHasher({ memoryKib: 64, iterations: 1 }, environment.random);
  const { time, random } = environment;
  const { accounts, users } = openAccess({ catalog, sequencer, hasher, random, clock: time, timers: time, warn: () => undefined }, {});
  const jobs = new JobLedger({ index: new JobIndex(), random, nodeId: 1, executors: new Map() });
  const clocks = { clock: time, timers: time };
  const storages = new StorageRegistry({ catalog, directory: undefined, owner: 'test', files: systemFiles, random, ...clocks });
  const nowhere = { directory: undefined, incarnation: '', hot: openMemoryStore() };
  const backups = new Backups({ ...clocks, ...nowhere, catalog, sequencer, stores: storages, files: systemFiles, random });
  const run = (statement: Statement, principal = root): Promise<StatementResult> =>
    runDdl(statement, {
      principal,
      namespace: 'app',
      catalog,
      users,
      random: environment.random,
      jobs,
      storages,
      backups,
      cold: undefined,
      commit,
      settle: () => sequencer.flush(),
      someRow: () => Promise.resolve(false),
      tableFigures: () => Promise.resolve({ rows: 0, bytes: 0, streams: 0 }),
      live: NO_LIVE_QUERIES,
      bindQuery: async () => [],
      evaluation: () => evaluationFor({ clock: time, random, ids: new SnowflakeSequence({ clock: time, node: 1 }) }, principal, []),
      exclusive: (work) => latches.exclusive(work),
      latch: (ids, work) => latches.hold(ids, work),
    });
  return {
    ...world,
    accounts,
    run,
    say: async (statement, principal) => {
      const result = await run(statement, principal);
      return result.kind === 'message' ? result.message : 'rows';
    },
    rows: async (statement, principal) => {
      const result = await run(statement, principal);
      return result.kind === 'rows' ? result.rows : [];
    },
  };
}

async function open(): Promise<World> {
  const environment = { time: new VirtualTime(), random: new SeededRandom(1) };
  const world = worldOf(await openCatalog(environment), environment);
  await world.run({ kind: 'create-namespace', name: 'app', ifNotExists: false });
  return world;
}

const named = (name: string): QualifiedName => {
  const [first = '', second] = name.split('.');
  return second === undefined ? { namespace: undefined, name: first, position: 0 } : { namespace: first, name: second, position: 0 };
};

const column = (name: string, part: Partial<ColumnDefinition> = {}): ColumnDefinition => ({
  name,
  type: plainType('int'),
  nullable: true,
  primaryKey: false,
  default: undefined,
  position: 0,
  ...part,
});
const ID = column('id', { primaryKey: true });

type CreateTable = Extract<Statement, { kind: 'create-table' }>;

const create = (name: string, part: Partial<Omit<CreateTable, 'options'>> & { options?: Partial<TableOptions> } = {}): CreateTable => ({
  kind: 'create-table',
  table: named(name),
  ifNotExists: false,
  tableKind: undefined,
  columns: [ID, column('t', { type: plainType('text') })],
  ...part,
  options: { ...NO_OPTIONS, ...part.options },
});
const drop = (name: string, ifExists = false): Statement => ({ kind: 'drop-table', table: named(name), ifExists });

const DROPPED = /^Table app\.t dropped successfully\. Cleanup job: CL-[0-9a-f]{12}$/;

describe('namespaces', () => {
  it('are made once, whatever the case', async () => {
    const { say } = await open();
    const make = (name: string, ifNotExists = false): Statement => ({ kind: 'create-namespace', name, ifNotExists });
    expect(await say(make('n1'))).toBe("Namespace 'n1' created successfully");
    await expect(say(make('N1'))).rejects.toThrow("Already exists: Namespace 'n1' already exists");
    expect(await say(make('n1', true))).toBe("Namespace 'n1' already exists");
    expect(await say(make('default', true))).toBe("Namespace 'default' already exists");
    for (const name of ['system', 'main', 'default']) await expect(say(make(name))).rejects.toMatchObject({ code: 'NAMESPACE_RESERVED' });
    await expect(say(make('a/b'))).rejects.toThrow(
      "Invalid namespace name 'a/b'. Only alphanumeric characters and underscores are allowed",
    );
    await expect(say(make('_x'))).rejects.toThrow('Name cannot start with underscore');
    await expect(say(make('9x'))).rejects.toThrow('Name cannot start with a number');
    await expect(say(make('x'.repeat(65)))).rejects.toThrow('Name is too long (65 characters, max 64)');
    await expect(say(make('select'))).rejects.toThrow("Name 'select' is a reserved SQL keyword and cannot be used");
    await expect(say(make('n2'), as('service'))).rejects.toThrow(
      'Insufficient privileges to create namespaces. DBA or System role required.',
    );
  });

  it('with tables are dropped only with CASCADE, and then with them', async () => {
    const { say, catalog } = await open();
    const dropApp = (cascade: boolean): Statement => ({ kind: 'drop-namespace', name: 'app', ifExists: false, cascade });
    await say(create('one'));
    await say(create('two', { tableKind: 'user' }));
    await expect(say(dropApp(false))).rejects.toThrow("Namespace 'app' still has tables: one, two");
    expect(await say(dropApp(true))).toBe("Namespace 'app' dropped successfully");
    expect(catalog.namespace('app')).toBeUndefined();
    expect([...catalog.tables('app')]).toEqual([]);
    expect(catalog.droppedTables().map(({ name }) => name)).toEqual(['one', 'two']);
    await expect(say(dropApp(true))).rejects.toThrow("Not found: Namespace 'app' not found");
    expect(await say({ kind: 'drop-namespace', name: 'app', ifExists: true, cascade: false })).toBe("Namespace 'app' does not exist");
    for (const name of ['default', 'dba', 'system']) {
      const dropping = say({ kind: 'drop-namespace', name, ifExists: true, cascade: true });
      await expect(dropping).rejects.toMatchObject({ code: 'INVALID_OPERATION' });
    }
  });

  it('are shown and used by every role but anonymous', async () => {
    const { say, rows } = await open();
    const shown = await rows({ kind: 'show-namespaces' }, as('user'));
    expect(shown.map((cells) => [cells[0], cells[3], cells[4]])).toEqual([
      ['app', '{}', 0],
      ['dba', '{}', 0],
      ['default', '{}', 0],
    ]);
    expect(await say({ kind: 'use-namespace', name: 'APP' }, as('user'))).toBe("Namespace switched to 'app'");
    await expect(say({ kind: 'use-namespace', name: 'nowhere' })).rejects.toThrow("Namespace 'nowhere' does not exist");
    await expect(say({ kind: 'show-namespaces' }, as('anonymous'))).rejects.toMatchObject({ code: 'INSUFFICIENT_PRIVILEGES' });
  });
});

describe('CREATE TABLE', () => {
  it('decides the kind as the statement, its options or its author say', async () => {
    const { say, catalog } = await open();
    expect(await say(create('plain'))).toBe('CREATE TABLE via Raft consensus: shared table app.plain created successfully');
    expect(await say(create('events', { options: { ttlSeconds: 5 }, columns: [column('n')] }))).toContain('stream table app.events');
    await say({ kind: 'create-namespace', name: 'alice', ifNotExists: false });
    expect(await say(create('alice.own'), as('user', 'alice'))).toContain('user table alice.own');
    expect(await say(create('alice.root_s'))).toContain('shared table alice.root_s');
    await expect(say(create('alice.other'), as('user', 'bob'))).rejects.toThrow('Insufficient privileges to create shared tables');
    expect(catalog.table('app', 'plain')).toMatchObject({ accessLevel: 'private', kind: 'shared', version: 1 });
    expect(catalog.table('app', 'plain')?.keyColumn).toMatchObject({ name: 'id', nullable: false });
    expect(catalog.table('app', 'plain')?.columns.map(({ id, name }) => `${id} ${name}`)).toEqual(['1 id', '2 t', '3 _seq', '4 _deleted']);
  });

  it('checks in the order of the original', async () => {
    const { say } = await open();
    const noKey = [column('a')];
    const cases: readonly (readonly [CreateTable, Principal, string])[] = [
      [
        create('t', { tableKind: 'user', options: { ttlSeconds: 5 } }),
        root,
        'Invalid CREATE TABLE statement: TTL_SECONDS is only supported for STREAM tables',
      ],
      [create('t', { tableKind: 'user', options: { accessLevel: 'public' } }), root, 'ACCESS_LEVEL is only supported for SHARED tables'],
      [create('t', { tableKind: 'shared', options: { useUserStorage: true } }), root, 'USE_USER_STORAGE is only supported for USER tables'],
      [create('t', { tableKind: 'stream' }), root, "STREAM tables must specify 'TTL_SECONDS'"],
      [create('t', { tableKind: 'stream', options: { ttlSeconds: 0 } }), root, 'TTL_SECONDS must be greater than 0'],
      [create('system.t', { columns: noKey }), as('user'), 'Insufficient privileges to create shared tables'],
      [create('t', { tableKind: 'user' }), as('anonymous'), 'Insufficient privileges to create user tables'],
      [create('system.t', { columns: noKey }), root, "Cannot create system table 'system.t'. System tables are managed internally."],
      [create('_t', { columns: noKey }), root, 'Name cannot start with underscore'],
      [create('t', { columns: [] }), root, 'Table must have at least one column'],
      [
        create('t', { columns: [ID, column('_seq')] }),
        root,
        "Invalid column name '_seq': Column name '_seq' is reserved and cannot be used",
      ],
      [create('t', { columns: [ID, column('a b')] }), root, "Invalid column name 'a b'"],
      [create('t', { columns: [ID, column('ID')] }), root, "Duplicate column name 'id'. Column names are case-insensitive."],
      [create('t', { columns: [ID, column('n', { default: { kind: 'literal', literal: 'string', text: 'x' } })] }), root, "'x'"],
      [create('nowhere.t', { columns: noKey }), root, 'Shared tables require a PRIMARY KEY column'],
      [create('nowhere.t', { columns: noKey, tableKind: 'user' }), root, 'User tables require a PRIMARY KEY column'],
      [create('t', { columns: [ID, column('b', { primaryKey: true })] }), root, 'Composite PRIMARY KEYs are not supported yet'],
      [
        create('t', { columns: [column('j', { primaryKey: true, type: plainType('json') })] }),
        root,
        "PRIMARY KEY column 'j' cannot be of type JSON",
      ],
      [
        create('nowhere.t', { options: { storageId: 'moon' } }),
        root,
        "Namespace 'nowhere' does not exist. Create it first with CREATE NAMESPACE nowhere",
      ],
      [create('t', { options: { storageId: 'moon' } }), root, "Invalid operation: Storage 'moon' does not exist"],
    ];
    for (const [statement, principal, message] of cases) await expect(say(statement, principal)).rejects.toThrow(message);
    expect(await say(create('t', { options: { storageId: 'local' } }))).toContain('created');
    await expect(say(create('T', { options: { storageId: 'moon' } }))).rejects.toThrow('Already exists: Table app.t already exists');
    expect(await say(create('t', { ifNotExists: true }))).toContain('shared table app.t created successfully');
  });

  it('lets one of many concurrent attempts win', async () => {
    const { say, catalog } = await open();
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => say(create('t'))));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(results.filter((result) => result.status === 'rejected' && result.reason.code === 'TABLE_EXISTS')).toHaveLength(4);
    expect([...catalog.tables('app')]).toHaveLength(1);
  });

  it('finds its namespace dropped or dropping it refused, never a table without namespace', async () => {
    for (const order of [0, 1]) {
      const { say, catalog } = await open();
      const statements: readonly Statement[] = [create('t'), { kind: 'drop-namespace', name: 'app', ifExists: false, cascade: false }];
      const results = await Promise.allSettled((order === 0 ? statements : [...statements].reverse()).map((statement) => say(statement)));
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
      expect(catalog.table('app', 't') === undefined).toBe(catalog.namespace('app') === undefined);
    }
  });
});

describe('DROP TABLE', () => {
  it('takes the table away and notes its rows for removal', async () => {
    const { say, catalog, reopen } = await open();
    await say(create('t'));
    const id = catalog.table('app', 't')?.id ?? -1;
    await expect(say(drop('t'), as('service'))).rejects.toThrow('Insufficient privileges to drop this table');
    expect(await say(drop('app.T'))).toMatch(DROPPED);
    expect(catalog.table('app', 't')).toBeUndefined();
    expect(catalog.droppedTables()).toMatchObject([{ tableId: id, namespace: 'app', name: 't', kind: 'shared' }]);
    await expect(say(drop('t'))).rejects.toThrow("Not found: Table 't' not found in namespace 'app'");
    expect(await say(drop('t', true))).toBe('Table app.t does not exist (skipped)');
    await expect(say(drop('system.users'))).rejects.toThrow(
      "Cannot drop system table 'system.users'. System tables are managed internally.",
    );
    await say(create('t', { columns: [ID] }));
    expect(catalog.table('app', 't')?.id).toBe(id + 1);
    const again = await reopen();
    expect(again.catalog.table('app', 't')).toMatchObject({ id: id + 1 });
    expect(again.catalog.droppedTables()).toMatchObject([{ tableId: id }]);
  });

  it('waits for whoever holds the table', async () => {
    const { say, catalog, latches } = await open();
    await say(create('t'));
    const id = catalog.table('app', 't')?.id ?? -1;
    let dropped: Promise<string> | undefined;
    await latches.hold([id], async () => {
      dropped = say(drop('t'));
      await new Promise((resolve) => setImmediate(resolve));
      expect(catalog.table('app', 't')).toBeDefined();
    });
    expect(await dropped).toMatch(DROPPED);
  });
});

describe('SHOW and DESCRIBE', () => {
  it('show every version of every table with the columns of system.schemas', async () => {
    const { run, rows, say } = await open();
    await say(create('t', { options: { accessLevel: 'public' } }));
    const result = await run({ kind: 'show-tables', namespace: undefined }, as('user'));
    if (result.kind !== 'rows') throw new Error('rows were expected');
    expect(result.columns).toHaveLength(14);
    expect(result.columns[0]).toMatchObject({ name: 'table_id', flags: ['pk', 'nn', 'uq'] });
    expect(result.rows.map((cells) => cells[0])).toEqual(['app:t', 'dba:notifications', 'dba:stats']);
    for (const cells of result.rows) expect(cells).toHaveLength(14);
    expect((await rows({ kind: 'show-tables', namespace: 'app' })).map((cells) => cells[0])).toEqual(['app:t']);
    await expect(run({ kind: 'show-tables', namespace: 'nowhere' })).rejects.toMatchObject({ code: 'NAMESPACE_MISSING' });
  });

  it('describe a table column by column', async () => {
    const { rows, say } = await open();
    await say(create('t'));
    const describeTable = (name: string, history = false): Statement => ({
      kind: 'describe-table',
      table: named(name),
      history,
      extended: false,
    });
    const expected = [
      ['id', 1, 1n, 'INT', false, true, null, null, 1],
      ['t', 2, 2n, 'TEXT', true, false, null, null, 1],
      ['_seq', 3, 3n, 'BIGINT', false, false, null, expect.any(String), 1],
      ['_deleted', 4, 4n, 'BOOLEAN', false, false, 'FALSE', expect.any(String), 1],
    ];
    expect(await rows(describeTable('t'), as('user'))).toEqual(expected);
    expect(await rows(describeTable('t', true))).toEqual(expected);
    expect((await rows(describeTable('system.job_nodes'))).map((cells) => [cells[0], cells[5], cells[6]])).toEqual([
      ['job_id', true, null],
      ['node_id', true, null],
      ['status', false, null],
      ['error_message', false, null],
      ['created_at', false, 'NOW()'],
      ['started_at', false, null],
      ['finished_at', false, null],
      ['updated_at', false, 'NOW()'],
    ]);
    await expect(rows(describeTable('nope'))).rejects.toThrow("Not found: Table 'nope' not found in namespace 'app'");
  });
});

describe('users', () => {
  const make = (name: string, role: string, auth?: Extract<Statement, { kind: 'create-user' }>['auth']): Statement => ({
    kind: 'create-user',
    name,
    role,
    auth: auth ?? { kind: 'password', password: 'short' },
    email: undefined,
  });
  const dropUser = (name: string, ifExists = false): Statement => ({ kind: 'drop-user', name, ifExists });

  it('get the role that their word means', async () => {
    const { say, accounts } = await open();
    const words = {
      admin: 'dba',
      developer: 'service',
      analyst: 'service',
      viewer: 'user',
      readonly: 'user',
      DBA: 'dba',
      system: 'system',
    };
    for (const [word, role] of Object.entries(words)) {
      expect(await say(make(`u_${word}`, word))).toBe(`User 'u_${word}' created`);
      expect(accounts.find(`u_${word}`)?.role).toBe(role);
    }
    await expect(say(make('x', 'emperor'))).rejects.toThrow("Invalid role 'emperor'. Hint: Valid roles: dba, admin,");
    await expect(say(make('x', 'system'), as('dba'))).rejects.toThrow('DBA cannot grant System role');
    await expect(say(make('x', 'user'), as('service'))).rejects.toMatchObject({ code: 'INSUFFICIENT_PRIVILEGES' });
    await expect(say(make('u_admin', 'user'))).rejects.toThrow("Already exists: User 'u_admin' already exists");
    await expect(say(make('a/b', 'user'))).rejects.toMatchObject({ code: 'INVALID_NAME' });
  });

  it('of providers are stored with issuer and subject', async () => {
    const { say, catalog } = await open();
    const oauth = (json: string | undefined): Extract<Statement, { kind: 'create-user' }>['auth'] => ({ kind: 'oauth', json });
    await say(make('o1', 'viewer', oauth('{"provider":"google","subject":"s"}')));
    await say(make('o2', 'user', oauth('{"provider":"Microsoft","subject":"s"}')));
    expect(catalog.user('o1')?.authData).toBe('{"issuer":"google","provider_type":"google","subject":"s"}');
    expect(catalog.user('o2')?.authData).toContain('"azure_ad"');
    await expect(say(make('o3', 'user', oauth('{"provider":"google"}')))).rejects.toThrow("OAuth user requires 'subject' field");
    await expect(say(make('o3', 'user', oauth(undefined)))).rejects.toThrow("OAuth user requires 'provider' field");
    for (const bad of ['[]', 'null', '{'])
      await expect(say(make('o3', 'user', oauth(bad)))).rejects.toMatchObject({ code: 'INVALID_OPERATION' });
  });

  it('are dropped softly', async () => {
    const { say, catalog } = await open();
    await say(make('bob', 'user'));
    expect(await say(dropUser('bob'))).toBe("User 'bob' dropped (soft delete)");
    expect(catalog.user('bob')?.deletedAtMicros).toBeDefined();
    await expect(say(dropUser('bob'))).rejects.toThrow("Not found: User 'bob' not found");
    expect(await say(dropUser('nobody', true))).toBe("User 'nobody' does not exist (skipped)");
    await expect(say(dropUser('root'))).rejects.toThrow("User 'root' cannot be dropped");
    await say(make('sys', 'system'));
    await expect(say(dropUser('sys'), as('dba'))).rejects.toThrow('DBA cannot drop a System user');
  });
});

describe('other statements', () => {
  it('that are not built say so by name', async () => {
    const { say } = await open();
    await expect(say({ kind: 'not-implemented', what: 'CREATE TOPIC' })).rejects.toThrow('Not implemented: CREATE TOPIC');
  });
});
