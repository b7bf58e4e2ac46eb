import type { Row } from '@kalamdb/protocol';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import type { LiveFrame } from '../live/frame.ts';
import { StatementError } from '../session/statement-error.ts';
import { ALTER_STEP, AlterModel, type AlterStep, stepSql } from './alter-model.fixture.ts';
import type { Database } from './database.ts';
import { MemoryDisk } from './memory-disk.fixture.ts';
import { databaseOn, openDatabase } from './open-database.ts';

const root: Principal = { userId: 'root', role: 'system' };

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

async function openOn(disk: MemoryDisk): Promise<Database> {
  return databaseOn(await disk.open(), { directory: undefined, durability: 'relaxed' });
}

async function open(): Promise<Database> {
  const database = await openDatabase({ directory: undefined, durability: 'relaxed' });
  cleanups.push(() => database.close());
  return database;
}

async function run(database: Database, sql: string): Promise<{ readonly rows: readonly Row[]; readonly message: string }> {
  const last = (await database.session(root).execute(sql)).at(-1);
  return last?.kind === 'rows' ? { rows: last.rows, message: '' } : { rows: [], message: last?.message ?? '' };
}

async function refusal(database: Database, sql: string): Promise<string> {
  try {
    await run(database, sql);
  } catch (error) {
    if (error instanceof StatementError) return error.failure.error.message;
    throw error;
  }
  return 'done';
}

async function withTable(database: Database, columns = 'id INT PRIMARY KEY, a INT, b TEXT'): Promise<void> {
  await run(database, 'CREATE NAMESPACE IF NOT EXISTS app');
  await run(database, `CREATE TABLE app.t (${columns})`);
}

/** What a client has put together from the frames of one subscription, by key; and how the subscription ended. */
class Follower {
  readonly rows = new Map<number, Record<string, unknown>>();
  ended: string | undefined;

  deliver(frame: LiveFrame): void {
    if (frame.kind === 'batch') for (const text of frame.rows) this.#put(JSON.parse(text));
    if (frame.kind === 'error') this.ended = frame.message;
    if (frame.kind !== 'change') return;
    const { change_type: type, rows, old_values: old } = JSON.parse(`{${frame.body.json()}}`);
    if (type === 'delete') this.rows.delete(old[0].id);
    else this.#put(rows[0]);
  }

  #put(row: Record<string, unknown> & { readonly id?: number }): void {
    this.rows.set(row.id ?? -1, { ...this.rows.get(row.id ?? -1), ...row });
  }
}

async function follow(database: Database, sql: string, id = 's'): Promise<Follower> {
  const follower = new Follower();
  const connection = database.live.connect(root, { connectionId: id, sink: follower });
  await connection.subscribe({ id, sql, options: {} });
  return follower;
}

