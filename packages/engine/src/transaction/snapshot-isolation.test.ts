import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import type { Database } from '../database/database.ts';
import { longRun } from '../database/long-run.fixture.ts';
import { openDatabase } from '../database/open-database.ts';
import type { OpenRequest } from '../session/open-request.ts';
import { StatementError } from '../session/statement-error.ts';
import { type ModelAnswer, type ModelStatement, SnapshotModel } from './snapshot-model.fixture.ts';

const ROOT: Principal = { userId: 'root', role: 'system' };
const CLIENTS: readonly Principal[] = [
  { userId: 'alice', role: 'service' },
  { userId: 'bob', role: 'service' },
  { userId: 'alice', role: 'service' },
];
const SAVEPOINTS = ['a', 'b'] as const;

type Control = 'begin' | 'commit' | 'rollback' | 'savepoint' | 'rollback to' | 'release';
type Step =
  | {
      readonly kind: 'control';
      readonly client: number;
      readonly control: Control;
      readonly name: (typeof SAVEPOINTS)[number];
      /** Run it even where it can only fail. */
      readonly wild: boolean;
    }
  | { readonly kind: 'statement'; readonly client: number; readonly target: Target; readonly statement: ModelStatement }
  | { readonly kind: 'apply' };
/** The own partition of a USER table, the other user's through EXECUTE AS USER, or the SHARED table. */
type Target = 'own' | 'other' | 'shared';

const key = fc.integer({ min: 0, max: 11 });
const range = fc.oneof(
  key.map((id) => ({ from: id, to: id })),
  fc.tuple(key, key).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) })),
);
const statement: fc.Arbitrary<ModelStatement> = fc.oneof(
  fc
    .array(fc.tuple(key, fc.integer({ min: 0, max: 9 })), { minLength: 1, maxLength: 2 })
    .map((rows) => ({ kind: 'insert' as const, rows })),
  fc
    .tuple(
      fc.array(fc.tuple(key, fc.integer({ min: 0, max: 9 })), { minLength: 1, maxLength: 3 }),
      fc.oneof(fc.constant('nothing' as const), fc.integer({ min: 0, max: 20 })),
      fc.boolean(),
    )
    .map(([rows, limit, returning]) => ({ kind: 'upsert' as const, rows, limit, returning })),
  fc
    .tuple(range, fc.integer({ min: 0, max: 3 }), fc.boolean())
    .map(([bounds, add, returning]) => ({ kind: 'update' as const, ...bounds, add, returning })),
  fc.tuple(range, fc.boolean()).map(([bounds, returning]) => ({ kind: 'delete' as const, ...bounds, returning })),
  fc.tuple(range, fc.boolean()).map(([bounds, descending]) => ({ kind: 'select' as const, ...bounds, descending })),
  fc.tuple(key, key).map(([id, by]) => ({ kind: 'copy' as const, from: 'shared', id, by })),
);
const client = fc.integer({ min: 0, max: CLIENTS.length - 1 });
const controls: fc.Arbitrary<Control> = fc.oneof(
  { arbitrary: fc.constant<Control>('begin'), weight: 5 },
  { arbitrary: fc.constant<Control>('commit'), weight: 4 },
  { arbitrary: fc.constantFrom<Control>('rollback', 'savepoint', 'savepoint', 'rollback to', 'rollback to', 'release'), weight: 6 },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    arbitrary: fc.record({
      kind: fc.constant('control' as const),
      client,
      control: controls,
      name: fc.constantFrom(...SAVEPOINTS),
      wild: fc.integer({ min: 0, max: 19 }).map((dice) => dice === 0),
    }),
    weight: 6,
  },
  {
    arbitrary: fc.record({
      kind: fc.constant('statement' as const),
      client,
      target: fc.constantFrom<Target>('own', 'other', 'shared', 'shared'),
      statement,
    }),
    weight: 9,
  },
  { arbitrary: fc.constant({ kind: 'apply' as const }), weight: 1 },
);

/** A database beside the model of it, with one open request per client. */
class World {
  readonly model = new SnapshotModel();
  readonly #database: Database;
  readonly #time: VirtualTime;
  readonly #requests: readonly OpenRequest[];

  constructor(database: Database, time: VirtualTime) {
    this.#database = database;
    this.#time = time;
    this.#requests = CLIENTS.map((principal) => database.session(principal).open());
  }

  /** In memory, or in a directory: then rows move into segments whenever the hot tier would only be brought up to date. */
  static async open(directory?: string): Promise<World> {
    const time = new VirtualTime();
    const random = new SeededRandom(1);
    const database = await openDatabase({
      directory,
      durability: 'relaxed',
      clock: time,
      timers: time,
      random,
      cold: { segmentRowsMax: 4 },
    });
    const columns = '(id INT PRIMARY KEY, v INT)';
    const root = database.session(ROOT);
    await root.execute(`CREATE NAMESPACE app; CREATE USER TABLE app.mine ${columns}; CREATE SHARED TABLE app.ours ${columns}`);
    const world = new World(database, time);
    const rows = Array.from({ length: 6 }, (_, id) => [id, id] as const);
    const insert = { kind: 'statement', statement: { kind: 'insert', rows } } as const;
    for (const target of ['own', 'other', 'shared'] as const) await world.step({ ...insert, client: 0, target });
    return world;
  }

