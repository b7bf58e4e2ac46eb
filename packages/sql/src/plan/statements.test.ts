import { type Cell, type DataType, plainType } from '@kalamdb/protocol';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ColumnInfo, EvalContext, InputRow } from '../expression/input-row.ts';
import { initParser } from '../parser/parse.ts';
import type { DefaultValue } from '../statement/ast.ts';
import { type Compiled, StatementCompiler } from './compiler.ts';
import type { InsertPlan, SelectPlan } from './plans.ts';
import { bindSubscription } from './subscription.ts';
import type { CatalogView, TableInfo } from './table-info.ts';

const literal = (kind: 'integer' | 'string', text: string): DefaultValue => ({ kind: 'literal', literal: kind, text });
const column = (name: string, type: DataType, options: Partial<ColumnInfo> = {}): ColumnInfo => ({
  id: 1,
  name,
  type,
  nullable: true,
  primaryKey: false,
  default: undefined,
  system: undefined,
  ...options,
});
const SYSTEM = [
  column('_seq', plainType('bigint'), { system: '_seq', nullable: false }),
  column('_deleted', plainType('boolean'), { system: '_deleted', nullable: false }),
];
const tableOf = (name: string, columns: readonly ColumnInfo[], kind: TableInfo['kind'] = 'shared'): TableInfo => ({
  id: 1000,
  version: 1,
  namespace: kind === 'system' ? 'system' : 'app',
  name,
  kind,
  columns: [...columns, ...(kind === 'system' ? [] : SYSTEM)].map((info, index) => ({ ...info, id: index + 1 })),
});
const TABLES = [
  tableOf('t', [
    column('id', plainType('int'), { primaryKey: true, nullable: false }),
    column('name', plainType('text'), { nullable: false }),
    column('n', plainType('int'), { default: literal('integer', '7') }),
    column('at', plainType('timestamp'), { default: { kind: 'function', name: 'NOW' } }),
    column('ref', plainType('bigint'), { default: { kind: 'function', name: 'SNOWFLAKE_ID' } }),
    column('price', { kind: 'decimal', precision: 10, scale: 2 }),
  ]),
  tableOf('big', [
    column('id', plainType('bigint'), { primaryKey: true }),
    column('doc', plainType('json')),
    column('u', plainType('uuid')),
    column('e', { kind: 'embedding', dimension: 2 }),
  ]),
  tableOf('events', [column('kind', plainType('text'))], 'stream'),
  tableOf('users', [column('user_id', plainType('text'), { primaryKey: true })], 'system'),
];
const catalog: CatalogView = {
  hasNamespace: () => true,
  table: (namespace, name) => TABLES.find((table) => table.namespace === namespace && table.name === name),
};

let ids = 0n;
const context = (parameters: readonly Cell[] = []): EvalContext => ({
  parameters,
  nowMicros: 1_700_000_000_000_000n,
  userId: 'ann',
  role: 'dba',
  snowflakeId: () => {
    ids += 1n;
    return ids;
  },
  uuidV7: () => '550e8400-e29b-41d4-a716-446655440000',
  ulid: () => '',
  random: () => 0.5,
});

const compiler = new StatementCompiler({ plansMax: 200 });
const compile = (sql: string, parameters: readonly Cell[] = []): Extract<Compiled, { kind: 'plan' }> => {
  const compiled = compiler.compile(sql, { catalog, namespace: 'app', parameters });
  if (compiled.kind !== 'plan') throw new Error('no plan');
  return compiled;
};
const insertRows = (sql: string, parameters: readonly Cell[] = []): unknown[] => {
  const { plan, parameters: values } = compile(sql, parameters);
  if (plan.kind !== 'insert') throw new Error('not an INSERT');
  return plan.rowsFor(context(values));
};
const select = (
  sql: string,
  parameters: readonly Cell[] = [],
): { plan: SelectPlan; cells: readonly Cell[]; parameters: readonly Cell[] } => {
  const { plan, parameters: values } = compile(sql, parameters);
  if (plan.kind !== 'select') throw new Error('not a SELECT');
  const row: InputRow = { cells: [], seq: 0n, deleted: false };
  return { plan, cells: plan.projection.map((node) => node.evaluate(row, context(values))), parameters: values };
};

