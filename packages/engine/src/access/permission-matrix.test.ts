import { type ErrorCode, KalamError } from '@kalamdb/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Principal, Role } from '../contract.ts';
import type { Database } from '../database/database.ts';
import { openDatabase } from '../database/open-database.ts';
import { StatementError } from '../session/statement-error.ts';

const ROLES: readonly Role[] = ['anonymous', 'user', 'service', 'dba', 'system'];
const ROOT: Principal = { userId: 'root', role: 'system' };
/** Refusals that are about who asks. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(['ACCESS_DENIED', 'INSUFFICIENT_PRIVILEGES', 'ADMIN_REQUIRED', 'EXECUTE_AS_DENIED']);

const from = (least: Role): readonly Role[] => ROLES.slice(ROLES.indexOf(least));
const NOBODY: readonly Role[] = [];

let database: Database;

beforeAll(async () => {
  database = await openDatabase({
    directory: undefined,
    durability: 'relaxed',
    passwordCost: { memoryKib: 8, iterations: 1 },
  });
  await execute(ROOT, 'CREATE NAMESPACE m');
  for (const { name, create } of TABLES) {
    if (create !== undefined) await execute(ROOT, `CREATE ${create.replace('%', `${name} (id INT PRIMARY KEY, txt TEXT)`)}`);
  }
  for (const role of ROLES.slice(1)) await execute(ROOT, `CREATE USER '${role}_two' WITH PASSWORD 'x' ROLE ${role}`);
});

afterAll(() => database.close());

const principalOf = (role: Role): Principal => ({ userId: `${role}_one`, role });

async function execute(principal: Principal, sql: string): Promise<void> {
  await database.session(principal).execute(sql);
}

/** `allowed`, also when the statement fails for another reason, or the code of the refusal. */
async function outcome(role: Role, sql: string): Promise<'allowed' | ErrorCode> {
  try {
    await execute(principalOf(role), sql);
    return 'allowed';
  } catch (error) {
    const cause = error instanceof StatementError ? error.failure.error : error;
    if (!(cause instanceof KalamError) || cause.code === 'INTERNAL_ERROR') throw error;
    return REFUSALS.has(cause.code) ? cause.code : 'allowed';
  }
}

async function allowed(sql: string): Promise<readonly Role[]> {
  const roles: Role[] = [];
  for (const role of ROLES) if ((await outcome(role, sql.replaceAll('%role', role))) === 'allowed') roles.push(role);
  return roles;
}

interface MatrixTable {
  readonly name: string;
  /** `%` stands for name and columns. */
  readonly create: string | undefined;
  readonly read: readonly Role[];
  readonly write: readonly Role[];
  readonly alter: readonly Role[];
}

const shared = (level: string, read: Role, write: Role): MatrixTable => ({
  name: `m.${level}`,
  create: `SHARED TABLE % WITH (ACCESS_LEVEL = '${level}')`,
  read: from(read),
  write: from(write),
  alter: from('service'),
});

/** Who may do what with which table: sql-dialect B3 and B13, row by row. */
const TABLES: readonly MatrixTable[] = [
  { name: 'm.own', create: 'USER TABLE %', read: from('user'), write: from('user'), alter: from('user') },
  { name: 'm.events', create: 'STREAM TABLE % WITH (TTL_SECONDS = 86400)', read: from('user'), write: from('user'), alter: from('user') },
  { name: 'm.unsaid', create: 'SHARED TABLE %', read: from('service'), write: from('service'), alter: from('service') },
  shared('public', 'anonymous', 'service'),
  shared('private', 'service', 'service'),
  shared('restricted', 'service', 'service'),
  shared('dba', 'dba', 'dba'),
  { name: 'system.users', create: undefined, read: from('dba'), write: from('dba'), alter: ROLES },
];

