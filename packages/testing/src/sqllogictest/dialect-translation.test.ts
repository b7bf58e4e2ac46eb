import { expect, test } from 'vitest';
import { DialectTranslation } from './dialect-translation.ts';

const KEY = 'rowkey BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID()';

/** What the last statement becomes after those before it. */
function translated(...statements: readonly string[]): string {
  const dialect = new DialectTranslation();
  return statements.map((sql) => dialect.translate(sql).sql).at(-1) ?? '';
}

const T1 = 'CREATE TABLE t1( x INTEGER, "y" VARCHAR(8) )';
const T2 = 'CREATE TABLE t2(z INTEGER)';

test('a table without a key gets one as its last column', () => {
  expect(translated(T1)).toBe(`CREATE TABLE t1( x INTEGER, "y" VARCHAR(8) , ${KEY})`);
  expect(translated('CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)')).toBe('CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)');
  expect(translated('create table if not exists t(a int)')).toBe(`create table if not exists t(a int, ${KEY})`);
});

test('a value list without columns gets those that the corpus knows of', () => {
  expect(translated(T1, "INSERT INTO t1 VALUES(1,'a;*')")).toBe(`INSERT INTO t1(x, "y") VALUES(1,'a;*')`);
  expect(translated(T1, T2, 'INSERT INTO t2 SELECT x FROM t1')).toBe('INSERT INTO t2(z) SELECT x FROM t1');
  expect(translated(T1, 'INSERT INTO t1(x) VALUES(1)')).toBe('INSERT INTO t1(x) VALUES(1)');
  expect(translated('INSERT INTO other VALUES(1)')).toBe('INSERT INTO other VALUES(1)');
  expect(translated('CREATE TABLE k(a INTEGER PRIMARY KEY)', 'SELECT * FROM k')).toBe('SELECT k.a FROM k');
  expect(translated(T1, 'DROP TABLE t1', 'INSERT INTO t1 VALUES(1)')).toBe('INSERT INTO t1 VALUES(1)');
});

test.each([
  ['SELECT * FROM t1', 'SELECT t1.x, t1."y" FROM t1'],
  ['SELECT ALL * FROM t1 AS q WHERE x * 2 > 1', 'SELECT ALL q.x, q."y" FROM t1 AS q WHERE x * 2 > 1'],
  ['SELECT DISTINCT * FROM t1 CROSS JOIN t2 b', 'SELECT DISTINCT t1.x, t1."y", b.z FROM t1 CROSS JOIN t2 b'],
  ['SELECT * FROM t1, (SELECT * FROM t2) AS s, v', 'SELECT t1.x, t1."y", s.*, v.* FROM t1, (SELECT t2.z FROM t2) AS s, v'],
  ['SELECT b.*, 1 FROM t1 JOIN t2 AS b ON (t1.x, 1) = (b.z, 1)', 'SELECT b.z, 1 FROM t1 JOIN t2 AS b ON (t1.x, 1) = (b.z, 1)'],
  ['SELECT * FROM (t1 LEFT JOIN t2 ON x = z)', 'SELECT t1.x, t1."y", t2.z FROM (t1 LEFT JOIN t2 ON x = z)'],
  ['SELECT x IN (SELECT * FROM t2) FROM t1', 'SELECT x IN (SELECT t2.z FROM t2) FROM t1'],
  ['SELECT * FROM t2 UNION SELECT * FROM t2 ORDER BY 1', 'SELECT t2.z FROM t2 UNION SELECT t2.z FROM t2 ORDER BY 1'],
  ['SELECT count(*), x*2, - x * + 3 FROM t1', 'SELECT count(*), x*2, - x * + 3 FROM t1'],
  ['SELECT * FROM view1', 'SELECT * FROM view1'],
  ['CREATE VIEW v AS SELECT * FROM t2', 'CREATE VIEW v AS SELECT t2.z FROM t2'],
])('%s', (sql, expected) => {
  expect(translated(T1, T2, sql)).toBe(expected);
});

test('what changes every row says so', () => {
  expect(translated(T1, 'UPDATE t1 SET x = (SELECT 1 WHERE true)')).toBe('UPDATE t1 SET x = (SELECT 1 WHERE true) WHERE true');
  expect(translated(T1, 'DELETE FROM t1;')).toBe('DELETE FROM t1 WHERE true;');
  expect(translated(T1, 'DELETE FROM t1 WHERE x>0')).toBe('DELETE FROM t1 WHERE x>0');
});

test('what the dialect does not have is taken out, and told', () => {
  const dialect = new DialectTranslation();
  expect(dialect.translate('CREATE TABLE t(a INTEGER UNIQUE)')).toEqual({
    sql: `CREATE TABLE t(a INTEGER , ${KEY})`,
    lost: 'the dialect has no UNIQUE',
  });
  expect(dialect.translate('CREATE UNIQUE INDEX i ON t(a)')).toEqual({
    sql: expect.stringMatching(/^\s*$/),
    lost: 'the dialect has no secondary indexes',
  });
  expect(dialect.translate('UPDATE t SET a=1, b=(2), a=3 WHERE a=4')).toEqual({
    sql: expect.stringMatching(/^UPDATE t SET\s+b=\(2\), a=3 WHERE a=4$/),
    lost: 'not PostgreSQL: a column that is set twice',
  });
  expect(dialect.translate('SELECT 1')).toEqual({ sql: 'SELECT 1', lost: undefined });
});
