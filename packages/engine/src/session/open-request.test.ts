import { afterEach, describe, expect, it } from 'vitest';
import type { Database } from '../database/database.ts';
import { openDatabase } from '../database/open-database.ts';
import type { StatementRecord } from './statement-record.ts';

const ROOT = { userId: 'root', role: 'system' } as const;

let database: Database;
afterEach(() => database.close());

describe('the limits of a request', () => {
  it('are those that the database was opened with', async () => {
    const requestLimits = { sqlBytesMax: 100, parametersMax: 2, parameterBytesMax: 5 };
    database = await openDatabase({ directory: undefined, durability: 'sync', requestLimits });
    const session = database.session(ROOT);
    await expect(session.execute(`SELECT '${'é'.repeat(50)}'`)).rejects.toMatchObject({ code: 'SQL_TOO_LONG' });
    await expect(session.execute('SELECT $1, $2, $3', [1, 2, 3])).rejects.toMatchObject({ code: 'PARAMETER_COUNT_EXCEEDED' });
    await expect(session.execute('SELECT $1', ['ééé'])).rejects.toMatchObject({ code: 'PARAMETER_SIZE_EXCEEDED' });
    expect(await session.execute('SELECT $1, $2', ['éé', 1])).toHaveLength(1);
  });
});

describe('statements that ran', () => {
  it('are told of one by one, with what they came to', async () => {
    const records: StatementRecord[] = [];
    database = await openDatabase({ directory: undefined, durability: 'sync', onStatement: (record) => records.push(record) });
    const session = database.session(ROOT, { requestId: 'r1' });
    await session.execute('CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2); SELECT * FROM t');
    await expect(session.execute('INSERT INTO t VALUES (1)')).rejects.toThrow();
    await expect(session.execute('SELEKT')).rejects.toThrow();
    expect(records.map(({ rows, failed }) => [rows, failed])).toEqual([
      [0, false],
      [2, false],
      [2, false],
      [0, true],
    ]);
    for (const record of records) {
      expect(record).toMatchObject({ principal: ROOT, requestId: 'r1' });
      expect(record.millis).toBeGreaterThan(0);
    }
    const figures = database.figures();
    expect(figures.commits).toBe(figures.groupSizes.reduce((sum, count) => sum + count, 0));
    expect(figures).toMatchObject({ tables: 3, transactions: 0, subscriptions: 0 });
  });
});
