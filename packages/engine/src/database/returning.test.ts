import { openMemoryLog, openMemoryStore } from '@kalamdb/storage';
import { SeededRandom } from '@kalamdb/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import { HeldLog } from '../sequencer/held-log.fixture.ts';
import { ROOT, StatementWorld } from './statement-world.fixture.ts';

const ALICE: Principal = { userId: 'alice', role: 'user' };
const SERVICE: Principal = { userId: 'svc', role: 'service' };
let world: StatementWorld;

beforeEach(async () => {
  world = await StatementWorld.open();
  await world.run('CREATE SHARED TABLE app.t (id INT PRIMARY KEY, name TEXT, n INT DEFAULT 7)');
  await world.run("INSERT INTO t VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30)");
});
afterEach(() => world.close());

describe('RETURNING', () => {
  it('gives the new rows of INSERT and UPDATE and the old ones of DELETE', async () => {
    expect(await world.run("INSERT INTO t (id, name) VALUES (4, 'd'), (5, 'e') RETURNING id, n, upper(name) AS big")).toEqual([
      [4, 7, 'D'],
      [5, 7, 'E'],
    ]);
    expect(await world.run('UPDATE t SET n = n + 1 WHERE id <= 2 RETURNING id, n')).toEqual([
      [1, 11],
      [2, 21],
    ]);
    expect(await world.run('DELETE FROM t WHERE id >= 4 RETURNING *')).toEqual([
      [4, 'd', 7, expect.any(BigInt), false],
      [5, 'e', 7, expect.any(BigInt), false],
    ]);
    expect(await world.run('DELETE FROM t WHERE id = 4 RETURNING id')).toEqual([]);
    expect(await world.run('INSERT INTO t SELECT id + 100, name, n FROM t RETURNING id')).toEqual([[101], [102], [103]]);
  });

  it('describes its columns like a SELECT and knows the alias of the table', async () => {
    const [result] = await world.results('UPDATE t AS x SET n = 1 WHERE x.id = 1 RETURNING x.*, x.id + 1, n AS m');
    expect(result).toMatchObject({
      kind: 'rows',
      asUser: 'root',
      columns: [
        { name: 'id', flags: ['pk', 'nn', 'uq'] },
        { name: 'name' },
        { name: 'n' },
        { name: '_seq' },
        { name: '_deleted' },
        { flags: [] },
        { name: 'm' },
      ],
    });
    expect(await world.run("INSERT INTO t AS y VALUES (9, 'i') RETURNING y.id, y.*")).toEqual([[9, 9, 'i', 7, expect.any(BigInt), false]]);
  });

  it('tells the _seq that the row has from then on, in large statements too', async () => {
    const [[seq]] = (await world.run("INSERT INTO t VALUES (4, 'd', 1) RETURNING _seq")) as [[bigint]];
    expect(await world.run('SELECT _seq FROM t WHERE id = 4')).toEqual([[seq]]);
    const values = Array.from({ length: 2500 }, (_, id) => `(${1000 + id}, 'x', ${id})`).join(',');
    const inserted = await world.run(`INSERT INTO t VALUES ${values} RETURNING id, _seq`);
    expect(inserted).toEqual(await world.run('SELECT id, _seq FROM t WHERE id >= 1000'));
    const updated = await world.run('UPDATE t SET n = n + 1 WHERE id >= 1000 RETURNING id, n, _seq');
    expect(updated).toEqual(await world.run('SELECT id, n, _seq FROM t WHERE id >= 1000'));
    expect(await world.outcome('UPDATE t SET n = n + 1 WHERE id >= 1000 RETURNING _seq + 1')).toContain('NOT_IMPLEMENTED');
    expect(await world.run('UPDATE t SET n = n + 1 WHERE id = 1 RETURNING _seq > 0')).toEqual([[true]]);
    expect(await world.run('DELETE FROM t WHERE id >= 1000 RETURNING id, n, _seq')).toEqual(updated);
  });

  it('shows an UPDATE all rows that match, those without a change too, which are not written', async () => {
    const before = await world.run('SELECT _seq FROM t WHERE id = 1');
    expect(await world.run("UPDATE t SET name = 'a' WHERE id < 3 RETURNING id, name")).toEqual([
      [1, 'a'],
      [2, 'a'],
    ]);
    expect(await world.run('SELECT _seq FROM t WHERE id = 1')).toEqual(before);
    expect(await world.run("UPDATE t SET name = 'a' WHERE id < 3")).toBe('Updated 0 row(s)');
  });

  it('leaves nothing behind when an expression fails, and refuses what is not about one row', async () => {
    for (const sql of [
      "INSERT INTO t VALUES (7, 'g', 0) RETURNING 1 / n",
      'UPDATE t SET n = 0 WHERE id = 1 RETURNING 1 / n',
      'DELETE FROM t WHERE id = 1 RETURNING 1 / (n - 10)',
    ]) {
      expect(await world.outcome(sql)).toContain('DIVISION_BY_ZERO');
      expect(await world.outcome(sql.replace('1 /', 'max(1) /'))).toContain('AGGREGATE_MISUSE');
    }
    expect(await world.outcome('DELETE FROM t WHERE id = 1 RETURNING nothing')).toContain('COLUMN_NOT_FOUND');
    expect(await world.run('SELECT id, n FROM t')).toEqual([
      [1, 10],
      [2, 20],
      [3, 30],
    ]);
  });

  it('stays in its place among the results of a batch, and works in transactions', async () => {
    const results = await world.results(
      "BEGIN; INSERT INTO t VALUES (4, 'd', 4) RETURNING id; UPDATE t SET n = n + 1 WHERE id >= 3 RETURNING id, n; COMMIT; DELETE FROM t WHERE id = 4 RETURNING n",
    );
    expect(results.map((result) => (result.kind === 'rows' ? result.rows : 'message'))).toEqual([
      'message',
      [[4]],
      [
        [3, 31],
        [4, 5],
      ],
      'message',
      [[5]],
    ]);
    expect(await world.outcome("BEGIN; INSERT INTO t VALUES (4, 'd', 4) RETURNING id; ROLLBACK; SELECT count(*) FROM t")).toEqual([[3n]]);
  });

  it('shows secrets to nobody who may not see them', async () => {
    await world.run('CREATE USER TABLE app.secrets (id INT PRIMARY KEY, password_hash TEXT)');
    expect(await world.run("INSERT INTO secrets VALUES (1, 'x') RETURNING password_hash", ALICE)).toEqual([['***']]);
    expect(await world.run("UPDATE secrets SET password_hash = 'y' WHERE id = 1 RETURNING *", ALICE)).toMatchObject([
      [1, '***', expect.any(BigInt), false],
    ]);
    const upsert =
      "INSERT INTO secrets VALUES (1, 'z') ON CONFLICT (id) DO UPDATE SET password_hash = secrets.password_hash RETURNING 1 AS one";
    expect(await world.run(upsert, ALICE)).toEqual([[1n]]);
    expect(await world.run("DELETE FROM secrets WHERE id = 1 RETURNING password_hash || '!'", ALICE)).toEqual([['***!']]);
    expect(await world.outcome('DELETE FROM t WHERE id = 1 RETURNING id', ALICE)).toContain('ACCESS_DENIED');
    expect(await world.run('DELETE FROM t WHERE id = 1 RETURNING id', SERVICE)).toEqual([[1]]);
  });
});

