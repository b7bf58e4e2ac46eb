import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { KalamError } from '@kalamdb/protocol';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { initParser } from '../parser/parse.ts';
import { plan } from './general-world.fixture.ts';

/** Functions that the rewriting may call. Operators are functions in DuckDB's tree and have no letters. */
const ALLOWED: ReadonlySet<string> = new Set(
  `upper lower array_to_string list_transform string_split string_split_regex regexp_extract_all reverse length octet_length strlen bit_length unicode
  chr md5 substr left right trim ltrim rtrim replace translate repeat lpad rpad strpos starts_with suffix contains split_part to_hex abs round trunc ceil
  floor pow isinf sqrt cbrt exp ln log log10 log2 sign pi degrees radians sin cos tan asin acos atan atan2 date_trunc date_part date_diff make_timestamp
  random uuid uuidv7 array_inner_product array_cosine_distance regexp_replace regexp_matches regexp_extract regexp_full_match sha256 from_hex gcd
  lcm sinh cosh tanh asinh acosh atanh cot factorial make_date make_time error greatest least coalesce concat concat_ws len unnest generate_series age
  json_extract_string json_extract json_exists json_type json_array_length json_keys json_array json_object json_pretty to_json like_escape ilike_escape
  hex encode base64 from_base64 nfc_normalize epoch epoch_us strptime monthname dayname time_bucket xor
  list_value array_value row struct_pack struct_extract array_extract list_element list_extract list_slice list_filter list_concat list_append list_prepend
  list_has_any list_has_all list_position list_reduce list_sort nullif any_value bit_and bit_or bit_xor
  count count_star sum avg min max bool_and bool_or string_agg array_agg var_samp var_pop stddev_samp stddev_pop corr covar_pop covar_samp regr_slope
  regr_intercept regr_r2 regr_count regr_avgx regr_avgy regr_sxx regr_syy regr_sxy mode quantile_cont quantile_disc row_number rank dense_rank
  percent_rank cume_dist ntile lag lead first_value last_value nth_value to_microseconds to_seconds to_minutes to_hours to_days to_weeks to_months to_years`
    .split(/\s+/)
    .concat(['~', '~~', '!~~', '~~*', '!~~*', '+', '-', '*', '/', '//', '%', '||', '&', '|', '<<', '>>']),
);

let connection: DuckDBConnection;
/** What the linked DuckDB has: functions of every kind, settings, and tables and views of its catalogs with their schemas. */
let functions: readonly string[] = [];
let settings: readonly string[] = [];
let catalog: readonly string[] = [];

beforeAll(async () => {
  await initParser();
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  connection = await instance.connect();
  functions = await names("SELECT DISTINCT function_name FROM duckdb_functions() WHERE regexp_matches(function_name, '^[a-z]')");
  settings = await names('SELECT name FROM duckdb_settings()');
  const views = await names("SELECT schema_name || '.' || view_name FROM duckdb_views()");
  catalog = [...views, ...(await names("SELECT table_schema || '.' || table_name FROM information_schema.tables"))];
});

async function names(query: string): Promise<readonly string[]> {
  return (await connection.runAndReadAll(query)).getRows().map(([name]) => String(name));
}

afterAll(() => connection.closeSync());

/** What a text refers to, as DuckDB's own parser sees it. It fails for anything but one SELECT. */
async function references(text: string): Promise<readonly string[]> {
  const result = await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [text]);
  const tree = JSON.parse(String(result.getRows()[0]?.[0])) as { readonly error: boolean; readonly statements: readonly unknown[] };
  expect(tree.error, text).toBe(false);
  expect(tree.statements).toHaveLength(1);
  const found: string[] = [];
  walk(tree, found);
  return found;
}

function walk(node: unknown, found: string[]): void {
  if (typeof node !== 'object' || node === null) return;
  const entry = node as Readonly<Record<string, unknown>>;
  if (entry['type'] === 'BASE_TABLE') {
    const name = `${String(entry['catalog_name'])}${String(entry['schema_name'])}${String(entry['table_name'])}`;
    if (!/^[kw]\d+$/.test(name)) found.push(`table ${name}`);
  }
  if (['TABLE_FUNCTION', 'SHOW_REF', 'PIVOT', 'COLUMN_DATA', 'DELIM_GET'].includes(String(entry['type'])))
    found.push(String(entry['type']));
  const name = entry['function_name'];
  if (typeof name === 'string' && !ALLOWED.has(name)) found.push(`function ${name}`);
  for (const child of Object.values(entry)) walk(child, found);
}

/** What a query reaches beyond its tables; a query that is refused reaches nothing. */
async function reached(query: string): Promise<readonly string[]> {
  let text: string;
  try {
    ({ text } = plan(query, ['p', 1n]));
  } catch (error) {
    if (error instanceof KalamError) return [];
    throw error;
  }
  return references(text);
}

