import type { Cell, Row } from '@kalamdb/protocol';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Principal } from '../contract.ts';
import { GeneralWorld } from '../read/general/general-world.fixture.ts';
import { openDatabase } from './open-database.ts';
import { ROOT, StatementWorld } from './statement-world.fixture.ts';

const ANN: Principal = { userId: 'ann', role: 'user' };
const BOB: Principal = { userId: 'bob', role: 'user' };

let world: StatementWorld;

beforeAll(async () => {
  world = await StatementWorld.open();
  await world.run("CREATE TABLE app.people (id INT PRIMARY KEY, name TEXT, team INT) WITH (TYPE = 'SHARED', ACCESS_LEVEL = 'PUBLIC')");
  await world.run("CREATE TABLE app.teams (id INT PRIMARY KEY, title TEXT) WITH (TYPE = 'SHARED', ACCESS_LEVEL = 'PUBLIC')");
  await world.run("CREATE TABLE app.notes (id INT PRIMARY KEY, body TEXT) WITH (TYPE = 'USER')");
  await world.run("CREATE TABLE app.marks (id INT PRIMARY KEY, note INT) WITH (TYPE = 'USER')");
  await world.run("CREATE TABLE app.hidden (id INT PRIMARY KEY, secret TEXT) WITH (TYPE = 'SHARED', ACCESS_LEVEL = 'PRIVATE')");
  await world.run("INSERT INTO app.people VALUES (1, 'Ann', 1), (2, 'Bo', 1), (3, 'Cy', 2), (4, 'Di', NULL)");
  await world.run("INSERT INTO app.teams VALUES (1, 'red'), (2, 'blue'), (3, 'empty')");
  await world.run("INSERT INTO app.hidden VALUES (1, 'x')");
  for (const user of [ANN, BOB]) {
    await world.run(`INSERT INTO app.notes VALUES (1, '${user.userId} one'), (2, '${user.userId} two')`, user);
    await world.run('INSERT INTO app.marks VALUES (1, 1), (2, 1)', user);
  }
});

afterAll(() => world.close());

test.each<[string, readonly Row[]]>([
  [
    'SELECT p.name, t.title FROM people p JOIN teams t ON p.team = t.id ORDER BY p.id',
    [
      ['Ann', 'red'],
      ['Bo', 'red'],
      ['Cy', 'blue'],
    ],
  ],
  [
    'SELECT p.name, t.title FROM people p LEFT JOIN teams t ON p.team = t.id WHERE p.id > 2 ORDER BY p.id',
    [
      ['Cy', 'blue'],
      ['Di', null],
    ],
  ],
  [
    'SELECT t.title, count(p.id) FROM people p RIGHT JOIN teams t ON p.team = t.id GROUP BY t.title ORDER BY t.title',
    [
      ['blue', 1n],
      ['empty', 0n],
      ['red', 2n],
    ],
  ],
  ['SELECT count(*) FROM people CROSS JOIN teams', [[12n]]],
  ['WITH reds AS (SELECT * FROM people WHERE team = 1) SELECT a.name, b.name FROM reds a JOIN reds b ON a.id < b.id', [['Ann', 'Bo']]],
  ['WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT sum(i) FROM n', [[10n]]],
  ['SELECT id FROM people UNION SELECT id FROM teams ORDER BY 1', [[1], [2], [3], [4]]],
  ['SELECT id FROM people EXCEPT SELECT id FROM teams', [[4]]],
  ['SELECT id FROM people INTERSECT SELECT id FROM teams ORDER BY id', [[1], [2], [3]]],
  [
    'SELECT name, row_number() OVER (PARTITION BY team ORDER BY id DESC) FROM people WHERE team = 1 ORDER BY id',
    [
      ['Ann', 2n],
      ['Bo', 1n],
    ],
  ],
  ["SELECT name FROM people p WHERE EXISTS (SELECT 1 FROM teams t WHERE t.id = p.team AND t.title = 'blue')", [['Cy']]],
  ['SELECT name, (SELECT title FROM teams t WHERE t.id = p.team) FROM people p ORDER BY id LIMIT 1', [['Ann', 'red']]],
  ['SELECT count(*) FROM (SELECT DISTINCT team FROM people) x', [[3n]]],
  ['SELECT x FROM (VALUES (2), (1)) v(x) ORDER BY x', [[1n], [2n]]],
  ['SELECT count(*) > 3 FROM information_schema.tables t JOIN information_schema.tables u ON t.table_name = u.table_name', [[true]]],
])('%s', async (sql, rows) => {
  expect(await world.run(sql)).toEqual(rows);
});

