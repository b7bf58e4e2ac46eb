import type { Row } from '@kalamdb/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Principal } from '../contract.ts';
import { ROOT, StatementWorld } from './statement-world.fixture.ts';

const ANN: Principal = { userId: 'ann', role: 'user' };
const SAM: Principal = { userId: 'sam', role: 'service' };
let world: StatementWorld;

beforeEach(async () => {
  world = await StatementWorld.open();
  await world.run(`
    CREATE SHARED TABLE app.t (id INT PRIMARY KEY, n BIGINT, txt TEXT, d DECIMAL(10,2), flag BOOLEAN NOT NULL DEFAULT true) WITH (ACCESS_LEVEL = 'PUBLIC');
    CREATE SHARED TABLE app.s (id INT PRIMARY KEY, tid INT, d BIGINT, w TEXT) WITH (ACCESS_LEVEL = 'PUBLIC');
    CREATE SHARED TABLE app.hidden (id INT PRIMARY KEY, tid INT, credentials TEXT);
    CREATE STREAM TABLE app.e (id INT, what TEXT) WITH (TTL_SECONDS = 3600);
    INSERT INTO t (id, n, txt, d) VALUES (1, 10, 'a', 1.5), (2, 20, 'b', 2.5), (3, 30, NULL, NULL);
    INSERT INTO s VALUES (1, 1, 5, 'x'), (2, 1, 3, 'y'), (3, 2, 7, 'z'), (4, 9, 1, 'w');
    INSERT INTO hidden VALUES (1, 1, 'secret')`);
});
afterEach(() => world.close());

const table = (): Promise<unknown> => world.run('SELECT id, n, txt FROM t');

test('UPDATE … FROM changes each row once, with the values that come first in order', async () => {
  expect(await world.run('UPDATE t SET n = t.n + s.d, txt = w FROM s WHERE s.tid = t.id')).toBe('Updated 2 row(s)');
  expect(await table()).toEqual([
    [1, 13n, 'y'],
    [2, 27n, 'z'],
    [3, 30n, null],
  ]);
  const sql =
    'UPDATE t AS x SET n = x.n + q.total FROM (SELECT tid, sum(d) AS total FROM s GROUP BY tid) q JOIN s ON s.tid = q.tid WHERE q.tid = x.id';
  expect(await world.run(sql)).toBe('Updated 2 row(s)');
  expect(await world.run('SELECT n FROM t')).toEqual([[21n], [34n], [30n]]);
});

test('subqueries in SET and WHERE, correlated too, see the row as it was', async () => {
  expect(
    await world.run('UPDATE t SET n = (SELECT sum(d) FROM s WHERE s.tid = t.id), txt = txt || (SELECT max(txt) FROM t) WHERE id < 3'),
  ).toBe('Updated 2 row(s)');
  expect(await world.run('UPDATE t SET n = n + 1 WHERE NOT EXISTS (SELECT 1 FROM s WHERE s.tid = t.id)')).toBe('Updated 1 row(s)');
  expect(await world.run('UPDATE t SET flag = DEFAULT, n = n WHERE id IN (SELECT tid FROM s)')).toBe('Updated 0 row(s)');
  expect(await table()).toEqual([
    [1, 8n, 'ab'],
    [2, 7n, 'bb'],
    [3, 31n, null],
  ]);
  expect(await world.run('UPDATE t SET (n, txt) = (SELECT d, w FROM s WHERE s.tid = t.id ORDER BY s.id DESC LIMIT 1) WHERE id <> 2')).toBe(
    'Updated 2 row(s)',
  );
  expect(await table()).toEqual([
    [1, 3n, 'y'],
    [2, 7n, 'bb'],
    [3, null, null],
  ]);
});

