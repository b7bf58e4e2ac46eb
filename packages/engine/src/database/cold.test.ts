import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import type { LiveFrame } from '../live/frame.ts';
import { ROOT, StatementWorld } from './statement-world.fixture.ts';

const ANN: Principal = { userId: 'ann', role: 'user' };
const BOB: Principal = { userId: 'bob', role: 'user' };

let directory: string;
let world: StatementWorld;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kalamdb-cold-'));
  world = await StatementWorld.open({ directory });
  await world.run('CREATE SHARED TABLE app.t (id INT PRIMARY KEY, name TEXT, n BIGINT)');
});

afterEach(async () => {
  await world.close();
  rmSync(directory, { recursive: true, force: true });
});

async function reopen(): Promise<void> {
  await world.close();
  world = await StatementWorld.open({ directory });
}

/** The files of segments, with their folders. */
function files(): readonly string[] {
  const found = readdirSync(join(directory, 'storage'), { recursive: true, withFileTypes: true });
  return found.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

const numbers = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, n) => `(${from + n}, 'r${from + n}', ${from + n})`).join(', ');

describe('rows in segments', () => {
  it('are read, changed and deleted as before, and after a restart too', async () => {
    await world.run("INSERT INTO t VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30)");
    expect(await world.flush('t')).toEqual({ rows: 3, files: 1 });
    expect(await world.run('SELECT id, name, n, _deleted FROM t')).toEqual([
      [1, 'a', 10n, false],
      [2, 'b', 20n, false],
      [3, 'c', 30n, false],
    ]);
    expect(await world.run('SELECT COUNT(*) FROM t')).toEqual([[3n]]);
    expect(await world.run('SELECT name FROM t WHERE id = 2')).toEqual([['b']]);
    expect(await world.run('UPDATE t SET n = n + 1 WHERE id = 2')).toBe('Updated 1 row(s)');
    expect(await world.run('DELETE FROM t WHERE n > 25')).toBe('Deleted 1 row(s)');
    expect(await world.outcome("INSERT INTO t VALUES (1, 'x', 0)")).toContain('DUPLICATE_KEY');
    expect(await world.run("INSERT INTO t VALUES (3, 'again', 0), (4, 'd', 40)")).toBe('Inserted 2 row(s)');
    const rows = [
      [1, 'a', 10n],
      [2, 'b', 21n],
      [3, 'again', 0n],
      [4, 'd', 40n],
    ];
    for (const step of ['flush', 'reopen'] as const) {
      expect(await world.run('SELECT id, name, n FROM t')).toEqual(rows);
      expect(await world.run('SELECT COUNT(*) FROM t')).toEqual([[4n]]);
      if (step === 'flush') expect(await world.flush('t')).toEqual({ rows: 3, files: 1 });
      else await reopen();
    }
    expect(await world.run('SELECT id, name, n FROM t')).toEqual(rows);
    expect(await world.run('SELECT COUNT(*) FROM t')).toEqual([[4n]]);
    expect(await world.flush('t')).toEqual({ rows: 0, files: 0 });
  });

  it('keep their _seq and what was deleted', async () => {
    await world.run("INSERT INTO t VALUES (1, 'a', 10), (2, 'b', 20)");
    await world.run('DELETE FROM t WHERE id = 1');
    const queries = ['SELECT id, name, _seq FROM t WHERE _deleted = true', 'SELECT id, name, _seq FROM t'];
    const before = [await world.run(queries[0] ?? ''), await world.run(queries[1] ?? '')];
    expect(before).toMatchObject([[[1, 'a', expect.anything()]], [[2, 'b', expect.anything()]]]);
    await world.flush('t');
    expect([await world.run(queries[0] ?? ''), await world.run(queries[1] ?? '')]).toEqual(before);
    expect(await world.run('UPDATE t SET n = 1 WHERE id = 1')).toBe('Updated 0 row(s)');
    expect(await world.run("INSERT INTO t VALUES (1, 'new', 1)")).toBe('Inserted 1 row(s)');
    expect(await world.run('SELECT COUNT(*) FROM t')).toEqual([[2n]]);
  });

  it('are written in commits of many rows, and found by what was written to many at once', async () => {
    await world.run(`INSERT INTO t VALUES ${numbers(0, 3000)}`);
    await world.flush('t');
    expect(await world.run('UPDATE t SET n = n + 1 WHERE id >= 500')).toBe('Updated 2500 row(s)');
    expect(await world.run('DELETE FROM t WHERE id < 1500')).toBe('Deleted 1500 row(s)');
    expect(await world.run('SELECT COUNT(*), SUM(n) FROM t')).toEqual([[1500n, 3_375_750n]]);
    expect(await world.outcome(`INSERT INTO t VALUES ${numbers(1400, 2600)}`)).toContain('DUPLICATE_KEY');
    await world.flush('t');
    expect(await world.run('SELECT COUNT(*) FROM t')).toEqual([[1500n]]);
    expect(await world.run(`INSERT INTO t VALUES ${numbers(0, 1500)}`)).toBe('Inserted 1500 row(s)');
    expect(await world.run('SELECT COUNT(*), COUNT(name) FROM t')).toEqual([[3000n, 3000n]]);
    expect(await world.run('SELECT id FROM t WHERE id >= 1498 LIMIT 4')).toEqual([[1498], [1499], [1500], [1501]]);
  });

  it('are read by one row of a statement or by none: of many inserts of one key exactly one succeeds while rows are flushed', async () => {
    for (let round = 0; round < 12; round++) {
      const inserts = Array.from({ length: 4 }, (_, n) => world.outcome(`INSERT INTO t VALUES (${round % 3}, 'n${n}', ${n})`));
      const outcomes = await Promise.all([world.flush('t'), ...inserts]);
      expect(outcomes.filter((outcome) => outcome === 'Inserted 1 row(s)')).toHaveLength(1);
      const deletes = Array.from({ length: 3 }, () => world.outcome(`DELETE FROM t WHERE id = ${round % 3}`));
      const deleted = await Promise.all([world.flush('t'), ...deletes]);
      expect(deleted.filter((outcome) => outcome === 'Deleted 1 row(s)')).toHaveLength(1);
    }
    const { lookUps, segments } = world.database.cold ?? {};
    expect(lookUps?.counts.reads).toBeGreaterThan(0);
    expect(segments?.counts.found).toBeGreaterThan(0);
  });

  it('are those of their owner', async () => {
    await world.run('CREATE USER TABLE app.notes (id INT PRIMARY KEY, body TEXT)');
    for (const user of [ANN, BOB]) await world.run(`INSERT INTO notes VALUES (1, '${user.userId}')`, user);
    expect(await world.flush('notes', 'ann')).toEqual({ rows: 1, files: 1 });
    expect(await world.flush('notes', 'bob')).toEqual({ rows: 1, files: 1 });
    for (const user of [ANN, BOB]) expect(await world.run('SELECT body FROM notes', user)).toEqual([[user.userId]]);
    for (const user of [ANN, BOB]) {
      const shown = (await world.run('SHOW MANIFEST', user)) as readonly (readonly unknown[])[];
      expect(shown.map(([key, , , scope]) => [key, scope])).toEqual([[`app:notes:${user.userId}`, user.userId]]);
    }
  });
});

