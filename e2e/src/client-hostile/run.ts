import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Auth, createClient, type KalamDBClient, type LiveState, type RowData, type Unsubscribe } from '@kalamdb/client';
import { NetworkProxy, type NetworkWeather, SeededRandom, ServerProcess } from '@kalamdb/testing';
import { UNHURRIED_SETTINGS } from '../server-settings.ts';
import { Api } from '../sql-api.ts';
import { RawLedger } from './raw-ledger.ts';
import { shortToken } from './short-token.ts';

const ROOT_PASSWORD = 'hostile-root-password';
const USER_PASSWORD = 'hostile-user-password';
const SECRET = 'a-secret-that-only-this-test-and-its-server-know';
const USERS = ['alice', 'bob'] as const;
const KEYS = 24;
/** Writes of a round, of each of two writers. */
const WRITES = 40;
/** Seconds for which a token is good. */
const TOKEN_SECONDS = 2;
/** Signs of life are asked for so often that a half-open connection is found out within the test's patience. */
const PING_MILLIS = 250;

/** What goes wrong while writers write and while clients catch up. */
const WEATHER: NetworkWeather = { cut: 0.03, halfOpen: 0.015, delay: 0.25, split: 0.25, refuse: 0.05, delayMillisMax: 25 };

/** How a run is played. */
export interface HostileRun {
  readonly seed: number;
  readonly rounds: number;
}

/** How often each thing happened. */
export type HostileCounts = Record<string, number>;

/** A row as both a SELECT and a live query show it. */
const plain = (row: RowData): string => JSON.stringify([row['id'], row['n'], row['body'], row['_seq']]);

interface Watched {
  readonly name: string;
  readonly user: string;
  readonly sql: string;
  readonly stop: Unsubscribe;
  rows(): readonly string[];
}

/**
 * Clients behind a hostile network, with tokens that expire and a server that is killed and restarted, while others write. At
 * every point of rest, with the network still hostile, each live query is asked to say when it has caught up; what it shows then
 * must equal a SELECT of the same user. Throws at the first difference, naming the seed.
 */
export async function runHostile({ seed, rounds }: HostileRun): Promise<HostileCounts> {
  const world = await World.open(seed);
  try {
    for (let round = 0; round < rounds; round++) await world.round(round);
    return world.counts();
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  } finally {
    await world.close();
  }
}

class World {
  readonly #folder = mkdtempSync(join(tmpdir(), 'kalamdb-hostile-'));
  readonly #api = new Api();
  readonly #random: SeededRandom;
  readonly #clients: KalamDBClient[] = [];
  readonly #watched: Watched[] = [];
  readonly #ledgers: { readonly user: string; readonly ledger: RawLedger; readonly stop: Unsubscribe }[] = [];
  readonly #counts: HostileCounts = {};
  #server: ServerProcess | undefined;
  #proxy: NetworkProxy | undefined;
  #appendId = 0;

  private constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  static async open(seed: number): Promise<World> {
    const world = new World(seed);
    await world.#startServer(0);
    await world.#createTables();
    world.#proxy = await NetworkProxy.start({ targetPort: () => world.#server?.port ?? 0, random: new SeededRandom(seed + 1_000) });
    for (const user of USERS) await world.#watch(user);
    await world.#watch('root');
    return world;
  }

