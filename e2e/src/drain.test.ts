import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from '@kalamdb/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { UNHURRIED_SETTINGS } from './server-settings.ts';
import { Api, type SqlAnswer } from './sql-api.ts';

const PASSWORD = 'drain-password';
/** Statements of a transaction that is long enough to be met by a signal. */
const STATEMENTS = 12_000;
/** It may take as long as it takes. */
const SETTINGS = `${UNHURRIED_SETTINGS}\n[performance]\nshutdown_timeout = 120\n`;
/** Milliseconds between two looks at whether it has begun. */
const LOOK = { interval: 5, timeout: 10_000 };

let folder: string;
let server: ServerProcess;
let api: Api;

async function start(): Promise<void> {
  server = await ServerProcess.start({ folder, rootPassword: PASSWORD, durability: 'sync', settings: SETTINGS });
  api = new Api();
  api.url = server.url;
  await api.login('root', PASSWORD);
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kalamdb-drain-'));
  await start();
  await api.rows('root', 'CREATE TABLE t (id INT PRIMARY KEY)');
});

afterEach(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** A request with one long transaction; resolves when the server is in the middle of it. */
async function longTransaction(): Promise<{ readonly answer: Promise<SqlAnswer> }> {
  const inserts = Array.from({ length: STATEMENTS }, (_unused, id) => `INSERT INTO t VALUES (${id})`);
  const answer = api.sql('root', `BEGIN; ${inserts.join('; ')}; COMMIT`);
  // It is looked at below, whichever way it ends.
  answer.catch(() => undefined);
  await vi.waitFor(async () => expect((await api.rows('root', 'SELECT * FROM system.transactions'))[0]).toHaveLength(1), LOOK);
  return { answer };
}

async function count(): Promise<number> {
  const [rows] = await api.rows('root', 'SELECT COUNT(*) FROM t');
  return Number(rows?.[0]?.[0]);
}

describe('a server that is told to stop', () => {
  it('answers what runs, closes sockets with 1001, ends with 0, and has lost nothing', async () => {
    const webSocket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/ws`, {
      headers: { authorization: `Bearer ${api.token('root')}` },
    });
    await new Promise((resolve) => webSocket.once('message', resolve));
    const closed = new Promise<number>((resolve) => webSocket.once('close', resolve));
    const { answer } = await longTransaction();
    server.signal('SIGTERM');
    expect(await closed).toBe(1001);
    expect(await answer).toMatchObject({ status: 200, error: undefined });
    expect(await server.ended).toBe(0);
    expect(server.output).toContain('Stopped.');
    await expect(fetch(`${server.url}/health`)).rejects.toThrow();
    await start();
    expect(await count()).toBe(STATEMENTS);
  });

  it('ends at once when it is told again, and a transaction that was cut off leaves nothing', async () => {
    const { answer } = await longTransaction();
    server.signal('SIGTERM');
    await vi.waitFor(() => expect(server.output).toContain('Stopping'), LOOK);
    server.signal('SIGINT');
    expect(await server.ended).toBe(1);
    const answered = await answer.then(
      () => true,
      () => false,
    );
    await start();
    expect(await count()).toBe(answered ? STATEMENTS : 0);
  });
});
