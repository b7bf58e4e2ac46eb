import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import { describe, expect, it } from 'vitest';
import { TABLES, type WorldParts } from './live-world.fixture.ts';
import { ALICE, openScene, short, subscribe } from './scene.fixture.ts';

const open = (parts: Partial<WorldParts> = {}) => openScene({ random: new SeededRandom(1), ...parts, time: new VirtualTime() });

describe('the initial load', () => {
  it('without options only acknowledges and is live at once', async () => {
    const { connect, put } = open();
    await put([1, 'a', 1n]);
    const { client, connection } = connect();
    await subscribe(connection, 'all');
    await put([2, 'b', 1n]);
    expect(client.frames.map(short)).toEqual([
      ['ack', 0, 'ready', false],
      ['insert', 2],
    ]);
    expect(client.lastSeqId).toBeUndefined();
  });

  it('with empty options sends one batch with the control of the acknowledgement, also for no rows', async () => {
    const { connect, put } = open();
    const empty = connect();
    await subscribe(empty.connection, 'all', {});
    expect(empty.client.frames.map(short)).toEqual([
      ['ack', 0, 'ready', false],
      ['batch', 0, 'ready'],
    ]);
    const versions = await put([2, 'b', 1n], [1, 'a', 1n]);
    const full = connect(ALICE, 'c2');
    await subscribe(full.connection, 'all', {});
    expect(full.client.frames.map(short)).toEqual([
      ['ack', 0, 'ready', false],
      ['batch', 0, 'ready', 2, 1],
    ]);
    expect(full.client.lastSeqId).toBe(versions[1]?.seq);
  });

  it('batches end exactly with the rows there are', async () => {
    const { connect, put } = open();
    await put([1, 'a', 1n], [2, 'b', 1n], [3, 'c', 1n], [4, 'd', 1n]);
    const { client, connection } = connect();
    await subscribe(connection, 'all', { batchSize: 4 }, 'four');
    await subscribe(connection, 'all', { batchSize: 2 }, 'two');
    await connection.nextBatch('two', client.lastSeqId);
    expect(client.frames.map(short)).toEqual([
      ['ack', 0, 'ready', false],
      ['batch', 0, 'ready', 1, 2, 3, 4],
      ['ack', 0, 'loading', true],
      ['batch', 0, 'loading', 1, 2],
      ['batch', 1, 'ready', 3, 4],
    ]);
  });

  it('a batch of default size ends at its bound of characters', async () => {
    const { connect, put } = open();
    const large = 'x'.repeat(3 * 1024 * 1024);
    for (let id = 1; id <= 4; id++) await put([id, large, 1n]);
    const { client, connection } = connect();
    await subscribe(connection, 'all', {});
    await connection.nextBatch('s', client.lastSeqId);
    expect(client.frames.map(short)).toEqual([
      ['ack', 0, 'loading', true],
      ['batch', 0, 'loading', 1, 2, 3],
      ['batch', 1, 'ready', 4],
    ]);
  });

  it('no change comes before the last batch, and none is lost', async () => {
    const { connect, put, remove } = open();
    await put([1, 'a', 1n], [2, 'b', 1n], [3, 'c', 1n]);
    const { client, connection } = connect();
    await subscribe(connection, 'all', { batchSize: 1 });
    await put([3, 'C', 1n], [4, 'd', 1n]);
    await remove([1, 'a', 1n]);
    await connection.nextBatch('s', client.lastSeqId);
    expect(client.frames.map(short)).toEqual([
      ['ack', 0, 'loading', true],
      ['batch', 0, 'loading', 1],
      ['batch', 1, 'ready', 2],
      ['update', 3],
      ['insert', 4],
      ['delete', 1],
    ]);
    expect([client.problems, [...client.rows.keys()]]).toEqual([[], [2, 3, 4]]);
  });

  it('a batch asked for past the load comes when everything that was missed has been told', async () => {
    const { connect, put } = open();
    await put([1, 'a', 1n]);
    const { client, connection } = connect();
    await subscribe(connection, 'all', {});
    connection.pause();
    await put([2, 'b', 1n], [3, 'c', 1n]);
    const asked = connection.nextBatch('s', 2n ** 63n - 1n);
    connection.resume();
    await asked;
    expect(client.frames.slice(2).map(short)).toEqual([
      ['insert', 2],
      ['insert', 3],
      ['batch', 1, 'ready'],
    ]);
  });

  it('next_batch without a position begins again, and after the load it changes nothing', async () => {
    const { connect, put } = open();
    await put([1, 'a', 1n], [2, 'b', 1n]);
    const { client, connection } = connect();
    await subscribe(connection, 'all', { batchSize: 1 });
    await connection.nextBatch('s', undefined);
    await connection.nextBatch('s', client.lastSeqId);
    await connection.nextBatch('s', undefined);
    await put([3, 'c', 1n]);
    expect(client.frames.slice(2).map(short)).toEqual([
      ['batch', 1, 'loading_batch', 1],
      ['batch', 2, 'ready', 2],
      ['batch', 3, 'loading_batch', 1],
      ['insert', 3],
    ]);
  });

  it('last_rows takes the newest in order, however far back they lie', async () => {
    const { connect, put, time } = open({ sliceRowsMax: 1 });
    for (let id = 1; id <= 6; id++) {
      await put([id, 'x', BigInt(id)]);
      time.advance(id * 10_000);
    }
    await put([2, 'x', 9n]);
    const last = async (sql: string, lastRows: number) => {
      const { client, connection } = connect(ALICE, `${sql} ${lastRows}`);
      const done = subscribe(connection, sql, { lastRows });
      for (let i = 0; i < 100; i++) {
        await new Promise((resolve) => setImmediate(resolve));
        time.advance(0);
      }
      await done;
      return client.frames.map(short).at(-1);
    };
    expect(await last('all', 2)).toEqual(['batch', 0, 'ready', 6, 2]);
    expect(await last('all', 9)).toEqual(['batch', 0, 'ready', 1, 3, 4, 5, 6, 2]);
    expect(await last('n > 5', 3)).toEqual(['batch', 0, 'ready', 6, 2]);
    expect(await last('all', 0)).toEqual(['batch', 0, 'ready']);
  });

  it('options are checked, and from goes before last_rows', async () => {
    const { connect, put } = open();
    const versions = await put([1, 'a', 1n], [2, 'b', 1n]);
    const { client, connection } = connect();
    await expect(subscribe(connection, 'all', { lastRows: 51, batchSize: 50 })).rejects.toThrow(
      'last_rows (51) cannot exceed batch_size (50); paginated last_rows replay is not supported',
    );
    await expect(subscribe(connection, 'all', { lastRows: 1001 })).rejects.toThrow('last_rows (1001) cannot exceed batch_size (1000)');
    await expect(subscribe(connection, 'all', { batchSize: -1 })).rejects.toMatchObject({ code: 'SUBSCRIBE_UNSUPPORTED' });
    await subscribe(connection, 'all', { from: versions[0]?.seq ?? 0n, lastRows: 5000 });
    expect(client.frames.map(short).at(-1)).toEqual(['batch', 0, 'ready', 2]);
    await subscribe(connection, 'all', { batchSize: 0 });
    expect(client.frames.map(short).at(-1)).toEqual(['batch', 0, 'ready']);
  });
});