  async round(round: number): Promise<void> {
    const proxy = this.#hostile();
    proxy.weather = WEATHER;
    const writing = Promise.all([this.#write(), this.#write()]);
    if (round % 2 === 1) await this.#restart(round % 4 === 1 ? 'kill' : 'stop');
    await writing;
    if (round % 3 === 2) {
      this.#count('all half-open');
      proxy.swallowAll();
    }
    await this.#queryThrough();
    await Promise.all(this.#watched.map(({ stop }) => stop.caughtUp()));
    await Promise.all(this.#ledgers.map(({ stop }) => stop.caughtUp()));
    for (const watched of this.#watched) await this.#compare(watched);
    for (const { user, ledger } of this.#ledgers) await this.#check(user, ledger);
    this.#count('points of rest');
  }

  counts(): HostileCounts {
    const { counts } = this.#hostile();
    return { ...this.#counts, ...counts };
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.shutdown();
    await this.#proxy?.close();
    await this.#server?.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #hostile(): NetworkProxy {
    if (this.#proxy === undefined) throw new Error('no proxy');
    return this.#proxy;
  }

  #count(what: string): void {
    this.#counts[what] = (this.#counts[what] ?? 0) + 1;
  }

  async #startServer(port: number): Promise<void> {
    const settings = `${UNHURRIED_SETTINGS}jwt_secret = "${SECRET}"\n`;
    this.#server = await ServerProcess.start({ folder: this.#folder, durability: 'relaxed', rootPassword: ROOT_PASSWORD, port, settings });
    this.#api.url = this.#server.url;
  }

  async #restart(how: 'kill' | 'stop'): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    await server[how]();
    await this.#startServer(server.port);
    this.#count(how === 'kill' ? 'kills' : 'restarts');
  }

  async #createTables(): Promise<void> {
    await this.#api.login('root', ROOT_PASSWORD);
    const create = async (sql: string): Promise<void> => {
      const { error } = await this.#api.sql('root', sql);
      if (error !== undefined) throw new Error(`${sql}: ${error}`);
    };
    await create('CREATE NAMESPACE app');
    await create('CREATE USER TABLE app.notes (id INT PRIMARY KEY, n INT, body TEXT)');
    await create('CREATE USER TABLE app.journal (id INT PRIMARY KEY, n INT, body TEXT)');
    await create("CREATE SHARED TABLE app.board (id INT PRIMARY KEY, n INT, body TEXT) WITH (ACCESS_LEVEL = 'public')");
    for (const user of USERS) {
      await create(`CREATE USER '${user}' WITH PASSWORD '${USER_PASSWORD}' ROLE 'user'`);
      await this.#api.login(user, USER_PASSWORD);
    }
  }

  async #watch(user: string): Promise<void> {
    const role = user === 'root' ? 'system' : 'user';
    const client = createClient({
      url: this.#hostile().url,
      authProvider: async () => {
        this.#count('tokens given');
        return Auth.jwt(shortToken({ id: user, role }, SECRET, TOKEN_SECONDS));
      },
      pingIntervalMs: PING_MILLIS,
      requestTimeoutMs: 2_000,
      connectTimeoutMs: 1_000,
      subscribeTimeoutMs: 60_000,
      random: new SeededRandom(this.#random.integer(2 ** 31)),
      onConnect: () => this.#count('connects'),
      onDisconnect: () => this.#count('disconnects'),
    });
    client.setReconnectDelay(20, 200);
    this.#clients.push(client);
    const queries = ['SELECT * FROM app.notes', 'SELECT * FROM app.notes WHERE n > 50', 'SELECT id, n FROM app.board WHERE n < 70'];
    for (const sql of queries) await this.#live(client, user, sql);
    for (const table of ['app.notes', 'app.journal']) {
      const ledger = new RawLedger(plain);
      const stop = await client.subscribe(table, (event) => ledger.take(event), { batch_size: 7 });
      this.#ledgers.push({ user: `${user} ${table}`, ledger, stop });
    }
  }

  async #live(client: KalamDBClient, user: string, sql: string): Promise<void> {
    let rows: readonly string[] = [];
    let state: LiveState = 'loading';
    const stop = await client.live<string>(
      sql,
      (set) => {
        rows = set;
        if (state === 'caught-up') this.#count('shown while caught up');
      },
      {
        mapRow: plain,
        subscriptionOptions: { batch_size: 5 },
        onState: (now) => {
          state = now;
          this.#count(now);
        },
      },
    );
    this.#watched.push({ name: `${user}: ${sql}`, user, sql, stop, rows: () => rows });
  }

  /** Random writes, straight to the server, so that it is known what was committed; those it does not answer are looked up later. */
  async #write(): Promise<void> {
    for (let answered = 0; answered < WRITES; ) {
      const user = this.#random.pick([...USERS, 'root']);
      try {
        await this.#api.sql(user, this.#statement(user));
        answered += 1;
      } catch {
        // the server is away: whether the statement was committed is seen in the SELECT that everything is held against
        this.#count('unanswered');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  #statement(user: string): string {
    const random = this.#random;
    const table = user === 'root' && random.uniform() < 0.5 ? 'app.board' : 'app.notes';
    const [id, n] = [random.integer(KEYS), random.integer(100)];
    const body = random.pick(['NULL', "'short'", `'${'long '.repeat(200)}'`]);
    const kind = random.uniform();
    if (kind < 0.25) return `INSERT INTO app.journal (id, n, body) VALUES (${this.#appendId++}, ${n}, ${body})`;
    if (kind < 0.55) return `INSERT INTO ${table} (id, n, body) VALUES (${id}, ${n}, ${body})`;
    if (kind < 0.85) return `UPDATE ${table} SET n = ${n}, body = ${body} WHERE id = ${id}`;
    return `DELETE FROM ${table} WHERE id = ${id}`;
  }

  /** Statements through the hostile network: with tokens that expire they go through, or fail for the network's sake. */
  async #queryThrough(): Promise<void> {
    await Promise.all(
      this.#clients.flatMap((client) =>
        Array.from({ length: 4 }, async () => {
          try {
            await client.query('SELECT COUNT(*) FROM app.notes');
            this.#count('queries answered');
          } catch (error) {
            const { code } = error as { readonly code?: string };
            if (code !== 'REQUEST_FAILED' && code !== 'REQUEST_TIMEOUT') throw error;
            this.#count('queries lost');
          }
        }),
      ),
    );
  }

  async #selected(user: string, sql: string): Promise<readonly string[]> {
    const columns = sql.startsWith('SELECT *') ? 'id, n, body, _seq' : 'id, n, NULL, _seq';
    const [rows = []] = await this.#api.rows(user, sql.replace(/^SELECT .*? FROM/, `SELECT ${columns} FROM`));
    return rows.map((row) => JSON.stringify(row)).sort();
  }

  async #compare({ name, user, sql, rows }: Watched): Promise<void> {
    const expected = await this.#selected(user, sql);
    const shown = rows().map((row) => JSON.stringify((JSON.parse(row) as unknown[]).map((cell) => cell ?? null)));
    difference(name, [...shown].sort(), expected);
    this.#count('comparisons');
  }

