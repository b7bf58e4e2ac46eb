import { parseJson } from '@kalamdb/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningServer } from '../../server.ts';
import { rootToken, startTestServer } from '../wire-client.fixture.ts';

let server: RunningServer;
let token: string;

interface Answer {
  readonly code: number;
  readonly results: readonly { readonly rows?: readonly (readonly unknown[])[]; readonly message?: string; readonly commit?: string }[];
  readonly error?: { readonly code: string; readonly message: string } | null;
}

async function ask(sql: string, members: object = { extensions: ['commit-token'] }): Promise<Answer> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const response = await fetch(`${server.url}/v1/api/sql`, { method: 'POST', headers, body: JSON.stringify({ sql, ...members }) });
  return { ...(parseJson(await response.text()) as object), code: response.status } as Answer;
}

/** The newest `_seq` of the table. */
async function newest(): Promise<string> {
  const [result] = (await ask('SELECT MAX(_seq) FROM app.t')).results;
  return String(result?.rows?.[0]?.[0]);
}

beforeAll(async () => {
  server = await startTestServer({});
  token = await rootToken(server.url);
  await ask('CREATE NAMESPACE app');
  await ask('CREATE SHARED TABLE app.t (id INT PRIMARY KEY, n INT)');
});

afterAll(() => server.close());

describe('the name of a commit', () => {
  test.each([
    ['INSERT INTO app.t VALUES (1, 1), (2, 2)', 1],
    ['UPDATE app.t SET n = 5 WHERE id = 1', 1],
    ['INSERT INTO app.t VALUES (1, 9) ON CONFLICT (id) DO UPDATE SET n = excluded.n', 1],
    ['UPDATE app.t SET n = (SELECT MAX(n) FROM app.t) WHERE id = 2', 1],
    ['INSERT INTO app.t SELECT id + 10, n FROM app.t', 1],
    ['INSERT INTO app.t VALUES (3, 3) RETURNING id', 1],
    ['BEGIN; INSERT INTO app.t VALUES (4, 4); UPDATE app.t SET n = 0 WHERE id = 4; COMMIT', 2],
  ])('is that of the newest row: %s', async (statement) => {
    const { results } = await ask(statement);
    const named = results.flatMap(({ commit }) => (commit === undefined ? [] : [commit]));
    expect(named).toEqual([await newest()]);
  });

  test('stands behind each summary of a batch', async () => {
    const { results } = await ask('INSERT INTO app.t VALUES (5, 5); UPDATE app.t SET n = 6 WHERE id = 5; INSERT INTO app.t VALUES (6, 6)');
    expect(results).toMatchObject([{ message: 'Inserted 2 row(s)', commit: await newest() }, { message: 'Updated 1 row(s)' }]);
    expect(BigInt(results[1]?.commit ?? 0)).toBeLessThan(BigInt(results[0]?.commit ?? 0));
  });

  test('is not there for what wrote nothing, what has not asked, and what is only asked', async () => {
    for (const statement of ['UPDATE app.t SET n = 1 WHERE id = -1', 'SELECT 1', 'CREATE NAMESPACE other']) {
      expect((await ask(statement)).results.map(({ commit }) => commit)).toEqual([undefined]);
    }
    expect((await ask('INSERT INTO app.t VALUES (7, 7)', {})).results).toEqual([
      { row_count: 1, message: 'Inserted 1 row(s)', as_user: expect.any(String) },
    ]);
  });
});

describe('reading behind a commit', () => {
  test('goes on at once when it is there', async () => {
    const { results } = await ask('INSERT INTO app.t VALUES (8, 8)');
    const read = await ask('SELECT n FROM app.t WHERE id = 8', { at_least: results[0]?.commit });
    expect([read.code, read.results[0]?.rows]).toEqual([200, [[8]]]);
  });

  test('is refused for a commit of the future', async () => {
    const refused = await ask('SELECT 1', { at_least: '9000000000000000000' });
    expect([refused.code, refused.error?.code, refused.error?.message]).toEqual([
      409,
      'RESYNC_REQUIRED',
      'Commit 9000000000000000000 is none of this database: it is ahead of this database',
    ]);
  });
});