test('DELETE … USING and DELETE with subqueries', async () => {
  expect(await world.run('DELETE FROM t USING s WHERE s.tid = t.id AND s.d > 4 RETURNING t.id, s.w, n')).toEqual([
    [1, 'x', 10n],
    [2, 'z', 20n],
  ]);
  expect(await world.run('DELETE FROM s WHERE d < (SELECT avg(d) FROM s) AND tid NOT IN (SELECT id FROM t)')).toBe('Deleted 2 row(s)');
  expect(await world.run('SELECT id FROM s')).toEqual([[1], [3]]);
});

test('WITH stands before all three; a common table never takes the place of the table that is written', async () => {
  const most = 'WITH most AS (SELECT tid, max(d) AS d FROM s GROUP BY tid)';
  expect(await world.run(`${most} UPDATE t SET n = most.d FROM most WHERE most.tid = t.id RETURNING id, n, most.*`)).toEqual([
    [1, 5n, 1, 5n],
    [2, 7n, 2, 7n],
  ]);
  expect(await world.run(`${most} DELETE FROM t USING most WHERE most.tid = t.id AND most.d = 7`)).toBe('Deleted 1 row(s)');
  expect(await world.run(`${most} INSERT INTO t (id, n) SELECT tid + 100, d FROM most WHERE d > 4 RETURNING *`)).toEqual([
    [101, 5n, null, null, true, expect.any(BigInt), false],
    [102, 7n, null, null, true, expect.any(BigInt), false],
  ]);
  expect(await world.run(`${most} INSERT INTO t (id, n) WITH more AS (SELECT * FROM most) SELECT 200 + tid, d FROM more WHERE d = 1`)).toBe(
    'Inserted 1 row(s)',
  );
  expect(await world.run('WITH t AS (SELECT 1 AS id, 77 AS n) UPDATE t SET n = 0 WHERE id = 1')).toBe('Updated 1 row(s)');
  expect(await world.outcome('WITH w AS (DELETE FROM t WHERE true RETURNING id) DELETE FROM s WHERE id IN (SELECT id FROM w)')).toMatch(
    /^NOT_IMPLEMENTED/,
  );
});

test('INSERT takes any query and any value, converted as everywhere else', async () => {
  expect(await world.run('INSERT INTO t (id, n, d) SELECT t.id + 10, s.d, s.d / 3.0 FROM t JOIN s ON s.tid = t.id WHERE s.d > 3')).toBe(
    'Inserted 2 row(s)',
  );
  expect(await world.run("INSERT INTO t (id, d) VALUES (20, 1.5), (21, 2) UNION ALL SELECT 22, '3.25'::DECIMAL(5,2)")).toBe(
    'Inserted 3 row(s)',
  );
  expect(await world.run('INSERT INTO t (id, n) SELECT g, g * g FROM generate_series(30, 32) AS x(g)')).toBe('Inserted 3 row(s)');
  expect(
    await world.run(
      "INSERT INTO t VALUES (40, (SELECT max(d) FROM s), 'x', DEFAULT, true), (41, 2.7, NULL, (SELECT 9), DEFAULT) RETURNING id, n, d",
    ),
  ).toEqual([
    [40, 7n, null],
    [41, 2n, 900n],
  ]);
  expect(await world.run('SELECT id, n, d FROM t WHERE id BETWEEN 10 AND 39')).toEqual([
    [11, 5n, 167n],
    [12, 7n, 233n],
    [20, null, 150n],
    [21, null, 200n],
    [22, null, 325n],
    [30, 900n, null],
    [31, 961n, null],
    [32, 1024n, null],
  ]);
  expect(await world.run('INSERT INTO t (id) VALUES ((SELECT max(id) + 1 FROM t)), ((SELECT min(id) - 1 FROM t))')).toBe(
    'Inserted 2 row(s)',
  );
  expect(
    await world.run(
      'INSERT INTO t (id, n) SELECT id + 1000, n FROM (SELECT * FROM t UNION SELECT * FROM t) q WHERE id < 3 ORDER BY id DESC',
    ),
  ).toBe('Inserted 3 row(s)');
  await world.run('CREATE VIEW app.joined AS SELECT t.id, s.w FROM app.t JOIN app.s ON s.tid = t.id');
  expect(await world.run('INSERT INTO t (id, txt) SELECT id + 2000, max(w) FROM joined GROUP BY id')).toBe('Inserted 2 row(s)');
});

