import { DuckDBInstance } from '@duckdb/node-api';
import { expect, test } from 'vitest';
import { profiledRun, profilingText } from './step-times.ts';

test('what the linked DuckDB says of a run is told by steps', async () => {
  const connection = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect();
  await connection.run('CREATE TABLE t AS SELECT i, i % 10 AS g FROM range(20000) r(i)');
  const profile = async (text: string, rowsMax?: number): Promise<ReturnType<typeof profiledRun>> => {
    const result = await connection.runAndReadAll(profilingText(text, rowsMax));
    return profiledRun(String(result.getRowObjects()[0]?.['explain_value']));
  };
  const grouped = await profile('SELECT a.g, count(*) FROM t a JOIN t b ON a.i = b.i + 1 WHERE a.i > 5 GROUP BY 1 ORDER BY 2, 1');
  expect(grouped.rows).toBe(10);
  expect(grouped.steps.map(([step]) => step)).toEqual(['tables', 'joins', 'groups', 'sorting', 'rest']);
  for (const [, millis] of grouped.steps) expect(millis).toBeGreaterThanOrEqual(0);
  expect(grouped.steps.some(([, millis]) => millis > 0)).toBe(true);
  expect((await profile('SELECT i, row_number() OVER (PARTITION BY g ORDER BY i) FROM t')).steps.map(([step]) => step)).toContain(
    'windows',
  );
  expect((await profile('SELECT i AS a, i AS a FROM t', 7)).rows).toBe(7);
  expect((await profile('SELECT i FROM t WHERE false')).rows).toBe(0);
  connection.closeSync();
});

test('what is no profile is not taken for one', () => {
  expect(() => profiledRun('{}')).toThrow('profile');
});
