import { VirtualTime } from '@kalamdb/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Auth, type KalamDBClient, LogLevel, type RowData, type ServerMessage } from '../index.ts';
import { clientWorld } from './client-world.fixture.ts';

const SQL = 'SELECT * FROM app.t';
const world = clientWorld();
const connect = world.connect;

/** Resolves when `holds` does, looked at whenever something arrives. */
function watcher() {
  let wake: () => void = () => undefined;
  return {
    poke: () => wake(),
    async until(holds: () => boolean): Promise<void> {
      while (!holds())
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    },
  };
}

const plain = (row: RowData): object => ({ id: row['id']?.asInt(), body: row['body']?.asString(), _seq: row['_seq']?.asString() });
const byId = (rows: readonly object[]): object[] =>
  [...rows].sort((a, b) => Number((a as { id: number }).id) - Number((b as { id: number }).id));

async function follow(client: KalamDBClient, options: { batch_size?: number } = {}) {
  let rows: object[] = [];
  let calls = 0;
  const watch = watcher();
  const stop = await client.live(
    SQL,
    (set: object[]) => {
      rows = set;
      calls++;
      watch.poke();
    },
    { mapRow: plain, subscriptionOptions: options },
  );
  return {
    stop,
    calls: () => calls,
    rows: () => rows,
    caughtUp: () => watch.until(() => JSON.stringify(byId(rows)) === JSON.stringify(byId([...world.server.rows]))),
  };
}