test('a user joins the own rows only, whoever runs the query, and as whom', async () => {
  const sql = 'SELECT n.body, m.id FROM notes n JOIN marks m ON m.note = n.id ORDER BY m.id';
  expect(await world.run(sql, ANN)).toEqual([
    ['ann one', 1],
    ['ann one', 2],
  ]);
  expect(await world.run(sql, BOB)).toEqual([
    ['bob one', 1],
    ['bob one', 2],
  ]);
  expect(await world.run(sql, ROOT)).toEqual([]);
  expect(await world.run(`EXECUTE AS USER 'ann' (${sql})`, ROOT)).toEqual([
    ['ann one', 1],
    ['ann one', 2],
  ]);
  const both = await Promise.all(Array.from({ length: 20 }, (_, index) => world.run(sql, index % 2 === 0 ? ANN : BOB)));
  for (const [index, rows] of both.entries()) expect(rows).toEqual(both[index % 2]);
});

test.each([
  'SELECT p.id FROM people p JOIN hidden h ON h.id = p.id',
  'SELECT p.id FROM people p JOIN hidden h ON h.id = p.id WHERE nope = 1',
  'SELECT id FROM people WHERE id IN (SELECT id FROM hidden)',
  'WITH h AS (SELECT * FROM hidden) SELECT 1 FROM people, h',
  'SELECT id FROM people UNION SELECT id FROM hidden',
  'SELECT (SELECT max(secret) FROM hidden)',
  'SELECT 1 FROM people p JOIN system.users u ON true',
])('denied whatever else is in it: %s', async (sql) => {
  expect(await world.outcome(sql, ANN)).toMatch(/^ACCESS_DENIED/);
});

test('answers have the bounds of every SELECT', async () => {
  const bounded = await openDatabase({ directory: undefined, durability: 'relaxed', rowLimits: { defaultRows: 3, rowsMax: 5 } });
  const count = async (sql: string): Promise<number> => {
    const [result] = await bounded.session(ROOT).execute(sql);
    return result?.kind === 'rows' ? result.rows.length : -1;
  };
  expect(await count('SELECT i FROM generate_series(1, 100) g(i)')).toBe(3);
  expect(await count('SELECT i FROM generate_series(1, 100) g(i) LIMIT 4')).toBe(4);
  expect(await count('SELECT i FROM generate_series(1, 100) g(i) LIMIT 40')).toBe(5);
  expect(await count('SELECT count(*) FROM (SELECT i FROM generate_series(1, 100) g(i) LIMIT 40) x WHERE true')).toBe(1);
  await bounded.close();
});

/** What of the engine's a statement may call in FROM. */
const ALLOWED = new Set(['generate_series', 'unnest', 'vector_search', 'json_each']);

test('no table function, pragma or setting of the engine can be named', async () => {
  const engine = new GeneralWorld();
  const names = await engine.rows(
    "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN ('table', 'table_macro', 'pragma')",
  );
  const settings = await engine.rows('SELECT name FROM duckdb_settings()');
  await engine.executor.close();
  expect(names.length).toBeGreaterThan(80);
  const refused =
    /^(NOT_IMPLEMENTED|FUNCTION_NOT_FOUND|TABLE_NOT_FOUND|NAMESPACE_NOT_FOUND|SYNTAX_ERROR|QUERY_SYNTAX|UNSUPPORTED_STATEMENT|INVALID)/;
  for (const [name] of names) {
    const quoted = `"${String(name)}"`;
    if (ALLOWED.has(String(name))) continue;
    for (const from of [`${quoted}()`, `${quoted}('/etc/passwd')`, `main.${quoted}()`, `LATERAL ${quoted}(1)`]) {
      expect(await world.outcome(`SELECT * FROM ${from} x`), from).toMatch(refused);
    }
    expect(await world.outcome(`SELECT p.id FROM people p JOIN ${quoted} x ON true`), quoted).toMatch(refused);
  }
  for (const [name] of settings) {
    expect(await world.outcome(`SELECT current_setting('${String(name)}') FROM people p JOIN teams t ON true`)).toMatch(refused);
  }
});

