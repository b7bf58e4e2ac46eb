import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { KalamError } from '@kalamdb/protocol';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { initParser } from '../../parser/parse.ts';
import type { GeneralPlan } from '../general-plan.ts';
import { planStatement } from '../general-world.fixture.ts';

let connection: DuckDBConnection;

beforeAll(async () => {
  await initParser();
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  connection = await instance.connect();
});
afterAll(() => connection.closeSync());

/** The queries of a statement. */
function queries(sql: string): readonly GeneralPlan[] {
  const plan = planStatement(sql);
  if (plan.kind === 'general') return [plan];
  if (plan.kind === 'general-change') return [plan.rows];
  return [plan.source.query, plan.conflict?.query].flatMap((query) => query ?? []);
}

/** The tables that a text names, as DuckDB's own parser sees it; it fails for anything but one SELECT. */
async function tablesIn(text: string): Promise<ReadonlySet<string>> {
  const result = await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [text]);
  const tree = JSON.parse(String(result.getRows()[0]?.[0]));
  expect(tree, text).toMatchObject({ error: false, statements: [{}] });
  const found = new Set<string>();
  const walk = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    if ('type' in node && node.type === 'TABLE_FUNCTION') found.add('a table function');
    if ('type' in node && node.type === 'BASE_TABLE' && 'table_name' in node) found.add(String(node.table_name));
    for (const value of Object.values(node)) walk(value);
  };
  walk(tree);
  return found;
}

test.each([
  ['UPDATE t SET name = o.name FROM o WHERE o.tid = t.id', [['o', 't']]],
  ['UPDATE t SET a = (SELECT count(*) FROM o WHERE tid = t.id) WHERE id = 1', [['o', 't']]],
  ['DELETE FROM t USING v WHERE v.id = t.id', [['t']]],
  ['WITH t AS (SELECT 1 AS id) DELETE FROM t WHERE id IN (SELECT id FROM t)', [['t']]],
  ['WITH c AS (SELECT * FROM o) INSERT INTO t (id) SELECT oid FROM c', [['o']]],
  ['WITH c AS (SELECT * FROM o) INSERT INTO t (id) VALUES (1)', [['o']]],
  ["INSERT INTO t (id, name) VALUES (1, DEFAULT), ((SELECT max(id) FROM t), upper('x'))", [['t']]],
  ['INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET a = (SELECT 1 FROM o)', [['o', 't', 't']]],
])('%s reads %j', async (sql, tables) => {
  const found = queries(sql);
  expect(found.map(({ sources }) => sources.map(({ table }) => table.name).sort())).toEqual(tables);
  for (const { text, sources } of found) {
    const named = [...(await tablesIn(text))].filter((name) => /^k\d/.test(name));
    expect(named.sort()).toEqual(sources.map(({ name }) => name).sort());
  }
});

test('a row that may be joined several times is told apart by its key; one that is not need not be', () => {
  const [joined] = queries('UPDATE t SET name = o.name FROM o WHERE o.tid = t.id');
  expect(joined?.text).toMatch(/^SELECT DISTINCT ON .* ORDER BY /s);
  const [alone] = queries('UPDATE t SET name = (SELECT max(name) FROM o) WHERE id > 3');
  expect(alone?.text).not.toContain('DISTINCT');
  expect(alone?.outputs?.map(({ type }) => type?.kind)).toEqual(['bigint', 'bigint', 'text']);
});

test('a condition on the table alone is known to its scan', () => {
  const [query] = queries('UPDATE t SET name = o.name FROM o WHERE t.id = 7 AND o.tid = t.id');
  expect(query?.sources.find(({ table }) => table.name === 't')?.checks).toEqual([[{ column: 'id', test: '=', cell: 7n }]]);
  expect(query?.sources.find(({ table }) => table.name === 'o')?.checks).toBeUndefined();
});

const hostile = fc.string({
  unit: fc.constantFrom("'", '"', ';', '-', '/', '*', '$', '(', ')', '\\', 'a', ' ', '\n', '%', 'é'),
  maxLength: 12,
});

test('whatever names and values say, what reaches DuckDB is one SELECT over the sources', async () => {
  await fc.assert(
    fc.asyncProperty(hostile, hostile, async (name, value) => {
      const alias = `"${`x${name}`.replaceAll('"', '""')}"`;
      const text = `'${value.replaceAll("'", "''")}'`;
      for (const sql of [
        `UPDATE t SET name = ${text} || ${alias}.name FROM o AS ${alias} WHERE ${alias}.tid = t.id AND ${alias}.name <> ${text}`,
        `DELETE FROM t AS ${alias} USING o WHERE o.name = ${text} RETURNING ${text}, o.name AS ${alias}`,
        `WITH ${alias} AS (SELECT ${text} AS ${alias}) INSERT INTO t (id, name) SELECT 1, ${alias}.${alias} FROM ${alias}`,
        `INSERT INTO t (id, name) VALUES (1, (SELECT ${text})) ON CONFLICT (id) DO UPDATE SET name = excluded.name || (SELECT ${text})`,
      ]) {
        for (const { text: written } of queries(sql)) {
          for (const table of await tablesIn(written)) expect(table).toMatch(/^[kw]\d+$/);
        }
      }
    }),
    { numRuns: 100 },
  );
});

test.each([
  ['SELECT 1', 'no error'],
  ['UPDATE t SET a = 1 FROM o', 'WHERE_REQUIRED'],
  ['UPDATE v SET n = o.name FROM o WHERE true', 'VIEW_WRITE'],
  ['UPDATE t SET (a, b) = (SELECT 1, 2, 3) WHERE true', 'INVALID_OPERATION'],
  ['UPDATE t SET a = ROW(1, 2) WHERE id IN (SELECT 1)', 'COERCION_FAILED'],
  ['UPDATE t SET a[1] = 1 FROM o WHERE true', 'NOT_IMPLEMENTED'],
  ['INSERT INTO t (id) OVERRIDING SYSTEM VALUE SELECT oid FROM o, t', 'NOT_IMPLEMENTED'],
  ['INSERT INTO t (id) VALUES ((SELECT 1)) ON CONFLICT (name) DO NOTHING', 'CONFLICT_TARGET'],
  ['INSERT INTO t (id, nowhere) SELECT oid, 1 FROM o, t', 'COLUMN_NOT_FOUND'],
  ["INSERT INTO t (id, a) VALUES (1, 'x'), (2, (SELECT 1))", 'no error'],
  [`INSERT INTO t (id) VALUES ${Array.from({ length: 1001 }, () => '((SELECT 1))').join(', ')}`, 'INVALID_OPERATION'],
])('%s: %s', (sql, code) => {
  let found = 'no error';
  try {
    planStatement(sql);
  } catch (error) {
    if (!(error instanceof KalamError)) throw error;
    found = error.code;
  }
  expect(found).toBe(code);
});

test.each([
  [
    'UPDATE t SET a = 1 FROM o WHERE o.tid = t.id RETURNING t.id, (SELECT max(oid) FROM o)',
    'subqueries in RETURNING (return columns, and SELECT',
  ],
  [
    'INSERT INTO t (id) SELECT oid FROM o RETURNING id, (SELECT max(oid) FROM o) + 1',
    'subqueries in RETURNING (return columns, and SELECT',
  ],
  [
    'WITH w AS (DELETE FROM o WHERE oid = 1 RETURNING tid) SELECT * FROM w',
    'a statement that writes in WITH (run it first, with RETURNING',
  ],
])('%s is refused with what to do', (sql, words) => {
  expect(() => planStatement(sql)).toThrow(words);
});