it('a reply with rows waits for the commits that they rest on', async () => {
  const log = new HeldLog(openMemoryLog({ random: new SeededRandom(7), startSeq: 0n }));
  const held = await StatementWorld.on({
    log,
    hot: openMemoryStore(),
    directory: undefined,
    onReopen: () => undefined,
    close: async () => undefined,
  });
  try {
    await held.run('CREATE SHARED TABLE app.t (id INT PRIMARY KEY, n INT)');
    await held.run('INSERT INTO t VALUES (1, 1)');
    log.hold();
    const answered: string[] = [];
    const ask = (name: string, sql: string): Promise<unknown> => held.outcome(sql, ROOT).finally(() => answered.push(name));
    const asked = [
      ask('update', 'UPDATE t SET n = 2 WHERE id = 1 RETURNING n'),
      ask('same', 'UPDATE t SET n = 2 WHERE id = 1 RETURNING n'),
      ask('skipped', 'INSERT INTO t VALUES (1, 5) ON CONFLICT DO NOTHING RETURNING n'),
      ask('unwanted', 'INSERT INTO t VALUES (1, 5) ON CONFLICT (id) DO UPDATE SET n = 9 WHERE t.n = 7'),
    ];
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toEqual([]);
    log.releaseAppends();
    expect(await Promise.all(asked)).toEqual([[[2]], [[2]], [], 'Inserted 0 row(s)']);
  } finally {
    log.releaseAppends();
    await held.close();
  }
});
