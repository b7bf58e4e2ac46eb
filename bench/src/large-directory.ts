// Makes a data directory with one large table and many small ones: `large-directory.js <directory> <rows> <tables>`.

import { openDatabase, type Session } from '@kalamdb/engine';
import { insertPatiently } from './insert-patiently.ts';

/** Rows of one INSERT. */
const BATCH_ROWS = 1000;

const [directory, rows = 0, tables = 0] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
if (directory === undefined) throw new Error('no directory given');
const database = await openDatabase({ directory, durability: 'relaxed', rootPassword: process.env['KALAMDB_ROOT_PASSWORD'] ?? '' });
try {
  await build(database.session({ userId: 'root', role: 'system' }));
} finally {
  await database.close();
}

async function build(session: Session): Promise<void> {
  await session.execute('CREATE NAMESPACE bench');
  for (let i = 0; i < tables; i++) await session.execute(`CREATE TABLE bench.t${i} (id BIGINT PRIMARY KEY, name TEXT, score DOUBLE)`);
  await session.execute('CREATE TABLE bench.large (id INT PRIMARY KEY, name TEXT, score DOUBLE, active BOOLEAN)');
  for (let from = 0; from < rows; from += BATCH_ROWS) {
    const count = Math.min(BATCH_ROWS, rows - from);
    const values = Array.from({ length: count }, (_, i) => `(${from + i},'name ${from + i}',${(from + i) / 4},true)`);
    await insertPatiently(session, `INSERT INTO bench.large VALUES ${values.join(',')}`);
  }
}
