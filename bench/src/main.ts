// Measures a server of its own on loopback: cases for each durability mode, start and idle, each beside its goal. `--curves`: over the
// size of a table (to 1 million rows, `--rows 10000000` for more), the number of partitions (to 10,000; `--partitions`) and the row's width. `--cold`: flush, compaction and
// queries over 200,000 rows in segments, or `--rows`. `--queries`: joins, windows and many SELECTs
// at a time alone, beside PostgreSQL when this machine has it. `--live`: live queries alone, beside PostgreSQL's notifications.

import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { emptyHandler, insertBatch, insertInTransaction, insertOne } from './cases.ts';
import { addColumnMillis, dearestCatalogQuery, tableListMillis } from './catalog-queries.ts';
import { coldQueries, flushFigures } from './cold-cases.ts';
import { curves } from './curves.ts';
import { COLD_ROWS, type Durability, GOALS, LARGE_ROWS, LARGE_TABLES } from './goals.ts';
import { httpCases } from './http-cases.ts';
import { measureLive } from './live/measure-live.ts';
import { startPostgres } from './postgres-peer.ts';
import { emptyServer, makeColdDirectory, makeLargeDirectory, startMillis, withFolder, withServer } from './processes.ts';
import { insertsBesideJoin, peerCases, queryCases } from './query-cases.ts';
import { lookupName, pointLookups, selects } from './reads.ts';
import { type Figure, printCases, printFigures } from './report.ts';
import { corePercent, longestBlockMillis, mostResidentMiB, residentMiB } from './server-figures.ts';
import { at, fill, run, type Target, withConnections } from './target.ts';
import { webSocketConnections } from './web-socket-connections.ts';

/** Rows of the small table that look-ups in the large one are compared with. */
const FEW_ROWS = 1000;
/** Seconds for which an idle server is watched, and left alone before. */
const IDLE_SECONDS = 3;
/** Open WebSocket connections of which the cost is told. */
const CONNECTIONS = 10_000;
/** Starts of which the median counts. */
const STARTS = 3;

const { values: flags } = parseArgs({
  options: {
    mode: { type: 'string' },
    seconds: { type: 'string', default: '3' },
    curves: { type: 'boolean', default: false },
    cold: { type: 'boolean', default: false },
    queries: { type: 'boolean', default: false },
    live: { type: 'boolean', default: false },
    rows: { type: 'string' },
    partitions: { type: 'string', default: '10000' },
  },
});
const seconds = Number(flags.seconds);
const modes = (['sync', 'relaxed'] as const).filter((mode) => flags.mode === undefined || flags.mode === mode);

async function measureCases(durability: Durability, empty: Target): Promise<void> {
  await withFolder((folder) =>
    withServer({ folder, durability, seconds }, async (target, pid) => {
      await makeNamespace(target);
      const alone = [await emptyHandler(empty, 1), await insertOne(target, 1)];
      // One right after the other, so that both see the same machine.
      const floor = await emptyHandler(empty, 64);
      const inserts = await insertOne(target, 64);
      const measured = [
        ...alone,
        floor,
        inserts,
        await insertBatch(target),
        await insertInTransaction(target),
        ...(await selects(target)),
        ...(await httpCases(target)),
      ];
      const share = (100 * inserts.perSecond) / floor.perSecond;
      printCases(`durability ${durability}; server resident at the end: ${residentMiB(pid)} MiB`, measured, durability);
      printFigures([
        { name: 'INSERT of 64 clients, of what the empty handler answers', value: share, unit: '%', goal: GOALS.insertShare },
        { name: 'longest block of the event loop', value: await longestBlockMillis(target), unit: 'ms', goal: GOALS.blockMillis },
      ]);
    }),
  );
}

/** Start, idle and look-ups with a large table and many small ones. */
async function measureLarge(folder: string, durability: Durability): Promise<void> {
  const starts: number[] = [];
  for (let i = 0; i < STARTS; i++) starts.push(await startMillis({ folder, durability }));
  await withServer({ folder, durability, seconds }, async (target, pid) => {
    const table = `bench.few_${durability}`;
    await withConnections(target.url, 1, (connections) => fill(at(connections, 0), target, { table, rows: FEW_ROWS }));
    const few = await pointLookups(target, { table, rows: FEW_ROWS });
    const many = await pointLookups(target, { table: 'bench.large', rows: LARGE_ROWS });
    const dearest = await dearestCatalogQuery(target, pid);
    printCases(`durability ${durability}; ${LARGE_ROWS} rows, ${LARGE_TABLES} tables`, [few, many], durability);
    printFigures([
      {
        name: `${lookupName(LARGE_ROWS)}, of ${FEW_ROWS}`,
        value: (100 * many.p50Millis) / few.p50Millis,
        unit: '%',
        goal: GOALS.lookupShare,
      },
      {
        name: `catalog of ${LARGE_TABLES} tables, the dearest: ${dearest.sql}`,
        value: dearest.millis,
        unit: 'ms',
        goal: GOALS.catalogMillis,
      },
      { name: `SHOW TABLES of ${LARGE_TABLES} tables`, value: await tableListMillis(target, pid), unit: 'ms', goal: GOALS.tableListMillis },
      {
        name: `ALTER TABLE … ADD COLUMN, ${LARGE_ROWS} rows`,
        value: await addColumnMillis(target, `added_${durability}`),
        unit: 'ms',
        goal: GOALS.addColumnMillis,
      },
      { name: 'start', value: median(starts), unit: 'ms', goal: GOALS.startMillis },
    ]);
  });
}

