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

const scan = async (api: Api): Promise<unknown> =>
  (await api.rows('root', 'SELECT id FROM t ORDER BY n DESC, id DESC LIMIT 1'))[0]?.[0]?.[0];

// Known and open: now and then one of these runs into its time-out, and it is not understood yet what waits. The retries go when it is.
describe('a worker thread that dies', { retry: 2, timeout: 20_000 }, () => {
  it('is replaced: what was written reaches the hot tier, and large scans go on', async () => {
    const { server, api } = await start(newFolder(), 'threads');
    await fill(api);
    expect(await scan(api)).toBe(24_996);
    server.signal('SIGUSR2');
    await vi.waitFor(() => expect(server.output).toMatch(/ending [1-9]\d* threads/));
    await api.rows('root', 'INSERT INTO t VALUES (100000, 9)');
    expect(await scan(api)).toBe(100_000);
    const watermark = await stat(api, 'watermark');
    await vi.waitFor(async () => expect(BigInt(await stat(api, 'applied_seq'))).toBeGreaterThanOrEqual(BigInt(watermark)), {
      timeout: 15_000,
    });
  });

  it('too often ends the process, and the next start has every acknowledged row', async () => {
    const folder = newFolder();
    const { server, api } = await start(folder, 'threads-for-ever');
    await fill(api);
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
