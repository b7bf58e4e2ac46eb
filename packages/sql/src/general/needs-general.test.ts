import { beforeAll, expect, test } from 'vitest';
import { initParser } from '../parser/parse.ts';
import { StatementCompiler } from '../plan/compiler.ts';
import { TABLES } from './general-world.fixture.ts';
import { needsGeneral } from './needs-general.ts';

beforeAll(initParser);

function refusal(query: string): unknown {
  const catalog = {
    hasNamespace: () => true,
    table: (namespace: string, name: string) => (namespace === 'app' ? TABLES.find((table) => table.name === name) : undefined),
  };
  try {
    new StatementCompiler({ plansMax: 1 }).compile(query, { catalog, namespace: 'app', parameters: [] });
  } catch (error) {
    return error;
  }
  return undefined;
}

test.each([
  'SELECT 1 FROM t JOIN o ON true',
  'SELECT 1 FROM t, o',
  'WITH w AS (SELECT 1) SELECT * FROM w',
  'WITH RECURSIVE w AS (SELECT 1) SELECT * FROM w',
  'VALUES (1)',
  '(SELECT 1) UNION (SELECT 2)',
  'SELECT 1 EXCEPT SELECT 2',
  'SELECT id FROM t WHERE id IN (SELECT 1)',
  'SELECT (SELECT 1)',
  'SELECT row_number() OVER () FROM t',
  'SELECT a FROM t GROUP BY ROLLUP (a)',
  'SELECT DISTINCT ON (a) a FROM t',
  'SELECT * FROM (SELECT 1) s',
  'SELECT * FROM generate_series(1, 2)',
  'SELECT * FROM t AS x(y)',
  'SELECT ARRAY[1]',
  "SELECT name SIMILAR TO 'x' FROM t",
  "SELECT ts + interval '1 day' FROM t",
  "SELECT regexp_replace(name, 'a', 'b') FROM t",
  'SELECT array_agg(a) FROM t',
  "SELECT string_agg(name, ',' ORDER BY a) FROM t",
])('%s is for the general executor', (query) => {
  expect(needsGeneral(refusal(query))).toBe(true);
});

test.each(['SELECT gone FROM t', 'SELECT 1 FROM gone', 'SELECT name + 1 FROM t', 'SELEC 1'])('%s is wrong for both', (query) => {
  expect(needsGeneral(refusal(query))).toBe(false);
});

test('what compiles is for the compiled one', () => {
  expect(refusal('SELECT a, count(*) FROM t WHERE x > 1 GROUP BY a')).toBeUndefined();
});