async function measureIdle(durability: Durability): Promise<readonly Figure[]> {
  return withFolder(async (folder) => {
    await startMillis({ folder, durability });
    const second = await startMillis({ folder, durability });
    return withServer({ folder, durability, seconds }, async (_, pid) => {
      await corePercent(pid, IDLE_SECONDS);
      const percent = await corePercent(pid, IDLE_SECONDS);
      return [
        { name: 'second start of a small directory', value: second, unit: 'ms', goal: GOALS.secondStartMillis },
        { name: 'idle: memory', value: residentMiB(pid), unit: 'MiB', goal: GOALS.idleMiB },
        { name: 'idle: processor', value: percent, unit: '% of a core', goal: GOALS.idlePercent },
      ];
    });
  });
}

/** What it costs that somebody is connected; the durability does not matter to it. */
async function measureConnections(): Promise<void> {
  await withFolder((folder) =>
    withServer({ folder, durability: 'relaxed', seconds }, async (target, pid) => {
      const { perSecond, kibEach } = await webSocketConnections(target, pid, CONNECTIONS);
      console.log(`\n### ${CONNECTIONS} WebSocket connections`);
      printFigures([
        { name: 'WebSocket connections accepted', value: perSecond, unit: '/s', goal: GOALS.connectionsPerSecond },
        { name: 'memory of an idle WebSocket connection', value: kibEach, unit: 'KiB', goal: GOALS.connectionKib },
      ]);
    }),
  );
}

async function measureCurves(durability: Durability): Promise<void> {
  await withFolder((folder) =>
    withServer({ folder, durability, seconds }, async (target) => {
      await makeNamespace(target);
      const measured = await curves(target, { rowsMax: Number(flags.rows ?? 1_000_000), partitionsMax: Number(flags.partitions) });
      printCases(`durability ${durability}; curves, 1 client`, measured);
    }),
  );
}

/** Moving rows into segments and merging those, then queries over them. */
async function measureCold(durability: Durability): Promise<void> {
  const rows = Number(flags.rows ?? COLD_ROWS);
  const segments = rows <= COLD_ROWS ? 20 : Math.ceil(rows / 50_000);
  await withFolder(async (folder) => {
    await makeColdDirectory(folder, { rows, segments });
    await withServer({ folder, durability, seconds }, async (target, pid) => {
      const figures: Figure[] = [];
      const value = await mostResidentMiB(pid, async () => {
        printCases(
          `durability ${durability}; ${rows} rows in ${segments} segments`,
          await coldQueries(target, { folder, rows, segments }),
          durability,
        );
        figures.push(...(await flushFigures(target, { folder, pid })));
      });
      printFigures([...figures, { name: 'most memory of the server', value, unit: 'MiB', goal: GOALS.coldMiB }]);
    });
  });
}

/** Statements of several tables and many at a time, and the same in PostgreSQL; the durability does not matter to them. */
async function measureQueries(): Promise<void> {
  await withFolder((folder) =>
    withServer({ folder, durability: 'relaxed', seconds }, async (target) => {
      printCases('queries', [...(await queryCases(target)), ...(await insertsBesideJoin(target))], 'relaxed');
    }),
  );
  const peer = startPostgres();
  if (peer === undefined) {
    console.log('\nNo PostgreSQL on this machine: no peer.');
    return;
  }
  try {
    printCases('the same queries in PostgreSQL', await peerCases(peer.pool, seconds));
  } finally {
    await peer.stop();
  }
}

function makeNamespace(target: Target): Promise<string> {
  return withConnections(target.url, 1, (connections) => run(at(connections, 0), target, 'CREATE NAMESPACE bench'));
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

console.log(`Node ${process.version}, ${cpus().length} cores shared with the load generator, ${seconds} s a case`);
if (flags.curves) {
  for (const mode of modes) await measureCurves(mode);
} else if (flags.cold) {
  for (const mode of modes) await measureCold(mode);
} else if (flags.queries) {
  await measureQueries();
} else if (flags.live) {
  await measureLive(modes, seconds);
} else {
  await emptyServer(seconds, async (empty) => {
    for (const mode of modes) await measureCases(mode, empty);
  });
  await withFolder(async (folder) => {
    await makeLargeDirectory(folder, { rows: LARGE_ROWS, tables: LARGE_TABLES });
    for (const mode of modes) await measureLarge(folder, mode);
  });
  for (const mode of modes) {
    console.log(`\n### durability ${mode}; an empty directory`);
    printFigures(await measureIdle(mode));
  }
  await measureConnections();
  await measureQueries();
  await measureLive(modes, seconds);
}