const READS: readonly string[] = [
  'SELECT * FROM %t',
  'SELECT COUNT(*) FROM %t',
  'SELECT * FROM %t LIMIT 0',
  'SELECT * FROM %t WHERE false',
  'BEGIN; SELECT * FROM %t; COMMIT',
  "EXECUTE AS USER '%role_one' (SELECT * FROM %t LIMIT 0)",
];
const WRITES: readonly string[] = [
  "INSERT INTO %t (id, txt) VALUES (1, 'x')",
  "INSERT INTO %t (id, txt) VALUES (1, 'x') RETURNING *",
  "INSERT INTO %t (id, txt) VALUES (1, 'x') ON CONFLICT (id) DO NOTHING",
  "INSERT INTO %t (id, txt) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET txt = 'y'",
  "INSERT INTO %t (id, txt) SELECT 5, 'x'",
  'INSERT INTO %t (id, txt) SELECT id + 1, txt FROM %t WHERE false',
  'DELETE FROM %t WHERE id = 1',
  'DELETE FROM %t WHERE false RETURNING id',
  'DELETE FROM %t AS x USING m.public s WHERE s.id = x.id',
  'DELETE FROM %t WHERE id IN (SELECT id FROM m.public)',
  'INSERT INTO %t (id, txt) SELECT a.id, a.txt FROM m.public a JOIN m.public b ON a.id = b.id',
  'INSERT INTO %t (id) VALUES ((SELECT 6))',
];
/** Statements of somebody who may write `m.own` that read another table. */
const COPIES: readonly string[] = [
  'UPDATE m.own AS x SET txt = s.txt FROM %t s WHERE s.id = x.id',
  'UPDATE m.own SET txt = (SELECT MAX(txt) FROM %t) WHERE false',
  'DELETE FROM m.own AS x USING %t s WHERE s.id = x.id AND false',
  'DELETE FROM m.own WHERE id IN (SELECT id FROM %t) AND false',
  'INSERT INTO m.own (id) SELECT a.id + 100 FROM %t a JOIN %t b ON a.id = b.id ON CONFLICT DO NOTHING',
  'WITH c AS (SELECT * FROM %t) INSERT INTO m.own (id) SELECT 300 FROM c ON CONFLICT DO NOTHING',
  "INSERT INTO m.own (id, txt) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET txt = (SELECT MAX(txt) FROM %t)",
];
const UPDATES: readonly string[] = [
  "UPDATE %t SET txt = 'z' WHERE id = 1",
  "UPDATE %t SET txt = 'z' WHERE false RETURNING *",
  'UPDATE %t AS x SET txt = s.txt FROM m.public s WHERE s.id = x.id',
];

describe.each(TABLES)('$name', ({ name, read, write, alter }) => {
  const isSystem = name.startsWith('system.');

  it.each(READS)('%s', async (sql) => {
    // EXECUTE AS USER runs in the role `user`, also for oneself; whoever is anonymous stays so.
    const wrapped = read.includes('user') ? read : NOBODY;
    expect(await allowed(sql.replaceAll('%t', name))).toEqual(sql.startsWith('EXECUTE') ? wrapped : read);
  });

  it.each(WRITES)('%s', async (sql) => {
    expect(await allowed(sql.replaceAll('%t', name))).toEqual(isSystem ? expect.arrayContaining(['dba', 'system']) : write);
  });

  it.each(UPDATES)('%s', async (sql) => {
    const roles = await allowed(sql.replaceAll('%t', name));
    // A stream is not updated by anybody, whoever asks.
    if (name !== 'm.events') expect(roles).toEqual(isSystem ? expect.arrayContaining(['dba', 'system']) : write);
  });

  // The columns of system.users have other names: whoever may not read them hears only that.
  it.each(isSystem ? [] : COPIES)('%s', async (sql) => {
    expect(await allowed(sql.replaceAll('%t', name))).toEqual(read.filter((role) => role !== 'anonymous'));
  });

  it('ALTER TABLE', async () => {
    if (!isSystem) expect(await allowed(`ALTER TABLE ${name} ADD COLUMN added_%role INT`)).toEqual(alter);
  });

  it('DROP TABLE', async () => {
    expect(await allowed('DROP TABLE IF EXISTS m.dropped_%role')).toEqual(from('dba'));
    for (const role of ['anonymous', 'user', 'service'] as const) {
      expect(await outcome(role, `DROP TABLE ${name}`)).toBe('INSUFFICIENT_PRIVILEGES');
    }
  });

  it('views show their reader no more than the table does', async () => {
    const view = `m.view_${name.replace('.', '_')}`;
    await execute(ROOT, `CREATE VIEW ${view} AS SELECT * FROM ${name}`);
    expect(await allowed(`SELECT * FROM ${view}`)).toEqual(read);
    expect(await allowed(`SELECT COUNT(*) FROM ${view} WHERE false`)).toEqual(read);
  });

  it('what describes it', async () => {
    expect(await allowed(`EXPLAIN SELECT * FROM ${name}`)).toEqual(from('dba'));
    expect(await allowed(`DESCRIBE ${name}`)).toEqual(from('dba'));
    expect(await allowed(`SHOW COLUMNS FROM ${name}`)).toEqual(from('dba'));
    expect(await allowed(`SHOW STATS FOR TABLE ${name}`)).toEqual(read.filter((role) => role !== 'anonymous'));
  });
});

