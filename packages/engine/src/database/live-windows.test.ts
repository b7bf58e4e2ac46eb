import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '@kalamdb/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import type { LiveConnection } from '../live/connection.ts';
import { WindowClient } from '../live/window/window-client.fixture.ts';
import { ROOT, StatementWorld } from './statement-world.fixture.ts';

const ANN: Principal = { userId: 'ann', role: 'user' };

/** Everything that ORDER BY can do on one table. */
const WINDOWS = [
  'ORDER BY n LIMIT 5',
  'ORDER BY n DESC LIMIT 5',
  'ORDER BY n DESC NULLS LAST, name LIMIT 4',
  'ORDER BY name NULLS FIRST, n LIMIT 4 OFFSET 2',
  "WHERE name <> 'b' ORDER BY n LIMIT 3",
  'WHERE n > 2 ORDER BY 3 DESC LIMIT 3',
  'ORDER BY n % 3, upper(name) DESC LIMIT 6',
  'ORDER BY abs(n - 4) LIMIT 3',
  'ORDER BY _seq DESC LIMIT 3',
  'ORDER BY coalesce(name, CURRENT_USER()), n LIMIT 2',
  'LIMIT 3',
  'ORDER BY id LIMIT 3',
  'ORDER BY n LIMIT 0',
] as const;

let directory: string;
let world: StatementWorld;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kalamdb-windows-'));
  world = await StatementWorld.open({ directory });
  await world.run('CREATE SHARED TABLE app.t (id INT PRIMARY KEY, name TEXT, n BIGINT)');
});

afterAll(async () => {
  await world.close();
  rmSync(directory, { recursive: true, force: true });
});

function connect(connectionId: string, takesWindows = true): { readonly client: WindowClient; readonly connection: LiveConnection } {
  const client = new WindowClient();
  return { client, connection: world.database.live.connect(ROOT, { connectionId, sink: client, takesWindows }) };
}

/** `ORDER BY …, id` as the window has it. */
function fresh(window: string): Promise<unknown> {
  const total = /ORDER BY/.test(window) ? window.replace(/ LIMIT/, ', id LIMIT') : window.replace(/LIMIT/, 'ORDER BY id LIMIT');
  return world.run(`SELECT id, name, n FROM app.t ${total}`);
}

const shown = ({ rows }: WindowClient): unknown =>
  rows.map(({ id, name, n }) => [id, name ?? null, n === null || n === undefined ? null : BigInt(String(n))]);

async function handedOn(): Promise<void> {
  const { database } = world;
  await expect
    .poll(() => database.live.dispatchedSeq >= database.status().watermark && database.live.list().every(({ state }) => state === 'live'))
    .toBe(true);
}

