import { describe, expect, test } from 'vitest';
import type { StatementKind } from './ast.ts';
import { classifyStatement } from './classify.ts';

/** Statement, kind, name, and for whom it needs an administrator. */
const CASES: readonly (readonly [string, StatementKind, string, string?])[] = [
  ['select 1', 'select', 'SELECT'],
  ['-- c\n /* d */ SELECT 1', 'select', 'SELECT'],
  ['(select 1)', 'select', 'SELECT'],
  ['with x as (select 1) select * from x', 'select', 'SELECT'],
  ['VALUES (1)', 'select', 'SELECT'],
  ['INSERT INTO t VALUES (1)', 'insert', 'INSERT'],
  ['INSERT OVERWRITE TABLE t VALUES (1)', 'not-implemented', 'INSERT OVERWRITE'],
  ['update t set a = 1', 'update', 'UPDATE'],
  ['DELETE FROM t', 'delete', 'DELETE'],
  ['CREATE NAMESPACE n', 'create-namespace', 'CREATE NAMESPACE', 'namespace operations'],
  ['ALTER NAMESPACE n SET OPTIONS (a = 1)', 'alter-namespace', 'ALTER NAMESPACE', 'namespace operations'],
  ['DROP NAMESPACE n', 'drop-namespace', 'DROP NAMESPACE', 'namespace operations'],
  ['USE n', 'use-namespace', 'USE'],
  ['USE NAMESPACE n', 'use-namespace', 'USE'],
  ['SET NAMESPACE n', 'use-namespace', 'SET NAMESPACE'],
  ['SHOW NAMESPACES', 'show-namespaces', 'SHOW NAMESPACES'],
  ['CREATE TABLE t (id INT)', 'create-table', 'CREATE TABLE'],
  ['create user table t (id INT)', 'create-table', 'CREATE TABLE'],
  ['CREATE SHARED TABLE t (id INT)', 'create-table', 'CREATE TABLE'],
  ['CREATE STREAM TABLE t (id INT)', 'create-table', 'CREATE TABLE'],
  ['ALTER TABLE t ADD COLUMN a INT', 'alter-table', 'ALTER TABLE'],
  ['ALTER USER TABLE t ADD COLUMN a INT', 'alter-table', 'ALTER TABLE'],
  ['DROP TABLE t', 'drop-table', 'DROP TABLE'],
  ['DROP USER TABLE t', 'drop-table', 'DROP TABLE'],
  ['CREATE VIEW v AS SELECT 1', 'create-view', 'CREATE VIEW'],
  ['CREATE OR REPLACE TEMP VIEW v AS SELECT 1', 'create-view', 'CREATE VIEW'],
  ['DROP VIEW v', 'drop-view', 'DROP VIEW'],
  ['SHOW TABLES', 'show-tables', 'SHOW TABLES'],
  ['SHOW TABLES IN ns', 'show-tables', 'SHOW TABLES'],
  ['SHOW STATS FOR TABLE t', 'show-stats', 'SHOW STATS'],
  ['SHOW TABLE STATS t', 'show-stats', 'SHOW STATS'],
  ['SHOW STORAGES', 'show-storages', 'SHOW STORAGES'],
  ['SHOW MANIFEST', 'show-manifest', 'SHOW MANIFEST'],
  ['SHOW MANIFEST CACHE', 'show-manifest', 'SHOW MANIFEST'],
  ['SHOW EXPORT', 'not-implemented', 'SHOW EXPORT'],
  ['SHOW BACKUPS FOR DATABASE n', 'show-backups', 'SHOW BACKUPS', 'backup operations'],
  ['SHOW BACKUP FOR DATABASE n', 'show-backups', 'SHOW BACKUPS', 'backup operations'],
  ["SHOW BACKUP 'p'", 'show-backup', 'SHOW BACKUP', 'backup operations'],
  ["BACKUP VERIFY 'p'", 'backup-verify', 'BACKUP VERIFY', 'backup operations'],
  ['SHOW COLUMNS FROM t', 'show-columns', 'SHOW COLUMNS', 'SHOW COLUMNS'],
  ['SHOW ALL', 'not-implemented', 'SHOW ALL', 'SHOW ALL'],
  ['DESCRIBE TABLE t', 'describe-table', 'DESCRIBE TABLE'],
  ['DESC TABLE t HISTORY', 'describe-table', 'DESCRIBE TABLE'],
  ['DESCRIBE t', 'describe-columns', 'DESCRIBE', 'DESCRIBE'],
  ['DESCRIBE "t"', 'describe-columns', 'DESCRIBE', 'DESCRIBE'],
  ['DESC t', 'describe-columns', 'DESCRIBE', 'DESC'],
  ['EXPLAIN SELECT 1', 'explain', 'EXPLAIN', 'EXPLAIN commands'],
  ['SET a = 1', 'set-option', 'SET', 'SET commands'],
  ["CREATE STORAGE s TYPE filesystem PATH 'p'", 'create-storage', 'CREATE STORAGE', 'storage operations'],
  ["ALTER STORAGE s SET NAME 'p'", 'alter-storage', 'ALTER STORAGE', 'storage operations'],
  ['DROP STORAGE s', 'drop-storage', 'DROP STORAGE', 'storage operations'],
  ['STORAGE CHECK s', 'storage-check', 'STORAGE CHECK', 'storage operations'],
  ['STORAGE FLUSH TABLE ns.t', 'storage-flush-table', 'STORAGE FLUSH TABLE'],
  ['STORAGE FLUSH ALL', 'storage-flush-all', 'STORAGE FLUSH ALL'],
  ['STORAGE COMPACT TABLE ns.t', 'storage-compact-table', 'STORAGE COMPACT TABLE'],
  ['STORAGE COMPACT ALL IN ns', 'storage-compact-all', 'STORAGE COMPACT ALL'],
  ["KILL JOB 'x'", 'kill-job', 'KILL JOB', 'job management'],
  ['EXPLAIN LIVE SELECT * FROM a.t', 'explain-live', 'EXPLAIN LIVE', 'EXPLAIN commands'],
  ["EXPLAIN LIVE 'u-c-s' FOR KEY 1", 'explain-live', 'EXPLAIN LIVE', 'EXPLAIN commands'],
  ["KILL LIVE QUERY 'x'", 'kill-live-query', 'KILL LIVE QUERY'],
  ['BEGIN', 'begin', 'BEGIN'],
  ['START TRANSACTION', 'begin', 'BEGIN'],
  ['COMMIT', 'commit', 'COMMIT'],
  ['ROLLBACK', 'rollback', 'ROLLBACK'],
  ['ROLLBACK WORK', 'rollback', 'ROLLBACK'],
  ['ROLLBACK TO s', 'rollback-to-savepoint', 'ROLLBACK TO SAVEPOINT'],
  ['ROLLBACK TRANSACTION TO SAVEPOINT s', 'rollback-to-savepoint', 'ROLLBACK TO SAVEPOINT'],
  ['SAVEPOINT s', 'savepoint', 'SAVEPOINT'],
  ['RELEASE SAVEPOINT s', 'release-savepoint', 'RELEASE SAVEPOINT'],
  ['SUBSCRIBE TO t', 'subscribe-to', 'SUBSCRIBE'],
  ['CREATE TOPIC n.t', 'not-implemented', 'CREATE TOPIC', 'topic management'],
  ['ALTER TOPIC n.t ADD SOURCE t ON INSERT', 'not-implemented', 'ALTER TOPIC', 'topic management'],
  ['CLEAR TOPIC t', 'not-implemented', 'CLEAR TOPIC', 'topic management'],
  ['DROP TOPIC t', 'not-implemented', 'DROP TOPIC', 'topic management'],
  ['CONSUME FROM t', 'not-implemented', 'CONSUME FROM'],
  ["ACK t GROUP 'g' UPTO OFFSET 1", 'not-implemented', 'ACK'],
  ["BACKUP DATABASE TO 'p'", 'backup-database', 'BACKUP DATABASE', 'backup operations'],
  ["RESTORE DATABASE FROM 'p'", 'restore-database', 'RESTORE DATABASE', 'restore operations'],
  ['EXPORT USER DATA', 'not-implemented', 'EXPORT USER DATA'],
  ['CREATE USER u WITH INTERNAL ROLE user', 'create-user', 'CREATE USER', 'user management'],
  ['ALTER USER u SET ROLE user', 'alter-user', 'ALTER USER'],
  ['DROP USER IF EXISTS u', 'drop-user', 'DROP USER', 'user management'],
  ["EXECUTE AS USER 'u' (SELECT 1)", 'execute-as-user', 'EXECUTE AS USER'],
  ...[
    'SNAPSHOT',
    'PURGE --upto 3',
    'TRIGGER ELECTION',
    'TRIGGER-ELECTION',
    'TRANSFER LEADER 1',
    'REBALANCE',
    'STEPDOWN',
    'STEP-DOWN',
    'CLEAR',
    'JOIN 1 a b',
    'LEAVE',
  ].map((words) => [`CLUSTER ${words}`, 'not-implemented', 'CLUSTER', 'cluster operations'] as const),
];

