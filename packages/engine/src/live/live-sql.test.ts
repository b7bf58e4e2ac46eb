import { SeededRandom } from '@kalamdb/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import type { Database } from '../database/database.ts';
import { openDatabase } from '../database/open-database.ts';
import { SimulatedClient } from './simulated-client.fixture.ts';

const ROOT: Principal = { userId: 'root', role: 'system' };
const ALICE: Principal = { userId: 'alice', role: 'user' };

const FILTERS = [
  '',
  'WHERE id = 3',
  "WHERE id = '3'",
  "WHERE name = 'x'",
  "WHERE name = 'x' AND n > 2",
  'WHERE n = 4',
  'WHERE n = 4.0',
  'WHERE d = 1',
  'WHERE d = 0.5 AND n IS NOT NULL',
  'WHERE f = 0.1',
  'WHERE f = 0.5',
  'WHERE de = 1.5',
  "WHERE de = '1.50'",
  'WHERE b',
  'WHERE b = true',
  "WHERE ts = '2021-01-31 10:00:00'",
  "WHERE da = '2021-01-31'",
  "WHERE u = '550E8400-E29B-41D4-A716-446655440000'",
  "WHERE name IN ('x', 'z')",
  'WHERE n BETWEEN 2 AND 5',
  'WHERE name IS NULL',
  "WHERE name > 'x'",
  "WHERE NOT (name = 'y')",
  'WHERE name = CURRENT_USER()',
  'WHERE _deleted = true',
  "WHERE name LIKE 'a%' OR n > 6",
] as const;

const VALUES = {
  name: ["'x'", "'y'", "'z'", "'alice'", 'NULL'],
  n: ['NULL', '2', '4', '7'],
  d: ['NULL', '0.5', '1'],
  f: ['NULL', '0.1', '0.5'],
  de: ['NULL', '1.5', '2'],
  b: ['NULL', 'true', 'false'],
  ts: ['NULL', "'2021-01-31 10:00:00'", "'2021-02-01 10:00:00'"],
  da: ['NULL', "'2021-01-31'", "'2021-02-01'"],
  u: ['NULL', "'550e8400-e29b-41d4-a716-446655440000'", "'550e8400-e29b-41d4-a716-446655440001'"],
} as const;

let database: Database;

beforeAll(async () => {
  database = await openDatabase({
    directory: undefined,
    durability: 'relaxed',
    rootPassword: 'kalamdb123',
    passwordCost: { memoryKib: 8, iterations: 1 },
  });
  const root = database.session(ROOT);
  await root.execute('CREATE NAMESPACE app');
  await root.execute(
    'CREATE USER TABLE app.t (id INT PRIMARY KEY, name TEXT, n BIGINT, d DOUBLE, f FLOAT, de DECIMAL(10,2), b BOOLEAN, ts TIMESTAMP, da DATE, u UUID)',
  );
});

afterAll(() => database.close());

describe('subscriptions in SQL', () => {
  it('every filter shows what SELECT with the same filter answers, through every change', async () => {
    const alice = database.session(ALICE);
    const clients = FILTERS.map((filter) => {
      const client = new SimulatedClient();
      const connection = database.live.connect(ALICE, { connectionId: filter, sink: client });
      return { filter, client, connection };
    });
    for (const { filter, connection } of clients)
      await connection.subscribe({ id: 's', sql: `SELECT * FROM app.t ${filter}`, options: {} });
    const wrong: unknown[] = [];
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const random = new SeededRandom(seed);
        const id = random.integer(6);
        const exists = (await alice.execute(`SELECT id FROM app.t WHERE id = ${id}`))[0];
        const names = Object.keys(VALUES) as (keyof typeof VALUES)[];
        if (exists?.kind === 'rows' && exists.rows.length === 0) {
          const cells = names.map((name) => random.pick(VALUES[name]));
          await alice.execute(`INSERT INTO app.t (id, ${names.join(', ')}) VALUES (${id}, ${cells.join(', ')})`);
        } else if (random.integer(4) === 0) {
          await alice.execute(`DELETE FROM app.t WHERE id = ${id}`);
        } else {
          const set = names.filter(() => random.integer(3) === 0).map((name) => `${name} = ${random.pick(VALUES[name])}`);
          if (set.length > 0) await alice.execute(`UPDATE app.t SET ${set.join(', ')} WHERE id = ${id}`);
        }
        await handedOn();
        for (const { filter, client } of clients) {
          const [answer] = await alice.execute(`SELECT id, _seq FROM app.t ${filter}`);
          const expected = answer?.kind === 'rows' ? answer.rows.map(([key, seq]) => [key, seq]) : undefined;
          const shown = [...client.rows.values()].map((row) => [row['id'], row['_seq']]).sort(([a], [b]) => Number(a) - Number(b));
          if (JSON.stringify(shown, text) !== JSON.stringify(expected, text)) wrong.push({ filter, shown, expected });
        }
        expect(wrong).toEqual([]);
      }),
      { numRuns: 300 },
    );
    for (const { connection } of clients) connection.close();
  });

  it('what cannot be subscribed to is refused with the codes of the wire', async () => {
    const connection = database.live.connect(ALICE, { connectionId: 'refused', sink: new SimulatedClient() });
    const refusal = (sql: string) => connection.subscribe({ id: 's', sql, options: {} }).catch(({ spec, message }) => [spec.wire, message]);
    expect(await refusal('SELECT * FROM app.nope')).toEqual(['NOT_FOUND', 'Not found: Table not found: app:nope']);
    expect(await refusal('SELECT nope FROM app.t')).toEqual(['SUBSCRIPTION_FAILED', expect.stringContaining('nope')]);
    expect(await refusal('SELECT * FROM t')).toEqual(['INVALID_SQL', expect.stringContaining('Query must use namespace.table format')]);
    expect(await refusal('SELCT')).toEqual(['INVALID_SQL', expect.any(String)]);
    expect(await refusal('SELECT * FROM app.t ORDER BY id')).toEqual(['INVALID_SQL', expect.stringContaining('does not support ORDER BY')]);
    expect(await refusal('SELECT * FROM system.users')).toEqual(['UNAUTHORIZED', expect.stringContaining('ermission denied')]);
    connection.close();
  });
});

/** Resolves when the commits there are have reached their subscribers. */
async function handedOn(): Promise<void> {
  while (database.live.dispatchedSeq < database.status().watermark) await new Promise((resolve) => setImmediate(resolve));
}

function text(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