describe('a transaction over rows in segments', () => {
  it('sees its own writes over them and becomes one commit, whatever is flushed meanwhile', async () => {
    await world.run(`INSERT INTO t VALUES ${numbers(0, 5)}`);
    await world.flush('t');
    const request = world.database.session(ROOT, { namespace: 'app' }).open();
    const rows = async (sql: string): Promise<unknown> => {
      const result = (await request.execute(sql)).at(-1);
      return result?.kind === 'rows' ? result.rows : result?.message;
    };
    await rows('BEGIN');
    expect(await rows('UPDATE t SET n = 100 WHERE id = 1')).toBe('Updated 1 row(s)');
    await rows('SAVEPOINT a');
    expect(await rows('DELETE FROM t WHERE n >= 3')).toBe('Deleted 3 row(s)');
    expect(await rows('SELECT id, n FROM t')).toEqual([
      [0, 0n],
      [2, 2n],
    ]);
    expect(await rows('SELECT COUNT(*) FROM t')).toEqual([[2n]]);
    await rows('ROLLBACK TO a');
    await world.run("INSERT INTO t VALUES (9, 'other', 9)");
    await world.flush('t');
    expect(await rows('SELECT COUNT(*) FROM t')).toEqual([[5n]]);
    await rows('COMMIT');
    request.end();
    expect(await world.run('SELECT id, n FROM t WHERE id IN (1, 9)')).toEqual([
      [1, 100n],
      [9, 9n],
    ]);
    expect(await world.run('SELECT COUNT(*) FROM t')).toEqual([[6n]]);
  });

  it('loses to whoever committed first, also when that row is cold by then', async () => {
    await world.run(`INSERT INTO t VALUES ${numbers(0, 3)}`);
    await world.flush('t');
    const request = world.database.session(ROOT, { namespace: 'app' }).open();
    await request.execute('BEGIN');
    await request.execute('UPDATE t SET n = 7 WHERE id = 1');
    await world.run('UPDATE t SET n = 8 WHERE id = 1');
    await world.flush('t');
    await expect(request.execute('COMMIT')).rejects.toMatchObject({ failure: { error: { code: 'CONFLICT' } } });
    request.end();
    expect(await world.run('SELECT n FROM t WHERE id = 1')).toEqual([[8n]]);
  });
});

