import type { SeededRandom } from '../seeded-random.ts';
import { expression, predicate, someTable } from './expressions.ts';
import { selectStatement } from './queries.ts';
import { PASSING_TABLES, SCENE_NAMESPACES, SCENE_TABLES, SCENE_USERS } from './scene.ts';
import { HOSTILE_NAMES, literalFor, ODD_TYPES, oddLiteral, quoted, quotedName, TYPES } from './values.ts';

const oneIn = (random: SeededRandom, n: number): boolean => random.integer(n) === 0;
const maybe = (random: SeededRandom, text: string): string => (random.integer(2) === 0 ? text : '');

function name(random: SeededRandom, names: readonly string[]): string {
  if (oneIn(random, 15)) return quotedName(random.pick(HOSTILE_NAMES));
  const found = random.pick(names);
  return random.pick([found, found, found, found.toUpperCase(), quotedName(found)]);
}

const namespace = (random: SeededRandom): string => name(random, SCENE_NAMESPACES);

/** A table that may be there or not, qualified or not. */
export function tableName(random: SeededRandom): string {
  if (oneIn(random, 3)) return random.pick(SCENE_TABLES).name;
  const own = name(random, PASSING_TABLES);
  return random.pick([own, `${namespace(random)}.${own}`, `${namespace(random)}.${own}`, `system.${own}`]);
}

function columnDefinition(random: SeededRandom, index: number): string {
  const type = oneIn(random, 15) ? random.pick(ODD_TYPES) : random.pick(TYPES);
  const rest = random.pick(['', '', ' NOT NULL', ' NULL', ' UNIQUE', ` DEFAULT ${defaultValue(random, type)}`, ' AUTO_INCREMENT']);
  return `${oneIn(random, 15) ? quotedName(random.pick(HOSTILE_NAMES)) : `c${index}`} ${type}${rest}`;
}

function defaultValue(random: SeededRandom, type: string): string {
  return random.pick([
    literalFor(random, type),
    'NOW()',
    'SNOWFLAKE_ID()',
    'UUID_V7()',
    'ULID()',
    'CURRENT_USER()',
    oddLiteral(random),
    'nowhere()',
  ]);
}

const OPTIONS: readonly string[] = [
  "STORAGE_ID = 'local'",
  "STORAGE_ID = 'nowhere'",
  "FLUSH_POLICY = 'rows:100'",
  "FLUSH_POLICY = 'rows:100,interval:60'",
  "FLUSH_POLICY = 'rows:9999999'",
  "FLUSH_POLICY = 'never'",
  "ACCESS_LEVEL = 'PUBLIC'",
  "ACCESS_LEVEL = 'dba'",
  "ACCESS_LEVEL = 'nobody'",
  'TTL_SECONDS = 86400',
  "TTL_SECONDS = 'x'",
  'TTL_SECONDS = -1',
  'USE_USER_STORAGE = TRUE',
  'DELETED_RETENTION_HOURS = 24',
  "TYPE = 'USER'",
  "TYPE = 'STREAM'",
  "TYPE = 'NONE'",
  "retention = '1d'",
  'ephemeral = false',
  'max_buffer = 100',
  "deleted_retention = '7d'",
  "nowhere = 'x'",
];

