import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import { describe, expect, it } from 'vitest';
import { CONNECTION_SUBSCRIPTIONS_MAX } from './connection.ts';
import { TABLES, type WorldParts } from './live-world.fixture.ts';
import { ALICE, BOB, openScene, short, subscribe } from './scene.fixture.ts';
import type { SimulatedClient } from './simulated-client.fixture.ts';

const open = (parts: Partial<WorldParts> = {}) => openScene({ random: new SeededRandom(1), ...parts, time: new VirtualTime() });

describe('who gets what', () => {
  it('changes of a USER table go to their owner only, of a SHARED table to everybody', async () => {
    const { world, connect, put } = open();
    const [alice, bob] = [connect(ALICE, 'a'), connect(BOB, 'b')];
    for (const { connection } of [alice, bob]) {
      await subscribe(connection, 'all', undefined, 'own');
      await subscribe(connection, 'shared', undefined, 'all');
    }
    await put([1, 'a', 1n]);
    await world.write(TABLES.shared, 'alice', [{ cells: [2, 's', 1n] }]);
    expect(alice.client.frames.slice(2).map(short)).toEqual([
      ['insert', 1],
      ['insert', 2],
    ]);
    expect(bob.client.frames.slice(2).map(short)).toEqual([['insert', 2]]);
    const body = ({ frames }: SimulatedClient) => frames.flatMap((frame) => (frame.kind === 'change' ? [frame.body] : [])).at(-1);
    expect(body(alice.client)).toBe(body(bob.client));
  });

  it('a row that leaves the filter is deleted with its last matching values, one that enters is an update', async () => {
    const { connect, put } = open();
    const { client, connection } = connect();
    await subscribe(connection, 'n > 5');
    await put([1, 'a', 9n]);
    await put([1, 'a', 2n]);
    await put([1, 'a', 3n]);
    const [entered] = await put([1, 'a', 8n]);
    const bodies = client.frames.flatMap((frame) => (frame.kind === 'change' ? [JSON.parse(`{${frame.body.json()}}`)] : []));
    expect(bodies.map(({ change_type }) => change_type)).toEqual(['insert', 'delete', 'update']);
    expect(bodies[1].old_values[0]).toMatchObject({ id: 1, n: '9', _deleted: true });
    expect(bodies[2]).toMatchObject({ rows: [{ id: 1, n: '8', _seq: String(entered?.seq) }], old_values: [{ id: 1, n: '3' }] });
  });

  it('what may not be read may not be subscribed to', async () => {
    const { world, connect } = open();
    world.denied.add(TABLES.shared.id);
    const { connection } = connect();
    await expect(subscribe(connection, 'shared')).rejects.toMatchObject({
      code: 'SUBSCRIBE_DENIED',
      spec: { wire: 'UNAUTHORIZED' },
      message: expect.stringMatching(/^Permission denied: Access denied: /),
    });
    expect(world.live.router.groupCount).toBe(0);
  });

  it('system tables have changes but no initial data', async () => {
    const { world, connect } = open();
    world.query('jobs', { table: TABLES.system });
    const { client, connection } = connect({ userId: 'dora', role: 'dba' });
    await expect(subscribe(connection, 'jobs', {})).rejects.toMatchObject({ code: 'SUBSCRIPTION_FAILED' });
    await subscribe(connection, 'jobs');
    await world.write(TABLES.system, '', [{ cells: [1, 'flush', 0n] }]);
    expect(client.frames.slice(1).map(short)).toEqual([['insert', 1]]);
  });
});

