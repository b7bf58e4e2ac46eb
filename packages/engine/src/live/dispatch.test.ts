import { plainType } from '@kalamdb/protocol';
import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import { describe, expect, it } from 'vitest';
import { TABLES, type WorldParts } from './live-world.fixture.ts';
import { ALICE, BOB, openScene, short, subscribe } from './scene.fixture.ts';
import { SimulatedClient } from './simulated-client.fixture.ts';

const open = (parts: Partial<WorldParts> = {}) => openScene({ random: new SeededRandom(1), ...parts, time: new VirtualTime() });
const SUBSCRIBERS = 100;
const SLICE = 16;

/** Many subscribers to one query, each on a connection of its own. */
async function crowd(scene: ReturnType<typeof open>) {
  const members = Array.from({ length: SUBSCRIBERS }, (_, index) => scene.connect(ALICE, `c${index}`));
  for (const { connection } of members) await subscribe(connection, 'all');
  return members;
}

const changesOf = ({ client }: Awaited<ReturnType<typeof crowd>>[number]) => client.frames.slice(1).map(short);

describe('a change that many hear', () => {
  it('is handed on in slices: each hears every commit once and in order, also of those that come meanwhile', async () => {
    const scene = open({ sliceRowsMax: SLICE });
    const members = await crowd(scene);
    const { sequencer, live } = scene.world;
    let heardAtOnce: number | undefined;
    const stop = sequencer.observe(() => {
      heardAtOnce ??= members.filter((member) => changesOf(member).length > 0).length;
    });
    await Promise.all([scene.put([1, 'a', 1n]), scene.put([2, 'b', 1n], [3, 'c', 1n])]);
    expect(heardAtOnce).toBe(SLICE);
    await scene.settle();
    stop();
    for (const member of members) {
      expect(changesOf(member)).toEqual([
        ['insert', 1],
        ['insert', 2],
        ['insert', 3],
      ]);
    }
    expect(live.dispatchedSeq).toBe(sequencer.watermark);
  });

  it('is told before the batch of a client that asks, while it is handed on, whether it has everything', async () => {
    const scene = open({ sliceRowsMax: SLICE });
    await scene.put([1, 'a', 1n]);
    const members = Array.from({ length: SUBSCRIBERS }, (_, index) => scene.connect(ALICE, `c${index}`));
    for (const { connection } of members) await subscribe(connection, 'all', {});
    const last = members.at(-1);
    const stop = scene.world.sequencer.observe(() => void last?.connection.nextBatch('s', 2n ** 62n));
    await scene.put([2, 'b', 1n]);
    stop();
    await scene.settle();
    expect(last?.client.frames.slice(2).map(short)).toEqual([
      ['insert', 2],
      ['batch', 1, 'ready'],
    ]);
  });

  it('reaches those who leave, pause and come back in the middle of it exactly once, or not at all', async () => {
    const scene = open({ sliceRowsMax: SLICE });
    const members = await crowd(scene);
    const [left, paused, early] = [members.at(-1), members.at(-2), members[0]];
    const stop = scene.world.sequencer.observe(() => {
      left?.connection.close();
      paused?.connection.pause();
      early?.connection.pause();
      early?.connection.resume();
    });
    await scene.put([1, 'a', 1n]);
    await scene.settle();
    expect(left === undefined ? undefined : changesOf(left)).toEqual([]);
    expect(paused === undefined ? undefined : changesOf(paused)).toEqual([]);
    stop();
    paused?.connection.resume();
    await scene.settle();
    for (const member of members) if (member !== left) expect(changesOf(member)).toEqual([['insert', 1]]);
  });
});