/** CREATE TABLE in the syntax of either generation. */
export function createTableStatement(random: SeededRandom): string {
  const kind = random.pick(['', 'USER ', 'SHARED ', 'STREAM ']);
  const columns = Array.from({ length: oneIn(random, 60) ? 1200 : random.integer(5) }, (_, index) => columnDefinition(random, index + 1));
  if (!oneIn(random, 8)) columns.unshift(`id ${random.pick(['INT', 'BIGINT', 'TEXT', 'UUID'])} PRIMARY KEY`);
  else if (oneIn(random, 2))
    columns.push(
      random.pick(['PRIMARY KEY (c1)', 'PRIMARY KEY (c1, c2)', 'CONSTRAINT k PRIMARY KEY (nowhere)', 'FOREIGN KEY (c1) REFERENCES x (id)']),
    );
  const clauses =
    kind === 'STREAM ' ? [' WITH (TTL_SECONDS = 86400)', " WITH (retention = '1d', ephemeral = false, max_buffer = 50)"] : ['', ''];
  const options = random.pick([
    ...clauses,
    ` WITH (${random.pick(OPTIONS)})`,
    ` WITH (${random.pick(OPTIONS)}, ${random.pick(OPTIONS)})`,
    " FLUSH POLICY ROWS 100 INTERVAL '5 minutes'",
    ` LOCATION '/data/\${user_id}/x'`,
    ' USING parquet',
  ]);
  return `CREATE ${kind}TABLE ${maybe(random, 'IF NOT EXISTS ')}${tableName(random)} (${columns.join(', ')})${options}`;
}

/** ALTER TABLE with one operation, or with what is refused. */
export function alterTableStatement(random: SeededRandom): string {
  const column = name(random, ['txt', 'n', 'flag', 'id', 'c1', 'c2', 'x1', '_seq', 'nowhere']);
  const type = oneIn(random, 12) ? random.pick(ODD_TYPES) : random.pick(TYPES);
  const operation = random.pick([
    `ADD COLUMN ${name(random, ['x1', 'x2', 'x3', 'txt'])} ${type}${random.pick(['', '', ' NOT NULL', ` DEFAULT ${defaultValue(random, type)}`, ' NOT NULL DEFAULT 1'])}`,
    `ADD COLUMN IF NOT EXISTS x1 ${type}`,
    `DROP COLUMN ${maybe(random, 'IF EXISTS ')}${column}`,
    `DROP COLUMN ${column} CASCADE`,
    `MODIFY COLUMN ${column} ${type}${random.pick(['', ' NULL', ' NOT NULL'])}`,
    `ALTER COLUMN ${column} SET NOT NULL`,
    `ALTER COLUMN ${column} DROP NOT NULL`,
    `ALTER COLUMN ${column} SET DEFAULT ${defaultValue(random, type)}`,
    `ALTER COLUMN ${column} DROP DEFAULT`,
    `RENAME COLUMN ${column} TO ${name(random, ['x4', 'x5', 'id', 'txt'])}`,
    `SET ACCESS LEVEL ${random.pick(['public', 'private', 'restricted', 'nobody'])}`,
    `SET TBLPROPERTIES (ACCESS_LEVEL = '${random.pick(['dba', 'public', 'x'])}')`,
    `CREATE INDEX ${random.pick(['p', column])} USING ${random.pick(['COSINE', 'L2', 'DOT', 'NONE'])}`,
    `DROP INDEX ${random.pick(['p', column])}`,
    'ADD COLUMN y1 INT, ADD COLUMN y2 INT',
    'RENAME TO z1',
    'ADD CONSTRAINT c CHECK (id > 1)',
  ]);
  return `ALTER ${random.pick(['', '', 'USER ', 'SHARED ', 'STREAM '])}TABLE ${maybe(random, 'IF EXISTS ')}${tableName(random)} ${operation}`;
}

/** DROP TABLE. Those of the scene are spared most of the time. */
export function dropTableStatement(random: SeededRandom): string {
  const table = oneIn(random, 30)
    ? random.pick(SCENE_TABLES).name
    : `${random.pick(['h', 'n1', 'n2', 'missing'])}.${name(random, PASSING_TABLES)}`;
  return `DROP ${random.pick(['', 'USER ', 'SHARED '])}TABLE ${maybe(random, 'IF EXISTS ')}${table}`;
}