test.each([
  "SELECT * FROM '/etc/passwd'",
  "SELECT * FROM read_csv('/etc/passwd') r JOIN people p ON true",
  'SELECT * FROM "/etc/passwd" x, people p',
  'SELECT * FROM "people.csv" x JOIN people p ON true',
  'SELECT * FROM duckdb_settings() s JOIN people p ON true',
  'SELECT * FROM sqlite_master m JOIN people p ON true',
  'SELECT * FROM pg_catalog.pg_class c JOIN people p ON true',
  'SELECT * FROM k0 JOIN people p ON true',
  'SELECT * FROM temp.main.k0 x JOIN people p ON true',
  "SELECT getenv('HOME') FROM people p JOIN teams t ON true",
  "SELECT read_text('/etc/passwd') FROM people p JOIN teams t ON true",
  "SELECT write_log('x') FROM people p JOIN teams t ON true",
  "SELECT error('x') FROM people p JOIN teams t ON true",
  'SELECT getvariable(1) FROM people p JOIN teams t ON true',
  "SELECT p.id FROM people p JOIN teams t ON true; COPY people TO '/tmp/x'",
  "SELECT p.id FROM people p JOIN teams t ON true; ATTACH '/tmp/x.db'",
  'SELECT p.id FROM people p JOIN teams t ON true; SET GLOBAL threads = 1',
  "WITH x AS (COPY people TO '/tmp/x') SELECT * FROM x",
  'SELECT * FROM (PRAGMA database_list) x',
  'SELECT * FROM (SUMMARIZE people) x',
  'SELECT * FROM (DESCRIBE people) x',
  'SELECT COLUMNS(*) FROM people p JOIN teams t ON true',
  'FROM people SELECT *',
])('refused: %s', async (sql) => {
  expect(await world.outcome(sql)).toMatch(/^[A-Z_]+: /);
  expect(await world.outcome(sql)).not.toMatch(/^(INTERNAL_ERROR|QUERY_FAILED)/);
});

test('a transaction sees its own writes in a join, others do not, and it keeps its snapshot', async () => {
  const join = 'SELECT count(*) FROM people p JOIN teams t ON p.team = t.id';
  const results = await world.results(`BEGIN; INSERT INTO app.people VALUES (50, 'Ed', 3); ${join}; ROLLBACK; ${join}`);
  expect(results.flatMap((result) => (result.kind === 'rows' ? [result.rows] : []))).toEqual([[[4n]], [[3n]]]);
});

test('views of general queries, and general queries over views', async () => {
  await world.run('CREATE VIEW app.members AS SELECT t.title, p.name FROM people p JOIN teams t ON p.team = t.id');
  await world.run('CREATE VIEW app.counts AS SELECT title, count(*) AS n FROM members GROUP BY title');
  expect(await world.run('SELECT * FROM members ORDER BY name')).toEqual([
    ['red', 'Ann'],
    ['red', 'Bo'],
    ['blue', 'Cy'],
  ]);
  expect(await world.run('SELECT name FROM members WHERE title = $1 ORDER BY name DESC', ROOT, ['red'])).toEqual([['Bo'], ['Ann']]);
  expect(await world.run('SELECT * FROM counts ORDER BY n')).toEqual([
    ['blue', 1n],
    ['red', 2n],
  ]);
  expect(await world.run('SELECT c.n FROM counts c JOIN members m ON m.title = c.title ORDER BY 1')).toEqual([[1n], [2n], [2n]]);
  expect(await world.outcome('CREATE OR REPLACE VIEW app.members AS SELECT m.* FROM members m JOIN teams t ON true')).toMatch(
    /would read itself/,
  );
  await world.run('CREATE VIEW app.leak AS SELECT h.secret FROM hidden h JOIN people p ON p.id = h.id');
  expect(await world.run('SELECT * FROM leak')).toEqual([['x']]);
  expect(await world.outcome('SELECT * FROM leak', ANN)).toMatch(/^ACCESS_DENIED/);
});

