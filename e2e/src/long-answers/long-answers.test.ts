import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Reader } from './long-answer.ts';
import { joinOf, LongAnswers } from './run.ts';

const ROWS = 75_000;
/** Of the largest of these answers the text alone has three times as much, and as rows they would take ten times as much. */
const GROWN_BYTES_MAX = 96 * 1024 * 1024;

let world: LongAnswers;
beforeAll(async () => {
  world = await LongAnswers.start();
  await world.fill(8 * ROWS);
}, 120_000);
afterAll(() => world.stop());

/** What a process takes once, for the first of its answers, is not what an answer takes. */
async function warmUp(sql: (rows: number) => string, how: Partial<Reader>): Promise<void> {
  for (let time = 0; time < 3; time++) await world.read(sql(ROWS), how);
}

describe.runIf(process.platform === 'linux')('an answer of any length takes the same memory of the server', () => {
  it.each([
    ['from a table', (rows: number) => `SELECT id, name, n, name AS again, name AS third FROM t WHERE id < ${rows}`, {}],
    ['compressed', (rows: number) => `SELECT * FROM t WHERE id < ${rows}`, { isCompressed: true }],
    ['from a table for a slow reader', (rows: number) => `SELECT id, name FROM t WHERE id < ${rows}`, { restMillis: 1 }],
    ['from a join', joinOf, { isUnordered: true }],
  ] as const)(
    '%s',
    async (_what, sql, how) => {
      await warmUp(sql, how);
      for (const rows of [2 * ROWS, 8 * ROWS]) {
        const answer = await world.read(sql(rows), how);
        expect([answer.rows, answer.rowCount]).toEqual([rows, rows]);
        expect(answer.grownBytes).toBeLessThan(GROWN_BYTES_MAX);
      }
    },
    120_000,
  );
});
