import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Principal } from '../contract.ts';
import { StatementWorld } from './statement-world.fixture.ts';

const ANN: Principal = { userId: 'ann', role: 'user' };
const BOB: Principal = { userId: 'bob', role: 'user' };
const directory = mkdtempSync(join(tmpdir(), 'kalamdb-general-cold-'));
let world: StatementWorld;

beforeAll(async () => {
  world = await StatementWorld.open({ directory });
  await world.run("CREATE TABLE app.teams (id INT PRIMARY KEY, title TEXT) WITH (TYPE = 'SHARED', ACCESS_LEVEL = 'PUBLIC')");
  await world.run("CREATE TABLE app.notes (id INT PRIMARY KEY, team INT, body TEXT) WITH (TYPE = 'USER')");
  await world.run("INSERT INTO app.teams VALUES (1, 'red'), (2, 'blue'), (3, 'empty')");
  for (const user of [ANN, BOB]) {
    const rows = Array.from({ length: 600 }, (_, id) => `(${id}, ${(id % 2) + 1}, '${user.userId} ${id}')`);
    await world.run(`INSERT INTO app.notes VALUES ${rows.join(', ')}`, user);
  }
});

afterAll(async () => {
  await world.close();
  rmSync(directory, { recursive: true, force: true });
});

const JOIN =
  'SELECT t.title, count(*), min(n.body), sum(n.id) FROM notes n JOIN teams t ON t.id = n.team GROUP BY t.title ORDER BY t.title';
const joined = (user: Principal): Promise<unknown> => world.run(JOIN, user);
const ofKey = (id: number, user: Principal): Promise<unknown> =>
  world.run(`SELECT n.body, t.title FROM notes n JOIN teams t ON t.id = n.team WHERE n.id = ${id}`, user);

test('a join sees rows of segments as it sees hot ones, also while they are flushed, and each user the own ones', async () => {
  const before = await joined(ANN);
  expect(before).toEqual([
    ['blue', 300n, 'ann 1', 90_000n],
    ['red', 300n, 'ann 0', 89_700n],
  ]);
  const flushing = world.flush('notes', 'ann');
  while ((await Promise.race([flushing.then(() => 'done'), joined(ANN).then((rows) => expect(rows).toEqual(before))])) !== 'done');
  expect(await joined(ANN)).toEqual(before);
  expect(await ofKey(7, ANN)).toEqual([['ann 7', 'blue']]);
  expect(await ofKey(7, BOB)).toEqual([['bob 7', 'blue']]);
  await world.run('DELETE FROM notes WHERE id >= 2', ANN);
  await world.run("UPDATE notes SET body = 'new' WHERE id = 1", ANN);
  expect(await joined(ANN)).toEqual([
    ['blue', 1n, 'new', 1n],
    ['red', 1n, 'ann 0', 0n],
  ]);
  await world.flush('notes', 'ann');
  await world.flush('teams');
  expect(await joined(ANN)).toEqual([
    ['blue', 1n, 'new', 1n],
    ['red', 1n, 'ann 0', 0n],
  ]);
  expect(await joined(BOB)).toEqual([
    ['blue', 300n, 'bob 1', 90_000n],
    ['red', 300n, 'bob 0', 89_700n],
  ]);
});

const CHECKED = [
  'SELECT * FROM $t',
  'SELECT n, body FROM $t WHERE n > 3',
  "SELECT id, body FROM $t WHERE body >= 'b3' AND n IS NOT NULL ORDER BY n DESC, body",
  'SELECT id FROM $t ORDER BY n LIMIT 7 OFFSET 2',
  'SELECT id FROM $t ORDER BY CURRENT_USER(), id DESC LIMIT 5',
  'SELECT id, n FROM $t LIMIT 9',
  'SELECT n, count(*), sum(id), min(body) FROM $t GROUP BY n ORDER BY n',
  'SELECT body, count(*) FROM $t GROUP BY body LIMIT 3',
  'SELECT count(*) FROM $t',
  'SELECT count(*), count(n), sum(n), max(body) FROM $t WHERE id BETWEEN 20 AND 60',
  'SELECT count(*) FROM $t WHERE id IN (1, 5, 44, 900)',
  'SELECT count(*) FROM $t WHERE id > 1000',
  'SELECT count(*) FROM $t WHERE n IS NULL',
  'SELECT DISTINCT n FROM $t ORDER BY n',
  "SELECT string_agg(body, ',') FROM $t WHERE n = 2",
  'SELECT id FROM $t WHERE id = 17',
  'SELECT a.id, b.body FROM $t a JOIN $t b ON a.id = b.n WHERE b.id > 10 ORDER BY 1, 2',
  'SELECT id, row_number() OVER (ORDER BY n, id) FROM $t WHERE id < 50 ORDER BY id',
  'WITH q AS (SELECT * FROM $t) SELECT n, count(*) FROM q WHERE id = 5 OR id > 70 GROUP BY n ORDER BY n',
] as const;

