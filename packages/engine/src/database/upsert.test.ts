import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StatementWorld } from './statement-world.fixture.ts';

const SESSIONS = 8;
const ROUNDS = 25;
let world: StatementWorld;

beforeEach(async () => {
  world = await StatementWorld.open();
  await world.run('CREATE SHARED TABLE app.t (id INT PRIMARY KEY, name TEXT NOT NULL, n INT DEFAULT 0)');
  await world.run("INSERT INTO t VALUES (1, 'a', 10), (2, 'b', 20)");
});
afterEach(() => world.close());

const ADD = 'ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n';

describe('ON CONFLICT DO NOTHING', () => {
  it('leaves the rows that are there and counts those that are not', async () => {
    expect(await world.run("INSERT INTO t VALUES (1, 'x', 1), (3, 'c', 30) ON CONFLICT DO NOTHING")).toBe('Inserted 1 row(s)');
    expect(await world.run("INSERT INTO t VALUES (1, 'x', 1) ON CONFLICT (id) DO NOTHING RETURNING *")).toEqual([]);
    expect(await world.run('SELECT id, n FROM t')).toEqual([
      [1, 10],
      [2, 20],
      [3, 30],
    ]);
  });

  it('takes the first of rows with one key', async () => {
    const sql = "INSERT INTO t VALUES (3, 'first', 1), (3, 'second', 2), (1, 'x', 1) ON CONFLICT DO NOTHING RETURNING id, name";
    expect(await world.run(sql)).toEqual([[3, 'first']]);
  });

  it('inserts over a tombstone', async () => {
    await world.run('DELETE FROM t WHERE id = 1');
    expect(await world.run("INSERT INTO t VALUES (1, 'again', 1) ON CONFLICT DO NOTHING RETURNING name")).toEqual([['again']]);
  });
});