describe('resume', () => {
  it('a batch ends before the first delete, and everything from there on is changes', async () => {
    const { connect, put, remove } = open();
    const [first] = await put([1, 'a', 1n], [2, 'b', 1n], [3, 'c', 1n]);
    await put([4, 'd', 1n]);
    await remove([2, 'b', 1n]);
    await put([5, 'e', 1n], [6, 'f', 1n]);
    await remove([6, 'f', 1n]);
    const { client, connection } = connect();
    await subscribe(connection, 'all', { from: (first?.seq ?? 0n) + 2n });
    expect(client.frames.map(short)).toEqual([
      ['ack', 0, 'ready', false],
      ['batch', 0, 'ready', 4],
      ['delete', 2],
      ['insert', 5],
    ]);
    expect(client.problems).toEqual([]);
  });

  it('a row that left the filter between two versions that never matched is still removed', async () => {
    const { connect, put, settle } = open({ sliceRowsMax: 1 });
    const [, known] = await put([1, 'a', 9n], [2, 'b', 9n]);
    await put([3, 'c', 9n]);
    await put([1, 'a', 1n]);
    await put([4, 'd', 9n]);
    const { client, connection } = connect();
    const done = subscribe(connection, 'n > 5', { from: known?.seq ?? 0n });
    await put([1, 'a', 2n]);
    await settle();
    await done;
    expect(client.frames.map(short)).toEqual([
      ['ack', 0, 'ready', false],
      ['batch', 0, 'ready', 3, 4],
      ['delete', 1],
    ]);
    expect(client.problems).toEqual([]);
  });

  it('a stream event deleted while pages are fetched is removed', async () => {
    const { world, connect } = open();
    const write = (deleted: boolean, ...ids: number[]) =>
      world.write(
        TABLES.stream,
        'alice',
        ids.map((id) => ({ cells: [id, 'e', 1n], deleted })),
      );
    const [first] = await write(false, 1, 2);
    const { client, connection } = connect();
    await subscribe(connection, 'events', { batchSize: 1 });
    await write(true, 1);
    await connection.nextBatch('s', client.lastSeqId);
    expect(client.frames.map(short)).toEqual([
      ['ack', 0, 'loading', true],
      ['batch', 0, 'loading', 1],
      ['batch', 1, 'ready', 2],
      ['delete', `alice:${first?.seq}`],
    ]);
  });

  it('a cursor that cannot be served is refused by name', async () => {
    const { world, connect } = open({ tailBytesMax: 0 });
    const write = (deleted: boolean) => world.write(TABLES.stream, 'alice', [{ cells: [1, 'e', 1n], deleted }]);
    const [first] = await write(false);
    await write(true);
    const { client, connection } = connect();
    await expect(subscribe(connection, 'events', { from: first?.seq ?? 0n })).rejects.toMatchObject({ code: 'RESYNC_REQUIRED' });
    await expect(subscribe(connection, 'all', { from: world.sequencer.watermark + 1n })).rejects.toMatchObject({ code: 'RESYNC_REQUIRED' });
    expect([client.frames, connection.subscriptionCount]).toEqual([[], 0]);
    await subscribe(connection, 'events', {});
    connection.pause();
    await write(false);
    await write(true);
    connection.resume();
    await new Promise((resolve) => setImmediate(resolve));
    expect(client.frames.map(short).at(-1)).toEqual(['error', 'RESYNC_REQUIRED']);
    expect(world.live.counters.resyncs).toBe(3);
  });
});