describe('a subscription ends', () => {
  it('when the same id subscribes again, silently', async () => {
    const { world, connect, put } = open();
    const { client, connection } = connect();
    await subscribe(connection, 'all');
    await subscribe(connection, 'n > 5');
    await put([1, 'a', 1n]);
    await put([2, 'b', 9n]);
    expect(client.frames.map(short)).toEqual([
      ['ack', 0, 'ready', false],
      ['ack', 0, 'ready', false],
      ['insert', 2],
    ]);
    expect([connection.subscriptionCount, world.live.router.groupCount]).toEqual([1, 1]);
  });

  it('when its client leaves, without a frame and without a trace, also in the middle of a load', async () => {
    const { world, connect, put, settle } = open({ sliceRowsMax: 1 });
    await put([1, 'a', 1n], [2, 'b', 1n], [3, 'c', 1n]);
    const { client, connection } = connect();
    const done = [subscribe(connection, 'all', {}, 'a'), subscribe(connection, 'all', {}, 'b')];
    connection.unsubscribe('a');
    connection.unsubscribe('unknown');
    connection.close();
    connection.close();
    await settle();
    await Promise.all(done);
    await put([4, 'd', 1n]);
    expect(client.frames).toEqual([]);
    expect([world.live.list(), world.live.router.groupCount]).toEqual([[], 0]);
  });

  it('by KILL, DROP, a change of the user and lost access, and its client is told why', async () => {
    const { world, connect, put } = open();
    const { client, connection } = connect();
    const ended = async (id: string, sql: string, end: () => void) => {
      await subscribe(connection, sql, undefined, id);
      end();
      const last = client.frames.at(-1);
      return last?.kind === 'error' ? [last.subscriptionId, last.code, last.message] : last;
    };
    const says = (id: string, reason: string) => [id, 'SUBSCRIPTION_ENDED', expect.stringContaining(reason)];
    expect(await ended('k', 'all', () => expect(world.live.kill('alice-c1-k')).toBe(true))).toEqual(says('k', 'killed'));
    expect(world.live.kill('alice-c1-k')).toBe(false);
    expect(await ended('t', 'all', () => world.live.endForTable(TABLES.user.id, 'table dropped'))).toEqual(says('t', 'dropped'));
    expect(await ended('u', 'all', () => world.live.endForUser('alice', 'role changed'))).toEqual(says('u', 'role changed'));
    const lost = () => {
      world.live.rebindTable(TABLES.shared.id);
      world.denied.add(TABLES.shared.id);
      world.live.rebindTable(TABLES.shared.id);
    };
    expect(await ended('a', 'shared', lost)).toEqual(says('a', 'was withdrawn'));
    const count = client.frames.length;
    await put([1, 'a', 1n]);
    expect([client.frames.length, connection.subscriptionCount]).toEqual([count, 0]);
  });

  it('when a row cannot be evaluated; others and the commit go on', async () => {
    const { world, connect, put } = open();
    world.query('10 / n', {
      table: TABLES.user,
      filter: ({ cells }) => {
        if (cells[2] === 0n) throw new RangeError('Division by zero');
        return true;
      },
    });
    const { client, connection } = connect();
    await subscribe(connection, '10 / n', undefined, 'bad');
    await subscribe(connection, 'all', undefined, 'good');
    await put([1, 'a', 0n]);
    expect(client.frames.slice(2).map((frame) => [frame.subscriptionId, ...(short(frame) as unknown[])])).toEqual([
      ['bad', 'error', 'INTERNAL_ERROR'],
      ['good', 'insert', 1],
    ]);
    await expect(subscribe(connection, '10 / n', {}, 'again')).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
    expect(connection.subscriptionCount).toBe(1);
  });
});

describe('limits', () => {
  it('hold per connection and per user, and count what exists', async () => {
    const { connect, world } = open({ limits: { userSubscriptionsMax: CONNECTION_SUBSCRIPTIONS_MAX + 2 } });
    const { connection } = connect();
    for (let i = 0; i < CONNECTION_SUBSCRIPTIONS_MAX; i++) await subscribe(connection, 'all', undefined, `s${i}`);
    await expect(subscribe(connection, 'all', undefined, 'more')).rejects.toMatchObject({ code: 'CONNECTION_SUBSCRIPTION_LIMIT' });
    await subscribe(connection, 'n > 5', undefined, 's0');
    const other = connect(ALICE, 'c2').connection;
    await subscribe(other, 'all', undefined, 'a');
    await subscribe(other, 'all', undefined, 'b');
    await expect(subscribe(other, 'all', undefined, 'c')).rejects.toThrow('Maximum subscriptions reached');
    await subscribe(connect(BOB, 'c3').connection, 'all');
    connection.unsubscribe('s1');
    await subscribe(other, 'all', undefined, 'c');
    connection.close();
    other.close();
    expect(world.live.list().map(({ userId }) => userId)).toEqual(['bob']);
  });

  it('refuse blank ids, unknown queries and unknown batches', async () => {
    const { connect } = open();
    const { connection } = connect();
    await expect(subscribe(connection, 'all', undefined, '  ')).rejects.toThrow('Subscription ID cannot be empty');
    await expect(subscribe(connection, 'nonsense')).rejects.toMatchObject({ spec: { wire: 'INVALID_SQL' } });
    await expect(connection.nextBatch('x', undefined)).rejects.toThrow('Not found: Subscription not found: x');
    await subscribe(connection, 'all');
    await expect(connection.nextBatch('s', undefined)).rejects.toThrow(
      'Invalid operation: Subscription s was created without initial data loading',
    );
  });
});

describe('system.live', () => {
  it('lists what runs, with its frames counted', async () => {
    const { world, time, connect, put } = open();
    const { connection } = connect();
    await subscribe(connection, 'all', { batchSize: 5 }, 'mine');
    time.advance(1000);
    await put([1, 'a', 1n]);
    expect(world.live.list()).toEqual([
      {
        liveId: 'alice-c1-mine',
        connectionId: 'c1',
        subscriptionId: 'mine',
        namespace: 'app',
        table: 'mine',
        userId: 'alice',
        query: 'all',
        options: { batchSize: 5 },
        state: 'live',
        createdAtMillis: time.now() - 1000,
        lastUpdateMillis: time.now(),
        changes: 1,
        rowsDelivered: 1,
        limit: undefined,
        toldSeq: world.sequencer.watermark,
        bytesQueued: 0,
      },
    ]);
    world.live.close();
    expect(world.live.list()).toEqual([]);
  });
});
