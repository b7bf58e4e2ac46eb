import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KalamError } from '@kalamdb/protocol';
import type { Durability } from '@kalamdb/storage';
import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import { expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import type { LiveFrame } from '../live/frame.ts';
import { StatementError } from '../session/statement-error.ts';
import type { Database } from './database.ts';
import { type Answer, type Answered, checkRound, countOf, type ModelState, type Observed, type Operation } from './engine-model.fixture.ts';
import { longRun } from './long-run.fixture.ts';
import { openDatabase } from './open-database.ts';

const KEYS: readonly string[] = ['k0', 'k1', 'k2', 'k3', 'k4', 'k5'];
const USERS: readonly Principal[] = [
  { userId: 'root', role: 'system' },
  { userId: 'alice', role: 'service' },
  { userId: 'bob', role: 'service' },
];
const ROOT: Principal = { userId: 'root', role: 'system' };
const SESSIONS = 5;
/** Far more than a program's timers take; only a step of its own makes events expire. */
const TTL_SECONDS = 20_000;
const TABLES = {
  notes: 'CREATE USER TABLE app.notes (id TEXT PRIMARY KEY, v INT, n INT)',
  board: 'CREATE SHARED TABLE app.board (id TEXT PRIMARY KEY, v INT, n INT)',
  events: `CREATE STREAM TABLE app.events (id TEXT PRIMARY KEY, v INT, n INT) WITH (TTL_SECONDS=${TTL_SECONDS})`,
} as const;
type TableName = keyof typeof TABLES;
const TABLE_NAMES: readonly TableName[] = ['notes', 'board', 'events'];
const EMPTY: ModelState = { exists: true, rows: new Map() };
const GONE: ModelState = { exists: false, rows: new Map() };

/** One partition beside the model's idea of it. */
interface Place {
  readonly table: TableName;
  readonly owner: Principal;
  state: ModelState;
  observed: Observed[];
  /** Keys by the `_seq` of the event that a stream holds under it. */
  readonly eventKeys: Map<string, string>;
}

interface ChangeBody {
  readonly change_type: Observed['change'];
  readonly rows?: readonly { readonly id: string; readonly v: number; readonly n: number; readonly _seq: string }[];
  readonly old_values?: readonly { readonly id?: string; readonly row_id?: string }[];
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A database under random statements, and the model of it. */
class World {
  readonly counts: Record<string, number> = {};
  readonly #random: SeededRandom;
  readonly #time: VirtualTime = new VirtualTime();
  readonly #directory: string | undefined;
  readonly #durability: Durability;
  /** Rows are moved into segments at any time. */
  readonly #flushes: boolean;
  readonly #places: readonly Place[];
  #database: Database | undefined;
  #subscriptions = 0;
  #marks = 0;

  constructor(options: { directory: string | undefined; durability: Durability; seed: number; flushes?: boolean }) {
    this.#flushes = options.flushes === true;
    this.#random = new SeededRandom(options.seed);
    this.#directory = options.directory;
    this.#durability = options.durability;
    const place = (table: TableName, owner: Principal): Place => ({ table, owner, state: GONE, observed: [], eventKeys: new Map() });
    this.#places = TABLE_NAMES.flatMap((table) => (table === 'board' ? [place(table, ROOT)] : USERS.map((user) => place(table, user))));
  }

  async open(): Promise<void> {
    const time = this.#time;
    const options = {
      directory: this.#directory,
      durability: this.#durability,
      clock: time,
      timers: time,
      random: this.#random,
      cold: { segmentRowsMax: 3, mergedRowsMax: 12, deletedRetentionHours: 4 },
    };
    this.#database = await this.#pumped(openDatabase(options));
    for (const place of this.#places) if (place.state.exists) await this.#observe(place);
  }

  async prepare(): Promise<void> {
    await this.#run(ROOT, 'CREATE NAMESPACE app');
    for (const table of TABLE_NAMES) await this.#create(table);
  }

  async close(): Promise<void> {
    this.#countCold();
    await this.#pumped(this.#db.close());
  }

  async step(): Promise<void> {
    const missing = TABLE_NAMES.find((table) => this.#placesOf(table)[0]?.state.exists === false);
    const dice = this.#random.integer(20);
    if (this.#flushes && this.#random.integer(2) === 0) await this.#pumped(this.#flush());
    if (missing !== undefined && dice < 10) await this.#create(missing);
    else if (dice === 10 && this.#directory !== undefined) await this.#restart();
    else if (dice === 11) await this.#expire();
    else await this.#round();
    await this.#checkAll();
  }

  get #db(): Database {
    if (this.#database === undefined) throw new Error('the database is not open');
    return this.#database;
  }

  #placesOf(table: TableName): readonly Place[] {
    return this.#places.filter((place) => place.table === table);
  }

  #placeOf(table: TableName, user: Principal): Place {
    const found = this.#places.find((place) => place.table === table && (table === 'board' || place.owner === user));
    if (found === undefined) throw new Error(`no place for ${user.userId} in ${table}`);
    return found;
  }

  #count(what: string, times = 1): void {
    if (times > 0) this.counts[what] = (this.counts[what] ?? 0) + times;
  }

  /** Several sessions at once, each with a few statements on its partitions, then what they saw against the model. */
  async #round(): Promise<void> {
    const runs: { readonly place: Place; readonly entry: Answered }[][] = [];
    const deleting = new Set<string>();
    const sessions = Array.from({ length: SESSIONS }, async (_, number) => {
      const user = this.#random.pick(USERS);
      const session: (typeof runs)[number] = [];
      runs[number] = session;
      const plan = Array.from({ length: 1 + this.#random.integer(4) }, () => {
        const table = this.#random.pick(TABLE_NAMES);
        return { table, operation: this.#operation(this.#placeOf(table, user), deleting) };
      });
      for (const { table, operation } of plan) {
        const answer = await this.#run(operation.kind === 'drop' ? ROOT : user, sqlOf(table, operation));
        this.#count('statement');
        session.push({ place: this.#placeOf(table, user), entry: { operation, answer } });
        this.#count(`${operation.kind} ${outcomeOf(operation, answer)}`);
      }
    });
    const flushing = this.#flushes ? this.#flush() : Promise.resolve();
    await this.#pumped(Promise.all([...sessions, flushing]));
    this.#count('round');
    for (const place of this.#places) {
      const own = runs.map((session) => session.filter((run) => run.place.table === place.table));
      const answered = own.map((session) => session.filter((run) => run.place === place || run.entry.operation.kind === 'drop'));
      const { state: start, observed } = place;
      place.state = checkRound({ start, observed, sessions: answered.map((session) => session.map(({ entry }) => entry)) });
      place.observed = [];
    }
  }

  /** Moves the rows of some partitions into segments, merges some, and lets old tombstones go. */
  async #flush(what?: number): Promise<void> {
    const { cold } = this.#db;
    const flushes = this.#places.flatMap(async (place) => {
      const table = cold?.catalog.table('app', place.table);
      if (cold === undefined || table === undefined || table.kind === 'stream' || this.#random.integer(2) === 0) return;
      try {
        const partition = table.partitionFor(place.owner.userId);
        const dice = what ?? this.#random.integer(4);
        if (dice === 0) this.#count('hot tombstones', await cold.hotTombstones.remove(table, partition));
        if (dice < 3) await cold.flusher.flushPartition(partition);
        if (dice > 1) await cold.compactor.compactPartition(partition, { extent: this.#random.integer(3) === 0 ? 'due' : 'all' });
      } catch (error) {
        if (!(error instanceof KalamError) || error.code !== 'SHUTTING_DOWN') throw error;
      }
    });
    await Promise.all(flushes);
  }

  #countCold(): void {
    const { cold } = this.#db;
    if (cold === undefined) return;
    const { flusher, lookUps, segments, compactor } = cold;
    const { found, spared } = segments.counts;
    const { runs, expired, overtaken: overtakenMerged } = compactor.counts;
    const counts = { ...flusher.counts, ...lookUps.counts, found, spared, runs, expired, overtakenMerged };
    for (const [what, count] of Object.entries(counts)) this.#count(`cold ${what}`, count);
  }

  #operation(place: Place, deleting: Set<string>): Operation {
    this.#marks += 1;
    const mark = this.#marks;
    const key = this.#random.pick(KEYS);
    const dice = this.#random.integer(place.table === 'events' ? 60 : 100);
    const returning = this.#random.integer(3) === 0;
    const some = KEYS.slice(this.#random.integer(3)).slice(0, 1 + this.#random.integer(3));
    const deletion = `${place.table} ${place.owner.userId} ${key}`;
    if (dice < 14) return { mark, returning, kind: 'insert', keys: [key] };
    if (dice < 20) return { mark, returning, kind: 'insert', keys: KEYS.slice(0, 2 + this.#random.integer(2)) };
    if (dice < 30) return { mark, returning, kind: 'fill', keys: some };
    if (dice < 45 && !deleting.has(deletion)) {
      deleting.add(deletion);
      return { mark, returning, kind: 'delete', key };
    }
    if (dice < 58) return { mark, kind: 'read' };
    if (dice < 60) return { mark, kind: 'drop' };
    if (dice < 75) return { mark, returning, kind: 'upsert', keys: some };
    return dice < 90 ? { mark, returning, kind: 'count', key } : { mark, returning, kind: 'sweep', from: key };
  }

  /** Two sessions make a missing table while others write to it; one of the two wins. */
  async #create(table: TableName): Promise<void> {
    const inserts = USERS.flatMap((user) => KEYS.slice(0, 2).map((key) => ({ user, key: `${key}-${user.userId}`, mark: ++this.#marks })));
    const creating = [this.#run(ROOT, TABLES[table]), this.#run(ROOT, TABLES[table])];
    const writing = inserts.map(({ user, key, mark }) => this.#run(user, sqlOf(table, { kind: 'insert', keys: [key], mark })));
    const made = await this.#pumped(Promise.all(creating));
    expect(made.map((answer) => (answer.kind === 'error' ? answer.code : answer.kind)).sort()).toEqual(['TABLE_EXISTS', 'count']);
    const answers = await this.#pumped(Promise.all(writing));
    for (const place of this.#placesOf(table)) place.state = EMPTY;
    for (const [index, { user, key, mark }] of inserts.entries()) {
      const answer = answers[index];
      if (answer?.kind === 'count') this.#put(this.#placeOf(table, user), key, mark);
      else expect(answer).toEqual({ kind: 'error', code: 'TABLE_NOT_FOUND' });
    }
    for (const place of this.#placesOf(table)) await this.#observe(place);
    this.#count('create');
  }

  #put(place: Place, key: string, mark: number): void {
    place.state = { exists: true, rows: new Map(place.state.rows).set(key, { v: mark, n: 0 }) };
  }

  /** Closes with statements on their way, which are answered or refused, and opens again. Streams are empty then. */
  async #restart(): Promise<void> {
    const writes = USERS.flatMap((user) =>
      TABLE_NAMES.filter((table) => this.#placeOf(table, user).state.exists).map((table) => ({ user, table, mark: ++this.#marks })),
    );
    let before: Promise<unknown> | undefined;
    const answers = writes.map(({ user, table, mark }) => {
      const write = (): Promise<Answer> => this.#run(user, sqlOf(table, { kind: 'insert', keys: [`r${mark}`], mark }));
      // Every other one comes when the one before it is answered.
      const answer = before === undefined ? write() : before.then(write);
      before = before === undefined ? answer : undefined;
      return answer;
    });
    const flushing = this.#flushes ? this.#flush() : Promise.resolve();
    if (this.#random.integer(2) === 0) await this.#pumped(settle());
    this.#countCold();
    const closed = this.#db.close();
    const late = await this.#pumped(this.#run(ROOT, 'SELECT id FROM app.board'));
    expect(late).toMatchObject({ kind: 'error' });
    await this.#pumped(closed);
    await this.#pumped(flushing);
    for (const [index, answer] of (await this.#pumped(Promise.all(answers))).entries()) {
      const write = writes[index];
      if (write === undefined) continue;
      this.#count(`closing ${answer.kind}`);
      if (answer.kind === 'count') this.#put(this.#placeOf(write.table, write.user), `r${write.mark}`, write.mark);
      else expect(answer).toEqual({ kind: 'error', code: 'SHUTTING_DOWN' });
    }
    for (const place of this.#placesOf('events')) if (place.state.exists) place.state = EMPTY;
    for (const place of this.#places) place.observed = [];
    if (this.#random.integer(2) === 0) this.#time.jump(-3_600_000);
    await this.open();
    this.#count('restart');
  }

  async #expire(): Promise<void> {
    this.#time.advance(TTL_SECONDS * 1000);
    if (this.#flushes) await this.#pumped(this.#flush(0));
    for (const place of this.#placesOf('events')) if (place.state.exists) place.state = EMPTY;
    this.#count('expire');
  }

  /** Subscribes to a partition's changes; resolves when it is told of every commit. */
  async #observe(place: Place): Promise<void> {
    place.observed = [];
    const id = `s${++this.#subscriptions}`;
    const sink = { deliver: (frame: LiveFrame) => note(place, frame) };
    const connection = this.#db.live.connect(place.owner, { connectionId: id, sink });
    await this.#pumped(connection.subscribe({ id, sql: `SELECT * FROM app.${place.table}`, options: undefined }));
    const isLive = () => this.#db.live.list().some(({ connectionId, state }) => connectionId === id && state === 'live');
    for (let turn = 0; !isLive(); turn++) {
      if (turn === 1000) throw new Error('a subscription does not become live');
      await this.#pumped(settle());
    }
  }

  async #checkAll(): Promise<void> {
    for (const place of this.#places) {
      const operation = { mark: 0, kind: 'read' } as const;
      const answer = await this.#pumped(this.#run(place.owner, sqlOf(place.table, operation)));
      checkRound({ start: place.state, observed: place.observed, sessions: [[{ operation, answer }]] });
      if (!place.state.exists) continue;
      const counted = await this.#pumped(this.#run(place.owner, `SELECT COUNT(*) FROM ${place.table}`));
      expect(counted).toEqual({ kind: 'rows', rows: [[BigInt(place.state.rows.size)]] });
    }
  }

  async #run(user: Principal, sql: string): Promise<Answer> {
    try {
      const [result] = await this.#db.session(user, { namespace: 'app' }).execute(sql);
      return result?.kind === 'rows' ? { kind: 'rows', rows: result.rows } : { kind: 'count', count: result?.rowCount ?? -1 };
    } catch (error) {
      if (error instanceof StatementError) return { kind: 'error', code: error.failure.error.code };
      throw error;
    }
  }

  /** Lets the time go on until `work` is done, at first by as much as the applier waits; what takes long waits for the disk, not for the time. */
  async #pumped<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const finished = work.finally(() => {
      done = true;
    });
    finished.catch(() => undefined);
    for (let turn = 0; !done; turn++) {
      await settle();
      if (!done) this.#time.advance(turn < 50 ? (turn % 8 === 7 ? 100 : 1) : turn % 100 === 0 ? 1 : 0);
    }
    return finished;
  }
}

function note(place: Place, frame: LiveFrame): void {
  if (frame.kind !== 'change') return;
  const body: ChangeBody = JSON.parse(`{${frame.body.json()}}`);
  const [row] = body.rows ?? [];
  const [old] = body.old_values ?? [];
  if (row !== undefined) place.eventKeys.set(row._seq, row.id);
  const key = row?.id ?? old?.id ?? place.eventKeys.get(old?.row_id?.split(':').at(-1) ?? '');
  if (key === undefined) throw new Error(`a change without a key: ${frame.body.json()}`);
  place.observed.push({ change: body.change_type, key, row: row === undefined ? undefined : { v: row.v, n: row.n } });
}

/** What the programs must come to at least once. */
function outcomeOf({ kind, returning }: Operation, answer: Answer): string | number {
  if (answer.kind === 'error') return answer.code;
  const count = kind === 'read' ? 'rows' : Math.min(countOf(answer) ?? 0, 2);
  return returning === true ? `${count} returned` : count;
}

function sqlOf(table: TableName, operation: Operation): string {
  return `${statementOf(table, operation)}${operation.returning === true ? ' RETURNING id, v, n' : ''}`;
}

function insertOf(table: TableName, { keys, mark }: { readonly keys: readonly string[]; readonly mark: number }): string {
  return `INSERT INTO ${table} (id, v, n) VALUES ${keys.map((key) => `('${key}', ${mark}, 0)`).join(', ')}`;
}

function statementOf(table: TableName, operation: Operation): string {
  switch (operation.kind) {
    case 'insert':
      return insertOf(table, operation);
    case 'fill':
      return `${insertOf(table, operation)} ON CONFLICT DO NOTHING`;
    case 'upsert':
      return `${insertOf(table, operation)} ON CONFLICT (id) DO UPDATE SET v = excluded.v, n = ${table}.n + 1`;
    case 'count':
      return `UPDATE ${table} SET n = n + 1, v = ${operation.mark} WHERE id = '${operation.key}'`;
    case 'sweep':
      return `UPDATE ${table} SET v = ${operation.mark} WHERE id >= '${operation.from}'`;
    case 'delete':
      return `DELETE FROM ${table} WHERE id = '${operation.key}'`;
    case 'read':
      return `SELECT id, v, n FROM ${table} ORDER BY id`;
    case 'drop':
      return `DROP TABLE ${table}`;
    default:
      return operation satisfies never;
  }
}

const OUTCOMES: readonly string[] = [
  'insert 1',
  'insert 2',
  'insert DUPLICATE_KEY',
  'insert TABLE_NOT_FOUND',
  'insert 1 returned',
  'fill 0',
  'fill 0 returned',
  'fill 1',
  'fill 2 returned',
  'upsert 1',
  'upsert 2 returned',
  'sweep 2 returned',
  'delete 1 returned',
  'delete 0 returned',
  'count 0',
  'count 1',
  'sweep 2',
  'delete 0',
  'delete 1',
  'read rows',
  'drop 0',
  'round',
  'create',
  'expire',
];

const long = longRun();
/** Each goes on until it has had as many steps and as many statements. */
const RUNS: readonly {
  readonly where: 'memory' | 'directory';
  readonly durability: Durability;
  readonly seed: number;
  readonly steps: number;
  readonly statements: number;
  readonly flushes?: boolean;
}[] = long?.seeds.map((seed) => ({
  where: seed % 2 === 0 && long.placement !== 'cold' ? 'memory' : 'directory',
  durability: seed % 4 < 2 ? 'relaxed' : 'sync',
  seed,
  steps: 0,
  statements: long.statements,
  flushes: long.placement === 'any' ? seed % 3 === 0 : long.placement === 'cold',
})) ?? [
  { where: 'memory', durability: 'relaxed', seed: 1, steps: 200, statements: 0 },
  { where: 'memory', durability: 'sync', seed: 2, steps: 200, statements: 0 },
  { where: 'directory', durability: 'relaxed', seed: 3, steps: 50, statements: 0 },
  { where: 'directory', durability: 'sync', seed: 4, steps: 50, statements: 0 },
  { where: 'directory', durability: 'relaxed', seed: 5, steps: 25, statements: 0, flushes: true },
];
const TIMEOUT_MILLIS = long === undefined ? 60_000 : 3_600_000;

/** What has happened, in all runs together. */
const totals: Record<string, number> = {};

it.each(RUNS)(
  'every answer of several sessions fits one order of commits: $where, $durability, seed $seed, flushes $flushes',
  async (run) => {
    const directory = run.where === 'memory' ? undefined : mkdtempSync(join(tmpdir(), 'kalamdb-engine-'));
    const world = new World({ directory, durability: run.durability, seed: run.seed, flushes: run.flushes === true });
    try {
      await world.open();
      await world.prepare();
      for (let step = 0; step < run.steps || (world.counts['statement'] ?? 0) < run.statements; step++) await world.step();
      await world.close();
    } finally {
      if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
    }
    for (const [what, count] of Object.entries(world.counts)) totals[what] = (totals[what] ?? 0) + count;
    long?.report(world.counts);
  },
  TIMEOUT_MILLIS,
);

it('every kind of outcome has occurred in these runs', () => {
  const restarts = RUNS.some(({ where }) => where === 'directory') ? ['restart', 'closing count', 'closing error'] : [];
  const cold = RUNS.some(({ flushes }) => flushes === true)
    ? ['segments', 'overtaken', 'purged', 'lookUps', 'found', 'spared', 'runs']
    : [];
  expect([...OUTCOMES, ...restarts, ...cold.map((what) => `cold ${what}`)].filter((outcome) => totals[outcome] === undefined)).toEqual([]);
});