describe('progress', () => {
  it('names the last commit to a subscription that was sent nothing of it, once, and a resume goes on there', async () => {
    const { connect, put, remove } = open();
    await put([1, 'a', 9n], [2, 'b', 1n]);
    const { client, connection } = connect();
    await subscribe(connection, 'n > 5');
    connection.progress();
    await put([3, 'c', 1n]);
    connection.progress();
    connection.progress();
    await put([4, 'd', 9n]);
    connection.progress();
    expect(client.frames.slice(1).map(short)).toEqual([['progress'], ['insert', 4]]);
    expect(client.problems).toEqual([]);
    await put([5, 'e', 1n]);
    connection.progress();
    connection.close();
    await remove([1, 'a', 9n]);
    const again = connect(ALICE, 'c2');
    await subscribe(again.connection, 'n > 5', { from: client.highest });
    expect(again.client.frames.slice(1).map(short)).toEqual([
      ['batch', 0, 'ready'],
      ['delete', 1],
    ]);
  });

  it('says nothing while a load or a catch-up is not over', async () => {
    const { connect, put } = open();
    await put([1, 'a', 1n], [2, 'b', 1n]);
    const { client, connection } = connect();
    await subscribe(connection, 'all', { batchSize: 1 });
    await put([3, 'c', 1n]);
    connection.progress();
    connection.pause();
    connection.progress();
    expect(client.frames.map(short)).toEqual([
      ['ack', 0, 'loading', true],
      ['batch', 0, 'loading', 1],
    ]);
  });
});

describe('a paused connection', () => {
  it('gets nothing, and then exactly what it missed', async () => {
    const { world, connect, put, remove } = open();
    const { client, connection } = connect();
    await subscribe(connection, 'all');
    connection.pause();
    await put([1, 'a', 1n]);
    await put([1, 'b', 1n]);
    await remove([1, 'b', 1n]);
    expect(client.frames).toHaveLength(1);
    expect(world.live.list()[0]?.state).toBe('behind');
    connection.resume();
    expect(client.frames.slice(1).map(short)).toEqual([
      ['insert', 1],
      ['update', 1],
      ['delete', 1],
    ]);
    expect(world.live.counters).toMatchObject({ exactCatchUps: 1, coalescedCatchUps: 0 });
  });

  it('gets the newest state when the tail does not reach back', async () => {
    const { world, connect, put, remove, settle } = open({ tailBytesMax: 0 });
    await put([1, 'a', 1n], [2, 'b', 1n]);
    const { client, connection } = connect();
    await subscribe(connection, 'all', {});
    connection.pause();
    await put([2, 'B', 1n], [3, 'c', 1n]);
    await put([3, 'C', 1n]);
    await remove([1, 'a', 1n]);
    connection.resume();
    await settle();
    expect(client.frames.slice(2).map(short)).toEqual([
      ['insert', 2],
      ['insert', 3],
      ['delete', 1],
    ]);
    expect(world.live.counters.coalescedCatchUps).toBe(1);
  });

  it('is stopped in the middle of a commit and goes on there', async () => {
    const { connect, put } = open();
    const { client, connection } = connect();
    await subscribe(connection, 'all');
    client.onFrame = () => connection.pause();
    await put([1, 'a', 1n], [2, 'b', 1n], [3, 'c', 1n]);
    expect(client.frames.slice(1).map(short)).toEqual([['insert', 1]]);
    connection.resume();
    expect(client.frames.slice(1).map(short)).toEqual([
      ['insert', 1],
      ['insert', 2],
    ]);
    client.onFrame = () => undefined;
    await new Promise((resolve) => setImmediate(resolve));
    connection.resume();
    expect(client.frames.slice(1).map(short)).toEqual([
      ['insert', 1],
      ['insert', 2],
      ['insert', 3],
    ]);
  });

  it('has its batches wait', async () => {
    const { connect, put } = open();
    await put([1, 'a', 1n]);
    const { client, connection } = connect();
    connection.pause();
    const done = subscribe(connection, 'all', {});
    await new Promise((resolve) => setImmediate(resolve));
    expect(client.frames).toEqual([]);
    connection.resume();
    await done;
    expect(client.frames.map(short)).toEqual([
      ['ack', 0, 'ready', false],
      ['batch', 0, 'ready', 1],
    ]);
  });
});
