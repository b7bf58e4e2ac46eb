import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { LiveFrame } from '../live/frame.ts';
import { ROOT, StatementWorld } from './statement-world.fixture.ts';

const KEYS = 6;
/** Each run opens a directory and plays as many rounds. */
const RUNS = 2;
const ROUNDS = 30;

async function inWorld(play: (world: StatementWorld, directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'kalamdb-cold-'));
  const world = await StatementWorld.open({ directory });
  try {
    await world.run('CREATE SHARED TABLE app.t (id INT PRIMARY KEY, n BIGINT)');
    await play(world, directory);
  } finally {
    await world.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

type Action =
  | { readonly kind: 'insert'; readonly keys: readonly number[]; readonly inTransaction: boolean }
  | { readonly kind: 'delete'; readonly key: number }
  | { readonly kind: 'flush' | 'compact' };

const key = fc.integer({ min: 0, max: KEYS - 1 });
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    arbitrary: fc.record({
      kind: fc.constant('insert' as const),
      keys: fc.uniqueArray(key, { minLength: 1, maxLength: 2 }),
      inTransaction: fc.boolean(),
    }),
    weight: 6,
  },
  { arbitrary: fc.record({ kind: fc.constant('delete' as const), key }), weight: 2 },
  { arbitrary: fc.constantFrom({ kind: 'flush' as const }, { kind: 'compact' as const }), weight: 3 },
);
/** The actions of a round run at the same time. */
const program = fc.array(fc.array(action, { minLength: 2, maxLength: 6 }), { minLength: ROUNDS, maxLength: ROUNDS });

/** Runs an action and answers by how many rows it changed which keys. */
async function run(world: StatementWorld, what: Action): Promise<ReadonlyMap<number, number>> {
  if (what.kind === 'flush') await world.flush('t');
  if (what.kind === 'compact') {
    const { cold } = world.database;
    const table = cold?.catalog.table('app', 't');
    if (cold === undefined || table === undefined) throw new Error('there is no cold tier');
    await cold.compactor.compactPartition(table.partitionFor(''), { extent: 'all' });
  }
  if (what.kind === 'insert') {
    const values = what.keys.map((id) => `(${id}, 0)`).join(', ');
    const insert = `INSERT INTO t VALUES ${values}`;
    const outcome = String(await world.outcome(what.inTransaction ? `BEGIN; ${insert}; COMMIT` : insert));
    if (/DUPLICATE_KEY|CONFLICT/.test(outcome)) return new Map();
    expect(outcome).toMatch(/Inserted|committed/);
    return new Map(what.keys.map((id) => [id, 1]));
  }
  if (what.kind !== 'delete') return new Map();
  const outcome = await world.outcome(`DELETE FROM t WHERE id = ${what.key}`);
  return outcome === 'Deleted 1 row(s)' ? new Map([[what.key, -1]]) : new Map();
}

it('of two inserts of one key one at most succeeds, wherever the row lies and whatever is flushed and merged meanwhile', async () => {
  const seen = { refused: 0, found: 0, segments: 0 };
  await fc.assert(
    fc.asyncProperty(program, (rounds) =>
      inWorld(async (world) => {
        const there = new Map(Array.from({ length: KEYS }, (_, id) => [id, 0]));
        for (const actions of rounds) {
          const outcomes = await Promise.all(actions.map((what) => run(world, what)));
          for (const [index, outcome] of outcomes.entries()) {
            for (const [id, change] of outcome) there.set(id, (there.get(id) ?? 0) + change);
            if (actions[index]?.kind === 'insert' && outcome.size === 0) seen.refused += 1;
          }
          // Inserts less deletes of a key that succeeded: one when there is a row, else none.
          const rows = (await world.run('SELECT id FROM t ORDER BY id')) as readonly (readonly number[])[];
          const expected = [...there].filter(([, count]) => count !== 0);
          expect(expected.map(([id, count]) => [id, count])).toEqual(rows.map(([id]) => [id, 1]));
          expect(await world.run('SELECT COUNT(*) FROM t')).toEqual([[BigInt(rows.length)]]);
        }
        const { segments, flusher } = world.database.cold ?? {};
        seen.found += segments?.counts.found ?? 0;
        seen.segments += flusher?.counts.segments ?? 0;
      }),
    ),
    { numRuns: RUNS },
  );
  expect(seen.refused).toBeGreaterThan(0);
  expect(seen.found).toBeGreaterThan(0);
  expect(seen.segments).toBeGreaterThan(0);
}, 60_000);

/** Rows of one segment of the table that is resumed over, and its segments. */
const SEGMENT_ROWS = 40;
const SEGMENTS = 8;

it('a live query that resumes over cold rows reads the changed rows and one segment at most', async () => {
  const changes = fc.uniqueArray(fc.integer({ min: 0, max: SEGMENT_ROWS * SEGMENTS - 1 }), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: SEGMENTS }), changes, fc.boolean(), async (since, changed, isFlushed) => {
      const directory = mkdtempSync(join(tmpdir(), 'kalamdb-cold-'));
      let world = await StatementWorld.open({ directory });
      try {
        await world.run('CREATE SHARED TABLE app.t (id INT PRIMARY KEY, n BIGINT)');
        const cursors: bigint[] = [];
        for (let segment = 0; segment < SEGMENTS; segment++) {
          const rows = Array.from({ length: SEGMENT_ROWS }, (_, n) => `(${segment * SEGMENT_ROWS + n}, 0)`);
          await world.run(`INSERT INTO t VALUES ${rows.slice(0, SEGMENT_ROWS / 2).join(', ')}`);
          // In the middle of a segment.
          cursors.push(world.database.status().watermark);
          await world.run(`INSERT INTO t VALUES ${rows.slice(SEGMENT_ROWS / 2).join(', ')}`);
          await world.flush('t');
        }
        for (const id of changed) await world.run(`UPDATE t SET n = n + 1 WHERE id = ${id}`);
        if (isFlushed) await world.flush('t');
        // Beyond the tail: what a client missed has to be read.
        await world.close();
        world = await StatementWorld.open({ directory });
        const cursor = cursors[since - 1] ?? 0n;
        const delivered: number[] = [];
        const deliver = (frame: LiveFrame): void => {
          if (frame.kind === 'batch') for (const text of frame.rows) delivered.push(JSON.parse(text).id);
          if (frame.kind === 'change') delivered.push(JSON.parse(`{${frame.body.json()}}`).rows[0].id);
        };
        const { segments } = world.database.cold ?? {};
        const before = segments?.counts.read ?? 0;
        const connection = world.database.live.connect(ROOT, { connectionId: 'c', sink: { deliver } });
        await connection.subscribe({ id: 's', sql: 'SELECT * FROM app.t', options: { from: cursor } });
        await expect.poll(() => world.database.live.list()[0]?.state, { timeout: 10_000 }).toBe('live');
        connection.close();
        // Every row above the cursor, once: those of younger segments that did not change, and the changed ones.
        const younger = Array.from({ length: SEGMENT_ROWS * SEGMENTS }, (_, id) => id).filter((id) => id >= (since - 0.5) * SEGMENT_ROWS);
        expect([...delivered].sort((a, b) => a - b)).toEqual([...new Set([...younger, ...changed])].sort((a, b) => a - b));
        const newer = SEGMENTS - since + (isFlushed ? 1 : 0);
        // And the one that the cursor lies in.
        expect((segments?.counts.read ?? 0) - before).toBeLessThanOrEqual(newer + 1);
      } finally {
        await world.close();
        rmSync(directory, { recursive: true, force: true });
      }
    }),
    { numRuns: 3 },
  );
}, 60_000);