describe('classifyStatement', () => {
  test.each(CASES.map(([text, kind, name, adminFor]) => ({ text, kind, name, adminFor })))('$text', ({ text, kind, name, adminFor }) => {
    expect(classifyStatement(text)).toMatchObject({ kind, name, adminFor });
    expect(classifyStatement(`${text} ;`)).toMatchObject({ kind, name, adminFor });
  });

  test.each([
    'VACUUM',
    'TRUNCATE TABLE t',
    'MERGE INTO t USING u ON true',
    'GRANT ALL ON x TO y',
    'CREATE INDEX i ON t (a)',
    'CREATE DATABASE x',
    "COPY t TO 'x'",
    'SHOW VARIABLES',
    'EXECUTE plan',
    'KILL 5',
    'CLUSTER t',
  ])('%s is a statement that the dialect does not have', (text) => {
    expect(() => classifyStatement(text)).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_STATEMENT', message: `Unsupported statement type: ${text}` }),
    );
  });

  test.each([
    ['SELCT 1', 'Invalid SQL: Expected: an SQL statement, found: SELCT at Line: 1, Column: 1', 0],
    ['\n  hello', 'Invalid SQL: Expected: an SQL statement, found: hello at Line: 2, Column: 3', 3],
    ['STORAGE FLUSH', 'Invalid SQL: Expected: an SQL statement, found: STORAGE at Line: 1, Column: 1', 0],
    ['REPLACE INTO t VALUES (1)', 'Invalid SQL: Expected: an SQL statement, found: REPLACE at Line: 1, Column: 1', 0],
    ['CREATE', 'Invalid SQL: Expected: an SQL statement, found: CREATE at Line: 1, Column: 1', 0],
    ['DESCRIBE', 'Invalid SQL: Expected: an SQL statement, found: DESCRIBE at Line: 1, Column: 1', 0],
    ['SHOW STATS FOR t', 'Invalid SQL: Expected SHOW STATS FOR TABLE statement', 0],
    ['CREATE MATERIALIZED VIEW v AS SELECT 1', 'Invalid SQL: Invalid CREATE VIEW statement: MATERIALIZED VIEWS are not supported yet', 0],
    [
      'CLUSTER LIST',
      'Invalid SQL: CLUSTER LIST is a CLI-only command. Use \\cluster list in kalam, or query system.cluster and system.cluster_groups directly.',
      0,
    ],
    ["'x'", "Invalid SQL: Expected: an SQL statement, found: 'x' at Line: 1, Column: 1", 0],
  ])('%s is no statement', (text, message, offset) => {
    expect(() => classifyStatement(text)).toThrow(
      expect.objectContaining({ code: 'SYNTAX_ERROR', message, position: expect.objectContaining({ offset }) }),
    );
  });

  test('a text without a token is empty', () => {
    expect(() => classifyStatement(' -- nothing')).toThrow(expect.objectContaining({ code: 'EMPTY_SQL' }));
  });
});