function isRefused(statement: string): boolean {
  try {
    plan(statement, ['p', 1n]);
    return false;
  } catch (error) {
    if (error instanceof KalamError) return true;
    throw error;
  }
}

describe('nothing of DuckDB’s own can be reached', () => {
  test.each([
    "SELECT * FROM 'file.parquet'",
    'SELECT * FROM "file.parquet"',
    'SELECT * FROM "/etc/passwd"',
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM LATERAL read_csv('/etc/passwd')",
    "SELECT * FROM ROWS FROM (read_csv('/etc/passwd'))",
    "SELECT read_text('/etc/passwd')",
    'SELECT * FROM duckdb_settings',
    'SELECT * FROM pg_catalog.pg_tables',
    'SELECT * FROM information_schema.tables',
    'SELECT * FROM main.k0',
    'SELECT * FROM k0',
    'SELECT * FROM temp.k0',
    'WITH k0 AS (SELECT 1 AS a) SELECT * FROM k0',
    'SELECT k0 FROM t',
    'SELECT "t1"."id" FROM t x',
    "SELECT getenv('HOME')",
    "SELECT current_setting('threads')",
    "SELECT getvariable('x')",
    "SELECT pg_catalog.read_text('x')",
    "SELECT system.main.read_text('x')",
    "SELECT query('SELECT 1')",
    "SELECT * FROM query_table('k0')",
    "SELECT * FROM glob('*')",
    "SELECT * FROM sniff_csv('x')",
    'SELECT * FROM pragma_version()',
    "SELECT nextval('s')",
    'SELECT \'x\'::"read_text"',
    "SELECT CAST('x' AS main.t)",
    'SELECT 1 AS "x"" FROM read_text(\'a\') --"',
    "SELECT '''; ATTACH ''x'' AS y; --'",
    "SELECT e'\\'); SELECT read_text(''x'')'",
    'SELECT COLUMNS(*) FROM t',
    'SELECT * FROM t POSITIONAL JOIN o',
    'SELECT (x).y FROM t x',
    'SELECT @x',
    'TABLE "file.csv"',
  ])('%s', async (query) => {
    expect(await reached(query)).toEqual([]);
  });

  test('no function of the linked DuckDB but those on the list, in any place of a call: scalars, aggregates, macros, table functions, pragmas', async () => {
    expect(functions.length).toBeGreaterThan(700);
    expect(functions).toEqual(
      expect.arrayContaining(['read_csv', 'parquet_metadata', 'duckdb_settings', 'query', 'import_database', 'table_info']),
    );
    const wrong: string[] = [];
    for (const name of functions) {
      for (const query of [
        `SELECT "${name}"()`,
        `SELECT ${name}('a')`,
        `SELECT ${name}(1, 2)`,
        `SELECT * FROM ${name}('a')`,
        `SELECT ${name}(a) OVER () FROM t`,
        `SELECT * FROM ${name}`,
        `SELECT * FROM t, LATERAL ${name}(t.name) AS x`,
        `SELECT main.${name}('a')`,
        `SELECT ${name}('a', b => 1)`,
        `PRAGMA ${name}`,
        `PRAGMA ${name}('a')`,
        `CALL ${name}('a')`,
      ]) {
        wrong.push(...(await reached(query)).map((found) => `${query}: ${found}`));
      }
    }
    expect(wrong).toEqual([]);
  });

  test('no setting of the linked DuckDB can be read or changed', async () => {
    expect(settings.length).toBeGreaterThan(100);
    const wrong: string[] = [];
    for (const name of settings) {
      for (const query of [
        `SELECT current_setting('${name}')`,
        `SELECT ${name}`,
        `SELECT "${name}" FROM t`,
        `SELECT * FROM ${name}`,
        `SELECT $${name}`,
      ]) {
        wrong.push(...(await reached(query)).map((found) => `${query}: ${found}`));
      }
      for (const statement of [
        `SET ${name} = 1`,
        `SET GLOBAL ${name} = 1`,
        `RESET ${name}`,
        `PRAGMA ${name}`,
        `PRAGMA ${name} = 1`,
        `SHOW ${name}`,
      ]) {
        if (!isRefused(statement)) wrong.push(statement);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('no table or view of its catalogs', async () => {
    expect(catalog.length).toBeGreaterThan(40);
    for (const name of catalog) {
      for (const query of [
        `SELECT * FROM ${name}`,
        `SELECT * FROM ${name.split('.')[1]}`,
        `SELECT * FROM system.${name}`,
        `TABLE ${name}`,
      ]) {
        expect(await reached(query), query).toEqual([]);
      }
    }
  });

  test.each([
    "COPY t TO '/tmp/x'",
    "COPY (SELECT 1) TO '/tmp/x.csv'",
    "COPY t FROM '/etc/passwd'",
    "ATTACH '/tmp/x.db' AS x",
    'DETACH x',
    'USE x',
    'INSTALL httpfs',
    'LOAD httpfs',
    "LOAD '/tmp/x.duckdb_extension'",
    "EXPORT DATABASE '/tmp/x'",
    "IMPORT DATABASE '/tmp/x'",
    'CHECKPOINT',
    'VACUUM',
    'ANALYZE',
    "CREATE SECRET s (TYPE s3, KEY_ID 'x')",
    'CREATE MACRO m(a) AS a',
    "CREATE MACRO m() AS TABLE SELECT * FROM read_text('x')",
    'CREATE TEMP TABLE x AS SELECT 1',
    'CREATE SEQUENCE s',
    "CREATE TYPE x AS ENUM ('a')",
    'PREPARE p AS SELECT 1',
    'EXECUTE p',
    'DEALLOCATE p',
    'SET VARIABLE x = 1',
    'DESCRIBE t',
    'SUMMARIZE t',
    'SHOW TABLES',
    'PIVOT t ON a USING sum(b)',
    'FROM t',
    "FROM 'file.csv'",
    'EXPLAIN SELECT 1',
    'EXPLAIN ANALYZE SELECT 1',
    'BEGIN',
    'DO $$ BEGIN END $$',
    "SELECT 1; COPY t TO '/tmp/x'",
    'LISTEN x',
    'LOCK TABLE t',
    'WITH x AS (DELETE FROM t RETURNING id) SELECT * FROM x',
    'SELECT 1 INTO x',
    'SELECT * FROM t AT (VERSION => 1)',
    'SELECT * FROM (SUMMARIZE t)',
    'SELECT * FROM (DESCRIBE t)',
    'SELECT * EXCLUDE (id) FROM t',
    'SELECT * REPLACE (1 AS id) FROM t',
    'SELECT {a: 1}',
    'SELECT t.id FROM t ASOF JOIN o ON true',
    'SELECT * FROM t USING SAMPLE 1',
    "SELECT lambda x: read_text('a')",
  ])('%s is no query', (statement) => {
    expect(isRefused(statement)).toBe(true);
  });

  test('by no text that a generator makes of names, functions and quotes', async () => {
    const names = fc.constantFrom(
      'id',
      'a',
      'name',
      't',
      'o',
      'v',
      'k0',
      'w1',
      'x',
      '"a""b"',
      '"file.csv"',
      '*',
      't.*',
      'x.id',
      "'a''b'",
      "e'\\''",
      '$1',
      '$2',
      '1',
      '-1.5',
      'NULL',
      '$$q$$',
      'duckdb_settings',
      'pg_class',
    );
    const calls = fc.constantFrom(
      'upper',
      'max',
      'count',
      'read_text',
      'read_csv',
      'glob',
      'getenv',
      'unnest',
      'generate_series',
      'coalesce',
      'lag',
      'json_get_str',
      'error',
      'query',
      'any_value',
    );
    const { expression } = fc.letrec<{ expression: string }>((tie) => ({
      expression: fc.oneof(
        { maxDepth: 3 },
        names,
        fc.tuple(calls, tie('expression')).map(([call, inner]) => `${call}(${inner})`),
        fc
          .tuple(
            tie('expression'),
            fc.constantFrom('+', '/', '||', '=', '->', '->>', '?', 'LIKE', '~', 'IN', 'IS DISTINCT FROM', 'OVER', 'AS'),
            tie('expression'),
          )
          .map((parts) => parts.join(' ')),
        fc.tuple(names, calls).map(([a, b]) => `CASE WHEN ${a} IS NULL THEN ${b}(${a}) END`),
        tie('expression').map((inner) => `(SELECT ${inner} FROM o)`),
        tie('expression').map((inner) => `CAST(${inner} AS TEXT)`),
      ),
    }));
    const sources = fc.oneof(
      names,
      calls.map((call) => `${call}('x')`),
      expression.map((inner) => `(SELECT ${inner}) AS x`),
      expression.map((inner) => `t x JOIN o ON ${inner}`),
    );
    const query = fc
      .record({
        item: expression,
        from: sources,
        where: expression,
        tail: fc.constantFrom('', 'GROUP BY 1', 'ORDER BY 1', 'LIMIT 1', "; SELECT read_text('x')", "UNION SELECT 'x'", '-- x'),
      })
      .map(({ item, from, where, tail }) => `SELECT ${item} FROM ${from} WHERE ${where} ${tail}`);
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          query,
          expression.map((inner) => `SELECT ${inner}`),
          expression.map((inner) => `SELECT ${inner} FROM t x`),
        ),
        async (text) => {
          expect(await reached(text)).toEqual([]);
        },
      ),
      { numRuns: 500 },
    );
  });
});