/** Two tables have rows of other commits. */
function withoutSeqs(answer: unknown): unknown {
  if (!Array.isArray(answer)) return answer;
  return answer.map((row: unknown[]) => row.map((cell) => (typeof cell === 'bigint' && cell > 2n ** 50n ? '_seq' : cell)));
}

const KEY = fc.integer({ min: 0, max: 90 });
const STEP = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('insert' as const), from: KEY, rows: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('update' as const), from: KEY, rows: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), from: KEY, rows: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('flush' as const), from: KEY, rows: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('add column' as const), from: KEY, rows: fc.constant(0) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('query' as const), from: KEY, rows: fc.constant(0) }) },
);
type Step = typeof STEP extends fc.Arbitrary<infer T> ? T : never;

function stepText({ kind, from, rows }: Step, number: number): string | undefined {
  switch (kind) {
    case 'insert': {
      const values = Array.from(
        { length: rows },
        (_, index) => `(${from + index}, ${(from * 7 + index) % 6 || 'NULL'}, 'b${(index * 5) % 11}')`,
      );
      return `INSERT INTO $t (id, n, body) VALUES ${values.join(', ')} ON CONFLICT (id) DO NOTHING`;
    }
    case 'update':
      return `UPDATE $t SET n = ${from % 9}, body = 'u${number}' WHERE id >= ${from} AND id < ${from + rows}`;
    case 'delete':
      return `DELETE FROM $t WHERE id >= ${from} AND id < ${from + rows}`;
    case 'add column':
      return `ALTER TABLE $t ADD COLUMN c${number} INT DEFAULT ${number}`;
    case 'flush':
    case 'query':
      return undefined;
    default:
      return kind satisfies never;
  }
}

test('wherever the rows of a table lie, every query answers as if all were hot, and what is read of segments is read by the query thread', async () => {
  const { cold } = world.database;
  let tables = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(STEP, { minLength: 6, maxLength: 14 }), async (steps) => {
      tables += 1;
      const [hot, placed] = [`hot${tables}`, `placed${tables}`];
      const both = [hot, placed];
      const run = async (text: string): Promise<unknown[]> => {
        const answers: unknown[] = [];
        for (const table of both) answers.push(withoutSeqs(await world.run(text.replaceAll('$t', `app.${table}`))));
        return answers;
      };
      for (const name of both) await world.run(`CREATE SHARED TABLE app.${name} (id BIGINT PRIMARY KEY, n INT, body TEXT)`);
      const queries = async (): Promise<void> => {
        for (const text of CHECKED) {
          const [expected, found] = await run(text);
          expect(found, text).toEqual(expected);
        }
      };
      for (const [number, step] of steps.entries()) {
        const text = stepText(step, number);
        if (text !== undefined) await run(text);
        else if (step.kind === 'flush') await world.flush(placed);
        else await queries();
      }
      await queries();
      await world.flush(placed);
      const before = cold?.segments.counts.read;
      await run('SELECT n, count(*) FROM $t WHERE id > 3 GROUP BY n');
      expect(cold?.segments.counts.read).toBe(before);
      await queries();
      for (const name of both) await world.run(`DROP TABLE app.${name}`);
    }),
    { numRuns: 4, endOnFailure: true },
  );
}, 60_000);

test('a storage that is new is read by the main thread or by a thread that is started anew, with the same answer', async () => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'kalamdb-elsewhere-'));
  try {
    await world.run(`CREATE STORAGE elsewhere TYPE filesystem NAME 'elsewhere' PATH '${elsewhere}'`);
    await world.run("CREATE SHARED TABLE app.far (id BIGINT PRIMARY KEY, n INT) WITH (STORAGE_ID = 'elsewhere')");
    await world.run('INSERT INTO app.far (id, n) VALUES (1, 1), (2, 1), (3, 2)');
    await world.flush('far');
    const grouped = 'SELECT n, count(*) FROM app.far GROUP BY n ORDER BY n';
    const answers = await Promise.all([joined(BOB), world.run(grouped), world.run(grouped)]);
    expect(answers.slice(1)).toEqual(
      Array.from({ length: 2 }, () => [
        [1, 2n],
        [2, 1n],
      ]),
    );
    const before = world.database.cold?.segments.counts.read;
    expect(await world.run(grouped)).toEqual([
      [1, 2n],
      [2, 1n],
    ]);
    expect(world.database.cold?.segments.counts.read).toBe(before);
    await world.run('DROP TABLE app.far');
  } finally {
    rmSync(elsewhere, { recursive: true, force: true });
  }
});
