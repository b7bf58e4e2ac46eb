import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningServer, startServer } from '@kalamdb/server';
import { SeededRandom } from '@kalamdb/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Auth, createClient, type KalamDBClient, type LiveCollection, liveCollection, type RowData } from './index.ts';

const PASSWORD = 'a-long-password';
const ACCOUNTS = 12;
const TOTAL = ACCOUNTS * 100;
const TRANSFERS = 60;

let directory: string;
let server: RunningServer;
let writer: KalamDBClient;
let reader: KalamDBClient;

const connect = (): KalamDBClient => {
  const client = createClient({ url: server.url, authProvider: async () => Auth.basic('root', PASSWORD), random: new SeededRandom(1) });
  client.setReconnectDelay(1, 10);
  return client;
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kalam-collection-'));
  server = await startServer({
    settings: {
      'server.port': 0,
      'storage.data_path': directory,
      'auth.root_password': PASSWORD,
      'auth.bcrypt_cost': 4,
      'logging.level': 'error',
    },
  });
  writer = connect();
  reader = connect();
  await writer.query('CREATE NAMESPACE bank; CREATE SHARED TABLE bank.accounts (id INT PRIMARY KEY, amount INT, owner TEXT)');
  const values = Array.from({ length: ACCOUNTS }, (_none, id) => `(${id}, 100, 'nobody')`).join();
  await writer.query(`INSERT INTO bank.accounts (id, amount, owner) VALUES ${values}`);
});
afterAll(async () => {
  await reader.shutdown();
  await writer.shutdown();
  await server.close();
  await rm(directory, { recursive: true, force: true });
});

interface Account {
  readonly id: number;
  readonly amount: number;
}
const account = (row: RowData): Account => ({ id: row['id']?.asInt() ?? -1, amount: row['amount']?.asInt() ?? -1 });

describe('collections and the real server', () => {
  it('show whole transactions only, through cuts, and equal a SELECT when they have caught up', async () => {
    const random = new SeededRandom(7);
    const WINDOW = 'SELECT * FROM bank.accounts ORDER BY amount DESC, id LIMIT 4';
    const wrong: string[] = [];
    const follow = (sql: string, check: (rows: readonly Account[]) => boolean, batchSize?: number): LiveCollection<Account> => {
      const options = { select: account, subscriptionOptions: { batch_size: batchSize } };
      const made = liveCollection<Account>(reader, sql, options);
      made.subscribe(() => {
        if (!check(made.rows)) wrong.push(`${sql}: ${JSON.stringify(made.rows)}`);
      });
      return made;
    };
    const totals = (rows: readonly Account[]): boolean =>
      rows.length === 0 || (rows.length === ACCOUNTS && rows.reduce((sum, { amount }) => sum + amount, 0) === TOTAL);
    const sorted = (rows: readonly Account[]): boolean =>
      rows.length === 0 || (rows.length === 4 && rows.every(({ amount }, index) => amount <= (rows[index - 1]?.amount ?? amount)));
    const all = follow('SELECT * FROM bank.accounts', totals);
    const batched = follow('SELECT * FROM bank.accounts', totals, 5);
    const top = follow(WINDOW, sorted);
    let commits = 0;
    all.subscribe(() => commits++);

    let commit: string | undefined;
    for (let transfer = 0; transfer < TRANSFERS; transfer++) {
      const [from, to] = [random.integer(ACCOUNTS), random.integer(ACCOUNTS)];
      const amount = random.integer(40);
      const move = (id: number, by: number): string =>
        `UPDATE bank.accounts SET amount = amount + ${by}, owner = 'o${transfer}' WHERE id = ${id}`;
      const { results } = await writer.query(`BEGIN; ${move(from, -amount)}; ${move(to, amount)}; COMMIT`);
      commit = results.at(-1)?.commit ?? commit;
      if (random.integer(20) === 0) {
        await reader.disconnect();
        if (random.integer(2) === 0) await writer.query(`DELETE FROM bank.accounts WHERE id = 99`);
        await reader.connect();
      }
    }
    for (const made of [all, batched, top]) await made.caughtUp();
    expect(wrong).toEqual([]);
    expect(commits).toBeGreaterThan(TRANSFERS / 4);
    const select = async (sql: string): Promise<Account[]> => (await writer.queryAll(sql, [], { atLeast: commit })).map(account);
    const byId = (a: Account, b: Account): number => a.id - b.id;
    const now = await select('SELECT * FROM bank.accounts ORDER BY id');
    expect([...all.rows].sort(byId)).toEqual(now);
    expect([...batched.rows].sort(byId)).toEqual(now);
    expect(top.rows).toEqual(await select(WINDOW));
  });

  it('hold the commit that they are asked to hold', async () => {
    const { results } = await writer.query("UPDATE bank.accounts SET owner = 'me' WHERE id = 0");
    const commit = results[0]?.commit;
    expect(commit).toMatch(/^\d+$/);
    const mine = liveCollection(reader, 'SELECT * FROM bank.accounts WHERE owner = $1', {
      params: ['me'],
      subscriptionOptions: { atLeast: commit },
    });
    await mine.ready;
    expect(mine.size).toBe(1);
    mine.close();
  });
});