describe('statements that are about no table', () => {
  it.each<readonly [sql: string, least: Role]>([
    ['SELECT 1', 'anonymous'],
    ['SHOW NAMESPACES', 'user'],
    ['SHOW TABLES', 'user'],
    ['SHOW TABLES IN m', 'user'],
    ['SHOW STORAGES', 'user'],
    ['SHOW MANIFEST', 'user'],
    ['USE m', 'user'],
    ['DESCRIBE TABLE m.own', 'user'],
    ['CREATE USER TABLE m.u_%role (id INT PRIMARY KEY)', 'user'],
    ['CREATE STREAM TABLE m.e_%role (id INT) WITH (TTL_SECONDS = 60)', 'user'],
    ['CREATE SHARED TABLE m.s_%role (id INT PRIMARY KEY)', 'service'],
    ['CREATE TABLE m.t_%role (id INT PRIMARY KEY)', 'service'],
    ['STORAGE FLUSH TABLE m.own', 'service'],
    ['STORAGE FLUSH ALL', 'service'],
    ['STORAGE COMPACT TABLE m.own', 'service'],
    ['STORAGE COMPACT ALL', 'service'],
    ["CONSUME FROM m.topic GROUP 'a'", 'service'],
    ["ACK m.topic GROUP 'a' UPTO OFFSET 1", 'service'],
    ['CREATE NAMESPACE n_%role', 'dba'],
    ["ALTER NAMESPACE m SET OPTIONS (a = 'b')", 'dba'],
    ['DROP NAMESPACE IF EXISTS n_%role', 'dba'],
    ['CREATE VIEW m.v_%role AS SELECT 1 AS x', 'dba'],
    ['DROP VIEW IF EXISTS m.v_%role', 'dba'],
    ["CREATE STORAGE s_%role TYPE filesystem PATH 'x'", 'dba'],
    ['STORAGE CHECK local', 'dba'],
    ["CREATE USER 'c_%role' WITH PASSWORD 'x' ROLE user", 'dba'],
    ["ALTER USER 'c_%role' SET EMAIL 'a@b.example'", 'dba'],
    ["DROP USER IF EXISTS 'c_%role'", 'dba'],
    ['CREATE TOPIC m.topic', 'dba'],
    ['DROP TOPIC m.topic', 'dba'],
    ["KILL JOB 'CL-0123456789ab'", 'dba'],
    ["KILL LIVE QUERY 'a-0-b'", 'dba'],
    ['CLUSTER SNAPSHOT', 'dba'],
    ["BACKUP DATABASE TO 'x'", 'dba'],
    ["BACKUP DATABASE m TO 'x'", 'dba'],
    ["BACKUP VERIFY 'x'", 'dba'],
    ["RESTORE DATABASE FROM 'x'", 'dba'],
    ["RESTORE DATABASE n_%role FROM 'x'", 'dba'],
    ["SHOW BACKUP 'x'", 'dba'],
    ['SHOW BACKUPS FOR DATABASE m', 'dba'],
    ['SET x = 1', 'dba'],
    ['SHOW ALL', 'dba'],
  ])('%s', async (sql, least) => {
    expect(await allowed(sql)).toEqual(from(least));
  });

  it('acting for oneself gives nobody a role', async () => {
    const inner = ['INSERT INTO m.own (id) VALUES (9)', 'CREATE USER TABLE m.x_%role (id INT PRIMARY KEY)', 'SHOW TABLES'];
    for (const sql of inner) expect(await allowed(`EXECUTE AS USER '%role_one' (${sql})`)).toEqual(from('user'));
  });

  it('a secret stays one under another name', async () => {
    const rename = 'ALTER TABLE m.safe RENAME COLUMN credentials TO shown';
    await execute(ROOT, 'CREATE SHARED TABLE m.safe (id INT PRIMARY KEY, credentials TEXT)');
    await execute(ROOT, "INSERT INTO m.safe VALUES (1, 'hidden')");
    expect(await outcome('service', rename)).toBe('INSUFFICIENT_PRIVILEGES');
    expect(await outcome('dba', rename)).toBe('allowed');
  });

  it('nothing of a batch runs when one statement of it is not for the role', async () => {
    const batch = "INSERT INTO m.own (id, txt) VALUES (77, 'x'); CREATE USER 'sneaked' WITH PASSWORD 'x' ROLE dba";
    expect(await outcome('user', batch)).toBe('ADMIN_REQUIRED');
    const [result] = await database.session(principalOf('user')).execute('SELECT id FROM m.own WHERE id = 77');
    expect(result).toMatchObject({ rows: [] });
  });

  it('a dba makes nobody a system user', async () => {
    expect(await allowed("ALTER USER 'user_two' SET ROLE system")).toEqual(['system']);
    await execute(ROOT, "ALTER USER 'user_two' SET ROLE user");
  });
});

