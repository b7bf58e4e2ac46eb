import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import type { LiveConnection } from '../live/connection.ts';
import { SimulatedClient } from '../live/simulated-client.fixture.ts';
import { SetClock, StatementWorld } from './statement-world.fixture.ts';

const BOB: Principal = { userId: 'bob', role: 'user' };

let directory: string;
let world: StatementWorld;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kalamdb-explain-live-'));
  world = await StatementWorld.open({ directory });
  await world.run("CREATE TABLE app.t (id INT PRIMARY KEY, room TEXT, n BIGINT) WITH (TYPE = 'SHARED', ACCESS_LEVEL = 'PUBLIC')");
  await world.run('CREATE USER TABLE app.mine (id INT PRIMARY KEY, text TEXT)');
});

afterAll(async () => {
  await world.close();
  rmSync(directory, { recursive: true });
});

/** A connection of bob's that never asks for more batches by itself. */
function connect(connectionId: string): LiveConnection {
  return world.database.live.connect(BOB, { connectionId, sink: new SimulatedClient(), takesWindows: true });
}

async function reason(liveId: string, key: string): Promise<unknown> {
  const rows = await world.run(`EXPLAIN LIVE '${liveId}' FOR KEY ${key}`);
  return Array.isArray(rows) ? rows[0]?.[1] : rows;
}

async function property(sql: string, name: string): Promise<unknown> {
  const rows = await world.run(`EXPLAIN LIVE ${sql}`);
  return Array.isArray(rows) ? rows.find(([found]) => found === name)?.[1] : rows;
}

describe('EXPLAIN LIVE of a query', () => {
  it('tells the index by which changes find it', async () => {
    expect(await property("SELECT * FROM app.t WHERE room = 'a' AND n > 1", 'route')).toBe('equality on room, 1 entry in the index');
    expect(await property("SELECT * FROM app.t WHERE room IN ('a', 'b')", 'route')).toBe('in on room, 2 entries in the index');
    expect(await property('SELECT * FROM app.t WHERE n BETWEEN 1 AND 5', 'route')).toBe('range on n, 1 entry in the index');
    expect(await property('SELECT * FROM app.t WHERE n % 2 = 0', 'route')).toContain('every change');
  });

  it('tells the window, the rows and who shares what a change costs', async () => {
    const connection = connect('shares');
    await connection.subscribe({ id: 's', sql: "SELECT id FROM app.t WHERE room = 'a'", options: {} });
    expect(await property("SELECT id FROM app.t WHERE room = 'a'", 'subscriptions')).toBe('1 with this query on these rows');
    expect(await property("SELECT id FROM app.t WHERE room = 'b'", 'subscriptions')).toBe('0 with this query on these rows');
    expect(await property('SELECT * FROM app.t ORDER BY n DESC LIMIT 3', 'window')).toContain('the first 3 rows');
    expect(await property('SELECT * FROM app.mine', 'rows')).toBe('those of root');
    connection.close();
    expect(await property("SELECT id FROM app.t WHERE room = 'a'", 'subscriptions')).toBe('0 with this query on these rows');
  });

  it('refuses what cannot be subscribed to, and everybody but admins', async () => {
    expect(await world.outcome('EXPLAIN LIVE SELECT * FROM app.t GROUP BY id')).toContain('SUBSCRIBE_INVALID_SQL');
    expect(await world.outcome('EXPLAIN LIVE SELECT * FROM app.nope')).toContain('SUBSCRIBE_NOT_FOUND');
    expect(await world.outcome('EXPLAIN LIVE DELETE FROM app.t')).toContain('SYNTAX_ERROR');
    expect(await world.outcome('EXPLAIN LIVE SELECT * FROM app.t', BOB)).toContain('ADMIN_REQUIRED');
    expect(await world.outcome("EXPLAIN LIVE 'bob-1-s' FOR KEY 1", BOB)).toContain('ADMIN_REQUIRED');
  });
});

