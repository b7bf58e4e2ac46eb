import { beforeAll, describe, expect, test } from 'vitest';
import { initParser } from '../parser/parse.ts';
import { failure, plan } from './general-world.fixture.ts';

beforeAll(initParser);

const text = (query: string): string => plan(query).text;
const names = (query: string): readonly string[] => (plan(query).outputs ?? []).map(({ name }) => name);

describe('table references', () => {
  test('become sources, one for each table, each reference with an alias of its own', () => {
    const { text: written, sources } = plan('SELECT x.id FROM t x, app.t y, o');
    expect(sources.map(({ name, table }) => [name, table.name])).toEqual([
      ['k0', 't'],
      ['k1', 'o'],
    ]);
    expect(written).toContain('FROM "k0" AS "t1", "k0" AS "t2", "k1" AS "t3"');
  });

  test('mean common tables first, and only where those are in scope', () => {
    expect(plan('WITH t AS (SELECT 1 AS one) SELECT one FROM t').sources).toEqual([]);
    expect(plan('WITH t AS (SELECT id FROM t) SELECT id FROM t').sources).toHaveLength(1);
    expect(plan('WITH t AS (SELECT 1 AS id) SELECT t.id FROM app.t').sources).toHaveLength(1);
    expect(failure('SELECT (WITH w AS (SELECT 1 AS a) SELECT a FROM w), a FROM w')).toBe('TABLE_NOT_FOUND 59');
    expect(failure('WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a')).toBe('TABLE_NOT_FOUND 25');
  });

  test('of views are written out, with the view’s names and namespace', () => {
    const { sources, outputs } = plan('SELECT * FROM v JOIN o ON o.tid = v.id');
    expect(sources.map(({ table }) => table.name)).toEqual(['t', 'o']);
    expect(outputs?.map(({ name }) => name)).toEqual(['id', 'n', 'oid', 'tid', 'amount', 'name', '_seq', '_deleted']);
    expect(failure('SELECT * FROM loop')).toBe('INVALID_OPERATION 14');
  });

  test('that name nothing are refused where they stand', () => {
    expect(failure('SELECT 1 FROM t JOIN gone ON true')).toBe('TABLE_NOT_FOUND 21');
    expect(failure('SELECT 1 FROM other.t, o')).toBe('TABLE_NOT_FOUND 14');
  });
});

describe('columns', () => {
  test('of * are the stored ones, then _seq and _deleted', () => {
    expect(names('SELECT o.*, 1 FROM o, t')).toEqual(['oid', 'tid', 'amount', 'name', '_seq', '_deleted', '?column?']);
  });

  test('keep what they are through subselects, common tables and set operations', () => {
    const through = 'WITH w AS (SELECT id AS k FROM (SELECT * FROM t) s) SELECT k FROM w UNION SELECT oid FROM o';
    expect(plan(through).outputs?.map(({ name, column }) => [name, column?.name])).toEqual([['k', 'id']]);
    expect(plan('SELECT id + 1 AS id FROM t').outputs?.[0]).toMatchObject({ name: 'id', column: undefined, type: { kind: 'bigint' } });
  });

  test('are found in the queries around, innermost first', () => {
    expect(text('SELECT (SELECT name FROM o WHERE tid = id) FROM t')).toContain('SELECT "t2"."name"');
    expect(text('SELECT (SELECT max(a) FROM o) FROM t')).toContain('"t1"."a"');
  });

  test('are in USING once', () => {
    expect(names('SELECT * FROM (SELECT 1 AS k, 2 AS l) a JOIN (SELECT 1 AS k, 3 AS m) b USING (k)')).toEqual(['k', 'l', 'm']);
    expect(text('SELECT k FROM (SELECT 1 AS k) a FULL JOIN (SELECT 1 AS k) b USING (k)')).toContain('coalesce(');
  });

  test('can be qualified by alias, by table, and by namespace unless there is an alias', () => {
    expect(text('SELECT app.t.id, t.id FROM t, o')).toContain('"t1"."id" AS "id", "t1"."id" AS "id"');
    expect(failure('SELECT app.t.id FROM t x, o')).toBe('COLUMN_NOT_FOUND 7');
    expect(failure('SELECT t.id FROM t x, o')).toBe('COLUMN_NOT_FOUND 7');
  });

  test('that are missing or ambiguous are refused where they stand', () => {
    expect(failure('SELECT id, gone FROM t, o')).toBe('COLUMN_NOT_FOUND 11');
    expect(failure('SELECT id FROM t, o WHERE name = $1', ['x'])).toBe('COLUMN_AMBIGUOUS 26');
    expect(failure("SELECT 'ä', gone FROM t, o")).toBe('COLUMN_NOT_FOUND 12');
    expect(failure('SELECT * FROM t, t')).toBe('INVALID_OPERATION 0');
  });

  test('are called as the compiled executor calls them', () => {
    const query =
      'SELECT count(*), max(id), id::text, 1, CASE WHEN true THEN 1 ELSE a END, coalesce(a, 1), EXISTS (SELECT 1), (SELECT 1 AS q), now() FROM t, o GROUP BY id';
    expect(names(query)).toEqual(['count(*)', 'max', 'id', '?column?', 'a', 'coalesce', 'exists', 'q', 'now']);
  });
});

