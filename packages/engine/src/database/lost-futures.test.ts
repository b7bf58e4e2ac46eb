import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KalamError } from '@kalamdb/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Database } from './database.ts';
import { openDatabase } from './open-database.ts';

const ROOT = { userId: 'root', role: 'system' } as const;
let parent: string;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'kalamdb-lost-'));
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

async function within<T>(name: string, work: (database: Database) => Promise<T>): Promise<T> {
  const database = await openDatabase({ directory: join(parent, name), durability: 'relaxed', rootPassword: 'x' });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

/** Inserts a row; the cursor of a client that has seen it. */
async function insert(database: Database, id: number): Promise<bigint> {
  await database.session(ROOT).execute(`INSERT INTO app.t VALUES (${id})`);
  return database.status().watermark;
}

async function resume(database: Database, from: bigint): Promise<string> {
  const connection = database.live.connect(ROOT, { connectionId: 'c', sink: { deliver: () => undefined } });
  try {
    await connection.subscribe({ id: 's', sql: 'SELECT * FROM app.t', options: { from } });
    return 'resumed';
  } catch (error) {
    return error instanceof KalamError ? `${error.code}: ${error.message}` : String(error);
  } finally {
    connection.close();
  }
}

test('a cursor from commits that a power cut took is refused, also when newer commits have passed it', async () => {
  const kept = await within('now', async (database) => {
    await database.session(ROOT).execute('CREATE NAMESPACE app');
    await database.session(ROOT).execute('CREATE SHARED TABLE app.t (id INT PRIMARY KEY)');
    return insert(database, 1);
  });
  cpSync(join(parent, 'now'), join(parent, 'before'), { recursive: true });
  const lost = await within('now', async (database) => {
    await insert(database, 2);
    return insert(database, 3);
  });
  const check = async (database: Database): Promise<bigint> => {
    expect(await resume(database, lost)).toMatch(new RegExp(`^RESYNC_REQUIRED: .*${lost} lies among commits that were lost`));
    expect(await resume(database, kept)).toBe('resumed');
    const newer = await insert(database, Number(database.status().watermark % 1_000_000n) + 10);
    expect(newer).toBeGreaterThan(lost);
    expect(await resume(database, newer)).toBe('resumed');
    expect(await resume(database, lost)).toContain('lies among commits that were lost');
    return newer;
  };
  const newer = await within('before', check);
  await within('before', async (database) => {
    expect(await resume(database, newer)).toBe('resumed');
    await check(database);
  });
});
