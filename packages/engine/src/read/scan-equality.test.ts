import { systemTimers } from '@kalamdb/protocol';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Snapshot } from '../partition/snapshot.ts';
import type { QueryRunner } from './query-runner.ts';
import { hastyClock, type Outcome, ScanWorld } from './scan-world.fixture.ts';

const ROWS = 400;
const kinds = ['a', 'b', 'c', '', 'ü😀', null];

let world: ScanWorld;
beforeAll(async () => {
  world = await ScanWorld.open();
  const rows = Array.from({ length: ROWS }, (_, id) => rowOf(id, id));
  await world.put(rows.filter((_, id) => id % 2 === 0));
  await world.put(Array.from({ length: 60 }, (_, id) => ({ cells: [BigInt(1000 + id), 'gone', id], old: true })));
  await world.sequencer.flush();
});
afterAll(() => world.close());

function rowOf(id: number, salt: number): { cells: readonly (bigint | number | string | Uint8Array | null)[]; deleted: boolean } {
  const n = salt % 11 === 0 ? null : (salt % 7) - 3;
  const price = salt % 5 === 0 ? null : BigInt(salt * 37 - 900);
  return { cells: [BigInt(id), n, kinds[salt % kinds.length] ?? null, price, Uint8Array.of(salt & 0xff, 1)], deleted: salt % 13 === 1 };
}

const columns = fc.constantFrom(
  'id',
  'n',
  'kind',
  'price',
  'data',
  '_seq',
  'n + 1',
  "kind || '!'",
  '10 / n',
  'CURRENT_USER',
  'NOW()',
  'RANDOM()',
);
const filters = fc.constantFrom(
  '',
  'WHERE n > 0',
  "WHERE kind = 'a' OR price < 100",
  'WHERE kind IS NULL',
  'WHERE id >= 50 AND id < 300',
  'WHERE 12 / n > 1',
  'WHERE _deleted = true',
  'WHERE id IN (1, 2, 3, 399, 1001)',
  "WHERE kind LIKE 'ü%'",
  'WHERE CAST(kind AS INT) = 1',
  'WHERE RANDOM() < 2',
);
const limits = fc.constantFrom('', 'LIMIT 0', 'LIMIT 7', 'LIMIT 5 OFFSET 9', 'OFFSET 390', 'LIMIT 150');
const orders = fc.constantFrom(
  '',
  'ORDER BY 1',
  'ORDER BY n DESC NULLS LAST, id',
  'ORDER BY kind, price DESC, id',
  'ORDER BY _seq DESC',
  'ORDER BY data',
);
const plainQueries = fc
  .record({ distinct: fc.boolean(), list: fc.array(columns, { minLength: 1, maxLength: 4 }), filters, orders, limits, star: fc.boolean() })
  .map(({ distinct, list, filters: where, orders: order, limits: limit, star }) =>
    star
      ? `SELECT * FROM t ${where} ${order} ${limit}`
      : `SELECT ${distinct ? 'DISTINCT ' : ''}${list.join(', ')} FROM t ${where} ${distinct ? '' : order} ${limit}`,
  );
const groupedQueries = fc
  .record({
    by: fc.constantFrom('', 'n', 'kind', 'n, kind', 'id'),
    having: fc.constantFrom('', 'HAVING COUNT(*) > 3', 'HAVING SUM(n) / COUNT(n) > 0'),
    filters,
    limits,
    sorted: fc.boolean(),
  })
  .map(({ by, having, filters: where, limits: limit, sorted }) => {
    const list = [...(by === '' ? [] : [by]), 'COUNT(*)', 'SUM(price)', 'AVG(n)', 'MIN(kind)', 'COUNT(DISTINCT kind)', 'MAX(data)'];
    return `SELECT ${list.join(', ')} FROM t ${where} ${by === '' ? '' : `GROUP BY ${by}`} ${having} ${sorted ? 'ORDER BY 2 DESC, 1' : ''} ${limit}`;
  });
const queries = fc.oneof(plainQueries, groupedQueries, fc.constant('SELECT COUNT(*) FROM t'));

/** A runner whose snapshots note what the plain executor answers at each of them. */
function witnessed(
  threaded: boolean,
  streams = false,
): { readonly runner: QueryRunner; readonly streams: boolean; outcomeAt: Outcome | undefined; sql: string; opened: number } {
  const noting = {
    streams,
    outcomeAt: undefined as Outcome | undefined,
    sql: '',
    opened: 0,
    runner: world.runner({
      threaded,
      clock: hastyClock(),
      timeoutMillis: 1e9,
      mainThreadRowsMax: threaded ? 100 : 1e9,
      snapshots: {
        open: (): Snapshot => {
          const snapshot = world.sequencer.snapshots.open();
          noting.opened += 1;
          noting.outcomeAt = world.plain(noting.sql, snapshot);
          return snapshot;
        },
      },
    }),
  };
  return noting;
}

test('at once, in slices, in the scan thread and as a stream from it a query gives the same rows and errors while rows are written', async () => {
  const roads = [witnessed(false), witnessed(true), witnessed(true, true)];
  const baseline = world.hot.liveTransactions;
  let writing = true;
  let salt = ROWS;
  const writer = (async () => {
    while (writing) {
      const id = (salt * 7) % ROWS;
      await world.put([rowOf(id, salt), rowOf((id + 1) % ROWS, salt + 1)]);
      salt += 2;
      await new Promise<void>((resolve) => systemTimers.after(1, resolve));
    }
  })();
  let errors = 0;
  let threaded = 0;
  try {
    await fc.assert(
      fc.asyncProperty(queries, async (sql) => {
        for (const road of roads) {
          road.sql = sql;
          road.outcomeAt = undefined;
          road.opened = 0;
          const outcome = road.streams ? (await world.streamOutcome(road.runner, sql)).outcome : await world.outcome(road.runner, sql);
          if (road.outcomeAt === undefined) expect(outcome, sql).toEqual({ rows: [] });
          else expect(outcome, sql).toEqual(road.outcomeAt);
          if ('code' in outcome) errors += 1;
          // One to keep the overlay, one for what the thread lacks.
          if (road.opened >= 2) threaded += 1;
        }
      }),
      { numRuns: 250 },
    );
  } finally {
    writing = false;
    await writer;
  }
  expect(errors).toBeGreaterThan(10);
  expect(threaded).toBeGreaterThan(50);
  expect(salt).toBeGreaterThan(ROWS + 50);
  await world.sequencer.flush();
  // What is left is at most the transaction that the next snapshot would share.
  expect(world.hot.liveTransactions).toBeLessThanOrEqual(Math.max(1, baseline));
}, 60_000);