test('ON CONFLICT behind any query, and DO UPDATE with subqueries over the row that is there and the one that is not', async () => {
  const from = 'INSERT INTO t (id, n) SELECT tid, sum(d) FROM s GROUP BY tid ON CONFLICT (id)';
  expect(await world.run(`${from} DO NOTHING RETURNING id, n`)).toEqual([[9, 1n]]);
  expect(await world.run(`${from} DO UPDATE SET n = t.n + excluded.n`)).toBe('Inserted 3 row(s)');
  expect(await world.run('SELECT n FROM t')).toEqual([[18n], [27n], [30n], [2n]]);
  const general = `INSERT INTO t AS x (id, n, txt) VALUES (1, 100, 'new'), (50, 5, 'fresh') ON CONFLICT (id) DO UPDATE
    SET n = x.n + excluded.n + (SELECT count(*) FROM s WHERE s.tid = excluded.id), (txt, flag) = (SELECT max(w) || excluded.txt, false FROM s)`;
  expect(await world.run(`${general} RETURNING id, n, txt, flag`)).toEqual([
    [1, 120n, 'znew', false],
    [50, 5n, 'fresh', true],
  ]);
  expect(await world.run(`${general} WHERE x.n > (SELECT max(d) FROM s) RETURNING id, n`)).toEqual([[1, 222n]]);
  expect(await world.outcome(general.replace('(50,', '(1,'))).toMatch(/^CONFLICT_TWICE/);
  expect(await world.outcome(general.replace('x.n +', 'n +'))).toMatch(/^COLUMN_AMBIGUOUS/);
});

