import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningServer, startServer } from '@kalamdb/server';
import { SeededRandom } from '@kalamdb/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Auth, createClient, type KalamDBClient, type LiveRowsOptions, type RowData, type ServerMessage } from './index.ts';

const PASSWORD = 'a-long-password';
const SQL = 'SELECT * FROM app.items';
let directory: string;
let server: RunningServer;
let client: KalamDBClient;

const start = (port: number): Promise<RunningServer> =>
  startServer({
    settings: {
      'server.port': port,
      'storage.data_path': directory,
      'auth.root_password': PASSWORD,
      'auth.bcrypt_cost': 4,
      'logging.level': 'error',
    },
  });

async function restart(): Promise<void> {
  const { port } = server;
  await server.close();
  server = await start(port);
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kalam-client-'));
  server = await start(0);
  client = createClient({ url: server.url, authProvider: async () => Auth.basic('root', PASSWORD), random: new SeededRandom(1) });
  client.setReconnectDelay(5, 20);
  await client.query('CREATE NAMESPACE app');
});
afterAll(async () => {
  await client.shutdown();
  await server.close();
  await rm(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  await client.unsubscribeAll();
  await client.query('DROP TABLE IF EXISTS app.items');
  await client.query('CREATE SHARED TABLE app.items (id BIGINT PRIMARY KEY, body TEXT, size INT)');
});

const plain = (row: RowData): string => JSON.stringify(row);
/** What a SELECT answers, in the order of the last changes. */
const selected = async (): Promise<string[]> => (await client.queryAll('SELECT * FROM app.items')).map(plain).sort();

async function follow(options: LiveRowsOptions<string> = {}) {
  let rows: string[] = [];
  let wake: () => void = () => undefined;
  const calls: string[][] = [];
  const stop = await client.live<string>(
    SQL,
    (set) => {
      rows = set;
      calls.push(set);
      wake();
    },
    { mapRow: plain, ...options },
  );
  const until = async (holds: (now: string[]) => boolean): Promise<void> => {
    while (!holds(rows))
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  };
  const caughtUp = async (): Promise<void> => {
    const expected = (await selected()).join();
    await until((now) => [...now].sort().join() === expected);
  };
  return { stop, calls, caughtUp, until };
}

describe('the client with the real server', () => {
  it('a live query shows inserts, updates, NULLs and deletes as they are committed', async () => {
    await client.insert('app.items', { id: 1, body: 'one', size: 1 });
    const query = await follow();
    await query.until((rows) => rows.length === 1);
    await client.insert('app.items', { id: 9007199254740993n, body: 'big', size: 2 });
    await client.update('app.items', 1, { body: null });
    await query.caughtUp();
    expect(
      query.calls
        .at(-1)
        ?.map((row) => JSON.parse(row))
        .find((row) => row.id === '1'),
    ).toMatchObject({ body: null, size: 1, _deleted: false });
    await client.delete('app.items', 1);
    await query.caughtUp();
    expect(query.calls.map((rows) => rows.length)).toEqual([1, 2, 2, 1]);
  });

  it('any text survives insert, parameters and a live query', async () => {
    const texts = ["it's", '"quoted"', 'back\\slash', '; DROP TABLE app.items; --', '$1', 'ünï🎈', '\n\t', 'x'.repeat(3000), ''];
    const query = await follow();
    for (const [id, body] of texts.entries()) await client.insert('app.items', { id, body });
    await query.caughtUp();
    expect(query.calls.at(-1)?.map((row) => JSON.parse(row).body)).toEqual(texts);
    for (const [id, body] of texts.entries()) {
      expect((await client.queryOne('SELECT id FROM app.items WHERE body = $1', [body]))?.['id']?.asInt()).toBe(id);
    }
  });

  it('a snapshot in many batches is shown once, whole', async () => {
    const values = Array.from({ length: 95 }, (_, id) => `(${id}, 'row ${id}', ${id})`).join();
    await client.query(`INSERT INTO app.items (id, body, size) VALUES ${values}`);
    const query = await follow({ subscriptionOptions: { batch_size: 10 } });
    await query.caughtUp();
    expect(query.calls).toHaveLength(1);
    const newest = await follow({ subscriptionOptions: { last_rows: 5 }, limit: 3 });
    await newest.until((rows) => rows.length > 0);
    expect(newest.calls.at(-1)?.map((row) => JSON.parse(row).id)).toEqual(['92', '93', '94']);
  });

  it('a row that leaves or joins the filter leaves or joins the rows', async () => {
    await client.insert('app.items', { id: 1, size: 1 });
    let ids: (number | undefined)[] = [];
    let wake: () => void = () => undefined;
    await client.live<number>(
      'SELECT id, size FROM app.items WHERE size > 10',
      (rows) => {
        ids = rows;
        wake();
      },
      { mapRow: (row) => row['id']?.asInt() ?? -1 },
    );
    const shown = async (expected: string): Promise<void> => {
      while (String(ids) !== expected)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    };
    await shown('');
    await client.update('app.items', 1, { size: 11 });
    await shown('1');
    await client.update('app.items', 1, { size: 2 });
    await shown('');
  });

  it('a restart of the server is bridged: no gap, nothing twice', async () => {
    const seqs: bigint[] = [];
    await client.subscribeWithSql(SQL, (event: ServerMessage) => {
      if (event.type !== 'change' && event.type !== 'initial_data_batch') return;
      const rows = event.rows ?? (event.type === 'change' ? event.old_values : undefined) ?? [];
      for (const row of rows) seqs.push(row['_seq']?.asBigInt() ?? 0n);
    });
    const query = await follow();
    for (let id = 0; id < 10; id++) await client.insert('app.items', { id, body: 'before', size: id });
    await query.caughtUp();
    const { port } = server;
    await server.close();
    server = await start(port);
    await client.delete('app.items', 3);
    await client.update('app.items', 4, { body: 'after' });
    await client.insert('app.items', { id: 11, body: 'after', size: 0 });
    await query.caughtUp();
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => (a < b ? -1 : 1)));
    expect(seqs).toHaveLength(13);
  });

  it('equals the SELECT through random writes and restarts', async () => {
    const query = await follow({ subscriptionOptions: { batch_size: 4 } });
    const write = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({
          kind: fc.constant('insert' as const),
          id: fc.nat(20),
          body: fc.option(fc.constantFrom('a', 'z'.repeat(900))),
        }),
      },
      {
        weight: 5,
        arbitrary: fc.record({ kind: fc.constant('update' as const), id: fc.nat(20), body: fc.option(fc.constantFrom('b', 'c')) }),
      },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), id: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.constant({ kind: 'settle' as const }) },
      { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(write, { maxLength: 25 }), async (writes) => {
        for (const next of writes) {
          if (next.kind === 'insert') await client.insert('app.items', { id: next.id, body: next.body, size: 1 }).catch(() => undefined);
          else if (next.kind === 'update') await client.update('app.items', next.id, { body: next.body });
          else if (next.kind === 'delete') await client.delete('app.items', next.id);
          else if (next.kind === 'settle') await query.caughtUp();
          else await restart();
        }
        await query.caughtUp();
      }),
      { numRuns: 10 },
    );
  });

  it('refusals arrive as what they are', async () => {
    await expect(client.live('SELECT * FROM app.nothing', () => undefined)).rejects.toMatchObject({
      name: 'KalamServerError',
      code: 'NOT_FOUND',
    });
    await expect(client.live(`${SQL} ORDER BY id`, () => undefined)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    await expect(client.live('SELECT body FROM app.items', () => undefined)).rejects.toMatchObject({ code: 'KEY_MISSING' });
    await expect(client.query('SELECT * FROM app.nothing')).rejects.toMatchObject({ code: 'SQL_EXECUTION_ERROR', status: 400 });
    expect(client.getSubscriptionCount()).toBe(0);
    const stranger = createClient({ url: server.url, authProvider: async () => Auth.basic('root', 'wrong password') });
    await expect(stranger.live(SQL, () => undefined)).rejects.toMatchObject({ code: 'unauthorized' });
    await stranger.shutdown();
  });

  it('login and refresh give tokens that work', async () => {
    const login = await client.login();
    expect(login.user).toMatchObject({ id: 'root', role: 'system' });
    const refreshed = await client.refreshToken(login.refresh_token ?? '');
    expect(refreshed.access_token).toBeTypeOf('string');
    expect((await client.query('SELECT 1')).results[0]?.row_count).toBe(1);
  });
});
