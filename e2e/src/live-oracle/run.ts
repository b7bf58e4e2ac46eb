import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CALM_WEATHER, NetworkProxy, type NetworkWeather, SeededRandom, ServerProcess } from '@kalamdb/testing';
import { UNHURRIED_SETTINGS } from '../server-settings.ts';
import { Api } from '../sql-api.ts';
import { Audience, complaint, drawQuery } from './audience.ts';
import { Judge } from './judge.ts';
import { LibraryClient } from './library-client.ts';
import { columnsOf, type LiveQuery, type LiveTable, Place, STABLE_COLUMNS } from './places.ts';
import { SnapshotReads } from './snapshot-reads.ts';
import { Upkeep } from './upkeep.ts';
import { Writer } from './writer.ts';

const ROOT_PASSWORD = 'oracle-root-password';
const USER_PASSWORD = 'oracle-user-password';
const USERS = ['alice', 'bob'] as const;
/** Rows of one writer in one partition. */
const KEYS = 12;
/** Statements between two rests, of all writers together. */
const ROUND_STATEMENTS = 150;
/** Bytes that may wait for a slow client before its subscriptions pause: the least that can be set. */
const OUTBOX_BYTES = 65_536;
const SERVER_SETTINGS = `${UNHURRIED_SETTINGS}[websocket]\noutbox_bytes_max = ${OUTBOX_BYTES}\n`.replace(
  '[rate_limit]',
  '[rate_limit]\nmax_messages_per_sec = 100000',
);

/** Statements of long rows that are written at most for a client that does not read. */
const FLOOD_WRITES_MAX = 30;

/** What the network does to those that are behind it. */
const WEATHER: NetworkWeather = { cut: 0.004, halfOpen: 0.002, delay: 0.15, split: 0.2, refuse: 0.03, delayMillisMax: 15 };

/** How a run is played. */
export interface LiveOracleRun {
  readonly seed: number;
  /** Writing statements, at least. */
  readonly statements: number;
}

/** How often each thing happened. */
export type LiveOracleCounts = Record<string, number>;

/**
 * Random writers, subscribers and readers on a server of its own, over real sockets: through flushes, compactions, alterations, kills
 * and a network that fails. Whenever the writers rest, what each subscriber was told since is held against the commits in their order,
 * and what it has put together against a SELECT of the same user. Throws at the first difference, with the seed, what the subscriber
 * heard and the statements of its partition.
 */
