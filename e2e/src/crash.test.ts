import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from '@kalamdb/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { UNHURRIED_SETTINGS } from './server-settings.ts';
import { Api } from './sql-api.ts';

const PASSWORD = 'crash-password';
/** Exit code after a failure that nothing caught. */
const CRASH_CODE = 70;
/** Rows of a table whose scans go to the scan thread. */
const LARGE_ROWS = 25_000;

type CrashBy = 'threads' | 'threads-for-ever' | 'rejection' | 'exception';

const folders: string[] = [];
const servers: ServerProcess[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-crash-'));
  folders.push(folder);
  return folder;
}

async function start(folder: string, crashBy: CrashBy): Promise<{ server: ServerProcess; api: Api }> {
  const server = await ServerProcess.start({
    folder,
    rootPassword: PASSWORD,
    settings: UNHURRIED_SETTINGS,
    environment: { CRASH_BY: crashBy },
    nodeArguments: ['--import', join(import.meta.dirname, 'crash.fake.mjs')],
  });
  servers.push(server);
  const api = new Api();
  api.url = server.url;
  await api.login('root', PASSWORD);
  return { server, api };
}

async function fill(api: Api): Promise<void> {
  await api.rows('root', 'CREATE TABLE t (id INT PRIMARY KEY, n INT)');
  for (let from = 0; from < LARGE_ROWS; from += 5000) {
    const rows = Array.from({ length: 5000 }, (_unused, index) => `(${from + index}, ${(from + index) % 7})`);
    await api.rows('root', `INSERT INTO t VALUES ${rows.join(', ')}`);
  }
}

const stat = async (api: Api, name: string): Promise<string> => {
  const [rows] = await api.rows('root', `SELECT metric_value FROM system.stats WHERE metric_name = '${name}'`);
  return String(rows?.[0]?.[0]);
};

const SCAN = 'SELECT id FROM t ORDER BY n DESC, id DESC LIMIT 1';
const LARGEST = 24_996;
/** For what comes in its time, on a machine that has other things to do too. */
const PATIENCE = { timeout: 15_000 };

/** A scan whose thread dies is refused with an error that says to try again. */
const scan = (api: Api): Promise<unknown> =>
  vi.waitFor(async () => {
    const { status, body } = await api.request('root', SCAN);
    if (status !== 200) expect(body).toContain('QUERY_INTERRUPTED');
    expect(status).toBe(200);
    return JSON.parse(body).results[0].rows[0][0];
  }, PATIENCE);

/** Resolves when the hot tier has everything that is acknowledged now. */
const applied = async (api: Api): Promise<void> => {
  const watermark = BigInt(await stat(api, 'watermark'));
  await vi.waitFor(async () => expect(BigInt(await stat(api, 'applied_seq'))).toBeGreaterThanOrEqual(watermark), PATIENCE);
};

const endThreads = (server: ServerProcess): Promise<void> => {
  server.signal('SIGUSR2');
  return vi.waitFor(() => expect(server.output).toMatch(/ending [1-9]\d* threads/), PATIENCE);
};

describe('a worker thread that dies', { timeout: 60_000 }, () => {
  it('is replaced: what was written reaches the hot tier, and large scans go on', async () => {
    const { server, api } = await start(newFolder(), 'threads');
    await fill(api);
    expect(await scan(api)).toBe(LARGEST);
    await applied(api);
    await endThreads(server);
    await api.rows('root', 'INSERT INTO t VALUES (100000, 9)');
    expect(await scan(api)).toBe(100_000);
    await applied(api);
  });

  it('while the hot tier is written is replaced, or else the process ends, and the next start has every acknowledged row', async () => {
    const folder = newFolder();
    const { server, api } = await start(folder, 'threads');
    await fill(api);
    // The applier is at it.
    server.signal('SIGUSR2');
    const ends = server.ended.then(() => false);
    const goesOn = async (): Promise<boolean> => {
      await api.rows('root', 'INSERT INTO t VALUES (100000, 9)');
      await applied(api);
      return true;
    };
    const survived = await Promise.race([goesOn().catch(() => ends), ends]);
    if (!survived) expect(server.output).toMatch(/FATAL the database has failed[\s\S]*died inside a transaction/);
    const { api: last } = survived ? { api } : await start(folder, 'threads');
    expect(await scan(last)).toBe(100_000);
    await applied(last);
    expect(await last.rows('root', 'SELECT COUNT(*) FROM t')).toEqual([[[String(LARGE_ROWS + 1)]]]);
  });

  it('too often ends the process, and the next start has every acknowledged row', async () => {
    const folder = newFolder();
    const { server, api } = await start(folder, 'threads-for-ever');
    await fill(api);
    await applied(api);
    server.signal('SIGUSR2');
    let acknowledged = LARGE_ROWS;
    const write = async (): Promise<void> => {
      for (;;) {
        await api.rows('root', `INSERT INTO t VALUES (${acknowledged}, 0)`);
        acknowledged += 1;
      }
    };
    await expect(write()).rejects.toThrow();
    expect(await server.ended).toBe(CRASH_CODE);
    expect(server.output).toContain('FATAL the database has failed');
    const next = await start(folder, 'threads');
    const [rows] = await next.api.rows('root', 'SELECT COUNT(*) FROM t');
    expect(Number(rows?.[0]?.[0])).toBeGreaterThanOrEqual(acknowledged);
  });
});

describe('a failure that nothing caught', () => {
  it.each(['rejection', 'exception'] as const)('ends the process with a line in the log (%s)', async (crashBy) => {
    const { server } = await start(newFolder(), crashBy);
    server.signal('SIGUSR2');
    expect(await server.ended).toBe(CRASH_CODE);
    expect(server.output).toMatch(new RegExp(`FATAL a failure that nothing caught[\\s\\S]*a planted ${crashBy}`));
  });
});
