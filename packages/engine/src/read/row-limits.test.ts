import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Database } from '../database/database.ts';
import { openDatabase } from '../database/open-database.ts';
import type { RowLimits } from './row-limits.ts';

const ROOT = { userId: 'root', role: 'system' } as const;
const ROWS = 30;

const opened: Database[] = [];
const folders: string[] = [];

afterAll(async () => {
  for (const database of opened) await database.close();
  for (const folder of folders) await rm(folder, { recursive: true });
});

async function withRows(rowLimits: RowLimits, count: number, directory?: string): Promise<Database> {
  const database = await openDatabase({ directory, durability: 'relaxed', rowLimits });
  opened.push(database);
  const session = database.session(ROOT);
  await session.execute('CREATE TABLE t (id INT PRIMARY KEY, n INT)');
  for (let from = 0; from < count; from += 5000) {
    const rows = Array.from({ length: Math.min(5000, count - from) }, (_unused, index) => `(${from + index}, ${(from + index) % 3})`);
    await session.execute(`INSERT INTO t VALUES ${rows.join(', ')}`);
  }
  return database;
}

async function answer(database: Database, sql: string): Promise<readonly unknown[]> {
  const [result] = await database.session(ROOT).execute(sql);
  return result?.kind === 'rows' ? result.rows.map(([first]) => first) : [];
}

describe('limits on the rows of an answer', () => {
  it('cap what a SELECT answers and nothing else', async () => {
    const limit = fc.integer({ min: 0, max: ROWS + 5 });
    await fc.assert(
      fc.asyncProperty(limit, limit, fc.option(limit, { nil: undefined }), fc.nat(5), async (defaultRows, rowsMax, asked, offset) => {
        const database = await withRows({ defaultRows, rowsMax }, ROWS);
        const wanted = asked ?? (defaultRows === 0 ? Number.POSITIVE_INFINITY : defaultRows);
        const most = Math.min(wanted, rowsMax === 0 ? Number.POSITIVE_INFINITY : rowsMax);
        const all = Array.from({ length: ROWS }, (_unused, id) => id);
        const clause = `${asked === undefined ? '' : ` LIMIT ${asked}`} OFFSET ${offset}`;
        expect(await answer(database, `SELECT id FROM t${clause}`)).toEqual(all.slice(offset, offset + most));
        expect(await answer(database, `SELECT id FROM t ORDER BY id DESC${clause}`)).toEqual(all.reverse().slice(offset, offset + most));
        expect(await answer(database, 'SELECT COUNT(*) FROM t LIMIT 1')).toEqual([BigInt(ROWS)]);
        expect((await answer(database, 'SELECT n FROM t GROUP BY n')).length).toBe(
          Math.min(3, defaultRows === 0 ? 3 : defaultRows, rowsMax === 0 ? 3 : rowsMax),
        );
        const [copied] = await database
          .session(ROOT)
          .execute('CREATE TABLE u (id INT PRIMARY KEY); INSERT INTO u SELECT id FROM t')
          .then((all) => all.slice(1));
        expect(copied).toMatchObject({ rowCount: ROWS });
        await database.close();
      }),
      { numRuns: 15 },
    );
  });

  it('hold for scans in the thread too', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kalamdb-limits-'));
    folders.push(folder);
    const database = await withRows({ defaultRows: 7, rowsMax: 9 }, 25_000, folder);
    for (let run = 0; run < 2; run++) {
      expect(await answer(database, 'SELECT id FROM t ORDER BY n, id')).toEqual([0, 3, 6, 9, 12, 15, 18]);
      expect(await answer(database, 'SELECT id FROM t ORDER BY n, id LIMIT 500')).toHaveLength(9);
      expect(await answer(database, 'SELECT COUNT(*) FROM t')).toEqual([25_000n]);
    }
  });
});