beforeAll(initParser);

describe('INSERT', () => {
  test('fills columns in any order, defaults for each row and NULL for the rest', () => {
    ids = 0n;
    expect(insertRows("INSERT INTO t (name, id) VALUES ('a', 1), ('b', 2)")).toEqual([
      [1, 'a', 7, 1_700_000_000_000_000n, 1n, null],
      [2, 'b', 7, 1_700_000_000_000_000n, 2n, null],
    ]);
    expect(insertRows("INSERT INTO t VALUES (3, 'c', DEFAULT, NULL, 9)")).toEqual([[3, 'c', 7, null, 9n, null]]);
    expect((compile('INSERT INTO t (id) VALUES (1)').plan as InsertPlan).missing.map((info) => info.name)).toEqual(['name', 'price']);
  });

  test('brings values to the types of their columns', () => {
    const row = (sql: string, parameters: readonly Cell[] = []): unknown => insertRows(sql, parameters)[0];
    expect(row("INSERT INTO t (id, name, n, at, ref, price) VALUES ('55', 5, 1.7, '2021-01-31 10:00:00', 2.9, 1.006)")).toEqual([
      55,
      '5',
      1,
      1612087200000000n,
      2n,
      101n,
    ]);
    expect(row('INSERT INTO t (id, name, n, at, price) VALUES ($1, $2, $3, $4, $5)', [1n, 'x', -1.7, 1612087200000000n, 99.99])).toEqual([
      1,
      'x',
      -1,
      1612087200000000n,
      expect.anything(),
      9999n,
    ]);
    expect(row("INSERT INTO t (id, name, price) VALUES (1, 'x', 12345678.0123456789)")).toMatchObject({ 5: 1234567801n });
    expect(row("INSERT INTO big VALUES (9223372036854775807, '{\"a\": 1}', '550E8400-E29B-41D4-A716-446655440000', '[1, 0.5]')")).toEqual([
      9223372036854775807n,
      '{"a": 1}',
      '550e8400-e29b-41d4-a716-446655440000',
      Float32Array.of(1, 0.5),
    ]);
    expect(row('INSERT INTO big (id) VALUES (-9223372036854775808)')).toMatchObject({ 0: -9223372036854775808n });
    expect(row("INSERT INTO t (id, name) VALUES (1 + 1, UPPER('x') || 1)")).toMatchObject({ 0: 2, 1: 'X1' });
  });

  test('takes the rows of a SELECT', () => {
    const { plan, parameters } = compile('INSERT INTO t (id, name) SELECT id + 100, name FROM t WHERE id < 3');
    if (plan.kind !== 'insert') throw new Error('not an INSERT');
    expect(plan.rowsFor(context(parameters), [[101n, 'a']])).toMatchObject([{ 0: 101, 1: 'a', 2: 7 }]);
  });

  test.each([
    ['INSERT INTO t (id, nope) VALUES (1, 2)', "Column 'nope' does not exist"],
    ['INSERT INTO t (id, _seq) VALUES (1, 2)', "'_seq' is a system column"],
    ['INSERT INTO t (id, name) VALUES (1)', 'INSERT names 2 column(s) but row 1 has 1'],
    ["INSERT INTO t VALUES (1, 'a'), (2)", 'INSERT names 2 column(s) but row 2 has 1'],
    ['INSERT INTO t (id, id) VALUES (1, 2)', 'named more than once'],
    ["INSERT INTO t (id, n) VALUES (1, 'x')", "Cannot cast string 'x' to value of INT type"],
    ['INSERT INTO t (id, n) VALUES (1, 3000000000)', 'out of range for type INT'],
    ['INSERT INTO t (id, price) VALUES (1, 123456789012)', 'out of range for type DECIMAL(10, 2)'],
    ['INSERT INTO t (id, n) VALUES (1, true)', "Schema coercion failed: cannot store BOOLEAN in column 'n' of type INT"],
    ['INSERT INTO missing VALUES (1)', "table 'app.missing' not found"],
    ["INSERT INTO system.users VALUES ('x')", "Cannot insert system table 'system.users'"],
    ['INSERT INTO t (id) VALUES (id)', "Column 'id' does not exist"],
  ])('%s is refused', (sql, message) => {
    expect(() => insertRows(sql)).toThrow(message);
  });
});

