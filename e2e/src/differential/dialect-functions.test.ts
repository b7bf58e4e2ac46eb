import { type Database, openDatabase, type Principal, StatementError } from '@kalamdb/engine';
import { type Cell, KalamError } from '@kalamdb/protocol';
import { initParser } from '@kalamdb/sql';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ANN: Principal = { userId: 'ann', role: 'service' };

let database: Database;

beforeAll(async () => {
  await initParser();
  database = await openDatabase({ directory: undefined, durability: 'relaxed' });
  await database.session({ userId: 'root', role: 'system' }).execute('CREATE NAMESPACE f');
  for (const sql of [
    'CREATE SHARED TABLE n (id BIGINT PRIMARY KEY, e EMBEDDING(2), doc JSON)',
    `INSERT INTO n (id, e, doc) VALUES (1, '[1,0]', '{"a":{"b":"x"},"l":[1,2]}'), (2, '[0,1]', '{bad'), (3, NULL, NULL)`,
  ])
    await database.session({ userId: 'root', role: 'system' }, { namespace: 'f' }).execute(sql);
});

afterAll(() => database.close());

async function rows(sql: string): Promise<readonly (readonly Cell[])[]> {
  const [result] = await database.session(ANN, { namespace: 'f' }).execute(sql);
  return result?.kind === 'rows' ? result.rows : [];
}

async function refusal(sql: string): Promise<string> {
  return rows(sql).then(
    () => 'none',
    (error: unknown) => {
      const cause = error instanceof StatementError ? error.failure.error : error;
      return cause instanceof KalamError ? cause.code : String(cause);
    },
  );
}

test('ids that a join makes are each another, rise, and are above those made before and below those made after', async () => {
  const [[before]] = (await rows('SELECT SNOWFLAKE_ID()')) as [[bigint]];
  const made = await rows(
    'SELECT SNOWFLAKE_ID(), SNOWFLAKE_ID() AS other FROM generate_series(1, 100) a JOIN generate_series(1, 50) b ON true ORDER BY 1',
  );
  const [[after]] = (await rows('SELECT SNOWFLAKE_ID()')) as [[bigint]];
  const ids = made.flat() as bigint[];
  expect(new Set(ids).size).toBe(10_000);
  expect(ids.every((id) => id > before && id < after)).toBe(true);
  expect(await refusal('SELECT a FROM generate_series(1, 2) a WHERE SNOWFLAKE_ID() > 0')).toBe('NOT_IMPLEMENTED');
  expect(await refusal('SELECT (SELECT SNOWFLAKE_ID()) FROM generate_series(1, 2) a')).toBe('NOT_IMPLEMENTED');
});

test('ULID and UUID_V7 are made for each row', async () => {
  const made = await rows('SELECT ULID(), UUID_V7() FROM generate_series(1, 50) a JOIN generate_series(1, 20) b ON true');
  expect(new Set(made.map(([ulid]) => ulid)).size).toBe(1000);
  expect(new Set(made.map(([, uuid]) => uuid)).size).toBe(1000);
  for (const [ulid, uuid] of made) {
    expect(ulid).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
  expect(new Set(made.map(([ulid]) => String(ulid).slice(0, 8))).size).toBe(1);
});

test.each<[string, readonly (readonly Cell[])[]]>([
  [
    'SELECT CURRENT_USER(), CURRENT_USER, CURRENT_USER_ID(), CURRENT_ROLE() FROM n a JOIN n b ON a.id = b.id WHERE a.id = 1',
    [['ann', 'ann', 'ann', 'service']],
  ],
  ['SELECT count(*) FROM n a JOIN n b ON true WHERE NOW() = CURRENT_TIMESTAMP AND a.id = 1', [[3n]]],
  ["SELECT a.id FROM n a JOIN n b ON a.id = b.id WHERE a.e IS NOT NULL ORDER BY COSINE_DISTANCE(a.e, '[0,2]'), a.id", [[2n], [1n]]],
  ["SELECT a.id, COSINE_DISTANCE(a.e, '[0,0]') FROM n a JOIN n b ON a.id = b.id WHERE a.id = 1", [[1n, 1]]],
  ["SELECT v.row_id, v.score, n.id FROM vector_search('f.n', 'e', '[0,3]', 1) v JOIN n ON n.id = v.row_id::bigint", [['2', 1, 2n]]],
  [
    "SELECT a.doc->'a'->>'b', a.doc->'l'->0, a.doc ? 'a', json_get_int(a.doc, 'l', 1) FROM n a JOIN n b ON a.id = b.id ORDER BY a.id",
    [
      ['x', '1', true, 2n],
      [null, null, false, null],
      [null, null, false, null],
    ],
  ],
  [
    "SELECT json_length(a.doc, 'l'), json_object_keys(a.doc), json_contains(a.doc, 'a', 'b') FROM n a JOIN n b ON a.id = b.id WHERE a.id = 1",
    [['2', '["a","l"]', true]],
  ],
])('%s', async (sql, expected) => {
  expect(await rows(sql)).toEqual(expected);
});

test.each([
  ['SELECT SNOWFLAKE_ID(1) FROM n a JOIN n b ON true', 'FUNCTION_NOT_FOUND'],
  ["SELECT COSINE_DISTANCE(a.e, '[1]') FROM n a JOIN n b ON true", 'EMBEDDING_DIMENSION'],
  ['SELECT a.id COLLATE "de_DE" FROM n a JOIN n b ON true', 'NOT_IMPLEMENTED'],
  ["SELECT now() AT TIME ZONE 'Europe/Berlin' FROM n a JOIN n b ON true", 'NOT_IMPLEMENTED'],
])('%s is refused', async (sql, code) => {
  expect(await refusal(sql)).toBe(code);
});
