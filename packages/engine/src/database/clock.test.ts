import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import { SimulatedClient } from '../live/simulated-client.fixture.ts';
import type { Database } from './database.ts';
import { openDatabase } from './open-database.ts';

const ROOT: Principal = { userId: 'root', role: 'system' };
const HOUR_MILLIS = 3_600_000;
/** More than the counter of one millisecond holds. */
const COMMITS_AT_ONCE = 10_000;

let directory: string;
let time: VirtualTime;
let database: Database;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kalamdb-clock-'));
  time = new VirtualTime();
  await open();
  await pumped(database.session(ROOT).execute('CREATE NAMESPACE app; CREATE SHARED TABLE app.log (id INT PRIMARY KEY, v INT)'));
});

afterEach(async () => {
  await pumped(database.close(), 10);
  rmSync(directory, { recursive: true, force: true });
});

async function open(): Promise<void> {
  const options = { directory, durability: 'relaxed', clock: time, timers: time, random: new SeededRandom(1) } as const;
  database = await pumped(openDatabase(options), 10);
}

async function restart(): Promise<void> {
  await pumped(database.close(), 10);
  await open();
}

/** Lets the event loop turn until `work` is done; as little time passes as is said, from turn to turn. */
async function pumped<T>(work: Promise<T>, millisPerTurn: number = 0.01): Promise<T> {
  let done = false;
  const finished = work.finally(() => {
    done = true;
  });
  finished.catch(() => undefined);
  while (!done) {
    await new Promise((resolve) => setImmediate(resolve));
    if (!done) time.advance(millisPerTurn);
  }
  return finished;
}

async function rows(sql: string): Promise<readonly (readonly unknown[])[]> {
  const [result] = await pumped(database.session(ROOT).execute(sql));
  return result?.kind === 'rows' ? result.rows : [];
}

async function follow(): Promise<SimulatedClient> {
  const client = new SimulatedClient();
  const connection = database.live.connect(ROOT, { connectionId: 'c', sink: client });
  await pumped(connection.subscribe({ id: 's', sql: 'SELECT * FROM app.log', options: {} }));
  return client;
}

/** Inserts rows at once and gives the ids in the order in which they were acknowledged. */
async function insertAtOnce(ids: readonly number[]): Promise<readonly number[]> {
  const session = database.session(ROOT);
  const acknowledged: number[] = [];
  await pumped(
    Promise.all(
      ids.map(async (id) => {
        await session.execute('INSERT INTO app.log (id, v) VALUES ($1, 0)', [id]);
        acknowledged.push(id);
      }),
    ),
  );
  return acknowledged;
}

/** The rows in their order; each `_seq` is there once. */
async function idsInOrder(): Promise<readonly unknown[]> {
  const found = await rows('SELECT id, _seq FROM app.log ORDER BY _seq');
  expect(new Set(found.map(([, seq]) => seq)).size).toBe(found.length);
  return found.map(([id]) => id);
}

describe('a clock that is set', () => {
  it('does not disturb the order of commits, through jumps of an hour and restarts', async () => {
    const order: number[] = [];
    let id = 0;
    for (const jump of [0, -HOUR_MILLIS, HOUR_MILLIS, HOUR_MILLIS, -HOUR_MILLIS, -HOUR_MILLIS]) {
      time.jump(jump);
      const client = await follow();
      for (let count = 0; count < 8; count++) order.push(...(await insertAtOnce([id++, id++, id++])));
      expect(client.problems).toEqual([]);
      expect([...client.rows.keys()]).toEqual(order);
      expect(await idsInOrder()).toEqual(order);
      await restart();
      expect(await idsInOrder()).toEqual(order);
    }
  });

  it('leaves the events of a stream as old as they are', async () => {
    await pumped(database.session(ROOT).execute('CREATE STREAM TABLE app.events (id INT PRIMARY KEY) WITH (TTL_SECONDS=60)'));
    const event = (id: number) => pumped(database.session(ROOT).execute(`INSERT INTO app.events (id) VALUES (${id})`));
    const visible = async (): Promise<unknown> => (await rows('SELECT id FROM app.events ORDER BY id')).map(([id]) => id);
    await event(1);
    time.advance(20_000);
    time.jump(HOUR_MILLIS);
    await event(2);
    expect(await visible()).toEqual([1, 2]);
    time.advance(20_000);
    time.jump(-2 * HOUR_MILLIS);
    await event(3);
    expect(await visible()).toEqual([1, 2, 3]);
    time.advance(20_000);
    expect(await visible()).toEqual([2, 3]);
    time.advance(20_000);
    expect(await visible()).toEqual([3]);
    time.advance(20_000);
    expect(await visible()).toEqual([]);
  });

  it('does not make a transaction older or younger than it is', async () => {
    const request = database.session(ROOT).open();
    await pumped(request.execute('BEGIN; INSERT INTO app.log (id, v) VALUES (1, 1)'));
    time.jump(HOUR_MILLIS);
    await pumped(request.execute('INSERT INTO app.log (id, v) VALUES (2, 1)'));
    time.jump(-2 * HOUR_MILLIS);
    await pumped(request.execute('COMMIT'));
    expect(await idsInOrder()).toEqual([1, 2]);
  });
});

it(`${COMMITS_AT_ONCE} commits within one millisecond are in order, also those after a restart and after the clock was set back`, async () => {
  const client = await follow();
  const ids = (from: number, count: number): readonly number[] => Array.from({ length: count }, (_, index) => from + index);
  const began = time.now();
  const order = [...(await insertAtOnce(ids(0, COMMITS_AT_ONCE)))];
  // Hardly any time has passed, and far less than so many numbers need: the sequence runs ahead of the clock.
  expect(time.now() - began).toBeLessThan(1000);
  expect(order).toEqual(ids(0, COMMITS_AT_ONCE));
  expect(client.problems).toEqual([]);
  expect([...client.rows.keys()]).toEqual(order);
  expect(await idsInOrder()).toEqual(order);
  time.jump(-HOUR_MILLIS);
  await restart();
  order.push(...(await insertAtOnce(ids(COMMITS_AT_ONCE, 100))));
  expect(await idsInOrder()).toEqual(order);
});