describe('UPDATE and DELETE', () => {
  const row: InputRow = { cells: [1, 'a', 10, null, 5n, 100n], seq: 1n, deleted: false };

  test('expressions see the old row', () => {
    const { plan, parameters } = compile('UPDATE t SET n = n * 10, ref = n, price = price + 0.5, name = DEFAULT WHERE id = 1');
    if (plan.kind !== 'update') throw new Error('not an UPDATE');
    expect(plan.apply(row, context(parameters))).toEqual([1, null, 100, null, 10n, 150n]);
    expect(row.cells[2]).toBe(10);
    expect(plan.keys?.(context(parameters))).toEqual([1]);
    expect(plan.filter?.(row, context(parameters))).toBe(true);
  });

  test.each([
    ["UPDATE t SET name = 'x'", 'UPDATE requires a WHERE clause'],
    ['DELETE FROM t', 'DELETE requires a WHERE clause'],
    ['UPDATE t SET id = 7 WHERE id = 1', "UPDATE cannot modify primary key column 'id'"],
    ['UPDATE t SET nope = 1 WHERE id = 1', "Column 'nope' does not exist"],
    ['UPDATE t SET _deleted = true WHERE id = 1', 'is a system column'],
    ['UPDATE t SET n = 1, n = 2 WHERE id = 1', 'multiple assignments'],
    ["UPDATE events SET kind = 'x' WHERE true", 'not supported for STREAM tables'],
    ["UPDATE system.users SET user_id = 'x' WHERE true", "Cannot update system table 'system.users'"],
    ['DELETE FROM system.users WHERE true', "Cannot delete system table 'system.users'"],
  ])('%s is refused', (sql, message) => {
    expect(() => compile(sql)).toThrow(message);
  });

  test('WHERE true is no condition', () => {
    expect(compile('DELETE FROM t WHERE true').plan).toMatchObject({ kind: 'delete', filter: undefined, keys: undefined });
  });
});

describe('what a filter says about the key', () => {
  test.each([
    ['id = 5', [5]],
    ["id = '5'", [5]],
    ['5 = id AND n > 1', [5]],
    ['id = 1.5', []],
    ['id = 3000000000', []],
    ['id = NULL', []],
    ['id IN (3, 1, 2.5, NULL, 3)', [1, 3]],
    ['n = 1', undefined],
    ['id = 1 OR id = 2', undefined],
    ['id + 0 = 1', undefined],
    ['NOT (id = 1)', undefined],
    ['id NOT IN (1)', undefined],
  ])('%s', (where, keys) => {
    const { plan, parameters } = select(`SELECT 1 FROM t WHERE ${where}`);
    expect(plan.keys?.(context(parameters))).toEqual(keys);
  });

  test.each([
    ['id > 5', { from: { cell: 5, inclusive: false }, to: undefined }],
    ['id BETWEEN 2 AND 8 AND id < 8', { from: { cell: 2, inclusive: true }, to: { cell: 8, inclusive: false } }],
    ['id > 1.5 AND id <= 3.5', { from: { cell: 2, inclusive: true }, to: { cell: 3, inclusive: true } }],
    ['id < 3000000000', { from: undefined, to: undefined }],
    ['id > 3000000000', undefined],
    ['id < NULL', undefined],
  ])('%s', (where, bounds) => {
    const { plan, parameters } = select(`SELECT 1 FROM t WHERE ${where}`);
    expect(plan.keyRange).toBeDefined();
    expect(plan.keyRange?.(context(parameters))).toEqual(bounds);
  });

  test('parameters count as values', () => {
    const { plan, parameters } = select('SELECT 1 FROM big WHERE id = $1', ['9007199254740993']);
    expect(plan.keys?.(context(parameters))).toEqual([9007199254740993n]);
  });

  test.each([
    ['_deleted = true', true],
    ['n = 1 AND NOT _deleted', true],
    ['n = 1 OR _deleted', true],
    ['_deleted IN (true, NULL)', true],
    ['_deleted IN (true, true)', true],
    ['_deleted = (n = 1)', true],
    ['_deleted IN (true, false)', false],
    ['_deleted = true OR _deleted = false', false],
    ['n = 1 AND (_deleted OR NOT _deleted)', false],
    ['_deleted IS NOT NULL', false],
    ['n = 1', false],
  ])('whether %s asks for tombstones: %s', (where, asks) => {
    expect(select(`SELECT id FROM t WHERE ${where}`).plan.mentionsDeleted).toBe(asks);
    expect(bindSubscription(`SELECT id FROM app.t WHERE ${where}`, { catalog }).mentionsDeleted).toBe(asks);
  });

  test('projecting _deleted does not ask for tombstones', () => {
    expect(compile('SELECT _deleted FROM t').plan).toMatchObject({ mentionsDeleted: false });
  });
});