/** Lets everything that is on its way to live queries arrive. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))));

describe('ALTER TABLE', () => {
  it('answers every SELECT as a table of plain objects does, whatever is altered, written and reopened in between', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(ALTER_STEP, { minLength: 5, maxLength: 30 }), async (steps) => {
        const disk = new MemoryDisk();
        let database = await openOn(disk);
        const model = new AlterModel();
        await withTable(database, model.definition());
        for (const step of steps) {
          if (step.kind === 'reopen') {
            await database.close();
            database = await openOn(disk);
          } else await check(database, model, step);
          expect((await run(database, 'SELECT * FROM app.t')).rows.map((row) => row.slice(0, -2))).toEqual(model.rows());
        }
        await database.close();
      }),
      { numRuns: 30 },
    );
    expect(Math.min(...Object.values(AlterModel.counts))).toBeGreaterThan(0);
  }, 60_000);

  async function check(database: Database, model: AlterModel, step: Exclude<AlterStep, { kind: 'reopen' }>): Promise<void> {
    const sql = stepSql(step, model);
    if (sql === undefined) return;
    const expected = model.apply(step);
    const outcome = await refusal(database, sql);
    expect({ sql, refused: outcome !== 'done' }).toEqual({ sql, refused: !expected });
  }

  it('keeps what a statement and a transaction read that began before', async () => {
    const database = await open();
    await withTable(database);
    await run(database, "INSERT INTO app.t VALUES (1, 1, 'x')");
    const request = database.session(root).open();
    await request.execute('BEGIN');
    await request.execute('SELECT * FROM app.t');
    await run(database, 'ALTER TABLE app.t DROP COLUMN a');
    await expect(request.execute('SELECT * FROM app.t')).rejects.toMatchObject({ failure: { error: { code: 'CONFLICT' } } });
    request.end();
    expect((await run(database, 'SELECT * FROM app.t')).rows.map((row) => row.slice(0, 2))).toEqual([[1, 'x']]);
  });

  it('refuses the writes of a transaction that planned them for the older version', async () => {
    const database = await open();
    await withTable(database);
    const request = database.session(root).open();
    await request.execute('BEGIN');
    await request.execute("INSERT INTO app.t VALUES (1, 1, 'x')");
    await run(database, 'ALTER TABLE app.t ADD COLUMN c INT');
    await expect(request.execute('COMMIT')).rejects.toMatchObject({ failure: { error: { code: 'CONFLICT', spec: { retryable: true } } } });
    request.end();
    expect((await run(database, 'SELECT * FROM app.t')).rows).toEqual([]);
  });

  it('checks the rows of every owner before a column must not be NULL', async () => {
    const database = await open();
    await run(database, 'CREATE NAMESPACE app; CREATE USER TABLE app.u (id INT PRIMARY KEY, a INT)');
    await run(database, "EXECUTE AS USER 'alice' (INSERT INTO app.u VALUES (1, NULL))");
    expect(await refusal(database, 'ALTER TABLE app.u ALTER COLUMN a SET NOT NULL')).toContain("Column 'a' holds NULL");
    expect(await refusal(database, 'ALTER TABLE app.u ADD COLUMN c INT NOT NULL')).toContain('needs a DEFAULT');
    expect(await refusal(database, 'ALTER TABLE app.u ADD COLUMN c TEXT NOT NULL DEFAULT UUID_V7()')).toContain('existing rows can share');
    await run(database, "EXECUTE AS USER 'alice' (DELETE FROM app.u WHERE id = 1)");
    expect((await run(database, 'ALTER TABLE app.u ALTER COLUMN a SET NOT NULL')).message).toContain('altered successfully');
  });

  it('says what it did, and that there was nothing to do', async () => {
    const database = await open();
    await withTable(database, 'id INT PRIMARY KEY, n INT, e EMBEDDING(2)');
    const say = async (operation: string): Promise<string> => (await run(database, `ALTER TABLE app.t ${operation}`)).message;
    expect(await say('ADD COLUMN c DECIMAL(10, 2)')).toBe('Table app.t altered successfully: ADD COLUMN c DECIMAL(10, 2) (version 2)');
    expect(await say('ADD COLUMN IF NOT EXISTS c INT')).toBe('Table app.t unchanged: ADD COLUMN c INT (version 2 - no changes needed)');
    expect(await say('RENAME COLUMN c TO d')).toBe('Table app.t altered successfully: RENAME COLUMN c TO d (version 3)');
    expect(await say("ALTER COLUMN n SET DEFAULT 'x'").catch(() => 'refused')).toBe('refused');
    expect(await say('ALTER COLUMN n SET DEFAULT 5')).toBe('Table app.t altered successfully: ALTER COLUMN n SET DEFAULT 5 (version 4)');
    expect(await say('ALTER COLUMN n TYPE BIGINT')).toBe('Table app.t altered successfully: MODIFY COLUMN n BIGINT (version 5)');
    expect(await say('CREATE VECTOR INDEX e USING L2')).toBe('Vector index enabled on app.t.e (L2)');
    expect(await say('DROP INDEX e')).toBe('Vector index disabled on app.t.e');
    expect(await say('DROP COLUMN IF EXISTS nope')).toContain('unchanged');
    expect((await run(database, 'ALTER TABLE IF EXISTS app.nope DROP COLUMN a')).message).toBe('Table app.nope does not exist (skipped)');
    for (const [operation, reason] of [
      ['DROP COLUMN id', 'PRIMARY KEY and cannot be dropped'],
      ['MODIFY COLUMN id BIGINT', 'PRIMARY KEY and cannot be modified'],
      ['MODIFY COLUMN n INT', 'cannot change from BIGINT to INT'],
      ['ADD COLUMN _updated INT', 'reserved'],
      ['RENAME COLUMN n TO d', "'d' already exists"],
      ['ADD COLUMN "a b" INT', 'Invalid column name'],
    ] as const) {
      expect(await refusal(database, `ALTER TABLE app.t ${operation}`)).toContain(reason);
    }
    const versions = await run(database, "SELECT schema_version FROM system.schemas WHERE table_name = 't' AND is_latest");
    expect(versions.rows).toEqual([[7]]);
  });
});

describe('live queries of an altered table', () => {
  it('go on with the new columns, and miss and repeat nothing', async () => {
    const database = await open();
    await withTable(database);
    const all = await follow(database, 'SELECT * FROM app.t', 'all');
    const some = await follow(database, 'SELECT id, b FROM app.t WHERE id > 1', 'some');
    const insert = Array.from({ length: 20 }, (_, id) => run(database, `INSERT INTO app.t (id, b) VALUES (${id}, 'b${id}')`));
    const alter = run(database, 'ALTER TABLE app.t ADD COLUMN c INT NOT NULL DEFAULT 7');
    await Promise.all([...insert, alter]);
    await run(database, 'UPDATE app.t SET c = 9 WHERE id = 3');
    await run(database, 'ALTER TABLE app.t DROP COLUMN a');
    await run(database, 'DELETE FROM app.t WHERE id = 4');
    await run(database, "INSERT INTO app.t (id, b, c) VALUES (50, 'last', 1)");
    await settled();
    const { rows } = await run(database, 'SELECT id, b FROM app.t');
    expect([...all.rows.values()].map(({ id, b }) => [id, b]).sort(byFirst)).toEqual(rows);
    expect([...some.rows.values()].map(({ id, b }) => [id, b]).sort(byFirst)).toEqual(rows.filter(([id]) => Number(id) > 1));
    expect(all.rows.get(3)).toMatchObject({ c: 9 });
    expect(all.rows.get(50)).toMatchObject({ c: 1 });
    expect(all.rows.get(50)).not.toHaveProperty('a');
  });

  it('of which there are many are bound anew in slices, and none misses what is written meanwhile', async () => {
    const database = await open();
    await withTable(database);
    const count = 300;
    const namesGone = (id: number): boolean => id % 50 === 48;
    await run(database, `INSERT INTO app.t (id, a) VALUES ${Array.from({ length: count }, (_, id) => `(${id}, 0)`).join(', ')}`);
    const followers: Follower[] = [];
    const connections = Array.from({ length: 10 }, (_, connection) => {
      const sink = { deliver: (frame: LiveFrame) => followers[Number(frame.subscriptionId)]?.deliver(frame) };
      return database.live.connect(root, { connectionId: `c${connection}`, sink });
    });
    for (let id = 0; id < count; id++) {
      followers.push(new Follower());
      const sql = `SELECT * FROM app.t WHERE id = ${id}${namesGone(id) ? ' AND b IS NULL' : ''}`;
      await connections[id % 10]?.subscribe({ id: String(id), sql, options: {} });
    }
    const states = (): ReadonlySet<string> => new Set(database.live.list().map(({ state }) => state));
    const altered = ['ADD COLUMN c INT', 'DROP COLUMN b'].map((operation) => run(database, `ALTER TABLE app.t ${operation}`));
    await altered[0];
    const writing = run(database, 'UPDATE app.t SET a = 1 WHERE id < 150').then(() =>
      run(database, 'UPDATE app.t SET c = 2 WHERE id >= 100'),
    );
    connections[9]?.close();
    await Promise.all([...altered, writing]);
    while (states().has('behind') || database.live.dispatchedSeq < database.status().watermark) await settled();
    for (const [id, { rows, ended }] of followers.entries()) {
      expect(ended === undefined).toBe(!namesGone(id));
      if (!namesGone(id) && id % 10 < 9) expect(rows.get(id)).toMatchObject({ id, a: id < 150 ? 1 : 0, ...(id >= 100 ? { c: 2 } : {}) });
    }
    expect(database.live.subscriptionCount).toBe(count - count / 10 - count / 50);
    for (const connection of connections) connection.close();
    expect(database.live.router.groupCount).toBe(0);
  });

  it('end with a reason when they name a column that is gone, or when the table is closed to them', async () => {
    const database = await open();
    await withTable(database);
    const gone = await follow(database, 'SELECT id FROM app.t WHERE a > 1', 'gone');
    const stays = await follow(database, 'SELECT id FROM app.t WHERE b = $$x$$', 'stays');
    await run(database, 'ALTER TABLE app.t RENAME COLUMN a TO z');
    expect(gone.ended).toContain('was altered and the query no longer fits it');
    expect(stays.ended).toBeUndefined();
  });
});

const byFirst = (a: readonly unknown[], b: readonly unknown[]): number => Number(a[0]) - Number(b[0]);