describe('an altered table', () => {
  it('reads its older segments by the ids of their columns', async () => {
    await world.run('CREATE SHARED TABLE app.s (id INT PRIMARY KEY, a INT, b TEXT)');
    await world.run("INSERT INTO s VALUES (1, 10, 'x'), (2, NULL, 'y')");
    await world.flush('s');
    expect(await world.outcome('ALTER TABLE s ADD COLUMN must INT NOT NULL')).toContain('INVALID_OPERATION');
    await world.run('ALTER TABLE s ADD COLUMN c INT NOT NULL DEFAULT 5');
    await world.run('ALTER TABLE s RENAME COLUMN b TO title');
    await world.run('ALTER TABLE s MODIFY COLUMN a BIGINT');
    await world.run('ALTER TABLE s RENAME COLUMN id TO key');
    expect(await world.outcome('ALTER TABLE s ALTER COLUMN a SET NOT NULL')).not.toContain('successfully');
    const rows = [
      [1, 10n, 'x', 5],
      [2, null, 'y', 5],
    ];
    expect(await world.run('SELECT key, a, title, c FROM s')).toEqual(rows);
    expect(await world.run('SELECT title FROM s WHERE key = 2')).toEqual([['y']]);
    expect(await world.run('UPDATE s SET a = a + 1, c = 6 WHERE key = 1')).toBe('Updated 1 row(s)');
    await world.run('ALTER TABLE s DROP COLUMN title');
    await world.flush('s');
    await reopen();
    expect(await world.run('SELECT key, a, c FROM s')).toEqual([
      [1, 11n, 6],
      [2, null, 5],
    ]);
  });
});

describe('a dropped table', () => {
  it('leaves no file, and a table of the same name begins anew', async () => {
    await world.run(`INSERT INTO t VALUES ${numbers(0, 3)}`);
    await world.flush('t');
    expect(files()).toEqual(expect.arrayContaining(['batch-0.parquet', 'batch-0.bloom', 'manifest.json']));
    await world.run('DROP TABLE t');
    await world.run('CREATE SHARED TABLE app.t (id INT PRIMARY KEY, name TEXT, n BIGINT)');
    expect(await world.run('SELECT COUNT(*) FROM t')).toEqual([[0n]]);
    await expect.poll(() => files(), { timeout: 10_000 }).toEqual([]);
    await world.run(`INSERT INTO t VALUES ${numbers(0, 2)}`);
    await world.flush('t');
    expect(await world.run('SELECT COUNT(*) FROM t')).toEqual([[2n]]);
  });
});