describe('a live query over real sockets', () => {
  it('shows the snapshot once and then every change', async () => {
    for (let id = 0; id < 5; id++) world.server.put(id, `row ${id}`);
    const query = await follow(connect(), { batch_size: 2 });
    await query.caughtUp();
    expect(query.calls()).toBe(1);
    world.server.put(2, null);
    world.server.remove(0);
    world.server.put(9, 'x'.repeat(2000));
    await query.caughtUp();
    expect(query.calls()).toBe(4);
  });

  it('keeps the order of frames while long ones are being inflated', async () => {
    const query = await follow(connect());
    for (let id = 0; id < 50; id++) world.server.put(id, id % 3 === 0 ? 'y'.repeat(5000) : 'short');
    await query.caughtUp();
    expect(query.rows().map((row) => (row as { id: number }).id)).toEqual(Array.from({ length: 50 }, (_, id) => id));
  });

  it.each([false, true])(
    'bridges a cut: what was missed arrives, deletes too, and nothing twice (overlapping: %s)',
    async (overlapping) => {
      world.server.overlapping = overlapping;
      const client = connect();
      for (let id = 0; id < 5; id++) world.server.put(id, 'before');
      const seqs: bigint[] = [];
      const watch = watcher();
      const note = (event: ServerMessage): void => {
        const rows =
          event.type === 'initial_data_batch' || event.type === 'change'
            ? (event.rows ?? ('old_values' in event ? event.old_values : undefined))
            : undefined;
        for (const row of rows ?? []) seqs.push(row['_seq']?.asBigInt() ?? 0n);
        watch.poke();
      };
      await client.subscribeWithSql(SQL, note);
      const query = await follow(client);
      await query.caughtUp();
      world.server.cutAll();
      world.server.put(1, 'during');
      world.server.remove(3);
      world.server.put(7, 'during');
      await query.caughtUp();
      await watch.until(() => seqs.at(-1) === world.server.lastSeq);
      expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => (a < b ? -1 : 1)));
      expect(seqs).toHaveLength(8);
    },
  );

  it('asks for no more than it missed', async () => {
    for (let id = 0; id < 5; id++) world.server.put(id, 'row');
    const client = connect();
    const query = await follow(client);
    await query.caughtUp();
    const { lastSeq } = world.server;
    const disconnected = new Promise<void>((resolve) => client.onDisconnect(() => resolve()));
    world.server.cutAll();
    await disconnected;
    world.server.put(9, 'new');
    await query.caughtUp();
    expect(world.server.received.filter((text) => text.includes('"subscribe"')).at(-1)).toContain(`"from":${lastSeq}`);
  });

  it('continues a snapshot that was cut between two batches', async () => {
    for (let id = 0; id < 7; id++) world.server.put(id, 'row');
    world.server.cutAfterFrames = 4;
    const query = await follow(connect(), { batch_size: 2 });
    await query.caughtUp();
    expect(query.calls()).toBe(1);
  });

  it('starts over when its cursor cannot be served any more, and its rows are replaced', async () => {
    for (let id = 0; id < 5; id++) world.server.put(id, 'row');
    const client = connect();
    const events: string[] = [];
    await client.subscribeWithSql(SQL, (event) => events.push(event.type === 'error' ? event.code : event.type));
    const query = await follow(client);
    await query.caughtUp();
    world.server.expiredSeq = world.server.lastSeq;
    world.server.remove(2);
    await query.caughtUp();
    world.server.expiredSeq = world.server.lastSeq;
    world.server.cutAll();
    world.server.remove(4);
    world.server.put(8, 'row');
    await query.caughtUp();
    expect(events.filter((event) => event !== 'change')).toEqual([
      'subscription_ack',
      'initial_data_batch',
      'RESYNC_REQUIRED',
      'subscription_ack',
      'initial_data_batch',
    ]);
  });

  it('tells the application that the server has ended a subscription, and forgets it', async () => {
    const client = connect();
    const ended = new Promise<string>((resolve) => {
      void client
        .live(SQL, () => undefined, { onError: (event) => resolve(event.code) })
        .then(() => world.server.endAll('SUBSCRIPTION_ENDED'));
    });
    expect(await ended).toBe('SUBSCRIPTION_ENDED');
    expect(client.getSubscriptionCount()).toBe(0);
  });

  it('unsubscribes once however often it is asked to, and by await using', async () => {
    const client = connect();
    const query = await follow(client);
    await query.stop();
    await query.stop();
    await client.unsubscribe(query.stop.id);
    {
      await using second = await client.live(SQL, () => undefined);
      expect(client.getSubscriptions().map(({ id }) => id)).toEqual([second.id]);
    }
    expect(client.getSubscriptionCount()).toBe(0);
    // the server reads in order, so by its next answer it has read all before
    await client.live(SQL, () => undefined);
    expect(world.server.received.filter((text) => text.includes('"unsubscribe"'))).toHaveLength(2);
  });

  it('disconnect keeps subscriptions for the next connect, and ends those not yet accepted', async () => {
    const client = connect();
    const query = await follow(client);
    await client.disconnect();
    world.server.put(1, 'while away');
    expect([client.isConnected(), client.getSubscriptionCount()]).toEqual([false, 1]);
    await client.connect();
    await query.caughtUp();
    await client.disconnect();
    const waiting = client.live(`${SQL} WHERE id > 0`, () => undefined);
    await client.disconnect();
    await expect(waiting).rejects.toMatchObject({ code: 'DISCONNECTED' });
  });

  it('a callback that throws is told to onError and breaks nothing', async () => {
    const client = connect();
    const told = new Promise<string>((resolve) => client.onError(({ message }) => resolve(message)));
    await client.live(SQL, () => {
      throw new Error('mine');
    });
    expect(await told).toBe('a callback threw: mine');
    const query = await follow(client);
    world.server.put(1, 'row');
    await query.caughtUp();
  });

  it('a callback that rejects later is told to onError too', async () => {
    const client = connect();
    const told = new Promise<string>((resolve) => client.onError(({ message }) => resolve(message)));
    await client.live(SQL, async () => {
      throw new Error('mine, later');
    });
    expect(await told).toBe('a callback threw: mine, later');
  });

  it('a raw callback that throws at the acknowledgement keeps its subscription', async () => {
    const client = connect();
    const told: string[] = [];
    client.onError(({ message }) => told.push(message));
    const watch = watcher();
    const events: string[] = [];
    await client.subscribeWithSql(SQL, ({ type }) => {
      events.push(type);
      watch.poke();
      if (type === 'subscription_ack') throw new Error('mine');
    });
    world.server.put(1, 'row');
    await watch.until(() => events.includes('change'));
    expect(told).toEqual(['a callback threw: mine']);
  });

  it('a log listener that throws breaks nothing', async () => {
    const client = connect({
      logLevel: LogLevel.Verbose,
      logListener: () => {
        throw new Error('the disk of the log is full');
      },
    });
    const query = await follow(client);
    world.server.cutAll();
    world.server.put(1, 'row');
    await query.caughtUp();
    expect(query.rows()).toHaveLength(1);
  });

  it('whoever unsubscribes while waiting is told so, and leaves no timer behind', async () => {
    const time = new VirtualTime();
    const client = connect({ timers: time });
    await client.connect();
    const pings = time.pendingTimers;
    const inside = client.subscribeWithSql(SQL, (event) => {
      if (event.type === 'subscription_ack') void client.unsubscribe(event.subscription_id);
    });
    await expect(inside).rejects.toMatchObject({ code: 'UNSUBSCRIBED' });
    client.onSend((text) => text.includes('"subscribe"') && void client.unsubscribeAll());
    await expect(client.live(SQL, () => undefined)).rejects.toMatchObject({ code: 'UNSUBSCRIBED' });
    expect([client.getSubscriptionCount(), time.pendingTimers]).toEqual([0, pings]);
  });

  it('whoever waits when the client is shut down is told that', async () => {
    const client = connect();
    const waiting = client.live(SQL, () => undefined);
    await client.shutdown();
    await client.shutdown();
    await expect(waiting).rejects.toMatchObject({ code: 'CLIENT_CLOSED' });
    await expect(client.connect()).rejects.toMatchObject({ code: 'CLIENT_CLOSED' });
  });

  it('connect may be called while a disconnect is being told', async () => {
    const client = connect();
    await client.connect();
    const again = new Promise<void>((resolve, reject) => client.onDisconnect(() => client.connect().then(resolve, reject)));
    await client.disconnect();
    await again;
    expect(client.isConnected()).toBe(true);
  });

  it('an empty subscription outlives the time in which the server still counts the socket that was cut', async () => {
    const query = await follow(connect());
    await query.caughtUp();
    world.server.limitRefusals = 1;
    world.server.cutAll();
    world.server.put(1, 'row');
    await query.caughtUp();
    expect(query.rows()).toHaveLength(1);
  });

  it('an option that is undefined is an option that is not given', async () => {
    const query = await follow(connect({ webSocket: undefined, fetch: undefined, pingIntervalMs: undefined }));
    await query.caughtUp();
    expect(world.server.connections).toBe(1);
  });

  it('many subscriptions share one socket', async () => {
    const client = connect();
    const queries = await Promise.all(Array.from({ length: 20 }, () => follow(client)));
    world.server.put(1, 'row');
    await Promise.all(queries.map((query) => query.caughtUp()));
    expect(world.server.connections).toBe(1);
  });

  it('a refused token ends the attempt with the reason, after one renewal', async () => {
    let asked = 0;
    const client = connect({
      authProvider: async () => {
        asked++;
        return Auth.jwt('bad');
      },
    });
    await expect(client.live(SQL, () => undefined)).rejects.toMatchObject({ code: 'CREDENTIALS_REFUSED' });
    await expect(client.connect()).rejects.toMatchObject({ code: 'CREDENTIALS_REFUSED' });
    expect(asked).toBe(4);
  });

  it('equals the table whenever it has caught up, through random writes and cuts', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            {
              weight: 6,
              arbitrary: fc.record({
                kind: fc.constant('put' as const),
                id: fc.nat(12),
                body: fc.option(fc.constantFrom('a', 'b', 'z'.repeat(800))),
              }),
            },
            { weight: 3, arbitrary: fc.record({ kind: fc.constant('remove' as const), id: fc.nat(12) }) },
            { weight: 1, arbitrary: fc.constant({ kind: 'cut' as const }) },
            { weight: 1, arbitrary: fc.record({ kind: fc.constant('cutLater' as const), frames: fc.nat(6) }) },
            { weight: 2, arbitrary: fc.constant({ kind: 'settle' as const }) },
          ),
          { maxLength: 60 },
        ),
        async (steps) => {
          const client = connect();
          const query = await follow(client, { batch_size: 3 });
          for (const step of steps) {
            if (step.kind === 'put') world.server.put(step.id, step.body);
            else if (step.kind === 'remove') world.server.remove(step.id);
            else if (step.kind === 'cut') world.server.cutAll();
            else if (step.kind === 'cutLater') world.server.cutAfterFrames = step.frames;
            else await query.caughtUp();
          }
          world.server.cutAfterFrames = undefined;
          await query.caughtUp();
          await client.shutdown();
        },
      ),
      { numRuns: 40 },
    );
  });
});