test.each([
  ['UPDATE t SET n = s.d FROM s', 'WHERE_REQUIRED'],
  ['UPDATE t SET id = s.d FROM s WHERE s.tid = t.id', 'KEY_UPDATE'],
  ['UPDATE t SET _seq = s.d FROM s WHERE s.tid = t.id', 'SYSTEM_COLUMN_WRITE'],
  ['UPDATE t SET nowhere = s.d FROM s WHERE s.tid = t.id', 'COLUMN_NOT_FOUND'],
  ['UPDATE t SET n = 1, n = s.d FROM s WHERE s.tid = t.id', 'INVALID_OPERATION'],
  ['UPDATE t SET n = s.w FROM s WHERE s.tid = t.id AND s.id = 1', 'INVALID_TEXT'],
  ['UPDATE t SET flag = s.d FROM s WHERE s.tid = t.id', 'COERCION_FAILED'],
  ['UPDATE t SET flag = NULL FROM s WHERE s.tid = t.id', 'NOT_NULL'],
  ['UPDATE t SET n = d FROM s WHERE s.tid = t.id', 'COLUMN_AMBIGUOUS'],
  ['UPDATE t SET n = 1 FROM t WHERE true', 'INVALID_OPERATION'],
  ['UPDATE t SET n = q.id FROM LATERAL (SELECT t.id) q WHERE true', 'COLUMN_NOT_FOUND'],
  ['UPDATE t SET n = sum(s.d) FROM s WHERE s.tid = t.id', 'AGGREGATE_MISUSE'],
  ['UPDATE t SET n = row_number() OVER () FROM s WHERE s.tid = t.id', 'AGGREGATE_MISUSE'],
  ['UPDATE t SET n = (SELECT d FROM s) WHERE id = 1', 'SUBQUERY_ROWS'],
  ['UPDATE t SET (n, txt) = (SELECT d FROM s LIMIT 1) WHERE id = 1', 'INVALID_OPERATION'],
  ['UPDATE t SET n = 1 / (s.d - 7) FROM s WHERE s.tid = t.id', 'DIVISION_BY_ZERO'],
  ['UPDATE t SET n = 1 FROM nowhere WHERE true', 'TABLE_NOT_FOUND'],
  ['UPDATE t SET n = 1 WHERE id = 1 RETURNING (SELECT 1)', 'NOT_IMPLEMENTED'],
  ['UPDATE t SET n = 1 FROM s WHERE s.tid = t.id RETURNING count(*)', 'AGGREGATE_MISUSE'],
  ['UPDATE e SET what = s.w FROM s WHERE s.id = e.id', 'STREAM_UPDATE'],
  ['DELETE FROM e USING s WHERE s.id = e.id', 'NOT_IMPLEMENTED'],
  ['DELETE FROM t USING s', 'WHERE_REQUIRED'],
  ["UPDATE system.users SET email = s.w FROM s WHERE s.w = 'x'", 'SYSTEM_TABLE_WRITE'],
  ['INSERT INTO t (id, n) SELECT s.tid, s.d FROM s JOIN t ON t.id = s.tid', 'DUPLICATE_KEY_IN_STATEMENT'],
  ['INSERT INTO t (id, n) SELECT DISTINCT s.tid, 1 FROM s JOIN t ON t.id = s.tid', 'DUPLICATE_KEY'],
  ['INSERT INTO t (id, n) SELECT a.id, a.w FROM s a JOIN s b ON true', 'COERCION_FAILED'],
  ['INSERT INTO t (id) SELECT a.id, b.id FROM s a JOIN s b ON true', 'INSERT_WIDTH'],
  ["INSERT INTO t (id, n) VALUES (60, (SELECT 'x'))", 'COERCION_FAILED'],
  ['INSERT INTO t (id, flag) VALUES (60, (SELECT NULL::BOOLEAN))', 'NOT_NULL'],
  ["INSERT INTO t (id, n) SELECT 60, INTERVAL '1 day' FROM s a JOIN s b ON true", 'COERCION_FAILED'],
  ['INSERT INTO t (id) SELECT g FROM generate_series(1000, 101100) AS x(g)', 'COMMIT_TOO_LARGE'],
])('%s fails with %s and leaves everything as it was', async (sql, code) => {
  const before = await world.run('SELECT *, _seq FROM t');
  expect(await world.outcome(sql)).toMatch(new RegExp(`^${code}:`));
  expect(await world.run('SELECT *, _seq FROM t')).toEqual(before);
});

test('sources need read rights, the table write rights, and nobody writes what they could not read', async () => {
  const update = 'UPDATE t SET txt = hidden.credentials FROM hidden WHERE hidden.tid = t.id RETURNING txt';
  for (const sql of [
    update,
    'DELETE FROM t USING hidden WHERE hidden.tid = t.id',
    'DELETE FROM t WHERE id IN (SELECT tid FROM hidden)',
    'INSERT INTO t (id, txt) SELECT 90 + h.id, credentials FROM hidden h JOIN s ON true',
    'INSERT INTO t (id, txt) VALUES (91, (SELECT credentials FROM hidden))',
    'INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET txt = (SELECT credentials FROM hidden)',
    'WITH x AS (SELECT * FROM hidden) INSERT INTO t (id) VALUES (92)',
    'WITH x AS (SELECT nowhere FROM hidden) DELETE FROM t WHERE false',
  ]) {
    expect(await world.outcome(sql, ANN), sql).toMatch(/^ACCESS_DENIED/);
  }
  expect(await world.outcome('UPDATE t SET n = s.d FROM s WHERE s.tid = t.id', ANN)).toMatch(/^ACCESS_DENIED.*write/);
  expect(await world.outcome("EXECUTE AS USER 'ann' (UPDATE t SET n = s.d FROM s WHERE s.tid = t.id)")).toMatch(/^EXECUTE_AS_SHARED/);
  expect(await world.run(update, SAM)).toEqual([['***']]);
  expect(await world.run('UPDATE hidden SET tid = s.d, credentials = credentials FROM s WHERE s.id = 1', SAM)).toBe('Updated 1 row(s)');
  expect(await world.run('SELECT tid, credentials FROM hidden')).toEqual([[5, 'secret']]);
});