test('errors of the general road are those of the table, without names of its own', async () => {
  const outcomes = await Promise.all(
    [
      'SELECT nope FROM people p JOIN teams t ON p.team = t.id',
      'SELECT id FROM people p JOIN teams t ON p.team = t.id',
      'SELECT 1 FROM people p JOIN nothere n ON true',
      'SELECT p.id / (t.id - t.id) FROM people p JOIN teams t ON true',
      'SELECT CAST(p.name AS INT) FROM people p JOIN teams t ON true',
      'SELECT (SELECT id FROM people)',
      'SELECT p.name, count(*) FROM people p JOIN teams t ON true',
    ].map((sql) => world.outcome(sql)),
  );
  expect(outcomes.map((text) => String(text).split(':')[0])).toEqual([
    'COLUMN_NOT_FOUND',
    'COLUMN_AMBIGUOUS',
    'TABLE_NOT_FOUND',
    'DIVISION_BY_ZERO',
    'INVALID_TEXT',
    'SUBQUERY_ROWS',
    'AGGREGATE_MISUSE',
  ]);
  for (const text of outcomes) expect(String(text)).not.toMatch(/\bk\d\b|duckdb|LINE 1/i);
});

test('a join sees whole commits only, while writers move amounts between two tables', async () => {
  await world.run('CREATE TABLE app.left_side (id INT PRIMARY KEY, n INT)');
  await world.run('CREATE TABLE app.right_side (id INT PRIMARY KEY, n INT)');
  for (const side of ['left_side', 'right_side']) {
    await world.run(`INSERT INTO app.${side} VALUES ${Array.from({ length: 300 }, (_, id) => `(${id}, 10)`).join(', ')}`);
  }
  let stop = false;
  const writer = async (): Promise<void> => {
    for (let id = 0; !stop; id = (id + 1) % 300) {
      await world.run(
        `BEGIN; UPDATE app.left_side SET n = n - 1 WHERE id = ${id}; UPDATE app.right_side SET n = n + 1 WHERE id = ${id}; COMMIT`,
      );
    }
  };
  const writing = writer();
  for (let round = 0; round < 15; round += 1) {
    const rows = await world.run('SELECT sum(l.n + r.n), count(*) FROM left_side l JOIN right_side r ON l.id = r.id');
    expect(rows).toEqual([[6000n, 300n]]);
  }
  stop = true;
  await writing;
});

test('EXPLAIN says which executor reads which tables; ANALYZE runs the query; both ask for the rights', async () => {
  const [logical, physical] = (await world.run('EXPLAIN SELECT p.id FROM people p JOIN notes n ON n.id = p.id')) as readonly Row[];
  expect(logical).toEqual(['logical_plan', 'Query: columns=[id]\n  TableScan: app.people\n  TableScan: app.notes']);
  expect(physical).toEqual([
    'physical_plan',
    'CooperativeExec: executor=general\n  DeferredBatchExec: source=shared_table_scan, table=app.people, partition=all, hot_rows=4, segments=0, access=rows\n' +
      '  DeferredBatchExec: source=user_table_scan, table=app.notes, partition=root, hot_rows=0, segments=0, access=rows',
  ]);
  expect(String(await world.run('EXPLAIN SELECT id FROM people'))).toContain('executor=compiled');
  expect(String(await world.run('EXPLAIN ANALYZE SELECT id FROM people WHERE id <= 3'))).toContain('rows=3');
  expect(String(await world.run('EXPLAIN VERBOSE SELECT 1'))).not.toContain('TableScan');
  expect(await world.outcome('EXPLAIN DROP TABLE people')).toMatch(/^NOT_IMPLEMENTED/);
  expect(await world.outcome('EXPLAIN SELECT 1', ANN)).toMatch(/^ADMIN_REQUIRED/);
  expect(await world.outcome("EXECUTE AS USER 'ann' (EXPLAIN SELECT id FROM people)")).toMatch(/^ADMIN_REQUIRED/);
  expect(await world.run('SET datafusion.execution.batch_size TO 8192')).toEqual([]);
  expect(await world.outcome('SET threads = 1')).toMatch(/^NOT_IMPLEMENTED/);
});

interface Small {
  readonly left: readonly { readonly a: number | null; readonly b: string | null }[];
  readonly right: readonly { readonly a: number | null; readonly c: number | null }[];
}

const value = fc.option(fc.integer({ min: 0, max: 3 }), { freq: 4 });
const small: fc.Arbitrary<Small> = fc.record({
  left: fc.array(fc.record({ a: value, b: fc.option(fc.constantFrom('', 'x', 'é', 'X')) }), { maxLength: 6 }),
  right: fc.array(fc.record({ a: value, c: value }), { maxLength: 6 }),
});