describe('a change that is handed on late', () => {
  it('is passed over when it is from before an ALTER: its cells may be of other types than the index compares', async () => {
    // Slices come behind catch-up, which is awaited.
    const time = Object.assign(new VirtualTime(), { soon: (callback: () => void) => void setImmediate(callback) });
    const scene = openScene({ random: new SeededRandom(1), time, sliceRowsMax: SLICE });
    const { world } = scene;
    await crowd(scene);
    await Promise.all([scene.put([1, 'a', 1n]), scene.put([2, 'b', 1n])]);
    expect(world.live.dispatchedSeq).toBeLessThan(world.sequencer.watermark);
    const columns = TABLES.user.columns.map((column, index) => (index === 1 ? { ...column, type: plainType('int') } : column));
    const table = { ...TABLES.user, version: 2, sinceSeq: world.sequencer.watermark, columns };
    const range = { from: { cell: 1, inclusive: true }, to: undefined };
    world.query('all', { table, filter: () => false, routing: [{ columnIndex: 1, points: [], ranges: [range] }] });
    world.live.rebindTable(table.id);
    await scene.settle();
    expect(world.live.list().filter(({ state }) => state === 'live').length).toBe(SUBSCRIBERS);
    expect(world.live.dispatchedSeq).toBe(world.sequencer.watermark);
  });

  it('is caught up with in slices when the tail has lost it', async () => {
    const scene = open({ sliceRowsMax: SLICE, tailBytesMax: 0 });
    const members = await crowd(scene);
    const reached: number[] = [];
    for (const { client } of members) {
      client.onFrame = () => {
        scene.time.advance(1);
        reached.push(scene.world.live.list().filter(({ state }) => state === 'live').length);
      };
    }
    await Promise.all([scene.put([1, 'a', 1n]), scene.put([2, 'b', 1n])]);
    await scene.settle();
    for (const member of members) {
      expect(changesOf(member)).toEqual([
        ['insert', 1],
        ['insert', 2],
      ]);
    }
    // In one turn all would have read what they lack before the first of them is live again.
    expect(new Set(reached.slice(-SUBSCRIBERS)).size).toBeGreaterThan(2);
  });

  it('has those told in slices who wait for the end of its commit', async () => {
    const scene = open({ sliceRowsMax: SLICE });
    scene.world.query('name b', { table: TABLES.user, filter: ({ cells }) => cells[1] === 'b' });
    const members = Array.from({ length: SUBSCRIBERS }, (_, index) => {
      const client = new SimulatedClient();
      return { client, connection: scene.world.live.connect(ALICE, { connectionId: `c${index}`, sink: client, tellsEndings: true }) };
    });
    for (const { connection } of members) await subscribe(connection, 'name b');
    const told = (): number => members.filter((member) => changesOf(member).length > 1).length;
    let toldAtOnce: number | undefined;
    const [first] = members;
    if (first !== undefined) {
      first.client.onFrame = ({ kind }) => {
        // By the timer, while the others wait for their end: it is that end.
        if (kind === 'progress') for (const { connection } of members.slice(-10)) connection.progress();
        if (kind === 'progress') queueMicrotask(() => (toldAtOnce ??= told()));
      };
    }
    await scene.put([1, 'b', 1n], [2, 'c', 1n]);
    await scene.settle();
    for (const member of members) expect(changesOf(member)).toEqual([['insert', 1], ['progress']]);
    expect(toldAtOnce).toBeLessThan(SUBSCRIBERS);
  });
});

describe('an end that many meet', () => {
  it('comes in slices, and nothing else comes after the table has gone', async () => {
    const time = new VirtualTime();
    const scene = openScene({ random: new SeededRandom(1), time });
    const members = await crowd(scene);
    // Time passes with each frame, so that a slice is over after a few.
    for (const { client } of members) client.onFrame = () => time.advance(1);
    const { live } = scene.world;
    live.endForTable(TABLES.user.id, 'table app.mine was dropped');
    const ended = (): number => members.filter((member) => changesOf(member).some((frame) => (frame as string[])[0] === 'error')).length;
    expect(ended()).toBeGreaterThan(0);
    expect(ended()).toBeLessThan(SUBSCRIBERS);
    await scene.put([1, 'a', 1n]);
    await scene.settle();
    for (const member of members) expect(changesOf(member)).toEqual([['error', 'SUBSCRIPTION_ENDED']]);
    expect([live.list(), live.router.groupCount, live.subscriptionCount]).toEqual([[], 0, 0]);
  });

  it('finds a live id whose parts have hyphens of their own, and a user by all of its connections', async () => {
    const scene = open();
    const { live } = scene.world;
    const dashed = scene.connect({ userId: 'a-b', role: 'user' }, 'c-1');
    for (const id of ['x', 'x-y']) await subscribe(dashed.connection, 'shared', undefined, id);
    expect(live.kill('a-b-c-1-x-y')).toBe(true);
    expect(live.kill('a-b-c-1-x-y')).toBe(false);
    expect(live.kill('a')).toBe(false);
    expect(live.list().map(({ liveId }) => liveId)).toEqual(['a-b-c-1-x']);
    const others = [scene.connect(BOB, 'b1'), scene.connect(BOB, 'b2')];
    for (const { connection } of others) await subscribe(connection, 'shared');
    live.endForUser('bob', 'the user was dropped');
    expect(live.list().map(({ userId }) => userId)).toEqual(['a-b']);
    for (const { client } of others) expect(client.frames.map(short).at(-1)).toEqual(['error', 'SUBSCRIPTION_ENDED']);
  });
});