test('partitions of users and EXECUTE AS USER', async () => {
  await world.run('CREATE USER TABLE app.own (id INT PRIMARY KEY, txt TEXT)');
  for (const who of [ROOT, ANN]) await world.run(`INSERT INTO own SELECT t.id, '${who.userId}' FROM t JOIN t u ON u.id = t.id`, who);
  expect(await world.run('UPDATE own SET txt = o.txt || s.w FROM own o, s WHERE o.id = own.id AND s.id = own.id', ANN)).toBe(
    'Updated 3 row(s)',
  );
  expect(await world.run("EXECUTE AS USER 'ann' (DELETE FROM own USING s WHERE s.id = own.id AND s.w = 'z')")).toBe('Deleted 1 row(s)');
  expect(await world.run('SELECT txt FROM own', ANN)).toEqual([['annx'], ['anny']]);
  expect(await world.run('SELECT txt FROM own')).toEqual([['root'], ['root'], ['root']]);
});

test('streams are sources, and take rows of any query', async () => {
  expect(await world.run('INSERT INTO e SELECT s.id, w || t.txt FROM s JOIN t ON t.id = s.tid RETURNING id, what')).toEqual([
    [1, 'xa'],
    [2, 'ya'],
    [3, 'zb'],
  ]);
  expect(await world.run("UPDATE t SET txt = e.what FROM e WHERE e.id = t.id AND e.what LIKE 'z%'")).toBe('Updated 1 row(s)');
  expect(await world.run('SELECT txt FROM t WHERE id = 3')).toEqual([['zb']]);
});

test('a transaction sees its own writes, at its snapshot, and a row that somebody else was faster with is CONFLICT', async () => {
  const [a, b] = [world.database.session(ROOT, { namespace: 'app' }).open(), world.database.session(ROOT, { namespace: 'app' })];
  await a.execute('BEGIN');
  await a.execute("INSERT INTO s VALUES (10, 3, 100, 'own')");
  await b.execute('UPDATE s SET d = 1000 WHERE id = 10');
  await b.execute("INSERT INTO s VALUES (11, 2, 500, 'later')");
  expect(await a.execute('UPDATE t SET n = t.n + s.d FROM s WHERE s.tid = t.id RETURNING t.id, n, s.w')).toMatchObject([
    {
      rows: [
        [1, 13n, 'y'],
        [2, 27n, 'z'],
        [3, 130n, 'own'],
      ],
    },
  ]);
  expect(await a.execute('DELETE FROM t USING s WHERE t.n = 130 AND s.id = 1')).toMatchObject([{ rowCount: 1 }]);
  await b.execute('UPDATE t SET n = 0 WHERE id = 2');
  await expect(a.execute('COMMIT')).rejects.toThrow(/Conflict/);
  expect(await table()).toEqual([
    [1, 10n, 'a'],
    [2, 0n, 'b'],
    [3, 30n, null],
  ]);
});

test('RETURNING knows the columns of all tables, and the written row as it is', async () => {
  const results = await world.results(
    'UPDATE t SET n = 0 FROM s WHERE s.tid = t.id AND s.id = 3 RETURNING *, t.n + s.d AS both, t._seq = s._seq AS same, upper(w)',
  );
  const [result] = results;
  if (result?.kind !== 'rows') throw new Error('no rows');
  expect(result.columns.map(({ name }) => name)).toEqual(
    'id n txt d flag _seq _deleted id tid d w _seq _deleted both same upper'.split(' '),
  );
  expect(result.columns[1]?.type).toEqual({ kind: 'bigint' });
  const [row] = result.rows;
  expect(row?.slice(0, 5)).toEqual([2, 0n, 'b', 250n, true]);
  expect(row?.slice(7, 11)).toEqual([3, 2, 7n, 'z']);
  expect(row?.slice(13)).toEqual([7n, false, 'Z']);
  expect(await world.run('SELECT _seq FROM t WHERE id = 2')).toEqual([[row?.[5]]]);
});