describe('EXECUTE AS USER', () => {
  /** The roles that each role may act for. */
  const TARGETS: Readonly<Record<Role, readonly Role[]>> = {
    anonymous: [],
    user: [],
    service: ['user', 'service'],
    dba: ['user', 'service', 'dba'],
    system: ['user', 'service', 'dba', 'system'],
  };

  it.each(ROLES)('%s', async (actor) => {
    const targets: Role[] = [];
    for (const role of ROLES.slice(1)) {
      if ((await outcome(actor, `EXECUTE AS USER '${role}_two' (SELECT CURRENT_USER())`)) === 'allowed') targets.push(role);
    }
    expect(targets).toEqual(TARGETS[actor]);
    expect(await outcome(actor, `EXECUTE AS USER '${actor}_one' (SELECT 1)`)).toBe('allowed');
    expect(await outcome(actor, "EXECUTE AS USER 'unheard_of' (SELECT 1)")).toBe(
      TARGETS[actor].includes('user') ? 'allowed' : 'EXECUTE_AS_DENIED',
    );
  });

  it.each(TABLES.filter(({ create }) => create !== undefined))(
    'gives no more of $name than the role user has',
    async ({ name, read, write }) => {
      const wrapped = (inner: string): string => `EXECUTE AS USER 'user_two' (${inner})`;
      expect(await outcome('system', wrapped(`SELECT * FROM ${name}`))).toBe(read.includes('user') ? 'allowed' : 'ACCESS_DENIED');
      const insert = database.session(ROOT).execute(wrapped(`INSERT INTO ${name} (id, txt) VALUES (2, 'for two')`));
      if (write.includes('user')) await insert;
      else await expect(insert).rejects.toThrow(/EXECUTE AS USER is not allowed on SHARED tables|access/i);
    },
  );

  it.each(['CREATE NAMESPACE as_two', 'SELECT * FROM system.users', 'DROP TABLE m.own', "ALTER USER 'user_two' SET ROLE dba"])(
    'runs in the role user: %s',
    async (inner) => {
      expect(await outcome('system', `EXECUTE AS USER 'system_two' (${inner})`)).not.toBe('allowed');
    },
  );
});
