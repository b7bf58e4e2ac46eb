import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import { StatementWorld } from './statement-world.fixture.ts';

const ALICE: Principal = { userId: 'alice', role: 'user' };
let world: StatementWorld;

beforeAll(async () => {
  world = await StatementWorld.open();
  await world.run('CREATE SHARED TABLE app.t (id INT PRIMARY KEY, name TEXT NOT NULL, n INT)');
  await world.run('CREATE STREAM TABLE app.s (id INT PRIMARY KEY, n INT) WITH (TTL_SECONDS = 60)');
  await world.run("INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)");
  await world.run('DELETE FROM t WHERE id = 2');
});
afterAll(() => world.close());

const C = 'Invalid CREATE TABLE statement: ';

/** Statement -> its whole message, but for the code in front of it (sql-dialect B9). */
const CREATE_TABLE: readonly (readonly [string, string])[] = [
  ["x (id INT PRIMARY KEY) WITH (COLOUR = 'red')", `${C}Unknown table option 'COLOUR'`],
  ["x (id INT PRIMARY KEY) WITH (TYPE = 'odd')", `${C}Invalid TYPE option 'odd'. Supported: USER, SHARED, STREAM`],
  [
    "x (id INT PRIMARY KEY) WITH (STORAGE_ID = 'a b')",
    `${C}Invalid STORAGE_ID 'a b'. Only alphanumeric characters, underscores and dashes are allowed`,
  ],
  ["x (id INT PRIMARY KEY) WITH (FLUSH_POLICY = 'often')", `${C}Invalid FLUSH_POLICY format 'often'. Expected 'key:value'`],
  ["x (id INT PRIMARY KEY) WITH (FLUSH_POLICY = 'days:3')", `${C}Unknown FLUSH_POLICY key 'days'`],
  ["x (id INT PRIMARY KEY) WITH (FLUSH_POLICY = 'rows:0')", `${C}FLUSH_POLICY must specify 'rows' or 'interval' > 0`],
  ["x (id INT PRIMARY KEY) WITH (FLUSH_POLICY = 'rows:1000000')", `${C}Row limit must be less than 1,000,000`],
  ["x (id INT PRIMARY KEY) WITH (FLUSH_POLICY = 'interval:86400')", `${C}Interval must be less than 86400 seconds (24 hours)`],
  ['x (id INT PRIMARY KEY) WITH (TTL_SECONDS = 5)', `${C}TTL_SECONDS is only supported for STREAM tables`],
  ["x (id INT PRIMARY KEY) WITH (TYPE = 'USER', ACCESS_LEVEL = 'PUBLIC')", `${C}ACCESS_LEVEL is only supported for SHARED tables`],
  ['x (id INT PRIMARY KEY) WITH (USE_USER_STORAGE = TRUE)', `${C}USE_USER_STORAGE is only supported for USER tables`],
  ["x (id INT) WITH (TYPE = 'STREAM')", `${C}STREAM tables must specify 'TTL_SECONDS'`],
  ['x (a INT, b INT, PRIMARY KEY (a, b))', `${C}Composite PRIMARY KEYs are not supported yet`],
  ['x (a INT PRIMARY KEY, b INT PRIMARY KEY)', `${C}Multiple PRIMARY KEY definitions found`],
  ['x (a INT, PRIMARY KEY (b))', `${C}PRIMARY KEY column 'b' not found in column list`],
  ['x ()', `${C}Table must have at least one column`],
  ['system.x (id INT PRIMARY KEY)', "Cannot create system table 'system.x'. System tables are managed internally."],
  ["x (a INT) WITH (TYPE = 'USER')", 'User tables require a PRIMARY KEY column'],
  ['x (a INT)', 'Shared tables require a PRIMARY KEY column'],
  ['nowhere.x (a INT PRIMARY KEY)', "Namespace 'nowhere' does not exist. Create it first with CREATE NAMESPACE nowhere"],
  ['app.t (id INT PRIMARY KEY)', 'Table app.t already exists'],
  ["x (a INT PRIMARY KEY) WITH (STORAGE_ID = 'elsewhere')", "Storage 'elsewhere' does not exist"],
];