/** CREATE VIEW and DROP VIEW. */
export function viewStatement(random: SeededRandom): string {
  const view = oneIn(random, 10) ? 'g.seen' : `${random.pick(['g', 'h', 'n1'])}.${name(random, ['v1', 'v2', 't1'])}`;
  if (oneIn(random, 3)) return `DROP VIEW ${maybe(random, 'IF EXISTS ')}${view}`;
  const columns = random.pick(['', '', ' (a, b)', ' (a)', ' (a, a)']);
  const query = random.pick([
    selectStatement(random),
    'SELECT id, txt FROM g.items',
    'SELECT id, txt FROM g.notes',
    'SELECT * FROM g.seen',
    `SELECT * FROM ${view}`,
  ]);
  const create = random.pick(['CREATE VIEW', 'CREATE OR REPLACE VIEW', 'CREATE TEMP VIEW', 'CREATE MATERIALIZED VIEW']);
  return `${create} ${view}${columns} AS ${query}`;
}

/** CREATE, ALTER, DROP, USE and SHOW of namespaces. */
export function namespaceStatement(random: SeededRandom): string {
  const passing = name(random, ['n1', 'n2', 'h']);
  return random.pick([
    `CREATE NAMESPACE ${maybe(random, 'IF NOT EXISTS ')}${namespace(random)}`,
    `CREATE NAMESPACE ${passing}`,
    `ALTER NAMESPACE ${namespace(random)} SET OPTIONS (a = 'b', k${random.integer(9)} = ${random.pick(['1', 'true', "'x'", 'NULL', '1.5'])})`,
    `ALTER NAMESPACE ${namespace(random)} SET DESCRIPTION 'x'`,
    `DROP NAMESPACE ${maybe(random, 'IF EXISTS ')}${passing}${maybe(random, ' CASCADE')}`,
    'DROP NAMESPACE g',
    `USE ${namespace(random)}`,
    `SET NAMESPACE ${namespace(random)}`,
    'SHOW NAMESPACES',
  ]);
}

/** CREATE, ALTER and DROP USER. The users of the scene stay as they are. */
export function userStatement(random: SeededRandom): string {
  const user = oneIn(random, 10) ? quoted(random.pick(HOSTILE_NAMES)) : random.pick(['u1', 'u2', "'u3'", "'alice'"]);
  const passing = oneIn(random, 10) ? quoted(random.pick(HOSTILE_NAMES)) : random.pick(['u1', 'u2', "'u3'", 'nobody']);
  const role = random.pick(['user', 'service', 'dba', 'system', 'admin', 'viewer', 'anonymous', 'king', "'user'"]);
  return random.pick([
    `CREATE USER ${user} WITH PASSWORD ${random.pick(["'a-long-password'", "'x'", "''", "'pass''word'"])} ROLE ${role}${maybe(random, " EMAIL 'a@b.example'")}`,
    `CREATE USER ${user} WITH OAUTH ${random.pick(['', '\'{"provider":"google","subject":"s1"}\'', "'{}'", "'not json'"])} ROLE ${role}`,
    `CREATE USER ${user} WITH INTERNAL ROLE ${role}`,
    `CREATE USER ${user}`,
    `ALTER USER ${passing} SET PASSWORD 'another-password'`,
    `ALTER USER ${passing} SET ROLE ${role}`,
    `ALTER USER ${passing} SET EMAIL 'c@d.example'`,
    `ALTER USER ${passing} SET NOTHING`,
    `DROP USER ${maybe(random, 'IF EXISTS ')}${passing}`,
  ]);
}

/** Statements that show something. */
export function showStatement(random: SeededRandom): string {
  const table = tableName(random);
  return random.pick([
    'SHOW TABLES',
    `SHOW TABLES IN ${maybe(random, 'NAMESPACE ')}${namespace(random)}`,
    'SHOW STORAGES',
    'SHOW MANIFEST',
    'SHOW ALL',
    `SHOW COLUMNS FROM ${table}`,
    `SHOW STATS FOR TABLE ${table}`,
    `SHOW TABLE STATS ${table}`,
    `DESCRIBE TABLE ${table}${maybe(random, ' HISTORY')}`,
    `DESC TABLE ${table}`,
    `DESCRIBE ${table}`,
    `EXPLAIN ${selectStatement(random)}`,
    'SET x = 1',
    'SET datafusion.x = 1',
    'SHOW EXPORT',
  ]);
}

