// Measures how long the event loop is busy at a stretch: in work of many rows, case by case, and while large scans run, together with
// what single-row INSERTs take then. `--only text` takes the cases with that text in their names, `--scans false` leaves the scans out.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Database, openDatabase, type Session } from '@kalamdb/engine';
import { insertPatiently } from './insert-patiently.ts';
import { failureText, fillCases, LOOP_CASES, type LoopCase, settled } from './loop-cases.ts';
import { type LoopFigures, LoopWatch } from './loop-watch.ts';

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    seconds: { type: 'string', default: '5' },
    folder: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
    scans: { type: 'string', default: 'true' },
  },
});
const rowCount = Number(flags.rows);
const seconds = Number(flags.seconds);
const SCANS: readonly (readonly [name: string, sql: string])[] = [
  ['COUNT(*)', 'SELECT COUNT(*) FROM b.t'],
  ['filter', 'SELECT id, kind FROM b.t WHERE n = 7'],
  ['GROUP BY, 10 groups', 'SELECT kind, COUNT(*), SUM(n), AVG(price) FROM b.t GROUP BY kind'],
  ['GROUP BY, 100,000 groups', 'SELECT id, COUNT(*) FROM b.t WHERE id < 100000 GROUP BY id'],
  ['ORDER BY LIMIT 20', 'SELECT id, body FROM b.t ORDER BY n DESC, id LIMIT 20'],
  ['ORDER BY, 200,000 rows', 'SELECT id FROM b.t WHERE id < 200000 ORDER BY body'],
  ['UPDATE of nothing', "UPDATE b.t SET n = 1 WHERE kind = 'none'"],
];
/** Milliseconds between two looks at the event loop. */
const RESOLUTION_MILLIS = 1;

interface Figures {
  readonly insertP50: number;
  readonly insertP99: number;
  readonly blockP99: number;
  readonly blockMax: number;
}

async function fill(session: Session): Promise<void> {
  await session.execute('CREATE NAMESPACE b');
  const columns = 'id BIGINT PRIMARY KEY, n INT, kind TEXT, body TEXT, price DOUBLE';
  for (const name of ['t', 'written']) await session.execute(`CREATE TABLE b.${name} (${columns}) WITH (TYPE='SHARED')`);
  for (let first = 0; first < rowCount; first += 1000) {
    const rows = Array.from({ length: Math.min(1000, rowCount - first) }, (_, offset) => rowText(first + offset));
    await insertPatiently(session, `INSERT INTO b.t VALUES ${rows.join(',')}`);
  }
}

const rowText = (id: number): string =>
  `(${id},${id % 1000},'kind-${id % 10}','some text of row ${id}, a bit longer than most',${id * 0.5})`;

/** Inserts one row after another into both tables for as long as `work` takes. */
async function whileInserting(session: Session, work: () => Promise<unknown>): Promise<Figures> {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MILLIS });
  const millis: number[] = [];
  let working = true;
  delays.enable();
  await sleep(20);
  const inserting = (async () => {
    while (working) {
      const id = nextId++;
      const start = performance.now();
      await session.execute(`INSERT INTO b.${id % 2 === 0 ? 't' : 'written'} VALUES ${rowText(id)}`);
      millis.push(performance.now() - start);
      if (millis.length % 50 === 0) await sleep(1);
    }
  })();
  await work();
  working = false;
  await inserting;
  await sleep(20);
  delays.disable();
  millis.sort((a, b) => a - b);
  const at = (share: number): number => millis[Math.min(millis.length - 1, Math.floor(millis.length * share))] ?? Number.NaN;
  const block = (nanos: number): number => Math.max(0, nanos / 1e6 - RESOLUTION_MILLIS);
  return { insertP50: at(0.5), insertP99: at(0.99), blockP99: block(delays.percentile(99)), blockMax: block(delays.max) };
}

function print(name: string, figures: Figures, queryMillis: number): void {
  const cells = [
    queryMillis.toFixed(0),
    ...[figures.insertP50, figures.insertP99, figures.blockP99, figures.blockMax].map((x) => x.toFixed(2)),
  ];
  console.log(`| ${name} | ${cells.join(' | ')} |`);
}

async function measure(database: Database): Promise<void> {
  const session = database.session({ userId: 'root', role: 'system' });
  await fill(session);
  const reader = database.session({ userId: 'root', role: 'system' });
  console.log(
    `${rowCount} rows, relaxed\n\n| beside the INSERTs | query ms | INSERT p50 ms | INSERT p99 ms | loop block p99 ms | loop block max ms |`,
  );
  console.log('|---|---|---|---|---|---|');
  await whileInserting(session, () => sleep(1000));
  print('nothing', await whileInserting(session, () => sleep(seconds * 1000)), Number.NaN);
  for (const [name, sql] of SCANS) {
    await reader.execute(sql);
    const times: number[] = [];
    const figures = await whileInserting(session, async () => {
      const end = performance.now() + seconds * 1000;
      while (performance.now() < end) {
        const start = performance.now();
        await reader.execute(sql);
        times.push(performance.now() - start);
      }
    });
    print(name, figures, times.sort((a, b) => a - b)[times.length >> 1] ?? Number.NaN);
  }
}

const middle = (sorted: readonly number[]): number => sorted[sorted.length >> 1] ?? Number.NaN;

async function measureCase(database: Database, found: LoopCase): Promise<void> {
  const session = database.session({ userId: 'root', role: 'system' });
  const taken: number[] = [];
  const figures: LoopFigures[] = [];
  for (let round = 0; round < Number(flags.rounds); round++) {
    await found.prepare?.(session, round);
    await settled(database);
    const watch = new LoopWatch();
    watch.start();
    const start = performance.now();
    await found.run(session, round, database);
    taken.push(performance.now() - start);
    await settled(database);
    figures.push(watch.stop());
  }
  const median = (of: (figures: LoopFigures) => number): string => middle(figures.map(of).sort((x, y) => x - y)).toFixed(1);
  const cells = [
    middle(taken.sort((x, y) => x - y)).toFixed(0),
    median((x) => x.longestOwnMillis),
    Math.max(...figures.map((x) => x.longestOwnMillis)).toFixed(1),
    figures.reduce((sum, x) => sum + x.overGoal, 0),
    median((x) => x.longestCollectionMillis),
    median((x) => x.longestMillis),
  ];
  console.log(`| ${found.name} | ${cells.join(' | ')} |`);
}

async function measureCases(database: Database): Promise<void> {
  await fillCases(database.session({ userId: 'root', role: 'system' }));
  const heads = ['median of rounds', 'of all rounds', 'turns over 5 ms', 'longest collection ms', 'longest turn with collections ms'];
  console.log(`\n| case, ${flags.rounds} rounds | ms | longest turn ms, ${heads.join(' | ')} |\n|---|---|---|---|---|---|---|`);
  for (const found of LOOP_CASES.filter(({ name }) => name.includes(flags.only))) {
    await measureCase(database, found).catch((error: unknown) => console.log(`| ${found.name} | ${failureText(error)} |`));
  }
}

let nextId = 1_000_000_000;
const folder = flags.folder ?? mkdtempSync(join(tmpdir(), 'kalamdb-event-loop-'));
const database = await openDatabase({ directory: folder, durability: 'relaxed', rootPassword: 'bench-only-password' });
try {
  await measureCases(database);
  if (flags.scans === 'true') await measure(database);
} finally {
  await database.close();
  rmSync(folder, { recursive: true, force: true });
}