describe('live queries with ORDER BY and LIMIT', () => {
  it('show what SELECT answers, through every change, over rows in segments too, and with the table altered', async () => {
    const random = new SeededRandom(7);
    const rows = Array.from({ length: 300 }, (_, id) => `(${id + 100}, 'r', ${50 + id})`).join(', ');
    await world.run(`INSERT INTO app.t VALUES ${rows}`);
    await world.flush('t');
    const followers = WINDOWS.map((window) => ({ window, ...connect(window) }));
    for (const { connection, window } of followers)
      await connection.subscribe({ id: 's', sql: `SELECT * FROM app.t ${window}`, options: {} });
    for (let round = 0; round < 40; round++) {
      const id = random.integer(12);
      const [name, n] = [random.pick(["'a'", "'b'", "'C'", 'NULL']), random.pick(['NULL', '1', '4', '7', '200'])];
      const statement = random.pick([
        `INSERT INTO app.t (id, name, n) VALUES (${id}, ${name}, ${n}) ON CONFLICT (id) DO UPDATE SET name = excluded.name, n = excluded.n`,
        `UPDATE app.t SET n = ${n} WHERE id = ${id} OR id = ${100 + id}`,
        `DELETE FROM app.t WHERE id = ${id}`,
        `DELETE FROM app.t WHERE n > ${80 + random.integer(200)}`,
      ]);
      const slow = random.pick(followers).connection;
      if (random.integer(3) === 0) slow.pause();
      await world.run(statement);
      if (round === 25) await world.run('ALTER TABLE app.t ADD COLUMN extra INT');
      if (round === 40) await world.flush('t');
      slow.resume();
      await handedOn();
      const checked = round === 39 ? followers : [random.pick(followers), random.pick(followers), random.pick(followers)];
      for (const { window, client } of checked)
        expect({ round, window, rows: shown(client) }).toEqual({ round, window, rows: await fresh(window) });
    }
    for (const { client, connection } of followers) {
      expect(client.problems).toEqual([]);
      connection.close();
    }
    expect(world.database.live.counters.windowReads).toBeGreaterThan(WINDOWS.length);
    expect(world.database.live.windowBudget.bytes).toBe(0);
  }, 60_000);

  it('are refused as ever for whoever has not asked for them, and with a reason where they cannot be kept', async () => {
    const refusal = async (sql: string, takesWindows = true): Promise<unknown> => {
      const { connection } = connect(sql, takesWindows);
      const outcome = await connection.subscribe({ id: 's', sql, options: {} }).catch(({ spec, message }) => [spec.wire, message]);
      connection.close();
      return outcome;
    };
    const onlyFilters = 'Only SELECT ... FROM ... [WHERE ...] is supported.';
    expect(await refusal('SELECT * FROM app.t ORDER BY n LIMIT 5', false)).toEqual([
      'INVALID_SQL',
      `Invalid SQL: Subscription query does not support ORDER BY. ${onlyFilters}`,
    ]);
    expect(await refusal('SELECT * FROM app.t LIMIT 5', false)).toEqual([
      'INVALID_SQL',
      'Invalid SQL: Subscription query supports only SELECT ... FROM ... [WHERE ...].',
    ]);
    expect(await refusal('SELECT * FROM app.t ORDER BY n')).toEqual(['UNSUPPORTED', expect.stringContaining('needs a LIMIT')]);
    expect(await refusal('SELECT * FROM app.t ORDER BY n LIMIT 1001')).toEqual([
      'UNSUPPORTED',
      expect.stringContaining('cannot exceed 1000'),
    ]);
    expect(await refusal('SELECT * FROM app.t LIMIT 1 OFFSET 10001')).toEqual([
      'UNSUPPORTED',
      expect.stringContaining('cannot exceed 10000'),
    ]);
    expect(await refusal('SELECT * FROM app.t LIMIT -1')).toEqual(['SUBSCRIPTION_FAILED', expect.stringContaining('must not be negative')]);
    expect(await refusal('SELECT * FROM app.t ORDER BY random() LIMIT 1')).toEqual([
      'SUBSCRIPTION_FAILED',
      expect.stringContaining('when it is computed'),
    ]);
    for (const count of ['LIMIT length(CURRENT_USER())', 'LIMIT 1 OFFSET CAST(random() * 5 AS BIGINT)']) {
      expect(await refusal(`SELECT * FROM app.t ORDER BY n ${count}`)).toEqual([
        'SUBSCRIPTION_FAILED',
        expect.stringContaining('must not depend on who asks or when'),
      ]);
    }
    expect(await refusal('SELECT * FROM app.t ORDER BY count(*) LIMIT 1')).toEqual(['SUBSCRIPTION_FAILED', expect.any(String)]);
    expect(await refusal('SELECT * FROM app.t ORDER BY nope LIMIT 1')).toEqual(['SUBSCRIPTION_FAILED', expect.stringContaining('nope')]);
    expect(await refusal('SELECT DISTINCT name FROM app.t LIMIT 1')).toEqual(['INVALID_SQL', expect.any(String)]);
    expect(world.database.live.router.groupCount).toBe(0);
  });

  it('show everybody their own rows, end when their table is dropped or they are killed', async () => {
    await world.run('CREATE USER TABLE app.mine (id INT PRIMARY KEY, n INT)');
    const own = world.database.session(ANN);
    await own.execute('INSERT INTO app.mine VALUES (1, 5), (2, 6)');
    await world.run('INSERT INTO app.mine VALUES (9, 9)');
    const client = new WindowClient();
    const connection = world.database.live.connect(ANN, { connectionId: 'ann', sink: client, takesWindows: true });
    await connection.subscribe({ id: 's', sql: 'SELECT id FROM app.mine ORDER BY n DESC LIMIT 3', options: {} });
    await world.run('INSERT INTO app.mine VALUES (8, 8)');
    expect(client.rows.map(({ id }) => id)).toEqual([2, 1]);
    const [{ liveId } = { liveId: '' }] = world.database.live.list();
    await world.run(`KILL LIVE QUERY '${liveId}'`);
    expect(client.ended).toBe('SUBSCRIPTION_ENDED');
    await connection.subscribe({ id: 's', sql: 'SELECT id FROM app.mine ORDER BY n DESC LIMIT 3', options: {} });
    client.ended = undefined;
    await world.run('DROP TABLE app.mine');
    expect(client.ended).toBe('SUBSCRIPTION_ENDED');
    expect(world.database.live.windowBudget.bytes).toBe(0);
    connection.close();
  });
});