/** Statements about what runs: live queries, jobs, impersonation. */
export function runningStatement(random: SeededRandom): string {
  const table = someTable(random);
  const user = oneIn(random, 8) ? quoted(random.pick(HOSTILE_NAMES)) : random.pick(SCENE_USERS.map((text) => quoted(text)));
  return random.pick([
    `SUBSCRIBE TO ${tableName(random)}${maybe(random, ` WHERE ${predicate(random, table, 1)}`)}${maybe(random, ' OPTIONS (last_rows=10, batch_size=5)')}`,
    `SUBSCRIBE TO ${selectStatement(random)}`,
    `SUBSCRIBE TO ${table.name} OPTIONS ${random.pick(['(x=1)', 'last_rows=1', '(last_rows)', '(from=1)'])}`,
    `KILL LIVE QUERY ${quoted(random.pick(['alice-0-s', 'x', '', 'a-b-c-d']))}`,
    `EXPLAIN LIVE ${quoted(random.pick(['alice-0-s', 'x', 'a-b-c-d']))} FOR KEY ${random.pick(['1', "'x'", '(1, -2)', '-', "-'x'", 'a'])}`,
    `KILL JOB ${quoted(random.pick(['CL-0123456789ab', 'x', '']))}`,
    `EXECUTE AS USER ${user} (${selectStatement(random)})`,
    `EXECUTE AS USER ${user} (INSERT INTO g.notes (id, txt, flag) VALUES (${random.integer(40)}, 'for you', true))`,
    `EXECUTE AS USER ${user} (UPDATE g.items SET txt = 'x' WHERE id = 1)`,
    `EXECUTE AS USER ${user} (CREATE NAMESPACE n1)`,
    `EXECUTE AS USER ${user} ${random.pick(['SELECT 1', '()', '(SELECT 1; SELECT 2)', '(SELECT 1', '(BEGIN)', `(EXECUTE AS USER ${user} (SELECT 1))`])}`,
  ]);
}

/** What moves rows to where they cost less. */
export function storageStatement(random: SeededRandom): string {
  const table = random.pick([random.pick(SCENE_TABLES).name, tableName(random)]);
  return random.pick([
    `STORAGE FLUSH TABLE ${table}`,
    `STORAGE COMPACT TABLE ${table}`,
    `STORAGE FLUSH ALL${maybe(random, ` IN ${namespace(random)}`)}`,
    `STORAGE COMPACT ALL${maybe(random, ` IN NAMESPACE ${namespace(random)}`)}`,
    'SHOW MANIFEST',
  ]);
}

const STORAGE_TEXTS: readonly string[] = [
  "'{}'",
  '\'{"region":"r","endpoint":"x"}\'',
  '\'{"access_key_id":"a","secret_access_key":"s"}\'',
  "'[]'",
  "'{'",
  "''",
  'x',
];

/**
 * CREATE, ALTER, DROP and CHECK of storages. Where a path is one, nothing can be made below it: a statement of the grammar must not leave
 * anything on the machine. No bucket is one that a server would be asked for.
 */
