// Makes a data directory whose table `bench.cold` lies in segments of equal size: `cold-directory.js <directory> <rows> <segments>`.

import { type Database, openDatabase } from '@kalamdb/engine';
import { COLD_COLUMNS, coldRows } from './cold-table.ts';
import { insertPatiently } from './insert-patiently.ts';

/** Rows of one INSERT: a commit takes 100,000 rows or 32 MiB. */
const COMMIT_ROWS_MAX = 50_000;
const DAY_MILLIS = 86_400_000;

const [directory, rows = 0, segments = 1] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
if (directory === undefined) throw new Error('no directory given');
const database = await openDatabase({
  directory,
  durability: 'relaxed',
  rootPassword: process.env['KALAMDB_ROOT_PASSWORD'] ?? '',
  // The segments stay as many as were asked for.
  jobs: { compactionCheckMillis: DAY_MILLIS },
});
try {
  await build(database, Math.ceil(rows / segments));
} finally {
  await database.close();
}

async function build(made: Database, segmentRows: number): Promise<void> {
  const session = made.session({ userId: 'root', role: 'system' });
  await session.execute(`CREATE NAMESPACE bench; CREATE TABLE bench.cold (${COLD_COLUMNS})`);
  const table = made.cold?.catalog.table('bench', 'cold');
  if (made.cold === undefined || table === undefined) throw new Error('there is no cold tier');
  for (let from = 0; from < rows; from += segmentRows) {
    const to = Math.min(rows, from + segmentRows);
    for (let start = from; start < to; start += COMMIT_ROWS_MAX) {
      await insertPatiently(session, `INSERT INTO bench.cold ${coldRows(start, Math.min(to, start + COMMIT_ROWS_MAX))}`);
    }
    await made.cold.flusher.flushPartition(table.partitionFor(''));
  }
}