describe('types of computed columns (golden types-computed, select-functions)', () => {
  test.each([
    ['1', 'bigint', 1n],
    ['2147483648', 'bigint', 2147483648n],
    ['-9223372036854775808', 'bigint', -9223372036854775808n],
    ['1.5', 'double', 1.5],
    ["'x'", 'text', 'x'],
    ['true', 'boolean', true],
    ['NULL', 'text', null],
    ['CAST(1 AS SMALLINT)', 'smallint', 1],
    ["DATE '2021-01-31'", 'date', 18658],
    ["CAST('1.50' AS DECIMAL(5,2))", 'decimal', 150n],
    ['CAST(1.5 AS INT)', 'int', 2],
    ['CAST(-2.5 AS BIGINT)', 'bigint', -3n],
    ["CAST('2021-01-31 10:00:00' AS DATE)", 'date', 18658],
    ["CAST(TIMESTAMP '1969-12-31 23:00:00' AS DATE)", 'date', -1],
    ["CAST(TIMESTAMP '1969-12-31 23:00:00' AS TIME)", 'time', 82_800_000_000],
    ['CAST(12.50 AS TEXT)', 'text', '12.5'],
    ['7 / 2', 'bigint', 3n],
    ['-7 / 2', 'bigint', -3n],
    ['-7 % 2', 'bigint', -1n],
    ['7 / 2.0', 'double', 3.5],
    ['1.5 + 2', 'double', 3.5],
    ["'5' + 1", 'bigint', 6n],
    ['COALESCE(NULL, 3)', 'bigint', 3n],
    ['ROUND(2.5)', 'double', 3],
    ['ROUND(2.567, 2)', 'double', 2.57],
    ['ROUND(1.005, 2)', 'double', 1.01],
    ['ROUND(1250, -2)', 'double', 1300],
    ["ROUND(CAST('1.256' AS DECIMAL(6,3)), 2)", 'decimal', 1260n],
    ["ROUND(CAST('-2.5' AS DECIMAL(6,3)))", 'decimal', -3n],
    ['TRUNC(-1.9)', 'double', -1],
    ['ABS(-3)', 'bigint', 3n],
    ['CEIL(1.2)', 'double', 2],
    ['POWER(2, 10)', 'double', 1024],
    ['SQRT(16)', 'double', 4],
    ['LOG(100)', 'double', 2],
    ['MOD(10, 3)', 'bigint', 1n],
    ['SIGN(-5)', 'double', -1],
    ['GREATEST(1, 3, 2)', 'bigint', 3n],
    ['LEAST(1, NULL, 2)', 'bigint', 1n],
    ['NULLIF(1, 1)', 'bigint', null],
    ['NULLIF(NULL, true)', 'boolean', null],
    ["ROUND(CAST('99.99' AS DECIMAL(4,2)), 1)", 'decimal', 10000n],
    ["CASE WHEN 1 = 1 THEN 'y' ELSE 'n' END", 'text', 'y'],
    ["CASE 2 WHEN 1 THEN 'one' WHEN 2 THEN 'two' END", 'text', 'two'],
    ["LENGTH('a\u{1F600}')", 'int', 2],
    ["OCTET_LENGTH('é')", 'int', 2],
    ["CONCAT('a', NULL, 1, true)", 'text', 'a1t'],
    ["CONCAT_WS('-', 'a', NULL, 2)", 'text', 'a-2'],
    ["SUBSTR('hello', 2, 3)", 'text', 'ell'],
    ["SUBSTRING('hello' FROM 0 FOR 3)", 'text', 'he'],
    ["LEFT('hello', -2) || RIGHT('hello', 2)", 'text', 'hello'],
    ["TRIM('  x ') || LTRIM('xxy', 'x') || RTRIM('yxx', 'x')", 'text', 'xyy'],
    ["REPLACE('aXb', 'X', '-')", 'text', 'a-b'],
    ["REVERSE('a\u{1F600}b')", 'text', 'b\u{1F600}a'],
    ["LPAD('7', 3, '0') || RPAD('abcd', 2)", 'text', '007ab'],
    ["REPEAT('ab', 3)", 'text', 'ababab'],
    ["SPLIT_PART('a,b,c', ',', 2) || SPLIT_PART('a,b,c', ',', -1)", 'text', 'bc'],
    ["STRPOS('hello', 'l')", 'int', 3],
    ["POSITION('lo' IN 'hello')", 'int', 4],
    ["STARTS_WITH('hello', 'he')", 'boolean', true],
    ["INITCAP('hello wORLD')", 'text', 'Hello World'],
    ["ASCII('A')", 'int', 65],
    ['CHR(128512)', 'text', '\u{1F600}'],
    ["MD5('abc')", 'text', '900150983cd24fb0d6963f7d28e17f72'],
    ["DATE_TRUNC('month', TIMESTAMP '2021-03-31 10:20:30')", 'timestamp', 1614556800000000n],
    ["DATE_TRUNC('week', DATE '2021-03-31')", 'timestamp', 1616976000000000n],
    ["EXTRACT(YEAR FROM TIMESTAMP '2021-03-31 10:20:30')", 'double', 2021],
    ["DATE_PART('second', TIMESTAMP '2021-03-31 10:20:30.5')", 'double', 30.5],
    ["EXTRACT(DOY FROM DATE '2020-12-31')", 'double', 366],
    ["EXTRACT(WEEK FROM DATE '2021-01-03')", 'double', 53],
    ["EXTRACT(EPOCH FROM DATE '1970-01-02')", 'double', 86400],
    ["DATE '2021-02-01' - DATE '2021-01-31'", 'int', 1],
    ["DATE '2021-01-31' + 1", 'date', 18659],
    ['CURRENT_USER()', 'text', 'ann'],
    ['CURRENT_ROLE', 'text', 'dba'],
    ['KDB_CURRENT_USER()', 'text', 'ann'],
    ['NOW()', 'timestamp', 1_700_000_000_000_000n],
    ['CURRENT_DATE', 'date', 19675],
    ["COSINE_DISTANCE('[1, 0]', '[0, 1]')", 'float', 1],
    ["COSINE_DISTANCE('[1, 0]', '[-1, 0]')", 'float', 2],
    ["COSINE_DISTANCE('[0, 0]', '[1, 0]')", 'float', 1],
    [`'{"a": {"b": [1, "x"]}}' -> 'a' -> 'b' ->> 1`, 'text', 'x'],
    [`'{"a": {"b": 1}}' -> 'a'`, 'text', '{"b": 1}'],
    [`'{"a": null}' ->> 'a'`, 'text', null],
    [`'{"a": 12345678901234567890}' ->> 'a'`, 'text', '12345678901234567890'],
    [`'{"a": 1}' ? 'a'`, 'boolean', true],
    [`json_length('[1, 2, {"a": [3]}]')`, 'text', '3'],
    [`json_get_int('{"a": {"b": 31}}', 'a', 'b')`, 'bigint', 31n],
    [`json_get_bool('{"ok": true}', 'ok')`, 'boolean', true],
    [`json_get_float('{"f": 1.5}', 'f')`, 'double', 1.5],
    [`json_get_str('{"s": "a\\u0062"}', 's')`, 'text', 'ab'],
    [`json_as_text('{"ok": true}', 'ok')`, 'text', 'true'],
    [`json_object_keys('{"a": 1, "b": 2}')`, 'text', '["a","b"]'],
    [`json_contains('{"tags": 1}', 'tags')`, 'boolean', true],
    ['1 IS DISTINCT FROM NULL', 'boolean', true],
    ["'10%' LIKE '10!%' ESCAPE '!'", 'boolean', true],
    ['NULL IN (1, 2)', 'boolean', null],
    ['1 IN (2, NULL)', 'boolean', null],
    ['2 NOT IN (1, 3)', 'boolean', true],
  ])('%s', (expression, kind, cell) => {
    const { plan, cells } = select(`SELECT ${expression} AS x`);
    expect([plan.columns[0]?.type.kind, cells[0]]).toEqual([kind, cell]);
  });

  test.each([
    ['9223372036854775807 + 1', 'VALUE_OUT_OF_RANGE'],
    ['1 / 0', 'DIVISION_BY_ZERO'],
    ['1.5 / 0', 'DIVISION_BY_ZERO'],
    ['1e308 * 10', 'VALUE_OUT_OF_RANGE'],
    ['SQRT(-1)', 'INVALID_ARGUMENT'],
    ['SNOWFLAKE_ID(1)', 'FUNCTION_NOT_FOUND'],
    ["COSINE_DISTANCE('[1.0]')", 'FUNCTION_NOT_FOUND'],
    ["COSINE_DISTANCE('[1.0]', '[1, 2]')", 'INVALID_ARGUMENT'],
    ["CAST('x' AS INT)", 'INVALID_TEXT'],
    ["CAST('2021-01-31' AS EMBEDDING(2))", 'INVALID_TEXT'],
    ["REPEAT('x', 1000000000)", 'INVALID_ARGUMENT'],
    ["DATE_TRUNC('fortnight', NOW())", 'INVALID_ARGUMENT'],
    ['UPPER(DISTINCT 1)', 'AGGREGATE_MISUSE'],
    ['true + 1', 'TYPE_MISMATCH'],
    ['1 || 2', 'TYPE_MISMATCH'],
    ["CASE WHEN true THEN 1 ELSE DATE '2021-01-01' END", 'TYPE_MISMATCH'],
  ])('%s fails with %s', (expression, code) => {
    expect(() => select(`SELECT ${expression} AS x`)).toThrow(expect.objectContaining({ code }));
  });

  test.each([
    ['id', 'id'],
    ['COUNT(*)', 'count(*)'],
    ['LOWER(name)', 'lower'],
    ['id + 1', '?column?'],
    ['CAST(id AS TEXT)', 'id'],
    ['CASE WHEN id = 1 THEN 1 END', 'case'],
    ["'x'", '?column?'],
    ['COALESCE(n, 1)', 'coalesce'],
  ])('%s is called %s when nothing names it', (expression, name) => {
    const { plan } = compile(`SELECT ${expression} FROM t${expression === 'COUNT(*)' ? '' : ''}`);
    expect(plan.kind === 'select' && plan.columns[0]?.name).toBe(name);
  });

  test('plain columns keep their flags', () => {
    const { plan } = compile('SELECT id, name AS x, n, _seq FROM t');
    expect(plan.kind === 'select' && plan.columns.map((info) => info.flags)).toEqual([['pk', 'nn', 'uq'], ['nn'], [], ['nn']]);
  });

  test('a pattern of many wildcards takes no longer than its length says', () => {
    const started = process.hrtime.bigint();
    expect(select(`SELECT '${'a'.repeat(20_000)}b' LIKE '${'%a_'.repeat(200)}c' AS x`).cells).toEqual([false]);
    expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(2000);
  });

  test('thousands of conditions in one chain are no problem, absurd nesting is an error', () => {
    const { plan, parameters } = select(`SELECT 1 FROM t WHERE ${Array.from({ length: 3000 }, (_, at) => `n = ${at}`).join(' OR ')}`);
    expect(plan.filter?.({ cells: [1, 'a', 2999], seq: 0n, deleted: false }, context(parameters))).toBe(true);
  });
});