export function placeStatement(random: SeededRandom): string {
  const storage = oneIn(random, 10) ? quoted(random.pick(HOSTILE_NAMES)) : random.pick(['s1', 's2', 'local', 'LOCAL', 'missing', "'s1'"]);
  const place = random.pick([
    "TYPE filesystem PATH '/proc/kalamdb'",
    "TYPE filesystem PATH '/dev/null/x'",
    "TYPE filesystem PATH ''",
    'TYPE filesystem',
    "TYPE s3 BUCKET ''",
    "TYPE s3 BUCKET 'b' CREDENTIALS '{}'",
    "TYPE gcs BUCKET 'b'",
    "TYPE azure CONTAINER 'c'",
    "TYPE tape PATH '/dev/null/x'",
  ]);
  const setting = random.pick([
    "NAME 'a name'",
    "DESCRIPTION 'x'",
    `CREDENTIALS ${random.pick(STORAGE_TEXTS)}`,
    `CONFIG ${random.pick(STORAGE_TEXTS)}`,
    `SHARED_TABLES_TEMPLATE ${random.pick(["'{namespace}/{tableName}'", "'{nowhere}'", "'../{tableName}'", "''"])}`,
    `USER_TABLES_TEMPLATE ${random.pick(["'{namespace}/{tableName}/{userId}'", "'{tableName}'", "'/'"])}`,
    "NOWHERE 'x'",
  ]);
  return random.pick([
    `CREATE STORAGE ${maybe(random, 'IF NOT EXISTS ')}${storage} ${place}${maybe(random, ` ${setting}`)}`,
    `CREATE STORAGE ${storage} TYPE gcs BUCKET 'b' ${setting}`,
    `ALTER STORAGE ${storage} SET ${setting}${maybe(random, ` SET ${setting}`)}`,
    `DROP STORAGE ${maybe(random, 'IF EXISTS ')}${storage}`,
    `STORAGE CHECK ${storage}${maybe(random, ' EXTENDED')}`,
  ]);
}

/** Statements about backups: no place is one that a backup could be written to or read from. */
export function backupStatement(random: SeededRandom): string {
  return random.pick([
    "BACKUP DATABASE TO '../../x'",
    "RESTORE DATABASE FROM '/etc'",
    `BACKUP DATABASE${maybe(random, ' IF EXISTS')} ${namespace(random)} TO ${quoted(random.pick(['storage://local/x', 's3://b/x', '', '..']))}${maybe(random, ' MODE INCREMENTAL')}`,
    `RESTORE DATABASE IF NOT EXISTS ${namespace(random)} FROM '/proc/x'`,
    `BACKUP VERIFY '/no/such/folder'${maybe(random, ` FOR DATABASE ${namespace(random)}`)}`,
    "SHOW BACKUP '/no/such/folder'",
    `SHOW ${random.pick(['BACKUP', 'BACKUPS'])} FOR DATABASE ${namespace(random)}`,
    `BACKUP DATABASE ${random.pick(['', 'TO', 'g', "g TO 'x' MODE", "TO 'x' MODE partial", 'IF EXISTS TO x'])}`,
  ]);
}

/** Statements of parts that come later, and of no part at all. */
export function otherStatement(random: SeededRandom): string {
  return random.pick([
    'CREATE TOPIC g.topic PARTITIONS 2',
    'ALTER TOPIC g.topic ADD SOURCE g.items ON INSERT',
    'DROP TOPIC g.topic',
    'CLEAR TOPIC g.topic',
    "CONSUME FROM g.topic GROUP 'a' FROM EARLIEST LIMIT 5",
    "ACK g.topic GROUP 'a' UPTO OFFSET 5",
    'EXPORT USER DATA',
    'CLUSTER SNAPSHOT',
    'CLUSTER LIST',
    "COPY g.items TO '/etc/passwd'",
    "COPY g.items FROM PROGRAM 'id'",
    'TRUNCATE g.items',
    'GRANT ALL ON g.items TO alice',
    'LISTEN x',
    'VACUUM',
    'DO $$ BEGIN END $$',
    'CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$',
    'CREATE EXTENSION plpgsql',
    "SELECT pg_read_file('/etc/passwd')",
    'MERGE INTO g.items USING g.secret ON true WHEN MATCHED THEN DELETE',
    'PREPARE p AS SELECT 1',
    'DECLARE c CURSOR FOR SELECT 1',
    'LOCK TABLE g.items',
    'REPLACE INTO g.items VALUES (1)',
    `SELECT ${expression(random, someTable(random), 3)} INTO x`,
  ]);
}
