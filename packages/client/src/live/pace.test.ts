import { describe, expect, it } from 'vitest';
import type { LiveState, RowData, ServerMessage } from '../index.ts';
import { clientWorld } from './client-world.fixture.ts';
import { ScriptedServer, settled } from './scripted-server.fixture.ts';

const SQL = 'SELECT * FROM app.t';
const world = clientWorld();
const connect = world.connect;

/** Something that is waited for, and who waits. */
function gate() {
  let open: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open: () => open(), passed };
}

const seqs = (event: ServerMessage): string[] => {
  if (event.type !== 'change' && event.type !== 'initial_data_batch') return [];
  const rows = event.rows ?? (event.type === 'change' ? event.old_values : undefined) ?? [];
  return rows.map((row) => row['_seq']?.asString() ?? '');
};
const plain = (row: RowData): string => `${row['id']?.asInt()}:${row['body']?.asString()}`;

describe('a callback that takes its time', () => {
  it('gets the next event when its promise has settled', async () => {
    const client = connect();
    let running = 0;
    let most = 0;
    const told: string[] = [];
    const stop = await client.subscribeWithSql(SQL, async (event) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      told.push(...seqs(event));
      running -= 1;
    });
    for (let id = 0; id < 20; id++) world.server.put(id, 'row');
    await stop.caughtUp();
    expect(told).toHaveLength(20);
    expect(most).toBe(1);
  });

  it('is given back to the server when too much waits for it, loses nothing, and keeps nobody else waiting', async () => {
    const client = connect({ inboxBytesMax: 4_000 });
    const slow = gate();
    const told: string[] = [];
    const stop = await client.subscribeWithSql(SQL, async (event) => {
      await slow.passed;
      told.push(...seqs(event));
    });
    let others: string[] = [];
    const quick = await client.live(
      SQL,
      (rows: string[]) => {
        others = rows;
      },
      { mapRow: plain },
    );
    for (let id = 0; id < 200; id++) world.server.put(id, 'a row of some length');
    await quick.caughtUp();
    expect(others).toHaveLength(200);
    expect(world.server.received.filter((text) => text.includes('"unsubscribe"'))).toHaveLength(1);
    expect(told).toEqual([]);
    slow.open();
    await stop.caughtUp();
    expect(told).toEqual([...new Set(told)].sort());
    expect(told).toHaveLength(200);
    expect(client.getLastSeqId(stop.id)?.toString()).toBe(told.at(-1));
  });

  it('asks for the next batch of a snapshot when it is done with the one before', async () => {
    for (let id = 0; id < 6; id++) world.server.put(id, 'row');
    const client = connect();
    const slow = gate();
    const stop = await client.subscribeWithSql(SQL, async (event) => event.type === 'initial_data_batch' && (await slow.passed), {
      batch_size: 2,
    });
    await client.live(SQL, () => undefined);
    expect(world.server.received.filter((text) => text.includes('"next_batch"'))).toHaveLength(0);
    slow.open();
    await stop.caughtUp();
    expect(world.server.received.filter((text) => text.includes('"next_batch"'))).toHaveLength(3);
  });

  it('is shown the newest set, not every one in between', async () => {
    const client = connect();
    const slow = gate();
    const shown: number[] = [];
    const stop = await client.live(SQL, async (rows) => {
      shown.push(rows.length);
      await slow.passed;
    });
    const quick = await client.live(`${SQL} WHERE TRUE`, () => undefined);
    for (let id = 0; id < 50; id++) world.server.put(id, 'row');
    await quick.caughtUp();
    expect(shown).toEqual([0]);
    slow.open();
    await stop.caughtUp();
    expect(shown).toEqual([0, 50]);
  });

  it('is shown what came in before a cut, also when it is done while what was missed is being read', async () => {
    const server = new ScriptedServer();
    const slow = gate();
    const shown: number[] = [];
    const started = server.client.live(SQL, async (rows) => {
      shown.push(rows.length);
      await slow.passed;
    });
    await server.accept();
    server.load([{ id: '1', _seq: '1' }]);
    const stop = await started;
    server.change('insert', { id: '2', _seq: '2' });
    server.wire.latest?.drop();
    server.time.advance(60_000);
    await server.accept();
    server.acknowledge();
    slow.open();
    const caughtUp = stop.caughtUp();
    await settled();
    expect(shown).toEqual([1]);
    server.batch([]);
    server.answerBarrier();
    await caughtUp;
    expect(shown).toEqual([1, 2]);
    await server.client.shutdown();
  });

  it('hears nothing more once it is unsubscribed, whatever waits for it', async () => {
    const client = connect();
    const slow = gate();
    let told = 0;
    const stop = await client.subscribeWithSql(SQL, async () => {
      told += 1;
      await slow.passed;
    });
    const quick = await client.live(SQL, () => undefined);
    world.server.put(1, 'row');
    await quick.caughtUp();
    await stop();
    slow.open();
    await quick.caughtUp();
    expect(told).toBe(1);
  });
});