describe('values', () => {
  test('are written as constants in the type that they meet', () => {
    expect(text("SELECT 1, 1.5, 'it''s'")).toBe(
      `SELECT CAST(1 AS BIGINT) AS "?column?", CAST('1.5' AS DOUBLE) AS "?column?", 'it''s' AS "?column?"`,
    );
    expect(text("SELECT 1 FROM t, o WHERE d = '2020-01-02'")).toContain(`= (CAST('1970-01-01' AS DATE) + CAST(18263 AS INTEGER))`);
    expect(text('SELECT 1 FROM t, o WHERE dec > 1.005')).toContain("> CAST('1.00' AS DECIMAL(10,2))");
  });

  test('of parameters are those of the client', () => {
    expect(plan('SELECT $2, $1', [1n, "a'b"]).text).toBe(`SELECT 'a''b' AS "?column?", CAST(1 AS BIGINT) AS "?column?"`);
    expect(failure('SELECT $2 FROM t, o', [1n])).toBe('PARAMETER_COUNT_MISMATCH 7');
  });

  test('that say no value of their type are refused where they stand', () => {
    expect(failure("SELECT 1 FROM t, o WHERE d = 'soon'")).toBe('INVALID_TEXT 27');
    expect(failure('SELECT 1 FROM t, o WHERE t.name = 5')).toBe('TYPE_MISMATCH 32');
    expect(failure('SELECT 1 FROM t, o LIMIT -1')).toBe('INVALID_ARGUMENT 25');
  });

  test('of the reader are noted', () => {
    expect(plan('SELECT CURRENT_USER(), CURRENT_ROLE')).toMatchObject({
      text: `SELECT 'ann' AS "current_user", 'user' AS "current_role"`,
      mentionsUser: true,
    });
    expect(plan('SELECT 1').mentionsUser).toBe(false);
  });
});