const sorted = (rows: readonly Row[]): readonly string[] =>
  rows.map((row) => JSON.stringify(row, (_, cell: unknown) => (typeof cell === 'bigint' ? `${cell}n` : cell))).sort();

const same = (x: Cell, y: Cell): boolean => x !== null && y !== null && x === y;

/** Each query with what it answers by the obvious way. */
const MODELS: readonly { readonly sql: string; readonly model: (tables: Small) => Row[] }[] = [
  {
    sql: 'SELECT l.b, r.c FROM l JOIN r ON l.a = r.a',
    model: ({ left, right }) => left.flatMap((l) => right.filter((r) => same(l.a, r.a)).map((r): Row => [l.b, r.c])),
  },
  {
    sql: 'SELECT l.b, r.c FROM l LEFT JOIN r ON l.a = r.a',
    model: ({ left, right }) =>
      left.flatMap((l): Row[] => {
        const found = right.filter((r) => same(l.a, r.a)).map((r): Row => [l.b, r.c]);
        return found.length === 0 ? [[l.b, null]] : found;
      }),
  },
  {
    sql: 'SELECT a FROM l UNION SELECT a FROM r',
    model: ({ left, right }) => [...new Set([...left, ...right].map(({ a }) => a))].map((a): Row => [a]),
  },
  {
    sql: 'SELECT a FROM l EXCEPT SELECT a FROM r',
    model: ({ left, right }) => [...new Set(left.map(({ a }) => a))].filter((a) => !right.some((r) => r.a === a)).map((a): Row => [a]),
  },
  {
    sql: 'SELECT b FROM l WHERE a IN (SELECT a FROM r WHERE a IS NOT NULL)',
    model: ({ left, right }) => left.filter((l) => right.some((r) => same(l.a, r.a))).map((l): Row => [l.b]),
  },
  {
    sql: 'SELECT b FROM l WHERE a NOT IN (SELECT a FROM r)',
    model: ({ left, right }) =>
      left.filter((l) => right.length === 0 || (l.a !== null && right.every((r) => r.a !== null && r.a !== l.a))).map((l): Row => [l.b]),
  },
  {
    sql: 'SELECT l.a, (SELECT sum(r.c) FROM r WHERE r.a = l.a) FROM l',
    model: ({ left, right }) =>
      left.map((l): Row => {
        const found = right.filter((r) => same(l.a, r.a)).flatMap((r) => (r.c === null ? [] : [BigInt(r.c)]));
        return [l.a, found.length === 0 ? null : found.reduce((x, y) => x + y)];
      }),
  },
  {
    sql: 'SELECT a, count(*) OVER (PARTITION BY a), rank() OVER (ORDER BY a) FROM r',
    model: ({ right }) =>
      right.map((r): Row => {
        const alike = right.filter(({ a }) => a === r.a).length;
        const before = right.filter(({ a }) => a !== null && (r.a === null || a < r.a)).length;
        return [r.a, BigInt(alike), BigInt(before + 1)];
      }),
  },
];

test('answers are those of the obvious way', async () => {
  await world.run('CREATE TABLE app.l (id INT PRIMARY KEY, a INT, b TEXT)');
  await world.run('CREATE TABLE app.r (id INT PRIMARY KEY, a INT, c INT)');
  const literal = (cell: Cell): string => (cell === null ? 'NULL' : typeof cell === 'string' ? `'${cell}'` : String(cell));
  await fc.assert(
    fc.asyncProperty(small, async (tables) => {
      await world.run('DELETE FROM app.l WHERE true; DELETE FROM app.r WHERE true');
      for (const [id, { a, b }] of tables.left.entries()) await world.run(`INSERT INTO app.l VALUES (${id}, ${literal(a)}, ${literal(b)})`);
      for (const [id, { a, c }] of tables.right.entries())
        await world.run(`INSERT INTO app.r VALUES (${id}, ${literal(a)}, ${literal(c)})`);
      for (const { sql, model } of MODELS) {
        const rows = (await world.run(sql)) as readonly Row[];
        expect(sorted(rows), sql).toEqual(sorted(model(tables)));
      }
    }),
    { numRuns: 25 },
  );
});