describe('having caught up', () => {
  it('is told after the rows were shown, and so is the contrary', async () => {
    for (let id = 0; id < 5; id++) world.server.put(id, 'row');
    const client = connect();
    const told: (LiveState | number)[] = [];
    const stop = await client.live(SQL, (rows) => told.push(rows.length), {
      onState: (state) => told.push(state),
      subscriptionOptions: { batch_size: 2 },
    });
    await stop.caughtUp();
    const lost = gate();
    client.onDisconnect(() => lost.open());
    world.server.cutAll();
    await lost.passed;
    world.server.put(9, 'row');
    await stop.caughtUp();
    expect(told).toEqual([5, 'caught-up', 'stale', 6, 'caught-up']);
    world.server.expiredSeq = world.server.lastSeq;
    world.server.cutAll();
    world.server.remove(0);
    await stop.caughtUp();
    expect(told.slice(5)).toEqual(['stale', 'loading', 5, 'caught-up']);
  });

  it('is waited for through an interruption, and given up with the subscription or the signal', async () => {
    const client = connect();
    const stop = await client.live(SQL, () => undefined);
    await client.disconnect();
    const first = stop.caughtUp();
    const reason = new Error('enough');
    await expect(stop.caughtUp({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await client.connect();
    await first;
    await client.disconnect();
    const second = stop.caughtUp();
    await stop();
    await expect(second).rejects.toMatchObject({ code: 'UNSUBSCRIBED' });
  });
});

describe('many subscriptions', () => {
  it('take further sockets beyond the hundredth, which go with them', async () => {
    const client = connect();
    let connects = 0;
    client.onConnect(() => connects++);
    let shown = 0;
    const stops = await Promise.all(
      Array.from({ length: 250 }, (_, n) => client.live(`${SQL} WHERE n = ${n}`, (rows) => rows.length > 0 && shown++)),
    );
    expect(world.server.connections).toBe(3);
    world.server.put(1, 'row');
    await Promise.all(stops.map((stop) => stop.caughtUp()));
    expect([shown, connects]).toEqual([250, 1]);
    world.server.cutAll();
    world.server.put(2, 'row');
    await Promise.all(stops.map((stop) => stop.caughtUp()));
    expect(shown).toBe(500);
    await client.unsubscribeAll();
    await expect.poll(() => world.server.connections).toBe(1);
  });

  it('share one when they show the same set, each at its own pace and until its own end', async () => {
    world.server.put(1, 'row');
    const client = connect();
    const seen: string[][] = [[], []];
    const first = await client.live(SQL, (rows: string[]) => seen[0]?.push(rows.join()), { mapRow: plain });
    await first.caughtUp();
    const states: LiveState[] = [];
    const second = await client.live(SQL, (rows: string[]) => seen[1]?.push(rows.join()), {
      mapRow: (row) => `(${plain(row)})`,
      onState: (state) => states.push(state),
    });
    await second.caughtUp();
    expect(world.server.received.filter((text) => text.includes('"subscribe"'))).toHaveLength(1);
    expect(client.getSubscriptions().map(({ id }) => id)).toEqual([first.id, second.id]);
    await first();
    world.server.put(2, 'row');
    await second.caughtUp();
    expect(seen).toEqual([['1:row'], ['(1:row)', '(1:row),(2:row)']]);
    expect(states).toEqual(['caught-up']);
    await second();
    expect(client.getSubscriptionCount()).toBe(0);
  });

  it('do not share when they begin elsewhere or name rows otherwise', async () => {
    const client = connect();
    await client.live(SQL, () => undefined);
    await client.live(SQL, () => undefined, { keyColumns: ['id', 'body'] });
    await client.live(SQL, () => undefined, { subscriptionOptions: { last_rows: 1 } });
    await client.live(SQL, () => undefined, { getKey: (row) => row['id']?.asInt() });
    expect(world.server.received.filter((text) => text.includes('"subscribe"'))).toHaveLength(4);
  });
});

describe('a signal', () => {
  it('gives up a subscription that waits, and ends one that stands', async () => {
    const waits = new AbortController();
    const client = connect();
    await client.disconnect();
    client.onSend(() => waits.abort(new Error('enough')));
    await expect(client.live(SQL, () => undefined, { signal: waits.signal })).rejects.toThrow('enough');
    client.onSend(undefined);
    const stands = new AbortController();
    await client.subscribeWithSql(SQL, () => undefined, { signal: stands.signal });
    expect(client.getSubscriptionCount()).toBe(1);
    stands.abort();
    expect(client.getSubscriptionCount()).toBe(0);
    await expect(client.live(SQL, () => undefined, { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before');
  });

  it('gives up whatever else waits', async () => {
    const never = new Promise<never>(() => undefined);
    const client = connect({ authProvider: () => never });
    const signal = AbortSignal.abort(new Error('enough'));
    const waiting = [
      client.query('SELECT 1', [], { signal }),
      client.initialize({ signal }),
      client.connect({ signal }),
      client.login({ signal }),
    ];
    for (const call of waiting) await expect(call).rejects.toThrow('enough');
  });
});
