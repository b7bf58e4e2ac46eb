import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import { expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import type { LiveConnection } from '../live/connection.ts';
import { SimulatedClient } from '../live/simulated-client.fixture.ts';
import { MAIN_THREAD_ROWS_MAX } from '../read/query-runner.ts';
import type { OpenRequest } from '../session/open-request.ts';
import { StatementError } from '../session/statement-error.ts';
import { type ModelAnswer, type ModelStatement, SnapshotModel } from '../transaction/snapshot-model.fixture.ts';
import type { Database } from './database.ts';
import { LAGS, type Lag, type LaggingStore, openLaggingStorage } from './lagging-storage.fixture.ts';
import { databaseOn } from './open-database.ts';

const ROOT: Principal = { userId: 'root', role: 'system' };
const CLIENTS: readonly Principal[] = [
  { userId: 'alice', role: 'service' },
  { userId: 'bob', role: 'service' },
  { userId: 'alice', role: 'service' },
];
/** A partition whose scans the scan thread gets. */
const BIG_ROWS = MAIN_THREAD_ROWS_MAX + 1000;
/** Its rows that statements change; the others are there to be scanned. */
const BUSY_KEYS = 12;
const BIG_COUNT = 'SELECT COUNT(*), SUM(v) FROM app.big';
const BIG_FILTER = `SELECT id, v FROM app.big WHERE v >= 0 ORDER BY id`;
const WATCHED = ['SELECT * FROM app.ours', 'SELECT * FROM app.ours WHERE v >= 5', 'SELECT * FROM app.big WHERE v >= 0'] as const;

interface Watcher {
  readonly sql: string;
  readonly client: SimulatedClient;
  connection: LiveConnection;
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A database whose hot tier lags behind, beside the model of it. */
class World {
  readonly model = new SnapshotModel();
  readonly counts: Record<string, number> = {};
  readonly hot: LaggingStore;
  readonly #database: Database;
  readonly #time: VirtualTime;
  readonly #random: SeededRandom;
  readonly #requests: readonly OpenRequest[];
  readonly #watchers: Watcher[] = [];
  #connections = 0;

  private constructor(database: Database, hot: LaggingStore, environment: { time: VirtualTime; random: SeededRandom }) {
    this.#database = database;
    this.hot = hot;
    this.#time = environment.time;
    this.#random = environment.random;
    this.#requests = CLIENTS.map((principal) => database.session(principal).open());
  }

  static async open(directory: string, seed: number): Promise<World> {
    const time = new VirtualTime();
    const random = new SeededRandom(seed);
    const storage = await openLaggingStorage(directory, { random, timers: time });
    const opening = databaseOn(storage, {
      directory,
      durability: 'relaxed',
      clock: time,
      timers: time,
      random,
      // Resuming must find most of what it needs in the hot tier and the overlay, not in the tail.
      tailBytesMax: 4000,
      statementTimeoutMillis: 1e9,
      onWarning: () => undefined,
    });
    const world = new World(await pumped(time, opening), storage.hot, { time, random });
    await world.#prepare();
    return world;
  }

  async #prepare(): Promise<void> {
    const root = this.#database.session(ROOT);
    const run = (sql: string) => pumped(this.#time, root.execute(sql));
    const columns = '(id INT PRIMARY KEY, v INT)';
    await run('CREATE NAMESPACE app');
    for (const table of ['USER TABLE app.mine', 'SHARED TABLE app.ours', 'SHARED TABLE app.big']) await run(`CREATE ${table} ${columns}`);
    for (let first = BUSY_KEYS; first < BIG_ROWS + BUSY_KEYS; first += 3000) {
      const ids = Array.from({ length: Math.min(3000, BIG_ROWS + BUSY_KEYS - first) }, (_, index) => first + index);
      await run(`INSERT INTO app.big (id, v) VALUES ${ids.map((id) => `(${id}, -1)`).join(', ')}`);
    }
    for (const sql of WATCHED) {
      const client = new SimulatedClient();
      const watcher: Watcher = { sql, client, connection: this.#connect(client) };
      this.#watchers.push(watcher);
      await this.#subscribe(watcher, undefined);
    }
  }

  async step(): Promise<void> {
    const dice = this.#random.integer(100);
    if (dice < 14) this.#changeLag();
    else if (dice < 28) await this.#passTime();
    else if (dice < 34) await this.#scanBeside();
    else if (dice < 40) await this.#resume();
    else if (dice < 56) await this.#control();
    else await this.#statement();
    if (dice % 4 === 0) await this.check();
  }

  /** Waits, under each kind of lag, until a batch has met with it: in the random steps a slow machine may never get that far. */
  async meetEveryLag(): Promise<void> {
    // What is written in a transaction makes no batch, and with all of them open nothing ever would.
    for (const client of CLIENTS.keys()) {
      const name = `client ${client}`;
      if (this.model.isOpen(name)) await this.#compare(client, 'ROLLBACK', () => this.model.rollback(name));
    }
    for (const [lag, outcome] of MEETINGS) {
      this.#note(lag);
      while (this.hot.counts[outcome] === undefined) {
        // Again each time: a batch that was on its way already may have taken it.
        this.hot.lag = lag;
        await this.#statement();
        this.#time.advance(600);
        await settle();
        // A thread that dies again and again is given up, as it should be: it applies something in between.
        this.hot.lag = 'none';
        await this.#applySomething();
      }
      await this.check();
    }
  }

  /** Writes until a batch has been applied without any lag. */
  async #applySomething(): Promise<void> {
    const applied = (): number => this.hot.counts['applied (none)'] ?? 0;
    const before = applied();
    for (let turn = 0; applied() === before && turn < 200; turn++) {
      await this.#statement();
      this.#time.advance(600);
      await settle();
    }
  }

  /** Every road to the rows, against the model. */
  async check(): Promise<void> {
    for (const place of ['ours', 'alice', 'bob']) {
      const rows = sorted(this.model.rows(place));
      const table = place === 'ours' ? 'app.ours' : 'app.mine';
      const reader = place === 'ours' ? ROOT : { userId: place, role: 'user' as const };
      expect([place, await this.#rows(`SELECT id, v FROM ${table}`, reader)]).toEqual([place, rows]);
      expect(await this.#rows(`SELECT COUNT(*) FROM ${table}`, reader)).toEqual([[BigInt(rows.length)]]);
      const id = this.#random.integer(BUSY_KEYS);
      const found = rows.filter((row) => row[0] === id);
      expect(await this.#rows(`SELECT id, v FROM ${table} WHERE id = ${id}`, reader)).toEqual(found);
      expect(await this.#rows(`SELECT id, v FROM ${table} ORDER BY _seq DESC, id LIMIT 1`, reader)).toHaveLength(Math.min(1, rows.length));
    }
    await this.#checkWatchers();
  }

  async close(): Promise<void> {
    this.hot.lag = 'none';
    await pumped(this.#time, this.#database.close());
  }

  #note(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  #changeLag(): void {
    this.hot.lag = this.#random.pick(LAGS);
    this.#note(this.hot.lag);
  }

  /** Makes a batch due, and lets some turns pass, so that it is anywhere on its way when the next step comes. */
  async #passTime(): Promise<void> {
    this.#time.advance(600);
    for (let turns = this.#random.integer(40); turns > 0; turns--) await settle();
    this.#note('time');
  }

  /** Scans of the large partition in the scan thread while a batch is on its way and somebody writes. */
  async #scanBeside(): Promise<void> {
    const expected = (): readonly (readonly unknown[][])[] => {
      const busy = sorted(this.model.rows('big'));
      const sum = busy.reduce((total, row) => total + Number(row[1]), 0) - BIG_ROWS;
      return [[[BigInt(BIG_ROWS + busy.length), BigInt(sum)]], busy];
    };
    const before = expected();
    const scans = [BIG_COUNT, BIG_FILTER].map((sql) => this.#database.session(ROOT).execute(sql));
    this.#time.advance(600);
    const id = this.#random.integer(BUSY_KEYS);
    const write = { kind: 'update', from: id, to: BUSY_KEYS - 1, add: 1 } as const;
    this.model.run('writer', 'big', write);
    const writing = this.#database.session(ROOT).execute(textOf(write, 'app.big'));
    const results = await pumped(this.#time, Promise.all([...scans, writing]));
    const after = expected();
    for (const [index, result] of results.slice(0, 2).entries()) {
      const rows = result[0]?.kind === 'rows' ? result[0].rows : undefined;
      expect([before[index], after[index]]).toContainEqual(rows);
    }
    for (const [index, sql] of [BIG_COUNT, BIG_FILTER].entries()) expect(await this.#rows(sql, ROOT)).toEqual(after[index]);
    this.#note('scan');
  }

  /** A watcher loses its connection and continues where it was on the next. */
  async #resume(): Promise<void> {
    const watcher = this.#random.pick(this.#watchers);
    watcher.connection.close();
    const rows = 1 + this.#random.integer(4);
    for (let count = 0; count < rows; count++) await this.#statement();
    watcher.client.reconnected();
    watcher.connection = this.#connect(watcher.client);
    await this.#subscribe(watcher, watcher.client.highest);
    this.#note('resume');
  }

  #connect(sink: SimulatedClient): LiveConnection {
    return this.#database.live.connect(ROOT, { connectionId: `c${++this.#connections}`, sink });
  }

  async #subscribe({ sql, client, connection }: Watcher, from: bigint | undefined): Promise<void> {
    const options = { batchSize: 5, ...(from === undefined ? {} : { from }) };
    await pumped(this.#time, connection.subscribe({ id: 's', sql, options }));
    while (client.state === 'loading') await pumped(this.#time, connection.nextBatch('s', client.lastSeqId));
  }

  async #checkWatchers(): Promise<void> {
    const isBehind = (): boolean => this.#database.live.list().some(({ state }) => state !== 'live');
    for (let turn = 0; isBehind(); turn++) {
      if (turn === 1000) throw new Error(`a subscription does not become live: ${this.#watchers.map(({ client }) => client.ended)}`);
      await pumped(this.#time, settle());
    }
    for (const { sql, client } of this.#watchers) {
      const [table = '', least = '-1000'] = /app\.(\w+)(?: WHERE v >= (\d+))?/.exec(sql)?.slice(1) ?? [];
      const rows = sorted(this.model.rows(table)).filter((row) => Number(row[1]) >= Number(least));
      const got = [...client.rows.values()].map((row) => [row['id'], row['v']]).sort((a, b) => Number(a[0]) - Number(b[0]));
      expect([sql, client.problems, client.ended, got]).toEqual([sql, [], undefined, rows]);
    }
  }

  async #control(): Promise<void> {
    const client = this.#random.integer(CLIENTS.length);
    const name = `client ${client}`;
    if (!this.model.isOpen(name)) return this.#compare(client, 'BEGIN', () => this.model.begin(name));
    if (this.#random.integer(4) === 0) return this.#compare(client, 'ROLLBACK', () => this.model.rollback(name));
    return this.#compare(client, 'COMMIT', () => this.model.commit(name));
  }

  async #statement(): Promise<void> {
    const client = this.#random.integer(CLIENTS.length);
    const place = this.#random.pick(['ours', 'ours', 'ours', 'big', CLIENTS[client]?.userId ?? '']);
    const table = place === 'ours' || place === 'big' ? `app.${place}` : 'app.mine';
    const statement = this.#draw();
    await this.#compare(client, textOf(statement, table), () => this.model.run(`client ${client}`, place, statement));
  }

  #draw(): ModelStatement {
    const from = this.#random.integer(BUSY_KEYS);
    const to = this.#random.integer(3) === 0 ? this.#random.integer(BUSY_KEYS - from) + from : from;
    const dice = this.#random.integer(10);
    if (dice < 2)
      return { kind: 'insert', rows: Array.from({ length: to - from + 1 }, (_, index) => [from + index, this.#random.integer(10)]) };
    if (dice < 5) return { kind: 'update', from, to, add: 1 + this.#random.integer(3) };
    if (dice < 7) return { kind: 'delete', from, to };
    return { kind: 'select', from: 0, to: BUSY_KEYS - 1, descending: dice === 7 };
  }

  async #compare(client: number, sql: string, expected: () => ModelAnswer): Promise<void> {
    const answer = await this.#answer(client, sql);
    const name = `client ${client}`;
    if (answer.kind === 'error' && answer.code === 'SNAPSHOT_TOO_OLD' && this.model.isOpen(name)) {
      // What its view stood on went with the applier's thread, or it is too old: it has to begin again.
      this.model.rollback(name);
      this.#note(answer.code);
      return;
    }
    this.#note(answer.kind === 'error' ? answer.code : (sql.split(' ')[0] ?? ''));
    expect([sql, answer]).toEqual([sql, expected()]);
  }

  async #rows(sql: string, principal: Principal): Promise<readonly unknown[]> {
    const [result] = await pumped(this.#time, this.#database.session(principal).execute(sql));
    return result?.kind === 'rows' ? result.rows : [];
  }

  async #answer(client: number, sql: string): Promise<ModelAnswer> {
    try {
      const [result] = (await pumped(this.#time, this.#requests[client]?.execute(sql) ?? Promise.resolve([]))) ?? [];
      if (result?.kind === 'rows') return { kind: 'rows', rows: result.rows as number[][] };
      return result?.dml === undefined ? { kind: 'done' } : { kind: 'count', count: result.rowCount };
    } catch (error) {
      if (error instanceof StatementError) return { kind: 'error', code: error.failure.error.code };
      throw error;
    }
  }
}

const sorted = (rows: ReadonlyMap<number, number>): unknown[][] => [...rows].sort(([a], [b]) => a - b).map((row) => [...row]);

/** Lets the event loop turn until `work` is done; the time that passes is too little to make a batch due. */
async function pumped<T>(time: VirtualTime, work: Promise<T>): Promise<T> {
  let done = false;
  const finished = work.finally(() => {
    done = true;
  });
  finished.catch(() => undefined);
  for (let turn = 1; !done; turn++) {
    await settle();
    if (!done) time.advance(turn % 100 === 0 ? 1 : 0);
  }
  return finished;
}

function textOf(what: ModelStatement, table: string): string {
  switch (what.kind) {
    case 'insert':
      return `INSERT INTO ${table} (id, v) VALUES ${what.rows.map(([id, v]) => `(${id}, ${v})`).join(', ')}`;
    case 'update':
      return `UPDATE ${table} SET v = v + ${what.add} WHERE id BETWEEN ${what.from} AND ${what.to}`;
    case 'delete':
      return `DELETE FROM ${table} WHERE id BETWEEN ${what.from} AND ${what.to}`;
    case 'select':
      return `SELECT id, v FROM ${table} WHERE id <= ${what.to} ORDER BY id ${what.descending ? 'DESC' : 'ASC'}`;
    default:
      throw new Error(`not drawn here: ${what.kind}`);
  }
}

/** What random steps come to sooner or later, however slow the machine is. */
const STEP_NAMES: readonly string[] = [
  ...LAGS,
  'time',
  'scan',
  'resume',
  'BEGIN',
  'COMMIT',
  'ROLLBACK',
  'INSERT',
  'UPDATE',
  'DELETE',
  'SELECT',
  'DUPLICATE_KEY',
  'CONFLICT',
];
/** What a batch comes to under a lag that does not only hold it back. */
const MEETINGS: readonly (readonly [Lag, string])[] = [
  ['none', 'applied (none)'],
  ['slow', 'applied (slow)'],
  ['failing', 'refused'],
  ['dies before', 'died (dies before)'],
  ['dies after', 'died (dies after)'],
];
const OUTCOMES: readonly string[] = MEETINGS.map(([, outcome]) => outcome);
/** Steps of each run; the last goes on, up to the larger number, until everything has happened. */
const STEPS = { least: 150, max: 5000 };

it('everything answers as the model does while the hot tier is held back, slow, refuses and dies', async () => {
  const totals: Record<string, number> = {};
  const missing = ({ counts, hot }: World, names: readonly string[]): string | undefined =>
    names.find((what) => (totals[what] ?? counts[what] ?? hot.counts[what]) === undefined);
  for (const [seed, isLast] of [
    [1, false],
    [2, true],
  ] as const) {
    const directory = mkdtempSync(join(tmpdir(), 'kalamdb-lag-'));
    const world = await World.open(directory, seed);
    try {
      let step = 0;
      for (; step < STEPS.least || (isLast && step < STEPS.max && missing(world, STEP_NAMES) !== undefined); step++) await world.step();
      await world.meetEveryLag();
      if (isLast) expect(missing(world, [...STEP_NAMES, ...OUTCOMES])).toBeUndefined();
    } finally {
      await world.close();
      rmSync(directory, { recursive: true, force: true });
    }
    Object.assign(totals, world.counts, world.hot.counts);
  }
}, 120_000);