describe('ON CONFLICT DO UPDATE', () => {
  it('updates out of both rows, with the columns of each by their qualifier', async () => {
    expect(
      await world.run(`INSERT INTO t VALUES (1, 'x', 5), (3, 'c', 7) ${ADD}, name = excluded.name || t.name RETURNING id, name, n`),
    ).toEqual([
      [1, 'xa', 15],
      [3, 'c', 7],
    ]);
    const aliased = "INSERT INTO t AS old VALUES (1, 'y', 1) ON CONFLICT (id) DO UPDATE SET n = old.n * 2, name = DEFAULT";
    expect(await world.outcome(aliased)).toContain('NOT_NULL');
    expect(await world.run(aliased.replace('DEFAULT', "'z'"))).toBe('Inserted 1 row(s)');
    expect(await world.run('SELECT name, n FROM t WHERE id = 1')).toEqual([['z', 30]]);
    const pair =
      "INSERT INTO app.t (id, name) VALUES (2, 'q') ON CONFLICT (id) DO UPDATE SET (name, n) = (excluded.name, app.t.n + excluded.n + 1)";
    await world.run(pair);
    expect(await world.run('SELECT name, n FROM t WHERE id = 2')).toEqual([['q', 21]]);
  });

  it('counts every row that it writes, equal values too, and none that its WHERE does not want', async () => {
    expect(await world.run("INSERT INTO t VALUES (1, 'a', 0) ON CONFLICT (id) DO UPDATE SET n = t.n")).toBe('Inserted 1 row(s)');
    const where = `${ADD} WHERE t.n < excluded.n`;
    expect(await world.run(`INSERT INTO t VALUES (1, 'a', 5), (2, 'b', 25) ${where}`)).toBe('Inserted 1 row(s)');
    expect(await world.run(`INSERT INTO t VALUES (1, 'a', 5), (2, 'b', 90) ${where} RETURNING id, n`)).toEqual([[2, 135]]);
    expect(await world.run('SELECT id, n FROM t')).toEqual([
      [1, 10],
      [2, 135],
    ]);
  });

  it('does not come to one row twice', async () => {
    for (const key of [1, 9]) {
      const outcome = await world.outcome(`INSERT INTO t VALUES (${key}, 'x', 1), (${key}, 'y', 1) ${ADD}`);
      expect(outcome).toContain(
        `CONFLICT_TWICE: Constraint violation: ON CONFLICT DO UPDATE command cannot affect row a second time: value '${key}'`,
      );
    }
    // PostgreSQL: a row that the WHERE clause spared may be looked at again.
    const spared = `INSERT INTO t VALUES (1, 'x', 1), (1, 'y', 50) ${ADD} WHERE t.n < excluded.n RETURNING n`;
    expect(await world.run(spared)).toEqual([[60]]);
    expect(await world.run('SELECT count(*) FROM t')).toEqual([[2n]]);
  });

  it('checks NOT NULL of the row that is proposed and of the one that comes out', async () => {
    expect(await world.outcome(`INSERT INTO t (id, n) VALUES (1, 1) ${ADD}`)).toContain('NOT_NULL');
    expect(await world.outcome("INSERT INTO t VALUES (2, 'x', 1) ON CONFLICT (id) DO UPDATE SET name = NULL")).toContain('NOT_NULL');
  });

  it('takes parameters, literals and texts of a SELECT', async () => {
    const sql = 'INSERT INTO t VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET n = t.n + $3 WHERE t.name <> $4 RETURNING n';
    expect(await world.run(sql, undefined, [1n, 'x', 4n, 'zz'])).toEqual([[14]]);
    expect(await world.run(sql, undefined, [1n, 'x', 4n, 'a'])).toEqual([]);
    for (const n of [1, 2, 3]) await world.run(`INSERT INTO t VALUES (1, 'x', 0) ON CONFLICT (id) DO UPDATE SET n = ${n}, name = 'n${n}';`);
    expect(await world.run('SELECT name, n FROM t WHERE id = 1')).toEqual([['n3', 3]]);
    expect(await world.run(`INSERT INTO t SELECT id + 1, name, 100 FROM t ${ADD} RETURNING id, n`)).toEqual([
      [2, 120],
      [3, 100],
    ]);
  });

  it.each([
    [
      'ON CONFLICT (name) DO NOTHING',
      "CONFLICT_TARGET: Invalid operation: there is no unique or exclusion constraint matching the ON CONFLICT specification: only the primary key of 'app.t' can be named (id)",
    ],
    ['ON CONFLICT (id, name) DO NOTHING', 'CONFLICT_TARGET'],
    ['ON CONFLICT (nothing) DO NOTHING', 'COLUMN_NOT_FOUND'],
    ['ON CONFLICT (lower(name)) DO NOTHING', 'NOT_IMPLEMENTED: Not implemented: expressions in the target of ON CONFLICT'],
    ['ON CONFLICT (id) WHERE n > 1 DO NOTHING', 'NOT_IMPLEMENTED: Not implemented: WHERE in the target'],
    ['ON CONFLICT ON CONSTRAINT t_pkey DO NOTHING', 'NOT_IMPLEMENTED: Not implemented: ON CONFLICT ON CONSTRAINT'],
    [
      'ON CONFLICT DO UPDATE SET n = 1',
      'INVALID_OPERATION: Invalid operation: ON CONFLICT DO UPDATE must name the primary key: ON CONFLICT (id) DO UPDATE',
    ],
    ['ON CONFLICT (id) DO UPDATE SET id = 5', 'KEY_UPDATE'],
    ['ON CONFLICT (id) DO UPDATE SET n = n + 1', "COLUMN_AMBIGUOUS: Execution error: Column reference 'n' is ambiguous"],
    ['ON CONFLICT (id) DO UPDATE SET n = excluded.nothing', 'COLUMN_NOT_FOUND'],
    ['ON CONFLICT (id) DO UPDATE SET n = excluded._seq', 'COLUMN_NOT_FOUND'],
    ['ON CONFLICT (id) DO UPDATE SET n = 1, n = 2', 'INVALID_OPERATION'],
    ['ON CONFLICT (id) DO UPDATE SET _seq = 2', 'SYSTEM_COLUMN_WRITE'],
    ['ON CONFLICT (id) DO UPDATE SET n = count(*)', 'AGGREGATE_MISUSE'],
    ['ON CONFLICT (id) DO UPDATE SET n = 1 / 0', 'DIVISION_BY_ZERO'],
    ['ON CONFLICT', 'SYNTAX'],
  ])('is refused: %s', async (clause, outcome) => {
    expect(await world.outcome(`INSERT INTO t VALUES (1, 'x', 1) ${clause}`)).toContain(outcome);
    expect(await world.run('SELECT id, n FROM t')).toEqual([
      [1, 10],
      [2, 20],
    ]);
  });
});

