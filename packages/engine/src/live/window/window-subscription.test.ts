import { compareCells, plainType } from '@kalamdb/protocol';
import type { WindowPlan } from '@kalamdb/sql';
import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import { describe, expect, it } from 'vitest';
import type { LiveLimits } from '../live.ts';
import { TABLES, type WorldParts } from '../live-world.fixture.ts';
import { ALICE, openScene, subscribe } from '../scene.fixture.ts';
import { WindowClient } from './window-client.fixture.ts';

/** `ORDER BY n DESC NULLS LAST LIMIT limit OFFSET offset` */
function highest(limit: number, offset = 0): WindowPlan {
  const compare = compareCells(plainType('bigint'));
  const order = [
    {
      evaluate: ({ cells }: { cells: readonly unknown[] }) => (cells[2] ?? null) as bigint | null,
      descending: true,
      nullsFirst: false,
      compare,
    },
  ];
  return { order, limit: () => limit, offset: () => offset };
}

function open(limits: LiveLimits = {}, parts: Omit<Partial<WorldParts>, 'time'> = {}) {
  const time = new VirtualTime();
  const scene = openScene({ time, random: new SeededRandom(1), limits, ...parts });
  const { world } = scene;
  world.query('top 2', { table: TABLES.user, window: highest(2) });
  world.query('names of top 2', { table: TABLES.user, columns: ['name'], window: highest(2) });
  world.query('top events', { table: TABLES.stream, window: highest(2) });
  world.query('second', { table: TABLES.user, window: highest(1, 1) });
  const watch = (connectionId = 'c1') => {
    const client = new WindowClient();
    const connection = world.live.connect(ALICE, { connectionId, sink: client, takesWindows: true, tellsEndings: true });
    return { client, connection };
  };
  return { ...scene, watch };
}

const ids = ({ rows }: WindowClient): unknown[] => rows.map(({ id }) => id);
const bodies = ({ frames }: WindowClient): string[] => frames.flatMap((frame) => (frame.kind === 'change' ? [frame.body.json()] : []));

