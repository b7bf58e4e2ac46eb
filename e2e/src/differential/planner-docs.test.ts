import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Database, openDatabase, type Principal } from '@kalamdb/engine';
import { initParser } from '@kalamdb/sql';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { flushEnded } from './placement.ts';

const ROOT: Principal = { userId: 'root', role: 'system' };
const PAGE = readFileSync(new URL('../../../docs/planner.md', import.meta.url), 'utf8');
/** The page's examples: a statement, and the answer below it. */
const EXAMPLES = [...PAGE.matchAll(/```sql\n([^`]*)```\n\n```text\n([^`]*)```/g)].map(
  ([, sql = '', answer = '']) => [sql.trim(), answer.trim()] as const,
);
/** Statements that make the tables of the examples. */
const SETUP = [...PAGE.matchAll(/```sql\n(CREATE [^`]*)```/g)].map(([, sql = '']) => sql).join('');
const directory = mkdtempSync(join(tmpdir(), 'kalamdb-planner-'));

let database: Database;

beforeAll(async () => {
  await initParser();
  database = await openDatabase({ directory, durability: 'relaxed' });
  for (const sql of SETUP.split(/;\n/).filter((text) => text.trim() !== '')) {
    await database.session(ROOT).execute(sql);
    if (sql.startsWith('STORAGE FLUSH')) await flushEnded(database.session(ROOT));
  }
});

afterAll(async () => {
  await database.close();
  rmSync(directory, { recursive: true, force: true });
});

test.each(EXAMPLES)('%s is answered as the page says', async (sql, answer) => {
  const [result] = await database.session(ROOT).execute(sql);
  const plans = result?.kind === 'rows' ? result.rows.map(([, plan]) => String(plan)) : [];
  expect(plans.join('\n').replace(/(_ms)=[\d.]+/g, '$1=…')).toBe(answer);
});

test('the page has examples', () => {
  expect(EXAMPLES.length).toBeGreaterThanOrEqual(5);
});