  async step(next: Step): Promise<void> {
    if (next.kind === 'apply') {
      this.#time.advance(200);
      await new Promise((resolve) => setImmediate(resolve));
      await this.#flush();
      return;
    }
    const name = `client ${next.client}`;
    if (next.kind === 'control') {
      if (!next.wild && this.#isPointless(name, next.control, next.name)) return;
      const [sql, expected] = this.#control(name, next.control, next.name);
      expect([sql, await this.#answer(next.client, sql)]).toEqual([sql, expected]);
      return;
    }
    const { place, sql } = this.#text(next);
    const expected = this.model.run(name, place, { ...next.statement });
    expect([sql, await this.#answer(next.client, sql)]).toEqual([sql, expected]);
  }

  /** What the cold tier has done. */
  get coldCounts(): Readonly<Record<string, number>> {
    const { cold } = this.#database;
    return { ...cold?.flusher.counts, ...cold?.lookUps.counts, ...cold?.segments.counts, merged: cold?.compactor.counts.runs ?? 0 };
  }

  async #flush(): Promise<void> {
    const { cold } = this.#database;
    const [mine, ours] = ['mine', 'ours'].map((name) => cold?.catalog.table('app', name));
    if (cold === undefined || mine === undefined || ours === undefined) return;
    const partitions = [mine.partitionFor('alice'), mine.partitionFor('bob'), ours.partitionFor('')];
    for (const partition of partitions) {
      await cold.flusher.flushPartition(partition);
      const { version = 0 } = cold.flusher.read(partition).manifest ?? {};
      if (version % 3 === 2) await cold.compactor.compactPartition(partition, { extent: 'all' });
    }
  }

  /** What everybody reads outside of transactions is what was committed. */
  async check(): Promise<void> {
    for (const request of this.#requests) await request.execute('SELECT 1');
    for (const { userId } of [...CLIENTS.slice(0, 2), ROOT]) {
      const [sql, place] = userId === 'root' ? ['SELECT id, v FROM app.ours', 'shared'] : ['SELECT id, v FROM app.mine', userId];
      const [result] = await this.#database.session({ userId, role: 'service' }).execute(sql);
      const rows = [...this.model.rows(place)].sort(([a], [b]) => a - b);
      expect(result?.kind === 'rows' ? result.rows : undefined).toEqual(rows);
    }
  }

  async close(): Promise<void> {
    const closed = this.#database.close();
    this.#time.advance(1000);
    await closed;
  }

  #isPointless(name: string, control: Control, savepoint: string): boolean {
    if (this.model.isOpen(name) === (control === 'begin')) return true;
    return (control === 'rollback to' || control === 'release') && !this.model.hasSavepoint(name, savepoint);
  }

  #control(name: string, control: Control, savepoint: string): readonly [string, ModelAnswer] {
    switch (control) {
      case 'begin':
        return ['BEGIN', this.model.begin(name)];
      case 'commit':
        return ['COMMIT', this.model.commit(name)];
      case 'rollback':
        return ['ROLLBACK', this.model.rollback(name)];
      case 'savepoint':
        return [`SAVEPOINT ${savepoint}`, this.model.savepoint(name, savepoint)];
      case 'rollback to':
        return [`ROLLBACK TO ${savepoint}`, this.model.rollbackTo(name, savepoint)];
      case 'release':
        return [`RELEASE ${savepoint}`, this.model.release(name, savepoint)];
      default:
        return control satisfies never;
    }
  }

  #text({ client: number, target, statement: what }: Extract<Step, { kind: 'statement' }>): { place: string; sql: string } {
    const own = CLIENTS[number]?.userId ?? '';
    const other = own === 'alice' ? 'bob' : 'alice';
    if (target === 'shared') return { place: 'shared', sql: textOf(what, 'app.ours') };
    if (target === 'own') return { place: own, sql: textOf(what, 'app.mine') };
    // Inside EXECUTE AS USER the role is `user`, which does not read the shared table.
    if (what.kind === 'copy') return { place: own, sql: textOf(what, 'app.mine') };
    return { place: other, sql: `EXECUTE AS USER '${other}' (${textOf(what, 'app.mine')})` };
  }

  async #answer(number: number, sql: string): Promise<ModelAnswer> {
    try {
      const [result] = (await this.#requests[number]?.execute(sql)) ?? [];
      if (result?.kind === 'rows') return { kind: 'rows', rows: result.rows as number[][] };
      return result?.dml === undefined ? { kind: 'done' } : { kind: 'count', count: result.rowCount };
    } catch (error) {
      if (error instanceof StatementError) return { kind: 'error', code: error.failure.error.code };
      throw error;
    }
  }
}

function textOf(what: ModelStatement, table: string): string {
  switch (what.kind) {
    case 'insert':
      return `INSERT INTO ${table} (id, v) VALUES ${what.rows.map(([id, v]) => `(${id}, ${v})`).join(', ')}`;
    case 'upsert': {
      const values = what.rows.map(([id, v]) => `(${id}, ${v})`).join(', ');
      const update = `(id) DO UPDATE SET v = t.v + excluded.v WHERE t.v < ${what.limit}`;
      const conflict = what.limit === 'nothing' ? 'DO NOTHING' : update;
      return `INSERT INTO ${table} AS t (id, v) VALUES ${values} ON CONFLICT ${conflict}${returningText(what)}`;
    }
    case 'copy':
      return `INSERT INTO ${table} (id, v) SELECT id + ${what.by}, v FROM app.ours WHERE id = ${what.id}`;
    case 'update':
      return `UPDATE ${table} SET v = v + ${what.add} WHERE ${rangeText(what)}${returningText(what)}`;
    case 'delete':
      return `DELETE FROM ${table} WHERE ${rangeText(what)}${returningText(what)}`;
    case 'select':
      return `SELECT id, v FROM ${table} WHERE ${rangeText(what)}${what.descending ? ' ORDER BY id DESC' : ''}`;
    default:
      return what satisfies never;
  }
}

const returningText = ({ returning }: { readonly returning?: boolean }): string => (returning === true ? ' RETURNING id, v' : '');

const rangeText = ({ from, to }: { from: number; to: number }): string => (from === to ? `id = ${from}` : `id BETWEEN ${from} AND ${to}`);

const long = longRun();
const STEPS = 150;
/** What the property is run with: some program sizes at random seeds, or as many statements at each given seed. */
const RUNS: readonly fc.Parameters<[Step[]]>[] = long?.seeds.map((seed) => ({
  seed,
  numRuns: Math.ceil(long.statements / STEPS),
})) ?? [{ numRuns: 100 }];
/** Rounds of three programs more, at most, until each kind of outcome has been met. */
const MORE_ROUNDS_MAX = 5;
const TIMEOUT_MILLIS = long === undefined ? 60_000 : 3_600_000;

it.skipIf(long?.placement === 'cold')(
  'interleaved transactions and autocommit statements answer as the model of snapshot isolation does',
  async () => {
    const totals: Record<string, number> = {};
    const property = fc.asyncProperty(fc.array(step, { minLength: STEPS, maxLength: STEPS }), async (program) => {
      const world = await World.open();
      try {
        for (const next of program) await world.step(next);
        await world.check();
      } finally {
        await world.close();
      }
      const counts = { ...world.model.counts, step: program.length };
      for (const [what, count] of Object.entries(counts)) totals[what] = (totals[what] ?? 0) + count;
    });
    for (const run of RUNS) await fc.assert(property, run);
    const happened = ['commit', 'commit of nothing', 'commit over several partitions', 'rollback', 'savepoint rollback', 'release'];
    const failed = [
      'CONFLICT',
      'CONFLICT_TWICE',
      'key taken at commit',
      'key of an upsert taken at commit',
      'TRANSACTION_ACTIVE',
      'SAVEPOINT_NOT_FOUND',
    ];
    for (const what of [...happened, ...failed]) expect(totals[what] ?? 0, what).toBeGreaterThan(0);
    long?.report(totals);
  },
  TIMEOUT_MILLIS,
);

it.skipIf(long?.placement === 'hot')(
  'they do so wherever the rows lie, and whenever they move into segments',
  async () => {
    const totals: Record<string, number> = {};
    const property = fc.asyncProperty(fc.array(step, { minLength: STEPS, maxLength: STEPS }), async (program) => {
      const directory = mkdtempSync(join(tmpdir(), 'kalamdb-snapshots-'));
      const world = await World.open(directory);
      try {
        for (const next of program) await world.step(next);
        await world.check();
        for (const [what, count] of Object.entries({ ...world.model.counts, ...world.coldCounts })) {
          totals[what] = (totals[what] ?? 0) + count;
        }
      } finally {
        await world.close();
        rmSync(directory, { recursive: true, force: true });
      }
    });
    const wanted = ['segments', 'found', 'spared', 'commit', 'CONFLICT'];
    const missing = (): readonly string[] => wanted.filter((what) => (totals[what] ?? 0) === 0);
    await fc.assert(property, { numRuns: long === undefined ? 3 : 200 });
    // A few programs need not have met everything.
    for (let more = 0; more < MORE_ROUNDS_MAX && missing().length > 0; more += 1) await fc.assert(property, { numRuns: 3 });
    expect(missing()).toEqual([]);
    long?.report(totals);
  },
  TIMEOUT_MILLIS,
);