describe('a live query with a LIMIT', () => {
  it('acknowledges its limit, sends its rows in order, and says what moves in, out and about', async () => {
    const { watch, put, remove } = open();
    await put([1, 'a', 1n], [2, 'b', 2n], [3, 'c', 3n]);
    const { client, connection } = watch();
    await subscribe(connection, 'top 2', {});
    expect([client.limit, ids(client)]).toEqual([2, [3, 2]]);
    const [first] = await put([9, 'i', 5n]);
    expect(ids(client)).toEqual([9, 3]);
    await put([3, 'c', 7n]);
    await remove([9, 'i', 5n]);
    expect(ids(client)).toEqual([3, 2]);
    expect(client.problems).toEqual([]);
    const changes = bodies(client).map((body) => JSON.parse(`{${body}}`));
    expect(changes.map(({ change_type, positions }) => [change_type, positions?.[0]])).toEqual([
      ['delete', undefined],
      ['insert', 0],
      ['update', 0],
      ['delete', undefined],
      ['insert', 1],
    ]);
    expect(changes[1].rows).toEqual([{ id: 9, name: 'i', n: '5', _seq: String(first?.seq), _deleted: false }]);
    // It has left the window and comes back as the version that it was.
    expect(BigInt(changes[4].rows[0]._seq)).toBeLessThan(first?.seq ?? 0n);
    expect(client.frames.filter((frame) => frame.kind === 'change').map(({ more }) => more)).toEqual([true, false, false, true, false]);
  });

  it('is kept, computed and encoded once for all its subscriptions', async () => {
    const { watch, put, world } = open();
    const [one, other] = [watch(), watch('c2')];
    await subscribe(one.connection, 'top 2', {});
    await subscribe(other.connection, 'top 2', {});
    await put([1, 'a', 1n]);
    const bodyOf = ({ client }: typeof one) => client.frames.flatMap((frame) => (frame.kind === 'change' ? [frame.body] : []))[0];
    expect(bodyOf(one)).toBeDefined();
    expect(bodyOf(one)).toBe(bodyOf(other));
    expect(world.live.counters).toMatchObject({ windowReads: 1, bodies: 1, frames: 2 });
  });

  it('sends the key of every row, projected or not', async () => {
    const { watch, put, remove } = open();
    await put([1, 'a', 1n]);
    const { client, connection } = watch();
    await subscribe(connection, 'names of top 2', {});
    await put([2, 'b', 2n]);
    await remove([1, 'a', 1n]);
    expect(client.rows).toMatchObject([{ id: 2, name: 'b' }]);
    expect(client.frames[0]).toMatchObject({ schema: [{ name: 'name' }] });
    expect(bodies(client)[1]).toMatch(/"old_values":\[\{"id":1,"name":"a","_seq":"\d+"\}\]/);
  });

  it('reads the next rows when more have left than were held behind it', async () => {
    const { watch, put, remove, world, settle } = open();
    const rows = Array.from({ length: 200 }, (_, id) => [id, 'x', BigInt(id)] as const);
    await put(...rows.map((row) => [...row]));
    const { client, connection } = watch();
    await subscribe(connection, 'top 2', {});
    for (let id = 199; id >= 100; id--) await remove([id, 'x', BigInt(id)]);
    await settle();
    expect([ids(client), client.problems]).toEqual([[99, 98], []]);
    expect(world.live.counters.windowReads).toBe(2);
    await put([7, 'x', 1000n]);
    expect(ids(client)).toEqual([7, 99]);
  });

  it('tells a client that was slow the difference, once, and nothing that came and went', async () => {
    const { watch, put, remove, world } = open();
    await put([1, 'a', 1n], [2, 'b', 2n]);
    const { client, connection } = watch();
    await subscribe(connection, 'top 2', {});
    connection.pause();
    await put([3, 'c', 3n]);
    await put([4, 'd', 4n]);
    await remove([4, 'd', 4n]);
    await put([2, 'bb', 2n]);
    expect(ids(client)).toEqual([2, 1]);
    connection.resume();
    expect(ids(client)).toEqual([3, 2]);
    expect(bodies(client).map((body) => JSON.parse(`{${body}}`).change_type)).toEqual(['delete', 'insert', 'update']);
    expect(world.live.counters.windowCatchUps).toBe(1);
  });

  it('goes on in the middle of a commit where its connection was filled', async () => {
    const { watch, put } = open();
    await put([1, 'a', 1n], [2, 'b', 2n]);
    const { client, connection } = watch();
    await subscribe(connection, 'top 2', {});
    client.onFrame = ({ kind }) => {
      if (kind === 'change') connection.pause();
    };
    await put([3, 'c', 3n], [4, 'd', 4n]);
    expect(ids(client)).toEqual([1]);
    for (const expected of [[], [4], [4, 3]]) {
      connection.resume();
      expect(ids(client)).toEqual(expected);
    }
    expect([client.problems, client.isWithin]).toEqual([[], false]);
  });

  it('is sent whole again to a slow client whose rows there is no room to remember', async () => {
    const { watch, put, world, settle } = open({ windowsBytesMax: 850 });
    await put([1, 'a', 1n], [2, 'b', 2n]);
    const { client, connection } = watch();
    await subscribe(connection, 'top 2', {});
    connection.pause();
    await put([1, 'a'.repeat(100), 3n]);
    connection.resume();
    await settle();
    expect([ids(client), client.begins, client.problems]).toEqual([[1, 2], 2, []]);
    expect(world.live.counters.windowResends).toBe(1);
  });

  it('ends with a reason when all windows hold too much', async () => {
    const { watch, put, world } = open({ windowsBytesMax: 1000 });
    const { client, connection } = watch();
    await subscribe(connection, 'top 2', {});
    await put([1, 'a'.repeat(1000), 3n]);
    expect(client.ended).toBe('SUBSCRIPTION_FAILED');
    expect([world.live.list(), world.live.windowBudget.bytes, world.live.router.groupCount]).toEqual([[], 0, 0]);
  });

  it('is paged by batch_size, begins again without last_seq_id, and skips what OFFSET says', async () => {
    const { watch, put } = open();
    await put([1, 'a', 1n], [2, 'b', 2n], [3, 'c', 3n]);
    const { client, connection } = watch();
    await subscribe(connection, 'top 2', { batchSize: 1, from: 1n });
    expect([client.state, ids(client)]).toEqual(['loading', [3]]);
    await put([4, 'd', 4n]);
    await connection.nextBatch('s', client.lastSeqId);
    expect([client.state, ids(client), client.begins]).toEqual(['ready', [4, 3], 1]);
    await connection.nextBatch('s', undefined);
    expect([client.state, ids(client), client.begins]).toEqual(['loading', [4], 2]);
    const other = watch('c2');
    await subscribe(other.connection, 'second', {});
    expect(ids(other.client)).toEqual([3]);
  });

  it('gives back what it held for its client as soon as the client has what the window shows', async () => {
    const { watch, put, world } = open();
    await put([1, 'a', 1n], [2, 'b', 2n]);
    const { client, connection } = watch();
    await subscribe(connection, 'top 2', { batchSize: 1 });
    const { windowBudget } = world.live;
    const whileLoading = windowBudget.bytes;
    await connection.nextBatch('s', client.lastSeqId);
    const live = windowBudget.bytes;
    expect(live).toBeLessThan(whileLoading);
    connection.pause();
    expect(windowBudget.bytes).toBe(whileLoading);
    connection.resume();
    expect([windowBudget.bytes, world.live.list()[0]?.state]).toEqual([live, 'live']);
    connection.close();
    expect(windowBudget.bytes).toBe(0);
  });

  it('is counted while it is read, and given up then when there is no room for it', async () => {
    const { watch, put, world, settle } = open({ windowsBytesMax: 5000 }, { sliceRowsMax: 5 });
    for (let id = 0; id < 40; id++) await put([id, 'x'.repeat(200), BigInt(id)]);
    const { client, connection } = watch();
    const started = subscribe(connection, 'top 2', {});
    expect(world.live.windowBudget.bytes).toBeGreaterThan(0);
    await settle();
    await started;
    expect(client.ended).toBe('SUBSCRIPTION_FAILED');
    expect(world.live.windowBudget.bytes).toBe(0);
  });

  it('is read once for all when commits were missed', async () => {
    const { watch, put, world, settle, connect } = open({}, { sliceRowsMax: 16, tailBytesMax: 0 });
    const watchers = Array.from({ length: 50 }, (_, index) => watch(`c${index}`));
    for (const { connection } of watchers) await subscribe(connection, 'top 2', {});
    // So that a commit takes more than a slice.
    for (let index = 0; index < 50; index++) await subscribe(connect(ALICE, `r${index}`).connection, 'all');
    const before = world.live.counters.windowReads;
    await Promise.all([put([1, 'a', 1n]), put([2, 'b', 2n])]);
    await settle();
    for (const { client } of watchers) expect(client.problems).toEqual([]);
    expect(world.live.counters.windowReads).toBe(before + 1);
  });

  it('moves for many in slices, and each is told how far it is when it is there', async () => {
    const { watch, put, world, settle, time } = open();
    const watchers = Array.from({ length: 50 }, (_, index) => watch(`c${index}`));
    for (const { connection } of watchers) await subscribe(connection, 'top 2', {});
    for (const { client } of watchers) client.onFrame = () => time.advance(1);
    const has = (count: number): number => watchers.filter(({ client }) => client.rows.length === count).length;
    let hadAtOnce: number | undefined;
    const stop = world.sequencer.observe(({ seq }) => {
      hadAtOnce ??= has(1);
      // Whoever has not heard of it yet must not be told that it has come to it.
      for (const { client, connection } of watchers) {
        const ended = client.frames.length;
        connection.progress();
        expect(client.frames.length).toBe(ended);
        expect(world.live.list().filter(({ toldSeq }) => toldSeq === seq).length).toBe(hadAtOnce);
      }
    });
    await put([1, 'a', 1n]);
    stop();
    expect(hadAtOnce).toBeGreaterThan(0);
    expect(hadAtOnce).toBeLessThan(50);
    await put([2, 'b', 2n]);
    await settle();
    expect(has(2)).toBe(50);
    for (const { client } of watchers) expect(client.problems).toEqual([]);
  });

  it('shows no events that have gone to whoever begins', async () => {
    const { watch, world } = open();
    const events = TABLES.stream;
    const write = (id: number, n: bigint, deleted = false) => world.write(events, 'alice', [{ cells: [id, 'e', n], deleted }]);
    const [early, late] = [watch(), watch('c2')];
    await subscribe(early.connection, 'top events', {});
    await write(1, 9n);
    await write(2, 1n);
    world.sequencer.streams.drop(events.id);
    world.sequencer.streams.horizon = () => world.sequencer.watermark;
    expect(ids(early.client)).toEqual([1, 2]);
    await subscribe(late.connection, 'top events', {});
    expect(ids(late.client)).toEqual([]);
    expect([ids(early.client), early.client.problems]).toEqual([[], []]);
  });

  it('is told how far the order has gone when nothing of it has changed', async () => {
    const { watch, put, world } = open();
    const { client, connection } = watch();
    await subscribe(connection, 'top 2', {});
    await put([1, 'a', 9n], [2, 'b', 8n]);
    connection.progress();
    await put([3, 'c', 1n]);
    connection.progress();
    connection.progress();
    const told = client.frames.flatMap((frame) => (frame.kind === 'progress' ? [frame.seq] : []));
    expect(told).toEqual([world.sequencer.watermark]);
  });

  it('takes no last_rows and no options null', async () => {
    const { watch } = open();
    const { connection } = watch();
    await expect(subscribe(connection, 'top 2', { lastRows: 1 })).rejects.toMatchObject({ code: 'SUBSCRIBE_UNSUPPORTED' });
    await expect(subscribe(connection, 'top 2')).rejects.toMatchObject({ code: 'SUBSCRIBE_UNSUPPORTED' });
    expect(connection.subscriptionCount).toBe(0);
  });
});