describe('upserts', () => {
  it('of one key by many sessions all succeed', async () => {
    const session = async (number: number): Promise<void> => {
      for (let round = 0; round < ROUNDS; round++) {
        const key = round % 3 === 0 ? 7 : 100 + number;
        expect(await world.outcome(`INSERT INTO t VALUES (${key}, 's${number}', 1) ${ADD}`)).toBe('Inserted 1 row(s)');
      }
    };
    await Promise.all(Array.from({ length: SESSIONS }, (_, number) => session(number)));
    expect(await world.run('SELECT sum(n), count(*) FROM t WHERE id >= 7')).toEqual([[BigInt(SESSIONS * ROUNDS), BigInt(SESSIONS + 1)]]);
  });

  it('are the inserts and updates that they were to subscribers', async () => {
    const { changes } = await world.follow('SELECT * FROM app.t');
    await world.run(`INSERT INTO t VALUES (1, 'a', 1), (3, 'c', 1) ${ADD}`);
    await world.run("INSERT INTO t VALUES (1, 'a', 1) ON CONFLICT DO NOTHING");
    await world.run('DELETE FROM t WHERE id = 3');
    await world.run(`INSERT INTO t VALUES (3, 'c', 4) ${ADD}`);
    expect(changes.map(({ change, rows }) => [change, rows.map(({ id, n }) => [id, n])])).toEqual([
      ['update', [[1, 11]]],
      ['insert', [[3, 1]]],
      ['delete', []],
      ['insert', [[3, 4]]],
    ]);
  });

  it('of many rows go in slices and say what they did', async () => {
    const values = (from: number, count: number): string => Array.from({ length: count }, (_, i) => `(${from + i}, 'x', 1)`).join(', ');
    expect(await world.run(`INSERT INTO t VALUES ${values(100, 3000)} ${ADD}`)).toBe('Inserted 3000 row(s)');
    expect(await world.run(`INSERT INTO t VALUES ${values(1100, 3000)} ${ADD} + 1 WHERE t.id % 2 = 0`)).toBe('Inserted 2000 row(s)');
    expect(await world.run(`INSERT INTO t VALUES ${values(100, 4001)} ON CONFLICT DO NOTHING RETURNING id`)).toEqual([[4100]]);
    expect(await world.run('SELECT sum(n), count(*) FROM t WHERE id >= 100')).toEqual([[4000n + 2000n + 1n, 4001n]]);
    const again = values(5000, 1500);
    expect(await world.outcome(`INSERT INTO t VALUES ${again}, ${again} ${ADD}`)).toContain('CONFLICT_TWICE');
    expect(await world.run(`INSERT INTO t VALUES ${again}, ${again} ON CONFLICT DO NOTHING`)).toBe('Inserted 1500 row(s)');
  });

  it('in transactions: the first to commit wins, and the other may try again', async () => {
    const upsert = (n: number): string => `INSERT INTO t VALUES (1, 'a', ${n}), (9, 'i', ${n}) ${ADD}`;
    expect(await world.run(`BEGIN; ${upsert(1)}; ${upsert(2)}; COMMIT; SELECT id, n FROM t WHERE id IN (1, 9)`)).toEqual([
      [1, 13],
      [9, 3],
    ]);
    const other = world.database.session({ userId: 'root', role: 'system' }, { namespace: 'app' }).open();
    const sql = async (text: string): Promise<void> => void (await other.execute(text));
    await sql('BEGIN');
    await sql(`INSERT INTO t VALUES (50, 'x', 1) ${ADD}`);
    await world.run(`INSERT INTO t VALUES (50, 'y', 1) ${ADD}`);
    await expect(sql('COMMIT')).rejects.toMatchObject({ failure: { error: { code: 'CONFLICT' } } });
    await other.end();
    expect(await world.run('SELECT name, n FROM t WHERE id = 50')).toEqual([['y', 1]]);
  });
});
