import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kalamError, systemRandom, systemTimers } from '@kalamdb/protocol';
import { systemFiles } from '@kalamdb/storage';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SimulatedClient } from '../live/simulated-client.fixture.ts';
import { MAIN_THREAD_ROWS_MAX } from '../read/query-runner.ts';
import { HeldLog } from '../sequencer/held-log.fixture.ts';
import { StatementError } from '../session/statement-error.ts';
import type { Database } from './database.ts';
import { databaseOn } from './open-database.ts';
import { openStorage } from './open-storage.ts';

const ROOT = { userId: 'root', role: 'system' } as const;
/** Enough that the scan thread reads them. */
const ROWS = MAIN_THREAD_ROWS_MAX + 1000;
const directory = mkdtempSync(join(tmpdir(), 'kalamdb-held-'));
let log: HeldLog;
let database: Database;

beforeAll(async () => {
  const storage = await openStorage({ directory, files: systemFiles, timers: systemTimers, random: systemRandom });
  log = new HeldLog(storage.log);
  database = await databaseOn({ ...storage, log }, { directory, durability: 'relaxed', onWarning: () => undefined });
  await answer('CREATE NAMESPACE app');
  await answer('CREATE SHARED TABLE app.big (id INT PRIMARY KEY, v INT)');
  for (let first = 0; first < ROWS; first += 3000) {
    const ids = Array.from({ length: Math.min(3000, ROWS - first) }, (_, index) => first + index);
    await answer(`INSERT INTO app.big (id, v) VALUES ${ids.map((id) => `(${id}, 0)`).join(', ')}`);
  }
});

afterAll(async () => {
  log.releaseAppends();
  await database.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Rows, a message, or the code of the error. */
async function answer(sql: string): Promise<unknown> {
  try {
    const [result] = await database.session(ROOT).execute(sql);
    return result?.kind === 'rows' ? result.rows : result?.message;
  } catch (error) {
    if (error instanceof StatementError) return error.failure.error.code;
    throw error;
  }
}

/** What a scan in the thread, short reads, and a subscription from now on show. */
async function seen(): Promise<readonly unknown[]> {
  const client = new SimulatedClient();
  const connection = database.live.connect(ROOT, { connectionId: 'c', sink: client });
  await connection.subscribe({ id: 's', sql: 'SELECT * FROM app.big WHERE v > 0', options: {} });
  const shown = client.rows.size;
  connection.close();
  const reads = ['SELECT COUNT(*), SUM(v) FROM app.big', 'SELECT v FROM app.big WHERE id = 7', 'SELECT id FROM app.big WHERE v > 0'];
  return [shown, ...(await Promise.all(reads.map(answer)))];
}

const UNTOUCHED = [0, [[BigInt(ROWS), 0n]], [[0]], []];

it.each([
  `UPDATE app.big SET v = v + 1 WHERE id >= 0`,
  `DELETE FROM app.big WHERE id >= 0`,
  `INSERT INTO app.big (id, v) SELECT id + ${ROWS}, 1 FROM app.big`,
  `BEGIN; UPDATE app.big SET v = 5 WHERE id < 2000; COMMIT`,
])('a large commit that is held back and fails had shown nothing: %s', async (sql) => {
  expect(await seen()).toEqual(UNTOUCHED);
  log.hold();
  log.failNext(kalamError('LOG_WRITE_FAILED', { reason: 'no space left' }));
  const writing = answer(sql);
  await log.handedOver;
  const behind = [answer('INSERT INTO app.big (id, v) VALUES (7, 1)'), answer('UPDATE app.big SET v = 1 WHERE id = -1')];
  expect(await seen()).toEqual(UNTOUCHED);
  log.releaseAppends();
  expect(await writing).toBe('LOG_WRITE_FAILED');
  // Behind a latch they come after the failure, in the group or behind it they fail too.
  const [inserted, updated] = await Promise.all(behind);
  expect(['LOG_WRITE_FAILED', 'DUPLICATE_KEY']).toContain(inserted);
  expect(['LOG_WRITE_FAILED', 'Updated 0 row(s)']).toContain(updated);
  expect(await seen()).toEqual(UNTOUCHED);
});

it('a large commit that is held back and succeeds is shown whole from then on', async () => {
  log.hold();
  const writing = answer('UPDATE app.big SET v = v + 1 WHERE id >= 0');
  await log.handedOver;
  expect(await seen()).toEqual(UNTOUCHED);
  log.releaseAppends();
  expect(await writing).toBe(`Updated ${ROWS} row(s)`);
  expect((await seen())[1]).toEqual([[BigInt(ROWS), BigInt(ROWS)]]);
});