test('many rows are written in slices', async () => {
  expect(await world.run('INSERT INTO t (id, n) SELECT g, g % 7 FROM generate_series(100, 20099) AS x(g)')).toBe('Inserted 20000 row(s)');
  expect(await world.run('UPDATE t SET n = t.n + s.d FROM s WHERE s.id = t.n % 4 + 1 AND t.id >= 100')).toBe('Updated 20000 row(s)');
  const returned = (await world.run(
    'DELETE FROM t WHERE id IN (SELECT id FROM t WHERE id % 2 = 0 AND id >= 100) RETURNING id',
  )) as readonly Row[];
  expect(returned.length).toBe(10_000);
  expect(await world.run('SELECT count(*), sum(n) FROM t WHERE id >= 100')).toEqual(
    await world.run(
      'SELECT count(*), sum(g % 7 + d) FROM generate_series(100, 20099) AS x(g) JOIN s ON s.id = (g % 7) % 4 + 1 WHERE g % 2 = 1',
    ),
  );
  expect(world.database.figures().races).toEqual({ lost: 0, latched: 0 });
});

test('EXPLAIN shows what is written and read, and by which executor; only ANALYZE writes', async () => {
  const sql = 'UPDATE t SET n = s.d FROM s WHERE s.tid = t.id';
  const [[, logical], [, physical]] = (await world.run(`EXPLAIN ${sql}`)) as [Row, Row];
  expect(logical).toContain('Update: app.t');
  expect(logical).toContain('TableScan: app.s');
  expect(physical).toContain('executor=general');
  expect(await world.run('EXPLAIN DELETE FROM t WHERE id = 1')).toEqual([
    ['logical_plan', expect.stringContaining('Delete: app.t')],
    ['physical_plan', expect.stringContaining('executor=compiled')],
  ]);
  expect(await world.run('EXPLAIN INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET n = (SELECT max(d) FROM s)')).toEqual([
    ['logical_plan', expect.stringContaining('Insert: app.t')],
    ['physical_plan', expect.stringContaining('executor=general')],
  ]);
  expect(await world.run('SELECT n FROM t')).toEqual([[10n], [20n], [30n]]);
  expect(String(await world.run(`EXPLAIN ANALYZE ${sql}`))).toContain('rows=2');
  expect(await world.run('SELECT n FROM t')).toEqual([[3n], [7n], [30n]]);
});

test('parameters stand anywhere', async () => {
  expect(
    await world.run('UPDATE t SET n = t.n + $1, txt = $2 FROM s WHERE s.tid = t.id AND s.d = $3 RETURNING t.id, n, $2', ROOT, [
      5n,
      'p',
      7n,
    ]),
  ).toEqual([[2, 25n, 'p']]);
  expect(
    await world.run('INSERT INTO t (id, n, txt) VALUES ($1, (SELECT max(d) + $2 FROM s), $3) RETURNING id, n, txt', ROOT, [70n, 1n, 'q']),
  ).toEqual([[70, 8n, 'q']]);
});

test('subscribers hear of the changes', async () => {
  const heard = await world.follow('SELECT id, n FROM app.t');
  await world.run('UPDATE t SET n = s.d FROM s WHERE s.tid = t.id AND s.id = 3');
  await world.run('DELETE FROM t WHERE id IN (SELECT tid FROM s WHERE id = 1)');
  expect(heard.changes.map(({ change }) => change)).toEqual(['update', 'delete']);
  heard.close();
});
