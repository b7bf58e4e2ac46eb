import { describe, expect, test } from 'vitest';
import type { Statement } from '../../statement/ast.ts';
import { parseStatement } from '../parse.ts';
import { durationSeconds } from './duration.ts';

test.each<[string, Statement]>([
  ['CREATE NAMESPACE Shop', { kind: 'create-namespace', name: 'shop', ifNotExists: false }],
  ['create namespace if not exists "shop";', { kind: 'create-namespace', name: 'shop', ifNotExists: true }],
  ['DROP NAMESPACE n', { kind: 'drop-namespace', name: 'n', ifExists: false, cascade: false }],
  ['DROP NAMESPACE IF EXISTS n CASCADE', { kind: 'drop-namespace', name: 'n', ifExists: true, cascade: true }],
  ['DROP NAMESPACE n RESTRICT', { kind: 'drop-namespace', name: 'n', ifExists: false, cascade: false }],
  ['SHOW NAMESPACES', { kind: 'show-namespaces' }],
  ['USE n', { kind: 'use-namespace', name: 'n' }],
  ['EXPLAIN SELECT 1', { kind: 'explain', analyze: false, inner: 'SELECT 1', innerPosition: 8 }],
  ['explain analyze verbose TABLE t', { kind: 'explain', analyze: true, inner: 'TABLE t', innerPosition: 24 }],
  [
    'EXPLAIN LIVE SELECT * FROM a.t WHERE b = 1;',
    { kind: 'explain-live', subject: { kind: 'query', sql: 'SELECT * FROM a.t WHERE b = 1' } },
  ],
  ["explain live 'u-c-s' for key -1.5", { kind: 'explain-live', subject: { kind: 'row', liveId: 'u-c-s', key: ['-1.5'] } }],
  ["EXPLAIN LIVE 'u-c-s' FOR KEY ('it''s', 2)", { kind: 'explain-live', subject: { kind: 'row', liveId: 'u-c-s', key: ["'it''s'", '2'] } }],
  ['SET datafusion.execution.batch_size TO 8192', { kind: 'set-option', name: 'datafusion.execution.batch_size' }],
  ["SET datafusion.x = 'a'", { kind: 'set-option', name: 'datafusion.x' }],
  ['SET a = 1', { kind: 'not-implemented', what: 'SET' }],
  ['USE NAMESPACE n', { kind: 'use-namespace', name: 'n' }],
  ['USE namespace', { kind: 'use-namespace', name: 'namespace' }],
  ['SET NAMESPACE n', { kind: 'use-namespace', name: 'n' }],
  ["USE 'N'", { kind: 'use-namespace', name: 'n' }],
  ['DROP TABLE t', { kind: 'drop-table', table: { namespace: undefined, name: 't', position: 11 }, ifExists: false }],
  ['DROP USER TABLE IF EXISTS ns.t', { kind: 'drop-table', table: { namespace: 'ns', name: 't', position: 26 }, ifExists: true }],
  ['SHOW TABLES', { kind: 'show-tables', namespace: undefined }],
  ['SHOW TABLES IN ns', { kind: 'show-tables', namespace: 'ns' }],
  ['SHOW TABLES IN NAMESPACE ns', { kind: 'show-tables', namespace: 'ns' }],
  ['DESCRIBE TABLE ns.t', { kind: 'describe-table', table: { namespace: 'ns', name: 't', position: 15 }, history: false, extended: false }],
  [
    'DESC TABLE t HISTORY',
    { kind: 'describe-table', table: { namespace: undefined, name: 't', position: 11 }, history: true, extended: false },
  ],
  [
    'DESC TABLE t EXTENDED',
    { kind: 'describe-table', table: { namespace: undefined, name: 't', position: 11 }, history: false, extended: true },
  ],
  [
    "CREATE USER 'Ann B' WITH PASSWORD 'it''s' ROLE 'user' EMAIL 'a@b.c'",
    { kind: 'create-user', name: 'Ann B', auth: { kind: 'password', password: "it's" }, role: 'user', email: 'a@b.c' },
  ],
  [
    'CREATE USER Bob WITH INTERNAL ROLE Admin',
    { kind: 'create-user', name: 'Bob', auth: { kind: 'internal' }, role: 'Admin', email: undefined },
  ],
  [
    'CREATE USER u WITH OAUTH ROLE user',
    { kind: 'create-user', name: 'u', auth: { kind: 'oauth', json: undefined }, role: 'user', email: undefined },
  ],
  [
    `CREATE USER "u" WITH OAUTH '{"provider":"google"}' ROLE viewer`,
    { kind: 'create-user', name: 'u', auth: { kind: 'oauth', json: '{"provider":"google"}' }, role: 'viewer', email: undefined },
  ],
  ['DROP USER u', { kind: 'drop-user', name: 'u', ifExists: false }],
  ["DROP USER IF EXISTS 'o''hara'", { kind: 'drop-user', name: "o'hara", ifExists: true }],
  ["EXECUTE AS USER 'bob' (SELECT 1)", { kind: 'execute-as-user', user: 'bob', inner: 'SELECT 1', innerPosition: 23 }],
  [
    "EXECUTE AS USER bob ( /* a */ INSERT INTO t VALUES ((1), ')') ; );",
    { kind: 'execute-as-user', user: 'bob', inner: "INSERT INTO t VALUES ((1), ')')", innerPosition: 30 },
  ],
  ['CREATE TOPIC a.b', { kind: 'not-implemented', what: 'CREATE TOPIC' }],
  ["KILL JOB 'CL-0123456789ab';", { kind: 'kill-job', jobId: 'CL-0123456789ab' }],
  ['BEGIN', { kind: 'begin' }],
  ['begin work;', { kind: 'begin' }],
  ['BEGIN TRANSACTION', { kind: 'begin' }],
  ['START /* now */ TRANSACTION', { kind: 'begin' }],
  ['COMMIT', { kind: 'commit' }],
  ['COMMIT WORK', { kind: 'commit' }],
  ['ROLLBACK', { kind: 'rollback' }],
  ['ROLLBACK TRANSACTION ;', { kind: 'rollback' }],
  ['SAVEPOINT Here', { kind: 'savepoint', name: 'here' }],
  ['ROLLBACK TO here', { kind: 'rollback-to-savepoint', name: 'here' }],
  ['ROLLBACK TO SAVEPOINT "Here"', { kind: 'rollback-to-savepoint', name: 'here' }],
  ['ROLLBACK WORK TO savepoint', { kind: 'rollback-to-savepoint', name: 'savepoint' }],
  ['ROLLBACK TRANSACTION TO SAVEPOINT savepoint', { kind: 'rollback-to-savepoint', name: 'savepoint' }],
  ['RELEASE here', { kind: 'release-savepoint', name: 'here' }],
  ['RELEASE SAVEPOINT here', { kind: 'release-savepoint', name: 'here' }],
])('%s', (text, expected) => {
  expect(parseStatement(text)).toEqual(expected);
});