describe('the plan cache', () => {
  test('statements that differ only in literals share a plan; other kinds and other tables do not', () => {
    const own = new StatementCompiler({ plansMax: 10 });
    const plan = (sql: string, view: CatalogView = catalog): unknown => {
      const compiled = own.compile(sql, { catalog: view, namespace: 'app', parameters: [] });
      return compiled.kind === 'plan' ? compiled.plan : undefined;
    };
    const first = plan("SELECT id FROM t WHERE n = 1 AND name = 'a'");
    expect(plan("SELECT id FROM t WHERE n = 22 AND name = 'b'")).toBe(first);
    expect(plan("SELECT id FROM t WHERE n = 1.5 AND name = 'a'")).not.toBe(first);
    expect(plan("SELECT id FROM t WHERE n = 99999999999999999999 AND name = 'a'")).not.toBe(first);
    expect(plan('SELECT id FROM t LIMIT 1')).not.toBe(plan('SELECT id FROM t LIMIT 2'));
    const changed: CatalogView = {
      ...catalog,
      table: (namespace, name) => ({ ...(catalog.table(namespace, name) as TableInfo), version: 2 }),
    };
    expect(plan("SELECT id FROM t WHERE n = 1 AND name = 'a'", changed)).not.toBe(first);
  });

  test('it holds no more plans than it may', () => {
    const own = new StatementCompiler({ plansMax: 3 });
    for (let limit = 1; limit <= 10; limit += 1)
      own.compile(`SELECT id FROM t LIMIT ${limit}`, { catalog, namespace: 'app', parameters: [] });
    expect(own.size).toBe(3);
  });

  test('INSERTs of constants share one plan, whatever their kinds and their number, and it holds none of them', () => {
    const own = new StatementCompiler({ plansMax: 10 });
    const rows = (sql: string, parameters: readonly Cell[] = []): unknown => {
      const compiled = own.compile(sql, { catalog, namespace: 'app', parameters });
      if (compiled.kind !== 'plan' || compiled.plan.kind !== 'insert') throw new Error('no INSERT');
      expect(compiled.parameters).toBe(parameters);
      return compiled.plan.rowsFor(context(parameters));
    };
    expect(rows("INSERT INTO t (id, name, n) VALUES (1, 'a', 1)")).toMatchObject([{ 0: 1, 1: 'a', 2: 1 }]);
    expect(rows("INSERT INTO t (id, name, n) VALUES (1.5, NULL, '2'), (-2, TRUE, DEFAULT)")).toMatchObject([
      { 0: 1, 1: null, 2: 2 },
      { 0: -2, 1: 'true', 2: 7 },
    ]);
    expect(rows('INSERT INTO t (id,  name, n) -- x\n VALUES ($1, $2, $1)', [3n, 'b'])).toMatchObject([{ 0: 3, 1: 'b', 2: 3 }]);
    const many = Array.from({ length: 40_000 }, (_, at) => `(${at},'name ${at}',${at}.5)`).join(',');
    expect(rows(`INSERT INTO t (id, name, n) VALUES ${many}`)).toHaveLength(40_000);
    expect(own.size).toBe(1);
  });

  test('a literal that is no value of what it is compared with is refused before any row is', () => {
    const text = "SELECT id FROM t WHERE n = 1 OR at IN ('2020-01-01', 'abc')";
    compile(text.replace('abc', '2021-01-01'));
    const position: unknown = expect.objectContaining({ offset: text.indexOf('IN (') });
    expect(() => compile(text)).toThrow(expect.objectContaining({ code: 'INVALID_TEXT', position }));
    for (const sql of [
      "DELETE FROM t WHERE n = 'abc'",
      "UPDATE t SET n = 1 WHERE price < 'abc'",
      "INSERT INTO t (id) SELECT id FROM t WHERE n = ''",
    ]) {
      expect(() => compile(sql)).toThrow(expect.objectContaining({ code: 'INVALID_TEXT' }));
    }
  });

  test('an error points into the text that was sent, not into its shape', () => {
    const text = "SELECT id FROM t WHERE name = 'a long text that is lifted' AND nope = 1";
    expect(() => compile(text)).toThrow(expect.objectContaining({ position: expect.objectContaining({ offset: text.indexOf('nope') }) }));
  });
});