  async #check(name: string, ledger: RawLedger): Promise<void> {
    if (ledger.problems.length > 0) throw new Error(`${name}: ${ledger.problems.join('; ')}`);
    const [user = '', table = ''] = name.split(' ');
    const expected = await this.#selected(user, `SELECT * FROM ${table}`);
    if (table === 'app.journal') {
      // nothing in it ever changes, so every row is a change that was committed, and each must have been told
      const missing = expected.filter((row) => !ledger.has(BigInt((JSON.parse(row) as string[])[3] ?? 0)));
      if (missing.length > 0) throw new Error(`${name}: never told of ${missing.join(' ')}`);
      this.#counts['appended rows told'] = (this.#counts['appended rows told'] ?? 0) + expected.length;
    }
    const keys = expected.map((row) => String((JSON.parse(row) as unknown[])[0])).sort();
    difference(name, [...ledger.rows.keys()].sort(), keys);
  }
}

function difference(name: string, shown: readonly string[], expected: readonly string[]): void {
  if (JSON.stringify(shown) === JSON.stringify(expected)) return;
  const extra = shown.filter((row) => !expected.includes(row));
  const missing = expected.filter((row) => !shown.includes(row));
  throw new Error(`${name}: shows ${extra.join(' ') || 'nothing'} too much and lacks ${missing.join(' ') || 'nothing'}`);
}