export async function runLiveOracle(run: LiveOracleRun): Promise<LiveOracleCounts> {
  const world = new World(run.seed);
  try {
    await world.open();
    for (let round = 0; world.statements < run.statements; round++) await world.round(round);
    await world.finish();
    return world.counts;
  } catch (error) {
    throw new Error(`seed ${run.seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  } finally {
    await world.close();
  }
}

const keysOf = (table: LiveTable, writer: number): readonly string[] =>
  Array.from({ length: KEYS }, (_, index) => {
    const number = writer * KEYS + index;
    return table.keyType === 'TEXT' ? `k${String(number).padStart(3, '0')}` : String(number);
  });

class World {
  readonly counts: LiveOracleCounts = {};
  statements = 0;
  readonly #seed: number;
  readonly #folder = mkdtempSync(join(tmpdir(), 'kalamdb-live-oracle-'));
  readonly #api = new Api();
  readonly #notes: LiveTable = { name: 'app.notes', kind: 'user', keyType: 'INT', passing: undefined };
  readonly #board: LiveTable = { name: 'app.board', kind: 'shared', keyType: 'TEXT', passing: undefined };
  readonly #events: LiveTable = { name: 'app.events', kind: 'stream', keyType: 'INT', passing: undefined };
  readonly #moods: LiveTable = { name: 'app.moods', kind: 'stream', keyType: 'INT', passing: undefined };
  readonly #places: readonly Place[];
  readonly #writers: Writer[] = [];
  readonly #libraries: LibraryClient[] = [];
  readonly #libraryJudges = new Map<object, Judge>();
  readonly #actors = new Map<string, SeededRandom>();
  readonly #audience: Audience;
  readonly #upkeep: Upkeep;
  readonly #reads: SnapshotReads;
  #server: ServerProcess | undefined;
  #serving: Promise<void> = Promise.resolve();
  #proxy: NetworkProxy | undefined;
  #numbers = 0;
  #flooder: Writer | undefined;

  constructor(seed: number) {
    this.#seed = seed;
    const users = [...USERS, 'root'];
    this.#places = [
      new Place(this.#board, undefined),
      ...users.map((user) => new Place(this.#notes, user)),
      new Place(this.#events, undefined),
      ...USERS.map((user) => new Place(this.#moods, user)),
    ];
    const count = (what: string, by?: number): void => this.#count(what, by);
    this.#audience = new Audience({
      random: this.#actor('audience'),
      places: this.#places,
      count,
      tokenOf: (user) => this.#api.token(user),
      select: async (user, sql) => (await this.#api.rows(user, sql))[0] ?? [],
      ports: { server: () => this.#server?.port ?? 0, network: () => this.#proxy?.port ?? 0 },
    });
    const altering = (table: LiveTable): void => {
      this.#audience.altering(table);
      for (const { followers } of this.#libraries) {
        for (const { query, heard } of followers) if (query.place.table === table) heard.push({ kind: 'blur' });
      }
    };
    this.#upkeep = new Upkeep([this.#notes, this.#board], { api: this.#api, random: this.#actor('upkeep'), count, altering });
    this.#reads = new SnapshotReads({ api: this.#api, random: this.#actor('reads'), places: this.#places, users, count });
  }

  async open(): Promise<void> {
    await this.#startServer(0);
    await this.#prepare();
    this.#proxy = await NetworkProxy.start({ targetPort: () => this.#server?.port ?? 0, random: this.#actor('network') });
    this.#createWriters();
    this.#audience.open([...USERS, 'root']);
    for (const user of ['alice', 'root']) await this.#openLibrary(user);
  }

  /** Everybody works at the same time; then the writers rest and everything is compared. */
  async round(round: number): Promise<void> {
    const proxy = this.#network();
    proxy.weather = WEATHER;
    let left = ROUND_STATEMENTS;
    let over = false;
    const writing = Promise.all(
      this.#writers.map(async (writer) => {
        while (left > 0) {
          const done = await writer.step();
          left -= done;
          this.statements += done;
          this.#count('statements', done);
        }
      }),
    ).finally(() => {
      over = true;
    });
    const beside = Promise.all([
      this.#repeat(
        () => over,
        'pace',
        () => this.#audience.step(),
      ),
      this.#repeat(
        () => over,
        'read pace',
        () => this.#reads.step(),
      ),
      this.#repeat(
        () => over,
        'upkeep pace',
        () => this.#upkeep.step(),
      ),
      round % 3 === 1 ? this.#kill(round) : undefined,
      round % 3 === 2 ? this.#flood() : undefined,
      round % 5 === 3 ? this.#swallow() : undefined,
    ]);
    await Promise.all([writing, beside]);
    for (const writer of [...this.#writers, this.#flooder]) await writer?.settle();
    await this.#rest();
    this.#count('rests');
  }

  /** Adds what the server has counted since its last start, and checks that nothing is left of those that have gone. */
  async finish(): Promise<void> {
    await this.#addStats();
    const proxy = this.#network();
    for (const [what, count] of Object.entries(proxy.counts)) this.#count(`network: ${what}`, count);
    this.#audience.close();
    for (const library of this.#libraries) await library.close();
    for (let look = 0; look < 500; look++) {
      const [rows = []] = await this.#api.rows('root', 'SELECT live_id FROM system.live');
      if (rows.length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error('subscriptions are left of connections that have gone');
  }

  async close(): Promise<void> {
    this.#audience.close();
    for (const library of this.#libraries) await library.close();
    await this.#proxy?.close();
    await this.#server?.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Randomness of one actor, which does not depend on the pace of the others. */
  #actor(name: string): SeededRandom {
    const found = this.#actors.get(name) ?? new SeededRandom(this.#seed * 7_919 + this.#actors.size);
    this.#actors.set(name, found);
    return found;
  }

  #count(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by;
  }

  #network(): NetworkProxy {
    if (this.#proxy === undefined) throw new Error('no network');
    return this.#proxy;
  }

  async #startServer(port: number): Promise<void> {
    const durability = this.#seed % 2 === 0 ? 'sync' : 'relaxed';
    const options = { folder: this.#folder, durability, rootPassword: ROOT_PASSWORD, port, settings: SERVER_SETTINGS } as const;
    this.#server = await ServerProcess.start(options);
    this.#api.url = this.#server.url;
  }

  async #prepare(): Promise<void> {
    await this.#api.login('root', ROOT_PASSWORD);
    const stream = (scope: string): string => `WITH (TTL_SECONDS = 86400, SCOPE = '${scope}')`;
    const statements = [
      'CREATE NAMESPACE app',
      `CREATE USER TABLE app.notes (${columnsOf(this.#notes)})`,
      `CREATE SHARED TABLE app.board (${columnsOf(this.#board)}) WITH (ACCESS_LEVEL = 'public')`,
      `CREATE STREAM TABLE app.events (${columnsOf(this.#events)}) ${stream('SHARED')}`,
      `CREATE STREAM TABLE app.moods (${columnsOf(this.#moods)}) ${stream('USER')}`,
      ...USERS.map((user) => `CREATE USER '${user}' WITH PASSWORD '${USER_PASSWORD}' ROLE 'user'`),
    ];
    for (const sql of statements) {
      const { error } = await this.#api.sql('root', sql);
      if (error !== undefined) throw new Error(`${sql}: ${error}`);
    }
    for (const user of USERS) await this.#api.login(user, USER_PASSWORD);
  }

  #createWriters(): void {
    const parts = {
      api: this.#api,
      serving: () => this.#serving,
      nextNumber: () => ++this.#numbers,
      count: (what: string, by?: number) => this.#count(what, by),
    };
    const place = (table: LiveTable, owner?: string): Place => {
      const found = this.#places.find((one) => one.table === table && one.owner === owner);
      if (found === undefined) throw new Error(`no place ${table.name}`);
      return found;
    };
    const add = (user: string, places: readonly Place[]): void => {
      const number = this.#writers.length;
      const targets = places.map((one) => ({ place: one, keys: keysOf(one.table, number) }));
      this.#writers.push(new Writer({ user, targets, random: this.#actor(`writer ${number}`) }, parts));
    };
    for (let count = 0; count < 2; count++) add('root', [place(this.#board)]);
    add('root', [place(this.#board), place(this.#notes, 'root')]);
    for (const user of USERS) for (let count = 0; count < 2; count++) add(user, [place(this.#notes, user)]);
    add('root', [place(this.#events)]);
    for (const user of USERS) add(user, [place(this.#moods, user)]);
    const flooded = [{ place: place(this.#board), keys: keysOf(this.#board, this.#writers.length) }];
    this.#flooder = new Writer({ user: 'root', targets: flooded, random: this.#actor('flooder') }, parts);
  }

  async #openLibrary(user: string): Promise<void> {
    const random = this.#actor(`library ${user}`);
    const library = new LibraryClient({
      url: this.#network().url,
      token: this.#api.token(user),
      random,
      onConnect: () => this.#count('library connects'),
    });
    this.#libraries.push(library);
    for (let count = 0; count < 8; count++) {
      const query = drawQuery(random, this.#places, user);
      const batchSize = random.pick([1, 5, 1000]);
      if (count % 2 === 0) await library.rows(query, batchSize);
      else await library.events(query, batchSize);
    }
  }

  async #repeat(over: () => boolean, actor: string, step: () => Promise<void>): Promise<void> {
    const random = this.#actor(actor);
    while (!over()) {
      await this.#serving;
      await step();
      await new Promise((resolve) => setTimeout(resolve, 2 + random.integer(25)));
    }
  }

  /** Long rows for a client that does not read, until the server has paused its subscriptions. */
  async #flood(): Promise<void> {
    await this.#audience.readSlowly(async () => {
      for (let write = 0; write < FLOOD_WRITES_MAX; write++) {
        await this.#flooder?.flood();
        const [, waiting] = /^kalamdb_outbox_bytes (\d+)$/m.exec(await this.#metrics()) ?? [];
        if (Number(waiting) <= OUTBOX_BYTES) continue;
        this.#count('slow readers');
        return;
      }
    });
  }

  async #kill(round: number): Promise<void> {
    const random = this.#actor('kills');
    await new Promise((resolve) => setTimeout(resolve, 50 + random.integer(300)));
    const server = this.#server;
    if (server === undefined) return;
    await this.#addStats();
    const isKill = round % 2 === 1;
    this.#serving = (async () => {
      await server[isKill ? 'kill' : 'stop']();
      for (const place of this.#places) if (place.table.kind === 'stream') place.history.forgetAll();
      await this.#startServer(server.port);
      this.#count(isKill ? 'kills' : 'restarts');
    })();
    await this.#serving;
  }

  async #swallow(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, this.#actor('half-open').integer(300)));
    this.#network().swallowAll();
    this.#count('all half-open');
  }

  /** The server's own counters, which begin anew with every start. */
  async #addStats(): Promise<void> {
    const found = (await this.#metrics()).matchAll(/^kalamdb_(catch_ups_total\{kind="\w+"\}|resumes_total|resyncs_total) (\d+)$/gm);
    for (const [, name = '', value] of found) this.#count(`server: ${name}`, Number(value));
  }

  async #metrics(): Promise<string> {
    const response = await fetch(`${this.#api.url}/metrics`);
    return response.text();
  }

  async #rest(): Promise<void> {
    this.#network().weather = CALM_WEATHER;
    const judged = await this.#audience.rest();
    for (const [query, judge] of judged) await this.#compare(query, judge);
    for (const library of this.#libraries) await this.#judgeLibrary(library);
    this.#reads.judge();
    for (const judge of [...judged.values(), ...this.#libraryJudges.values()]) {
      this.#count('exact changes', judge.exactChanges);
      this.#count('changes after a resume or an alteration', judge.looseChanges);
      this.#count('leaves', judge.leaves);
      judge.exactChanges = 0;
      judge.looseChanges = 0;
      judge.leaves = 0;
    }
  }

  async #judgeLibrary({ followers }: LibraryClient): Promise<void> {
    for (const follower of followers) {
      const { query, heard, stop } = follower;
      const judge = this.#libraryJudges.get(follower) ?? new Judge(query, { kind: 'whole' });
      this.#libraryJudges.set(follower, judge);
      try {
        await stop.caughtUp();
        const shown = follower.rows();
        if (shown === undefined) {
          for (const one of heard.splice(0)) judge.take(one);
          judge.rest();
        } else judge.isShown(shown);
        if (follower.problems.length > 0) throw new Error(follower.problems.join('\n'));
      } catch (error) {
        throw complaint(query, error, heard);
      }
      await this.#compare(query, judge);
      this.#count('judged in the library');
    }
  }

  /** The answer that the judge has come to is what a SELECT of the same user says. */
  async #compare(query: LiveQuery, judge: Judge): Promise<void> {
    const { place, user, filter } = query;
    const columns = query.columns?.filter((name) => STABLE_COLUMNS.includes(name)) ?? STABLE_COLUMNS;
    const sql = `SELECT ${columns.join(', ')}, _seq FROM ${place.table.name} WHERE ${filter.sql}`;
    const [rows = []] = await this.#api.rows(user, sql);
    const selected = rows.map((row) => JSON.stringify(row)).sort();
    const wanted = [...judge.answer.values()]
      .filter(({ seq }) => !place.history.isGone(seq))
      .map(({ cells, seq }) => JSON.stringify([...columns.map((name) => cells[name] ?? null), String(seq)]))
      .sort();
    const difference = selected.find((row, index) => row !== wanted[index]) ?? wanted[selected.length];
    if (difference !== undefined || selected.length !== wanted.length)
      throw complaint(
        query,
        `a SELECT answers ${selected.length} rows instead of ${wanted.length}; look at ${difference?.slice(0, 500)}`,
        [],
      );
    this.#count('SELECTs compared');
  }
}