it.each(CREATE_TABLE)('CREATE TABLE %s: %s', async (definition, message) => {
  expect(String(await world.outcome(`CREATE TABLE ${definition}`))).toMatch(ending(message));
});

it('CREATE TABLE whose keyword is not its type, or by a role that may not', async () => {
  expect(await world.outcome("CREATE USER TABLE x (id INT PRIMARY KEY) WITH (TYPE = 'SHARED')")).toContain(
    `${C}Conflicting table type definitions: `,
  );
  expect(await world.outcome('CREATE TABLE app.x (id INT PRIMARY KEY)', ALICE)).toContain(
    'Insufficient privileges to create shared tables',
  );
  const again = 'CREATE TABLE IF NOT EXISTS app.t (id INT PRIMARY KEY)';
  expect(await world.outcome(again)).toBe('CREATE TABLE via Raft consensus: shared table app.t created successfully');
});

/** INSERT, UPDATE and DELETE (B14, B15): the whole message, from the place where the dialect's text begins. */
const WRITES: readonly (readonly [string, string])[] = [
  ['INSERT INTO t (id) VALUES (5)', "NOT NULL constraint violation: column 'name' is missing in row 1 and has no default"],
  ["INSERT INTO t (name) VALUES ('x')", "NOT NULL constraint violation: column 'id' is missing in row 1 and has no default"],
  ['INSERT INTO t (id) SELECT 5', "NOT NULL constraint violation: column 'name' is missing in row 1 and has no default"],
  [
    "INSERT INTO t VALUES (5, 'x', 1), (6, NULL, 1)",
    "Constraint violation: NOT NULL constraint violation: column 'name' cannot be NULL (row 2)",
  ],
  ["INSERT INTO t VALUES (1, 'x', 1)", "Primary key violation: value '1' already exists in column 'id'"],
  [
    "INSERT INTO t VALUES (5, 'x', 1), (5, 'y', 1)",
    "Primary key violation: value '5' appears multiple times in the insert batch for column 'id'",
  ],
  ["INSERT INTO t (id, name, x) VALUES (5, 'x', 1)", "Column 'x' does not exist"],
  ['UPDATE t SET n = 1', 'UPDATE requires a WHERE clause'],
  ['DELETE FROM t', 'DELETE requires a WHERE clause'],
  ['UPDATE t SET id = 9 WHERE id = 1', "UPDATE cannot modify primary key column 'id'"],
  ['UPDATE s SET n = 1 WHERE id = 1', 'UPDATE not supported for STREAM tables'],
  ["INSERT INTO system.users VALUES ('x')", "Cannot insert system table 'system.users'"],
  ["UPDATE system.users SET role = 'dba' WHERE true", "Cannot update system table 'system.users'"],
  ['DELETE FROM system.users WHERE true', "Cannot delete system table 'system.users'"],
];

it.each(WRITES)('%s: %s', async (sql, message) => {
  expect(String(await world.outcome(sql))).toMatch(ending(message));
  expect(await world.run('SELECT id, n FROM t')).toEqual([[1, 1]]);
});

it('statements of other databases are refused', async () => {
  expect(await world.outcome("REPLACE INTO t VALUES (1, 'x', 1)")).toMatch(/^SYNTAX_ERROR: Invalid SQL/);
  expect(await world.outcome("INSERT OVERWRITE t VALUES (1, 'x', 1)")).toMatch(/^NOT_IMPLEMENTED: /);
});

it('counts rows that changed: none of a key that is unknown, deleted or already what it is set to', async () => {
  const counts = [];
  for (const sql of [
    'UPDATE t SET n = 1 WHERE id = 1',
    'UPDATE t SET n = 5 WHERE id = 77',
    'UPDATE t SET n = 5 WHERE id = 2',
    'DELETE FROM t WHERE id = 2',
    'DELETE FROM t WHERE id = 77',
  ]) {
    counts.push(await world.run(sql));
  }
  expect(counts).toEqual(['Updated 0 row(s)', 'Updated 0 row(s)', 'Updated 0 row(s)', 'Deleted 0 row(s)', 'Deleted 0 row(s)']);
});

function ending(message: string): RegExp {
  return new RegExp(`${message.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`);
}