describe('system.live_state', () => {
  it('tells how far each client is, what waits for it and what it was sent', async () => {
    const clock = new SetClock();
    const own = await StatementWorld.open({ clock });
    await own.run("CREATE TABLE app.s (id INT PRIMARY KEY) WITH (TYPE = 'SHARED', ACCESS_LEVEL = 'PUBLIC')");
    await own.run('INSERT INTO app.s VALUES (1), (2)');
    const connection = own.database.live.connect(BOB, {
      connectionId: 'c',
      sink: new SimulatedClient(),
      takesWindows: true,
      bytesQueued: () => 77,
    });
    await connection.subscribe({ id: 'all', sql: 'SELECT * FROM app.s', options: {} });
    await connection.subscribe({ id: 'page', sql: 'SELECT * FROM app.s', options: { batchSize: 1 } });
    await connection.subscribe({ id: 'top', sql: 'SELECT * FROM app.s ORDER BY id LIMIT 1', options: {} });
    const states = (): Promise<unknown> =>
      own.run('SELECT live_id, state, window_rows, told_seq IS NULL, lag_ms, bytes_queued, rows_delivered FROM system.live_state');
    await own.run('INSERT INTO app.s VALUES (3)');
    expect(await states()).toEqual([
      ['bob-c-all', 'live', null, false, 0n, 77n, 3n],
      ['bob-c-page', 'loading', null, true, 0n, 77n, 1n],
      ['bob-c-top', 'live', 1n, false, 0n, 77n, 1n],
    ]);
    connection.pause();
    clock.millis += 5;
    await own.run('INSERT INTO app.s VALUES (4)');
    expect(await states()).toEqual([
      ['bob-c-all', 'behind', null, false, 5n, 77n, 3n],
      ['bob-c-page', 'loading', null, true, 5n, 77n, 1n],
      ['bob-c-top', 'behind', 1n, false, 5n, 77n, 1n],
    ]);
    connection.close();
    expect(await states()).toEqual([]);
    await own.close();
  });
});

describe('EXPLAIN LIVE of a row', () => {
  it('names why a client has it or not', async () => {
    await world.run("INSERT INTO app.t VALUES (1, 'a', 1), (2, 'b', 1), (3, 'a', 1), (4, 'a', 5), (5, 'a', 9)");
    await world.run('DELETE FROM app.t WHERE id = 3');
    const connection = connect('c1');
    await connection.subscribe({ id: 'room', sql: "SELECT * FROM app.t WHERE room = 'a'", options: {} });
    await connection.subscribe({ id: 'fails', sql: 'SELECT * FROM app.t WHERE 10 / (n - 1) > 0', options: undefined });
    await connection.subscribe({ id: 'new', sql: 'SELECT * FROM app.t', options: undefined });
    await connection.subscribe({ id: 'slow', sql: 'SELECT * FROM app.t', options: { batchSize: 1 } });
    await connection.subscribe({ id: 'top', sql: 'SELECT id FROM app.t ORDER BY n DESC LIMIT 2', options: {} });
    expect(await reason('bob-c1-room', '1')).toBe('DELIVERED');
    expect(await reason('bob-c1-room', '2')).toBe('FILTER_MISMATCH');
    expect(await reason('bob-c1-room', '3')).toBe('DELETED');
    expect(await reason('bob-c1-room', '99')).toBe('NO_SUCH_ROW');
    expect(await reason('bob-c1-fails', '1')).toBe('FILTER_FAILED');
    expect(await reason('bob-c1-new', '1')).toBe('BEFORE_SUBSCRIPTION');
    expect(await reason('bob-c1-slow', '5')).toBe('LOADING');
    expect(await reason('bob-c1-top', '5')).toBe('DELIVERED');
    expect(await reason('bob-c1-top', '1')).toBe('OUTSIDE_WINDOW');
    connection.pause();
    await world.run('UPDATE app.t SET n = 2 WHERE id = 1');
    expect(await reason('bob-c1-room', '1')).toBe('BEHIND');
    expect(await reason('bob-c1-room', '5')).toBe('DELIVERED');
    connection.close();
  });

  it('looks at the rows of the subscriber, in segments too', async () => {
    await world.run("INSERT INTO app.mine VALUES (1, 'x')", BOB);
    await world.flush('mine', 'bob');
    const connection = connect('c-2');
    await connection.subscribe({ id: 's-1', sql: 'SELECT * FROM app.mine', options: {} });
    expect(await reason('bob-c-2-s-1', '1')).toBe('DELIVERED');
    expect(await reason('bob-c-2-s-1', '2')).toBe('NO_SUCH_ROW');
    connection.close();
  });

  it('refuses ids that do not run and values that are no key', async () => {
    const connection = connect('c3');
    await connection.subscribe({ id: 's', sql: 'SELECT * FROM app.t', options: {} });
    expect(await world.outcome("EXPLAIN LIVE 'bob-c3-nope' FOR KEY 1")).toContain('LIVE_QUERY_NOT_FOUND');
    expect(await world.outcome("EXPLAIN LIVE 'bob-c3-s' FOR KEY (1, 2)")).toContain('INVALID_INPUT: ');
    expect(await world.outcome("EXPLAIN LIVE 'bob-c3-s' FOR KEY 1.5")).toContain('VALUE_OUT_OF_RANGE: ');
    expect(await world.outcome("EXPLAIN LIVE 'bob-c3-s' FOR KEY 'x'")).toMatch(/^[A-Z_]+: /);
    expect(await world.outcome("EXPLAIN LIVE 'bob-c3-s' FOR KEY 1 OR 1 = 1")).toContain('SYNTAX_ERROR: ');
    connection.close();
  });
});
