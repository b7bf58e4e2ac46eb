import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { type Cell, duckdbType } from '@kalamdb/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { initParser } from '../parser/parse.ts';
import { plan } from './general-world.fixture.ts';

const ROWS: Readonly<Record<string, string>> = {
  t:
    `(1, 1, 1, 'one', '2020-01-01', '2020-01-01 10:00:00', '00000000-0000-0000-0000-00000000000f', 1.5, 1.25, '{"a":{"b":1},"l":[1,2]}', true, [1,0], 4194304, false),` +
    `(2, 2, 2, 'two', '2020-02-01', NULL, NULL, -2.5, -1.25, '{bad', false, [0,1], 8388608, false),` +
    `(3, NULL, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 9, false)`,
  o: `(10, 1, 5.00, 'x', 1, false), (11, 1, 7.50, 'y', 2, false), (12, 2, 1.00, 'z', 3, false)`,
};

let connection: DuckDBConnection;

beforeAll(async () => {
  await initParser();
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  connection = await instance.connect();
});

afterAll(() => connection.closeSync());

/** Runs a query of the test world on DuckDB; rows as JSON. */
async function rows(query: string, parameters: readonly Cell[] = []): Promise<string> {
  const { text, sources, outputs } = plan(query, parameters);
  for (const { name, table } of sources) {
    const columns = table.columns.map((column) => `"${column.name}" ${duckdbType(column.type)}`);
    await connection.run(`CREATE OR REPLACE TEMP TABLE "${name}" (${columns.join(', ')})`);
    await connection.run(`INSERT INTO "${name}" VALUES ${ROWS[table.name] ?? ''}`);
  }
  const result = await connection.runAndReadAll(text);
  const types = result.columnTypes().map(String);
  for (const [index, output] of (outputs ?? []).entries()) {
    if (output.type !== undefined) expect(`${output.name} ${types[index]}`).toBe(`${output.name} ${duckdbType(output.type)}`);
  }
  return JSON.stringify(result.getRowsJson());
}