describe('a flush policy', () => {
  it.each([
    ['rows:100', 120],
    ['interval:1', 3],
  ])('%s flushes a table by itself', async (policy, count) => {
    await world.close();
    const jobs = { flushCheckMillis: 100 };
    world = await StatementWorld.open({ directory, jobs });
    await world.run(`CREATE SHARED TABLE app.p (id INT PRIMARY KEY, name TEXT, n BIGINT) WITH (FLUSH_POLICY = '${policy}')`);
    await world.run(`INSERT INTO p VALUES ${numbers(0, count)}`);
    await world.run(`INSERT INTO t VALUES ${numbers(0, count)}`);
    await expect.poll(files, { timeout: 15_000 }).toContain('batch-0.parquet');
    const done = "SELECT message FROM system.jobs WHERE job_type = 'flush' AND status = 'completed'";
    await expect
      .poll(() => world.run(done), { timeout: 15_000 })
      .toEqual([[`{"message":"Flushed app:p successfully (${count} rows, 1 files)"}`]]);
    expect(await world.run('SELECT COUNT(*) FROM p')).toEqual([[BigInt(count)]]);
  });
});

/** What a client has put together, by key. */
class Client {
  readonly rows = new Map<number, unknown>();
  lastSeq = 0n;
  batches = 0;

  deliver(frame: LiveFrame): void {
    if (frame.kind === 'batch') {
      this.batches += 1;
      for (const text of frame.rows) this.#put(JSON.parse(text));
    }
    if (frame.kind !== 'change') return;
    const { change_type: type, rows, old_values: old } = JSON.parse(`{${frame.body.json()}}`);
    if (type === 'delete') this.rows.delete(old[0].id);
    else this.#put(rows[0]);
    const [changed] = type === 'delete' ? old : rows;
    this.lastSeq = BigInt(changed._seq);
  }

  #put(row: { readonly id: number; readonly n: unknown; readonly _seq: string }): void {
    this.rows.set(row.id, row.n);
    if (BigInt(row._seq) > this.lastSeq) this.lastSeq = BigInt(row._seq);
  }
}

describe('a live query over rows in segments', () => {
  const live = (): boolean => world.database.live.list().every(({ state }) => state === 'live');

  it('begins with them and resumes behind them', async () => {
    await world.run(`INSERT INTO t VALUES ${numbers(0, 2500)}`);
    await world.flush('t');
    await world.run('UPDATE t SET n = -1 WHERE id = 3');
    const client = new Client();
    const first = world.database.live.connect(ROOT, { connectionId: 'c1', sink: client });
    await first.subscribe({ id: 's', sql: 'SELECT * FROM app.t WHERE n < 1000', options: {} });
    await expect.poll(() => client.rows.size, { timeout: 10_000 }).toBe(1000);
    await expect.poll(live).toBe(true);
    await world.run("INSERT INTO t VALUES (9000, 'late', 5)");
    await expect.poll(() => client.rows.has(9000)).toBe(true);
    first.close();

    await world.run('DELETE FROM t WHERE id < 10');
    await world.run('UPDATE t SET n = 5000 WHERE id = 20');
    await world.run('UPDATE t SET n = 50 WHERE id = 2000');
    await world.flush('t');
    // Beyond the tail: what is missed is found in the segments.
    await reopen();
    const again = world.database.live.connect(ROOT, { connectionId: 'c2', sink: client });
    const { batches, lastSeq } = client;
    await again.subscribe({ id: 's', sql: 'SELECT * FROM app.t WHERE n < 1000', options: { from: lastSeq } });
    await expect.poll(live).toBe(true);
    expect(client.batches).toBeGreaterThan(batches);
    const expected = (await world.run('SELECT id, n FROM t WHERE n < 1000')) as (readonly [number, bigint])[];
    await expect.poll(() => client.rows.size).toBe(expected.length);
    expect([...client.rows].sort(([a], [b]) => a - b)).toEqual(expected.map(([id, n]) => [id, String(n)]));
    again.close();
  });

  it('finds the newest rows there', async () => {
    await world.run(`INSERT INTO t VALUES ${numbers(0, 50)}`);
    await world.flush('t');
    const client = new Client();
    const connection = world.database.live.connect(ROOT, { connectionId: 'c', sink: client });
    await connection.subscribe({ id: 's', sql: 'SELECT * FROM app.t', options: { lastRows: 3 } });
    await expect.poll(() => [...client.rows.keys()]).toEqual([47, 48, 49]);
    connection.close();
  });
});
