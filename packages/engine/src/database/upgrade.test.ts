import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { directoryFormat } from '@kalamdb/storage';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import { openDatabase } from './open-database.ts';
import { ROOT } from './statement-world.fixture.ts';
import { verifyDatabase } from './verify-database.ts';

const FIXTURES = new URL('../../fixtures/', import.meta.url);

interface Fixture {
  readonly format: number;
  readonly users: readonly string[];
  readonly answers: readonly { readonly user: string; readonly sql: string; readonly rows: unknown }[];
  /** Base64 by path. */
  readonly files: Readonly<Record<string, string>>;
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kalamdb-upgrade-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_key, cell) =>
      typeof cell === 'bigint' ? `${cell}n` : cell instanceof Uint8Array || cell instanceof Float32Array ? [...cell] : cell,
    ),
  );

const names = (await readdir(FIXTURES)).filter((name) => name.startsWith('format-'));

it('there is a directory of every format that this release opens and that one was made of', () => {
  expect(names).toContain(`format-${directoryFormat}.json.gz`);
});

it.each(names)(
  '%s opens with every row, table, segment and login',
  async (name) => {
    const fixture: Fixture = JSON.parse(gunzipSync(await readFile(new URL(name, FIXTURES))).toString('utf8'));
    for (const [path, content] of Object.entries(fixture.files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), Buffer.from(content, 'base64'));
    }
    for (const { failure } of await verifyDatabase(folder)) expect(failure).toBeUndefined();
    // Twice: as it was left, and as this release has left it.
    for (const time of ['as it was', 'opened before']) {
      const database = await openDatabase({ directory: folder, durability: 'sync', onWarning: () => undefined });
      try {
        for (const { user, sql, rows } of fixture.answers) {
          const principal: Principal = user === 'root' ? ROOT : { userId: user, role: 'user' };
          const [result] = await database.session(principal).execute(sql, []);
          expect([time, sql, plain(result?.kind === 'rows' ? result.rows : undefined)]).toEqual([time, sql, rows]);
        }
        const origin = { address: '127.0.0.1' };
        for (const user of fixture.users)
          expect(await database.accounts.login(user, `${user}-Secret-1`, origin)).toMatchObject({ userId: user });
        await expect(database.accounts.login('alice', 'Wrong-Secret-1', origin)).rejects.toThrow();
        await database.session(ROOT).execute("INSERT INTO old.pairs VALUES (1000, 'new'); DELETE FROM old.pairs WHERE id = 1000", []);
      } finally {
        await database.close();
      }
    }
  },
  30_000,
);

it('a newer format is refused with what to do, and nothing is touched', async () => {
  const text = `${JSON.stringify({ format: directoryFormat + 1 })}\n`;
  await writeFile(join(folder, 'format.json'), text);
  await expect(openDatabase({ directory: folder, durability: 'sync' })).rejects.toMatchObject({
    code: 'FORMAT_UNKNOWN',
    message: `The data directory '${folder}' has format version ${directoryFormat + 1}; this release knows ${directoryFormat}`,
    spec: { next: 'Start the release that wrote it, or a newer one. Nothing was changed.' },
  });
  expect(await readdir(folder)).toEqual(['format.json']);
  expect(await readFile(join(folder, 'format.json'), 'utf8')).toBe(text);
});
