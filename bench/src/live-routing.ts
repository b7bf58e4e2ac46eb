// Measures in one process what live queries cost that a change does not concern: `--subscriptions n` of them on 1,000 connections, with
// equalities, IN lists, ranges and functions in their filters. The same commits go to a table with one subscriber and to one with all
// of them besides, in turns, so that both meet the same machine. Then one change to 10,000 subscribers with the same query.

import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Database, type LiveConnection, openDatabase, type Session } from '@kalamdb/engine';
import { below } from './goals.ts';
import { LoopWatch } from './loop-watch.ts';
import { type Figure, printFigures } from './report.ts';

const { values: flags } = parseArgs({
  options: { subscriptions: { type: 'string', default: '100000' }, rounds: { type: 'string', default: '30' } },
});
const subscriptionCount = Number(flags.subscriptions);
const rounds = Number(flags.rounds);
const ROOT = { userId: 'root', role: 'system' } as const;
const CONNECTIONS = 1000;
const FAN_OUT = 10_000;
/** Commits of one turn of a table. */
const COMMITS = 50;

/** Filters that no row of the commits matches. */
const FILTERS: readonly (readonly [name: string, where: (index: number) => string])[] = [
  ['equality', (index) => `n = ${1_000_000 + index}`],
  ['equality of texts', (index) => `body = 'room-${index}'`],
  ['IN', (index) => `n IN (${1_000_000 + index}, ${2_000_000 + index}, ${3_000_000 + index})`],
  ['range', (index) => `n > ${1_000_000 + index} AND n <= ${1_000_100 + index}`],
  ['half-open range', (index) => `n > ${1_000_000 + index}`],
  ['function', (index) => `abs(n) = ${1_000_000 + index}`],
];

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heapBytes(): number {
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

/** Milliseconds that this process has had a core. */
function cpuMillis(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const middle = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

interface Crowd {
  readonly connections: readonly LiveConnection[];
  frames(): number;
}

/** Subscribes without initial data, so many on each connection. */
async function subscribe(
  database: Database,
  perConnection: number,
  connectionCount: number,
  sql: (index: number) => string,
): Promise<Crowd> {
  let frames = 0;
  const sink = {
    deliver: ({ kind }: { readonly kind: string }) => {
      if (kind === 'change') frames += 1;
    },
  };
  const connections: LiveConnection[] = [];
  for (let index = 0; index < perConnection * connectionCount; index += perConnection) {
    const connection = database.live.connect(ROOT, { connectionId: `c-${nextConnection++}`, sink });
    connections.push(connection);
    for (let own = 0; own < perConnection; own++) await connection.subscribe({ id: `s${own}`, sql: sql(index + own), options: undefined });
  }
  return { connections, frames: () => frames };
}

let nextConnection = 0;
let nextId = 0;

/** Milliseconds of each commit until its watcher has its change, and what one took of a core. */
async function commits(
  session: Session,
  table: string,
  watcher: Crowd,
): Promise<{ readonly millis: readonly number[]; readonly cpu: number }> {
  const millis: number[] = [];
  const cpuBefore = cpuMillis();
  for (let count = 0; count < COMMITS; count++) {
    const frames = watcher.frames() + 1;
    const start = performance.now();
    await session.execute(`INSERT INTO b.${table} VALUES (${nextId++}, ${count}, 'x')`);
    while (watcher.frames() < frames) await new Promise((resolve) => setImmediate(resolve));
    millis.push(performance.now() - start);
  }
  return { millis, cpu: (cpuMillis() - cpuBefore) / COMMITS };
}

async function measureFilter(database: Database, name: string, where: (index: number) => string): Promise<readonly Figure[]> {
  const session = database.session(ROOT);
  for (const table of ['quiet', 'busy'])
    await session.execute(`CREATE TABLE b.${table} (id BIGINT PRIMARY KEY, n INT, body TEXT) WITH (TYPE='SHARED')`);
  const watchers = {
    quiet: await subscribe(database, 1, 1, () => 'SELECT * FROM b.quiet'),
    busy: await subscribe(database, 1, 1, () => 'SELECT * FROM b.busy'),
  };
  const before = heapBytes();
  const cpuBefore = cpuMillis();
  const crowd = await subscribe(
    database,
    subscriptionCount / CONNECTIONS,
    CONNECTIONS,
    (index) => `SELECT * FROM b.busy WHERE ${where(index)}`,
  );
  const setUpMillis = cpuMillis() - cpuBefore;
  const bytesEach = (heapBytes() - before) / subscriptionCount;
  const taken = { quiet: [] as number[], busy: [] as number[] };
  const cpu = { quiet: [] as number[], busy: [] as number[] };
  for (let round = -3; round < rounds; round++) {
    for (const table of round % 2 === 0 ? (['quiet', 'busy'] as const) : (['busy', 'quiet'] as const)) {
      const figures = await commits(session, table, watchers[table]);
      if (round < 0) continue;
      taken[table].push(...figures.millis);
      cpu[table].push(figures.cpu);
    }
  }
  if (crowd.frames() > 0) throw new Error(`${name}: frames went astray`);
  for (const { connections } of [crowd, watchers.quiet, watchers.busy]) for (const connection of connections) connection.close();
  for (const table of ['quiet', 'busy']) await session.execute(`DROP TABLE b.${table}`);
  const cpuMore = middle(cpu.busy) - middle(cpu.quiet);
  return figuresOf(name, { setUpMillis, bytesEach, quiet: middle(taken.quiet), busy: middle(taken.busy), cpuMore });
}

interface FilterFigures {
  readonly setUpMillis: number;
  readonly bytesEach: number;
  /** Milliseconds of a commit. */
  readonly quiet: number;
  readonly busy: number;
  /** Milliseconds of a core that a commit takes more. */
  readonly cpuMore: number;
}

function figuresOf(name: string, { setUpMillis, bytesEach, quiet, busy, cpuMore }: FilterFigures): readonly Figure[] {
  const cost: Figure =
    name === 'function'
      ? { name: `${name}: cost of each for a commit`, value: (cpuMore * 1e6) / subscriptionCount, unit: 'ns', goal: below(100, 'ns') }
      : { name: `${name}: a commit beside them, of one without`, value: (busy / quiet) * 100, unit: '%', goal: below(120, '%') };
  return [
    { name: `${name}: set-up`, value: setUpMillis, unit: 'ms', goal: below(5000, 'ms') },
    { name: `${name}: heap of each`, value: bytesEach, unit: 'bytes', goal: below(1.2 * 1024, 'bytes') },
    { name: `${name}: a commit without them`, value: quiet * 1000, unit: 'us', goal: undefined },
    cost,
  ];
}

async function measureFanOut(database: Database): Promise<readonly Figure[]> {
  const session = database.session(ROOT);
  await session.execute("CREATE TABLE b.followed (id BIGINT PRIMARY KEY, n INT, body TEXT) WITH (TYPE='SHARED')");
  const crowd = await subscribe(database, 100, FAN_OUT / 100, () => 'SELECT * FROM b.followed');
  const millis: number[] = [];
  const watch = new LoopWatch();
  for (let round = 0; round < rounds; round++) {
    if (round === 3) watch.start();
    const start = performance.now();
    await session.execute(`INSERT INTO b.followed VALUES (${nextId++}, 1, 'x')`);
    while (crowd.frames() < (round + 1) * FAN_OUT) await new Promise((resolve) => setImmediate(resolve));
    millis.push(performance.now() - start);
  }
  const { longestOwnMillis } = watch.stop();
  for (const connection of crowd.connections) connection.close();
  return [
    { name: `one change to ${FAN_OUT} subscribers`, value: middle(millis), unit: 'ms', goal: below(60, 'ms') },
    { name: 'longest turn meanwhile', value: longestOwnMillis, unit: 'ms', goal: below(5, 'ms') },
  ];
}

const database = await openDatabase({ directory: undefined, durability: 'relaxed', userSubscriptionsMax: 2 * subscriptionCount });
try {
  await database.session(ROOT).execute('CREATE NAMESPACE b');
  console.log(`${subscriptionCount} subscriptions with distinct literals on ${CONNECTIONS} connections, in memory`);
  for (const [name, where] of FILTERS) printFigures(await measureFilter(database, name, where));
  printFigures(await measureFanOut(database));
} finally {
  await database.close();
}
