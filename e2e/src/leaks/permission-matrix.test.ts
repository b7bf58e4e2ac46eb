import { type Database, openDatabase, type Principal, StatementError } from '@kalamdb/engine';
import { KalamError } from '@kalamdb/protocol';
import { initParser } from '@kalamdb/sql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Markers } from './markers.ts';
import { LEAK_TABLES, sceneStatements } from './scene.ts';

const ROOT: Principal = { userId: 'root', role: 'system' };
const PRINCIPALS: readonly Principal[] = [
  { userId: 'anonymous', role: 'anonymous' },
  { userId: 'alice', role: 'user' },
  { userId: 'sam', role: 'service' },
  { userId: 'dora', role: 'dba' },
  ROOT,
];
/** Who may read a shared table of a level, from the least on (sql-dialect B13). */
const LEAST = { public: 'anonymous', private: 'service', restricted: 'service', dba: 'dba' } as const;
const RANKS: readonly Principal['role'][] = ['anonymous', 'user', 'service', 'dba', 'system'];

/** Ways to read a table in a query, by what they are. */
const READINGS: Readonly<Record<string, (table: string) => string>> = {
  'a table alone': (table) => `SELECT * FROM ${table}`,
  'a function of the general executor': (table) => `SELECT regexp_replace('a', 'b', 'c') FROM ${table}`,
  'the left of a join': (table) => `SELECT p.id FROM ${table} x JOIN leak.pub p ON true`,
  'the right of an outer join': (table) => `SELECT p.id FROM leak.pub p LEFT JOIN ${table} x ON false`,
  'a self join': (table) => `SELECT 1 FROM ${table} x JOIN ${table} y ON true`,
  'a subquery in the select list': (table) => `SELECT (SELECT count(*) FROM ${table})`,
  'a subquery in WHERE': (table) => `SELECT id FROM leak.pub WHERE EXISTS (SELECT 1 FROM ${table})`,
  'a subquery that nothing needs': (table) => `SELECT id FROM leak.pub WHERE false AND id IN (SELECT 1 FROM ${table})`,
  'a subquery in FROM': (table) => `SELECT count(*) FROM (SELECT 1 AS a FROM ${table}) s`,
  LATERAL: (table) => `SELECT p.id FROM leak.pub p, LATERAL (SELECT 1 FROM ${table} LIMIT 1) l`,
  WITH: (table) => `WITH w AS (SELECT 1 AS a FROM ${table}) SELECT * FROM w`,
  'WITH that is not used': (table) => `WITH w AS (SELECT 1 AS a FROM ${table}) SELECT 1`,
  'recursive WITH': (table) =>
    `WITH RECURSIVE r(n) AS (SELECT 1 UNION SELECT n + 1 FROM r WHERE n < 3 AND EXISTS (SELECT 1 FROM ${table})) SELECT * FROM r`,
  'a set operation': (table) => `SELECT 1 AS a UNION SELECT 2 FROM ${table}`,
  'a set operation that takes away': (table) => `SELECT 1 AS a EXCEPT SELECT 2 FROM ${table}`,
  VALUES: (table) => `VALUES ((SELECT count(*) FROM ${table}))`,
  'a window': (table) => `SELECT row_number() OVER () FROM ${table}`,
  'an aggregate of another query': (table) => `SELECT count(*) FILTER (WHERE id IN (SELECT 1 FROM ${table})) FROM leak.pub`,
  'ORDER BY': (table) => `SELECT id FROM leak.pub ORDER BY (SELECT count(*) FROM ${table})`,
  LIMIT: (table) => `SELECT id FROM leak.pub LIMIT (SELECT count(*) FROM ${table})`,
  'the argument of a table function': (table) => `SELECT * FROM unnest(ARRAY(SELECT 1 FROM ${table})) AS t(x)`,
  'a query with an error': (table) => `SELECT nowhere, 1 / 0 FROM ${table} x JOIN leak.pub p ON true`,
};

let database: Database;

beforeAll(async () => {
  await initParser();
  database = await openDatabase({ directory: undefined, durability: 'relaxed' });
  for (const sql of sceneStatements(new Markers())) await database.session(ROOT).execute(sql);
  await database.session(ROOT).execute("INSERT INTO leak.pub (id, txt) VALUES (1, 'x'), (2, 'y')");
});

afterAll(() => database.close());

/** `allowed`, or the code of the error. */
async function outcome(principal: Principal, sql: string): Promise<string> {
  try {
    await database.session(principal).execute(sql);
    return 'allowed';
  } catch (error) {
    const cause = error instanceof StatementError ? error.failure.error : error;
    return cause instanceof KalamError ? cause.code : String(cause);
  }
}

function mayRead({ role }: Principal, { kind, level }: (typeof LEAK_TABLES)[number]): boolean {
  const least = kind === 'shared' ? LEAST[level ?? 'private'] : 'user';
  return RANKS.indexOf(role) >= RANKS.indexOf(least);
}

/** Anonymous has no partition of its own; the rest of what it may not read it is told of as others are. */
function refusal({ role }: Principal, { kind }: (typeof LEAK_TABLES)[number]): string {
  return role === 'anonymous' && kind !== 'shared' ? 'INSUFFICIENT_PRIVILEGES' : 'ACCESS_DENIED';
}

describe.each(Object.entries(READINGS))('%s', (name, reading) => {
  const mistaken = name === 'a query with an error';

  test.each(LEAK_TABLES.map((table) => [table.name, table] as const))('of %s asks for its rights, whoever asks', async (_, table) => {
    for (const principal of PRINCIPALS) {
      const wanted = mayRead(principal, table) ? (mistaken ? 'COLUMN_NOT_FOUND' : 'allowed') : refusal(principal, table);
      const places = table.kind === 'stream' || table.kind === 'shared stream' ? [table.name] : [table.name, `${table.name}_view`];
      for (const place of places) {
        expect(await outcome(principal, reading(place)), `${principal.role}: ${reading(place)}`).toBe(wanted);
      }
    }
  });

  test('of system tables asks for their rights', async () => {
    for (const principal of PRINCIPALS) {
      for (const place of ['system.users', 'system.audit_log', 'system.settings', 'system.live', 'information_schema.tables']) {
        const alone = await outcome(principal, `SELECT * FROM ${place}`);
        const found = await outcome(principal, reading(place));
        if (alone === 'allowed') expect(found, `${principal.role}: ${reading(place)}`).toBe(mistaken ? 'COLUMN_NOT_FOUND' : 'allowed');
        else expect(found, `${principal.role}: ${reading(place)}`).not.toBe('allowed');
      }
    }
  });

  test('in EXPLAIN is for administrators', async () => {
    if (mistaken) return;
    for (const principal of PRINCIPALS) {
      const isAdmin = principal.role === 'dba' || principal.role === 'system';
      for (const words of ['EXPLAIN', 'EXPLAIN ANALYZE']) {
        expect(await outcome(principal, `${words} ${reading('leak.adm')}`)).toMatch(isAdmin ? /^allowed$/ : /^ADMIN_REQUIRED$/);
      }
    }
  });
});