test.each([
  ['SELECT t.id, o.amount * 2 FROM t JOIN o ON t.id = o.tid WHERE o.amount > 1.5 ORDER BY 2', '[["1","10.00"],["1","15.00"]]'],
  ['SELECT t.id, s.m FROM t, LATERAL (SELECT max(amount) AS m FROM o WHERE tid = t.id) s', '[["1","7.50"],["2","1.00"],["3",null]]'],
  ['SELECT id FROM t WHERE (id, a) IN (SELECT tid, 1 FROM o)', '[["1"]]'],
  ['SELECT id FROM t WHERE id > ALL (SELECT tid FROM o WHERE tid < 2)', '[["2"],["3"]]'],
  ['SELECT name FROM t FULL JOIN o USING (name) ORDER BY name', '[["one"],["two"],["x"],["y"],["z"],[null]]'],
  ['WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT sum(i) FROM n', '[["10"]]'],
  ['SELECT a FROM t UNION ALL SELECT NULL UNION ALL SELECT 5 ORDER BY 1', '[["1"],["2"],["5"],[null],[null]]'],
  [
    'SELECT a / b, -7 / 2, 7 % -2, x / 2, dec / 4 FROM t WHERE id = 1 OR EXISTS (SELECT 1 FROM o WHERE false)',
    '[["1","-3","1",0.75,0.3125]]',
  ],
  ["SELECT name LIKE '%\\_%', name NOT ILIKE 'O_E', name SIMILAR TO '(o|t)%' FROM t WHERE id = 1", '[[false,false,true]]'],
  ["SELECT 'a%' LIKE 'a!%' ESCAPE '!', 'a\\b' LIKE 'a\\b' ESCAPE ''", '[[true,true]]'],
  [
    "SELECT lag(name, 1, 'none') OVER w, sum(a) OVER (w ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t WINDOW w AS (ORDER BY id)",
    '[["none","1"],["one","3"],["two","2"]]',
  ],
  ['SELECT a, count(*), GROUPING(a) FROM t GROUP BY ROLLUP (a) ORDER BY 3, 1', '[[1,"1","0"],[2,"1","0"],[null,"1","0"],[null,"3","1"]]'],
  ['SELECT DISTINCT ON (tid) tid, oid FROM o ORDER BY tid, oid DESC', '[["1","11"],["2","12"]]'],
  [
    "SELECT j->'a'->>'b', j->'l'->-1, j ? 'a', json_get_int(j, 'a', 'b'), json_length(j, 'l') FROM t ORDER BY id",
    '[["1","2",true,"1","2"],[null,null,false,null,null],[null,null,false,null,null]]',
  ],
  ["SELECT id FROM t WHERE e IS NOT NULL ORDER BY cosine_distance(e, '[0,1]') LIMIT 1", '[["2"]]'],
  [
    "SELECT initcap('hello wORLD'), substr('hello', -1, 3), left('abc', -1), lpad('a', 3), concat('a', 1, NULL, true), ascii('é')",
    '[["Hello World","h","ab","  a","a1t",233]]',
  ],
  [
    "SELECT d + 1, d - date '2019-12-31', ts + interval '1 day', extract(second FROM ts), ts::date FROM t WHERE id = 1",
    '[["2020-01-02",1,"2020-01-02 10:00:00",0,"2020-01-01"]]',
  ],
  [
    "SELECT sum(a), avg(a), sum(dec), count(DISTINCT a) FILTER (WHERE a > 1), bool_and(ok), string_agg(name, ',' ORDER BY id DESC) FROM t",
    '[["3",1.5,"0.00","1",false,"two,one"]]',
  ],
  ['SELECT * FROM generate_series(1, 3) WITH ORDINALITY AS g(n, i) WHERE n > 1', '[["2","2"],["3","3"]]'],
  [
    "SELECT * FROM unnest(ARRAY[1, 2]) u(x) CROSS JOIN (VALUES ('a'), (NULL)) v(s) ORDER BY x, s",
    '[["1","a"],["1",null],["2","a"],["2",null]]',
  ],
  ["SELECT id FROM t WHERE ts < '2020-01-01T12:00:00Z' OR u = '00000000-0000-0000-0000-00000000000F'", '[["1"]]'],
  ['SELECT id, name, count(*) FROM t GROUP BY id ORDER BY count(*), id LIMIT 1', '[["1","one","1"]]'],
  ["SELECT s.row_id, s.score, t.name FROM vector_search('t', 'e', '[0,2]', 1) s JOIN t ON t.id = s.row_id::bigint", '[["2",1,"two"]]'],
  [
    `SELECT to_char(ts, 'YYYY-MM-DD "at" HH24:MI:SS.MS'), string_to_array('a,b', ',') FROM t WHERE id = 1`,
    '[["2020-01-01 at 10:00:00.000","{a,b}"]]',
  ],
  ["SELECT x FROM unnest(string_to_array('a,b', ',')) u(x)", '[["a"],["b"]]'],
  ['SELECT n FROM v WHERE id < 2', '[["one"]]'],
  ['SELECT upper(u), 1.5::text, 2.0::text, 2.5::int FROM t WHERE id = 1', '[["00000000-0000-0000-0000-00000000000F","1.5","2",3]]'],
  ['SELECT id FROM t LIMIT 1 OFFSET (SELECT 1)', '[["2"]]'],
])('%s', async (query, expected) => {
  expect(await rows(query)).toBe(expected);
});

test('texts of every kind come back as they were sent', async () => {
  const texts = ["it's", '\\', '\0', 'a\0b', '"', '$1', '%s', "'; DROP TABLE k0; --", '💡', '\n'];
  for (const text of texts) expect(await rows('SELECT $1', [text])).toBe(JSON.stringify([[text]]));
});

test('division by zero is an error, and only where it happens', async () => {
  await expect(rows('SELECT a / (b - b) FROM t')).rejects.toThrow('division by zero');
  await expect(rows('SELECT 1 % 0')).rejects.toThrow('division by zero');
  const long = Array.from({ length: 40 }, (_, index) => `(b - b + ${index + 1})`).join(' / ');
  expect(await rows(`SELECT a / ${long} FROM t WHERE id = 1`)).toBe('[["0"]]');
  await expect(rows(`SELECT a / ${long} / (a - a) FROM t WHERE id = 1`)).rejects.toThrow('division by zero');
  expect(await rows('SELECT a / 0, a % (b - b) FROM t WHERE id = 3')).toBe('[[null,null]]');
  expect(await rows('SELECT CASE WHEN id > 5 THEN 1 / 0 END FROM t WHERE id = 1')).toBe('[[null]]');
});