describe('subscriptions', () => {
  test('columns, filter and identity', () => {
    const plan = bindSubscription("SELECT id, name FROM app.t WHERE name = 'x' AND n = 5 AND price > 1", { catalog });
    expect(plan.projection.map((info) => info.name)).toEqual(['id', 'name']);
    expect(plan.filter?.({ cells: [1, 'x', 5, null, null, 200n], seq: 1n, deleted: false }, context())).toBe(true);
    expect(bindSubscription("select t.id,  name from app.t where (name='x') and n=5 and price>1", { catalog }).shape).toBe(plan.shape);
    expect(bindSubscription("SELECT id, name FROM app.t WHERE name = 'y' AND n = 5 AND price > 1", { catalog }).shape).not.toBe(plan.shape);
    expect(bindSubscription('SELECT * FROM t WHERE name = CURRENT_USER()', { catalog, namespace: 'app' })).toMatchObject({
      star: true,
      mentionsUser: true,
    });
  });

  test.each([
    ["INSERT INTO app.t VALUES (1, 'a', 1)", 'SUBSCRIBE_INVALID_SQL', 'Invalid SQL: Only SELECT queries are supported for subscriptions'],
    ['SELECT * FROM app.t ORDER BY id', 'SUBSCRIBE_INVALID_SQL', 'does not support ORDER BY. Only SELECT'],
    ['SELECT * FROM app.t LIMIT 5', 'SUBSCRIBE_INVALID_SQL', 'supports only SELECT ... FROM ... [WHERE ...].'],
    ['SELECT COUNT(*) FROM app.t GROUP BY name', 'SUBSCRIBE_INVALID_SQL', 'does not support GROUP BY'],
    ['SELECT DISTINCT name FROM app.t', 'SUBSCRIBE_INVALID_SQL', 'supports only SELECT'],
    ['SELECT * FROM app.t a JOIN app.big b ON a.id = b.id', 'SUBSCRIBE_INVALID_SQL', 'does not support JOIN clauses'],
    ['SELECT * FROM app.t, app.big', 'SUBSCRIBE_INVALID_SQL', 'requires exactly one table in the FROM clause.'],
    ['SELECT * FROM (SELECT * FROM app.t) AS s', 'SUBSCRIBE_INVALID_SQL', 'requires a direct table reference in FROM.'],
    ['WITH x AS (SELECT 1) SELECT * FROM x', 'SUBSCRIBE_INVALID_SQL', 'does not support WITH clauses'],
    ['SELECT * FROM app.t; SELECT 1', 'SUBSCRIBE_INVALID_SQL', 'must contain exactly one SELECT statement'],
    ['SELECT id, _seq FROM app.t', 'SUBSCRIBE_INVALID_SQL', "cannot project system columns '_seq' or '_deleted'."],
    ['SELECT * FROM t', 'SUBSCRIBE_INVALID_SQL', 'Query must use namespace.table format'],
    ['SELECT * FROM app.nope', 'SUBSCRIBE_NOT_FOUND', 'Not found: Table not found: app:nope'],
    ['SELCT', 'SUBSCRIBE_INVALID_SQL', 'Invalid SQL: '],
    ['', 'SUBSCRIBE_INVALID_SQL', 'Empty SQL statement'],
    ['SELECT nope FROM app.t', 'SUBSCRIPTION_FAILED', 'nope'],
    ['SELECT id, n + 1 AS m FROM app.t', 'SUBSCRIPTION_FAILED', 'plain columns'],
    ['SELECT COUNT(*) FROM app.t', 'SUBSCRIPTION_FAILED', 'plain columns'],
    ['SELECT * FROM app.t WHERE nope = 1', 'SUBSCRIPTION_FAILED', 'nope'],
    ['SELECT * FROM app.t WHERE RANDOM() > 0.5', 'SUBSCRIPTION_FAILED', 'another value each time'],
  ])('%s is refused with %s', (sql, code, message) => {
    expect(() => bindSubscription(sql, { catalog })).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
  });
});