describe('clauses', () => {
  test('ORDER BY says where NULLs go', () => {
    expect(text('SELECT id FROM t, o ORDER BY a, b DESC, name NULLS FIRST'.replace('name', 't.name'))).toContain(
      'ORDER BY "t1"."a" ASC NULLS LAST, "t1"."b" DESC NULLS FIRST, "t1"."name" ASC NULLS FIRST',
    );
    expect(text('SELECT row_number() OVER (ORDER BY a DESC) FROM t')).toContain('OVER (ORDER BY "t1"."a" DESC NULLS FIRST)');
  });

  test('ORDER BY a constant text is no constant to DuckDB, which refuses one', () => {
    expect(text('SELECT id FROM t, o ORDER BY CURRENT_USER()')).toContain("ORDER BY CAST('ann' AS VARCHAR) ASC NULLS LAST");
    expect(text("SELECT string_agg(name, ',' ORDER BY CURRENT_USER) FROM o, t".replace('name', 't.name'))).toContain(
      "CAST('ann' AS VARCHAR) ASC",
    );
    expect(text('SELECT id, CURRENT_USER() FROM t, o ORDER BY CURRENT_USER()')).toContain('ORDER BY 2 ASC');
  });

  test('without ORDER BY rows come by the first key', () => {
    expect(text('SELECT name, id FROM t WHERE id IN (SELECT 1)')).toMatch(/ORDER BY 2 ASC NULLS LAST$/);
    expect(text('SELECT max(id) FROM t')).not.toContain('ORDER BY');
  });

  test('a group by a primary key gives the rest of the table', () => {
    expect(text('SELECT t.id, t.a, max(b) FROM t, o GROUP BY t.id')).toContain('GROUP BY "t1"."id", "t1"."a"');
  });

  test.each([
    ['SELECT id FROM t FOR UPDATE', 'NOT_IMPLEMENTED'],
    ['SELECT 1 INTO x', 'NOT_IMPLEMENTED'],
    ['WITH w AS (DELETE FROM t RETURNING id) SELECT id FROM w', 'NOT_IMPLEMENTED'],
    ['SELECT id FROM t TABLESAMPLE SYSTEM (1)', 'NOT_IMPLEMENTED'],
    ['SELECT * FROM XMLTABLE(1)', 'SYNTAX_ERROR'],
    ["SELECT '(1,2)'::point", 'UNSUPPORTED_TYPE'],
    ['SELECT name COLLATE "de_DE" FROM t', 'NOT_IMPLEMENTED'],
    ['SELECT id COLLATE "C" FROM t', 'TYPE_MISMATCH'],
    ['SELECT id FROM t ORDER BY id USING ~<~', 'NOT_IMPLEMENTED'],
    ['SELECT id OPERATOR(x.+) 1 FROM t', 'NOT_IMPLEMENTED'],
    ['DELETE FROM t', 'UNSUPPORTED_STATEMENT'],
    ['SELECT 1; SELECT 2', 'SYNTAX_ERROR'],
    ['SELECT count(*) FROM t WHERE count(*) > 1', 'AGGREGATE_MISUSE'],
    ['SELECT id FROM t WHERE row_number() OVER () = 1', 'AGGREGATE_MISUSE'],
    ['SELECT 1 UNION SELECT 1, 2', 'INVALID_OPERATION'],
    ['SELECT sum(a) FROM t GROUP BY nope', 'COLUMN_NOT_FOUND'],
  ])('%s is refused', (query, code) => {
    expect(failure(query).split(' ')[0]).toBe(code);
  });
});

test('expressions that are written more than once do not grow without end', () => {
  const nested = (depth: number, open: string, close: string): string => `SELECT ${open.repeat(depth)}a${close.repeat(depth)} FROM t, o`;
  expect(text(nested(60, '1 / (a - ', ')')).length).toBeLessThan(100_000);
  expect(text(nested(60, '(', ' / b)')).length).toBeLessThan(100_000);
  expect(failure(nested(60, 'nullif(', ', 1)')).split(' ')[0]).toBe('INVALID_OPERATION');
});

test('what is nested too deeply is refused', () => {
  const sum = (terms: number): string => `SELECT ${Array.from({ length: terms }, () => 'a').join(' + ')} FROM t, o`;
  expect(failure(sum(300))).toBe('no error');
  expect(failure(sum(500)).split(' ')[0]).toBe('INVALID_OPERATION');
  const union = (terms: number): string => Array.from({ length: terms }, () => 'SELECT 1').join(' UNION ALL ');
  expect(failure(union(300))).toBe('no error');
  expect(['no error', 'INVALID_OPERATION', 'SYNTAX_ERROR']).toContain(failure(union(20_000)).replace(/ \d+$/, ''));
});

test('vector_search takes literals only', () => {
  expect(names("SELECT * FROM vector_search('app.t', 'e', '[1,0]') s")).toEqual(['row_id', 'score']);
  expect(failure("SELECT * FROM t, vector_search(t.name, 'e', '[1,0]')")).toBe('INVALID_ARGUMENT 17');
  expect(failure("SELECT * FROM vector_search('app.t', 'e', '[1,0,0]')")).toMatch(/^EMBEDDING_DIMENSION /);
  expect(failure("SELECT * FROM vector_search('app.gone', 'e', '[1,0]')")).toBe('TABLE_NOT_FOUND 14');
  expect(failure("SELECT * FROM vector_search('app.t', 'a', '[1,0]')")).toBe('TYPE_MISMATCH 14');
});