describe('refusals', () => {
  test.each([
    ['CREATE NAMESPACE', 'SYNTAX_ERROR', 'Invalid SQL: Expected: a namespace name, found: the end', 16],
    ['CREATE NAMESPACE a/b', 'SYNTAX_ERROR', 'Invalid SQL: Expected: the end of the statement, found: /', 18],
    ['USE', 'SYNTAX_ERROR', 'Invalid SQL: Expected: a namespace name, found: the end', 3],
    ['DROP TABLE a.b.c', 'SYNTAX_ERROR', 'Invalid SQL: Expected: the end of the statement, found: .', 14],
    ['BEGIN ISOLATION LEVEL SERIALIZABLE', 'SYNTAX_ERROR', 'Invalid SQL: Expected: the end of the statement, found: ISOLATION', 6],
    ['COMMIT AND CHAIN', 'SYNTAX_ERROR', 'Invalid SQL: Expected: the end of the statement, found: AND', 7],
    ['SAVEPOINT', 'SYNTAX_ERROR', 'Invalid SQL: Expected: a savepoint name, found: the end', 9],
    ["ROLLBACK TO 'a'", 'SYNTAX_ERROR', "Invalid SQL: Expected: a savepoint name, found: 'a'", 12],
    ['RELEASE SAVEPOINT a b', 'SYNTAX_ERROR', 'Invalid SQL: Expected: the end of the statement, found: b', 20],
    ['SHOW TABLES FOR x', 'SYNTAX_ERROR', 'Invalid SQL: Expected: the end of the statement, found: FOR', 12],
    ["CREATE USER 'x' PASSWORD 'p' ROLE user", 'SYNTAX_ERROR', 'Invalid SQL: Expected WITH PASSWORD, WITH OAUTH or WITH INTERNAL', 16],
    ["CREATE USER 'x' WITH ROLE user", 'SYNTAX_ERROR', 'Invalid SQL: Expected WITH PASSWORD, WITH OAUTH or WITH INTERNAL', 21],
    ["CREATE USER 'x' WITH PASSWORD p ROLE user", 'SYNTAX_ERROR', 'Invalid SQL: Expected: a password in quotes, found: p', 30],
    ["CREATE USER 'x' WITH PASSWORD 'p'", 'SYNTAX_ERROR', 'Invalid SQL: Expected ROLE keyword. Hint: ROLE is required: ... ROLE dba', 33],
    ["CREATE USER '' WITH INTERNAL ROLE user", 'INVALID_NAME', "Invalid user name '': it cannot be empty", undefined],
    [
      "CREATE USER 'a/b' WITH INTERNAL ROLE user",
      'INVALID_NAME',
      "Invalid user name 'a/b': it cannot contain '..', '/' or '\\'",
      undefined,
    ],
    ["DROP USER '..'", 'INVALID_NAME', "Invalid user name '..': it cannot contain '..', '/' or '\\'", undefined],
    ["EXECUTE AS USER 'a/b' (SELECT 1)", 'INVALID_NAME', "Invalid user name 'a/b': it cannot contain '..', '/' or '\\'", undefined],
    ["EXECUTE AS USER 'u' SELECT 1", 'INVALID_INPUT', 'EXECUTE AS USER must wrap SQL in parentheses', 20],
    ["EXECUTE AS USER 'u'", 'INVALID_INPUT', 'EXECUTE AS USER must wrap SQL in parentheses', 19],
    ["EXECUTE AS USER '' (SELECT 1)", 'INVALID_INPUT', 'EXECUTE AS USER username cannot be empty', 19],
    ['EXECUTE AS USER (SELECT 1)', 'INVALID_INPUT', 'EXECUTE AS USER username cannot be empty', 16],
    ['EXECUTE AS USER', 'INVALID_INPUT', 'EXECUTE AS USER username cannot be empty', 15],
    ["EXECUTE AS USER 'u' (SELECT (1)", 'INVALID_INPUT', "EXECUTE AS USER missing closing ')'", 31],
    ["EXECUTE AS USER 'u' ( -- nothing\n )", 'INVALID_INPUT', 'EXECUTE AS USER requires a non-empty inner SQL statement', 34],
    ["EXECUTE AS USER 'u' (SELECT 1) SELECT 2", 'INVALID_INPUT', 'EXECUTE AS USER must contain exactly one wrapped SQL statement', 31],
    ["EXECUTE AS USER 'u' (SELECT 1; SELECT 2)", 'INVALID_INPUT', 'EXECUTE AS USER can only wrap a single SQL statement', 31],
    ["CREATE USER E'\\u12' WITH INTERNAL ROLE user", 'SYNTAX_ERROR', 'Invalid SQL: malformed escape in a text', 12],
  ])('%s', (text, code, message, offset) => {
    const position = offset === undefined ? undefined : expect.objectContaining({ offset });
    expect(() => parseStatement(text)).toThrow(expect.objectContaining({ code, message, position }));
  });
});

test.each([
  ['10s', 10],
  ['5 minutes', 300],
  ['1 minute', 60],
  ['10m', 600],
  ['2h', 7200],
  ['7d', 604_800],
  ['30', 30],
  [' 1 DAY ', 86_400],
  ['0s', 0],
  ['', undefined],
  ['s', undefined],
  ['-1s', undefined],
  ['1 week', undefined],
  ['1.5h', undefined],
  ['1 2', undefined],
])('%j lasts %s seconds', (text, seconds) => {
  expect(durationSeconds(text)).toBe(seconds);
});
