import type { JsonValue } from '@kalamdb/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RowData, WireRow } from '../rows/row-data.ts';
import { type LiveCollectionOptions, type LiveRowChange, liveCollection } from './live-collection.ts';
import { ScriptedServer, settled } from './scripted-server.fixture.ts';

const SQL = 'SELECT * FROM app.t';

interface Item {
  readonly id: string;
  readonly rank: number | null;
  readonly body: string | null;
}
const item = (row: RowData): Item => ({
  id: row['id']?.asString() ?? '',
  rank: row['rank']?.asInt() ?? null,
  body: row['body']?.asString() ?? null,
});

let seqs = 1000;
const row = (id: number, rank: number | null, body: string | null = null): WireRow => ({
  id: String(id),
  rank,
  body,
  _seq: String(++seqs),
});

async function open<T = Item>(options: Partial<LiveCollectionOptions<T>> = {}, server: ScriptedServer = new ScriptedServer()) {
  const collection = liveCollection<T>(server.client, SQL, { select: item as (row: RowData) => T, ...options });
  const commits: (readonly LiveRowChange<T>[])[] = [];
  collection.subscribe((changes) => commits.push(changes));
  await server.accept();
  return { server, collection, commits };
}

/** The rows as a list that is searched and sorted anew every time, in order of arrival. */
class Model {
  rows: WireRow[] = [];
  #met: JsonValue[] = [];

  write(id: number, rank: number | null, body: string): { type: 'insert' | 'update'; row: WireRow; before: WireRow | undefined } {
    const next = row(id, rank, body);
    const place = this.rows.findIndex((one) => one['id'] === next['id']);
    const before = this.rows[place];
    this.#met.push(String(id));
    this.rows = before === undefined ? [...this.rows, next] : this.rows.with(place, next);
    return { type: before === undefined ? 'insert' : 'update', row: next, before };
  }
  /** A row keeps its place when it is deleted and inserted again by one commit; new ones come in the order in which they are first met. */
  settle(before: readonly WireRow[]): void {
    const met = [...before.map((one) => one['id']), ...this.#met];
    this.#met = [];
    this.rows = this.rows.toSorted((a, b) => met.indexOf(a['id']) - met.indexOf(b['id']));
  }
  remove(id: number): WireRow | undefined {
    const before = this.rows.find((one) => one['id'] === String(id));
    this.rows = this.rows.filter((one) => one !== before);
    return before === undefined ? undefined : { ...before, _seq: String(++seqs) };
  }
  items(order: (a: Item, b: Item) => number): Item[] {
    const items = this.rows.map((one) => ({
      id: String(one['id']),
      rank: one['rank'] as number | null,
      body: one['body'] as string | null,
    }));
    return items.sort(order);
  }
}

/** An update as the wire words it: what is NULL is missing, and among the old values if it was not NULL before. */
const updateFrame = (next: WireRow, before: WireRow): [WireRow, object] => [
  Object.fromEntries(Object.entries(next).filter(([, cell]) => cell !== null)),
  {
    old_values: [
      Object.fromEntries(Object.entries(before).filter(([name, cell]) => name === 'id' || (cell !== null && cell !== next[name]))),
    ],
  },
];

const operation = fc.record({
  id: fc.integer({ min: 1, max: 8 }),
  rank: fc.option(fc.integer({ min: 0, max: 3 })),
  body: fc.constantFrom('a', 'b'),
  remove: fc.boolean(),
});
const commit = fc.record({
  operations: fc.array(operation, { minLength: 1, maxLength: 5 }),
  // whether the last frame of the commit, or a progress after it, ends it
  ending: fc.constantFrom('frame', 'progress'),
  next: fc.constantFrom('nothing', 'nothing', 'cut', 'resync', 'large'),
});

const byArrival = (): number => 0;
const nulls = (a: Item, b: Item): number => Number(a.rank === null) - Number(b.rank === null);
const byRank = (a: Item, b: Item): number => nulls(a, b) || (a.rank ?? 0) - (b.rank ?? 0);
const orders: readonly [string, LiveCollectionOptions<Item>['orderBy'], (a: Item, b: Item) => number][] = [
  ['order of arrival', undefined, byArrival],
  ['a comparison', byRank, byRank],
  ['columns', [{ column: 'rank', descending: true }, 'body'], (a, b) => byRank(b, a) || (a.body ?? '').localeCompare(b.body ?? '')],
];

describe('a live collection', () => {
  it.each(orders)('equals its table at every commit, through cuts and new snapshots, in %s', async (_name, orderBy, order) => {
    await fc.assert(
      fc.asyncProperty(fc.array(commit, { maxLength: 12 }), async (commits) => {
        const { server, collection } = await open<Item>({ orderBy });
        const replayed = new Map<string, Item>();
        collection.onChange((change) => {
          if (change.type === 'delete') expect(replayed.delete(change.key)).toBe(true);
          else expect(replayed.set(change.key, change.row).get(change.key)).toEqual(change.row);
        });
        const model = new Model();
        server.load([]);
        const check = (): void => {
          expect(collection.rows).toEqual(model.items(order));
          expect(new Map(collection.rows.map((one) => [one.id, one]))).toEqual(replayed);
          expect(collection.size).toBe(model.rows.length);
          for (const one of collection.rows) expect(collection.get(one.id)).toBe(one);
        };
        for (const { operations, ending, next: after } of commits) {
          const before = collection.rows;
          const known = model.rows;
          const frames: (() => void)[] = [];
          const more = (last: boolean): object => (last && ending === 'frame' ? {} : { more: true });
          const wanted =
            after === 'large'
              ? Array.from({ length: 80 }, (_none, index) => ({ id: index + 9, rank: index % 5, body: 'c', remove: false }))
              : operations;
          for (const { id, rank, body, remove } of wanted) {
            if (remove) {
              const gone = model.remove(id);
              if (gone !== undefined) frames.push(() => server.change('delete', gone, more(frames.length === 0)));
            } else {
              const { type, row: next, before: old } = model.write(id, rank, body);
              const [rows, rest] = old === undefined ? [next, {}] : updateFrame(next, old);
              frames.push(() => server.change(type, rows, { ...rest, ...more(frames.length === 0) }));
            }
          }
          model.settle(known);
          if (frames.length === 0) continue;
          for (let frame = frames.shift(); frame !== undefined; frame = frames.shift()) {
            expect(collection.rows).toBe(before);
            frame();
          }
          if (ending === 'progress') {
            expect(collection.rows).toBe(before);
            server.frame({ type: 'progress', subscription_id: server.subscribed['id'], seq: seqs });
          }
          check();
          if (after === 'cut') {
            server.wire.latest?.drop();
            expect(collection.state).toBe('reconnecting');
            server.time.advance(60_000);
            await server.accept();
            server.load([]);
            server.answerBarrier();
            expect(collection.state).toBe('live');
          } else if (after === 'resync') {
            const shown = collection.rows;
            server.refuse('RESYNC_REQUIRED');
            // in the order in which the rows arrived, which a new snapshot cannot know of rows that were changed since
            server.load(model.rows);
            expect(collection.rows.every((one, index) => one === shown[index])).toBe(true);
          }
          check();
        }
        collection.close();
        expect(collection.rows).toEqual(model.items(order));
        await server.client.shutdown();
      }),
      { numRuns: 20 },
    );
  });

  it('of a window keeps the order and the number of the server, also when it is sent anew', async () => {
    const limit = 3;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ operations: fc.array(operation, { minLength: 1, maxLength: 4 }), anew: fc.boolean() })),
        async (steps) => {
          const { server, collection } = await open();
          const model = new Model();
          const top = (): WireRow[] => {
            const rank = (one: WireRow): number => Number(one['rank'] ?? 99);
            return [...model.rows].sort((a, b) => rank(a) - rank(b) || Number(a['id']) - Number(b['id'])).slice(0, limit);
          };
          server.load([], {}, { limit });
          for (const { operations, anew } of steps) {
            const before = top();
            const shown = collection.rows;
            for (const { id, rank, body, remove } of operations) {
              if (remove) model.remove(id);
              else model.write(id, rank, body);
            }
            const after = top();
            const frames: (() => void)[] = [];
            const more = (): object => (frames.length === 0 ? {} : { more: true });
            const known = (one: WireRow): WireRow | undefined => before.find((old) => old['id'] === one['id']);
            for (const old of before) {
              if (!after.some((one) => one['id'] === old['id'])) frames.push(() => server.change('delete', old, more()));
            }
            let ids = before.filter((old) => after.some((one) => one['id'] === old['id'])).map((one) => one['id']);
            for (const [index, one] of after.entries()) {
              const old = known(one);
              if (old === one) continue;
              ids = ids.filter((id) => id !== one['id']);
              // behind the row that it follows in the end, wherever that is while others have still to move
              const position = ids.indexOf(after[index - 1]?.['id'] ?? null) + 1;
              ids.splice(position, 0, one['id'] ?? null);
              const [row, rest] = old === undefined ? [one, {}] : updateFrame(one, old);
              const type = old === undefined ? 'insert' : 'update';
              frames.push(() => server.change(type, row, { ...rest, positions: [position], ...more() }));
            }
            if (anew) server.batch(after);
            else for (let frame = frames.shift(); frame !== undefined; frame = frames.shift()) frame();
            expect(collection.rows).toEqual(after.map((one) => ({ id: one['id'], rank: one['rank'], body: one['body'] })));
            for (const one of collection.rows) {
              const same = shown.find((other) => other.id === one.id);
              if (same?.rank === one.rank && same.body === one.body) expect(one).toBe(same);
            }
          }
          await server.client.shutdown();
        },
      ),
      { numRuns: 30 },
    );
  });

  it('of a window asks for all of it on a new socket, and takes whatever _seq it brings', async () => {
    const { server, collection } = await open();
    server.load([row(1, 1), row(2, 2)], {}, { limit: 2 });
    server.wire.latest?.drop();
    server.time.advance(60_000);
    await server.accept();
    expect(server.subscribed['options']).toEqual({});
    server.load(
      [
        { ...row(3, 0), _seq: '1' },
        { ...row(1, 1), _seq: '2' },
      ],
      {},
      { limit: 2 },
    );
    expect(collection.rows.map(({ id }) => id)).toEqual(['3', '1']);
    await server.client.shutdown();
  });

  it('tells of a commit once, of each of its rows, and of nothing that the selection leaves out', async () => {
    const { server, collection, commits } = await open<{ id: string }>({ select: (one) => ({ id: one['id']?.asString() ?? '' }) });
    server.load([row(1, 1), row(2, 2)]);
    const { rows, snapshot } = collection;
    expect(collection.snapshot).toBe(snapshot);
    server.change('update', row(1, 9));
    expect(collection.rows).toBe(rows);
    expect(collection.snapshot).toBe(snapshot);
    server.change('delete', row(2, 2), { more: true });
    server.change('insert', row(3, 3));
    expect(commits.map((changes) => changes.map(({ type, key }) => `${type} ${key}`))).toEqual([
      ['insert 1', 'insert 2'],
      ['delete 2', 'insert 3'],
    ]);
    expect(collection.rows[0]).toBe(rows[0]);
    expect(collection.snapshot).not.toBe(snapshot);
    await server.client.shutdown();
  });

  it('shows a snapshot during which rows have changed when it is one state', async () => {
    const { server, collection } = await open();
    server.load([row(1, 1)], { more: true });
    expect([collection.state, collection.size]).toEqual(['loading', 0]);
    server.change('update', row(2, 2));
    expect([collection.state, collection.size]).toEqual(['live', 2]);
    await server.client.shutdown();
  });

  it('moves rows whose values stay the same', async () => {
    const { server, collection, commits } = await open<string>({ select: (one) => one['id']?.asString() ?? '', orderBy: ['rank'] });
    server.load([row(1, 1), row(2, 2)]);
    expect(collection.rows).toEqual(['1', '2']);
    server.change('update', row(1, 3));
    expect(collection.rows).toEqual(['2', '1']);
    expect(commits.at(-1)).toEqual([]);
    await server.client.shutdown();
  });

  it('survives selections, comparisons and listeners that throw', async () => {
    let broken = false;
    const { server, collection, commits } = await open<string>({
      select: (one) => {
        if (one['body']?.asString() === 'bad') throw new Error('select');
        return one['id']?.asString() ?? '';
      },
      orderBy: (a, b) => {
        if (broken) throw new Error('order');
        return a < b ? 1 : -1;
      },
    });
    collection.subscribe(() => {
      throw new Error('listener');
    });
    server.load([row(1, 1), row(2, 2, 'bad'), row(3, 3)]);
    expect(collection.rows).toEqual(['3', '1']);
    broken = true;
    server.change('insert', row(4, 4));
    expect([...collection.rows].sort()).toEqual(['1', '3', '4']);
    broken = false;
    server.change('insert', row(5, 5));
    expect(collection.rows).toEqual(['5', '4', '3', '1']);
    expect(commits).toHaveLength(3);
    for (const word of ['select', 'order', 'listener']) expect(server.errors.some((message) => message.includes(word))).toBe(true);
    await server.client.shutdown();
  });

  it('names rows by several columns, and by a function', async () => {
    const { server, collection } = await open({ keyColumns: ['id', 'rank'] });
    server.load([row(1, 1, 'x'), row(1, 2, 'y')]);
    expect(collection.get([1n, 2])?.body).toBe('y');
    await server.client.shutdown();
    const other = await open({ getKey: (one) => one['body']?.asString() });
    other.server.load([row(1, 1, 'x'), row(1, 2, 'y')]);
    expect(other.collection.get('x')?.rank).toBe(1);
    await other.server.client.shutdown();
  });

  it('binds parameters, shares a subscription with its like, and not with another', async () => {
    const server = new ScriptedServer();
    const make = (list: number) => liveCollection(server.client, 'SELECT * FROM app.t WHERE list = $1', { params: [list] });
    const [one, same, other] = [make(1), make(1), make(2)];
    await server.accept();
    expect(server.asked('subscribe').map(({ subscription }) => (subscription as { sql: string }).sql)).toEqual([
      'SELECT * FROM app.t WHERE list = 1',
      'SELECT * FROM app.t WHERE list = 2',
    ]);
    one.close();
    expect(server.asked('unsubscribe')).toHaveLength(0);
    same.close();
    expect(server.asked('unsubscribe')).toHaveLength(1);
    other.close();
    expect(server.client.getSubscriptionCount()).toBe(0);
    await server.client.shutdown();
  });
});

describe('the state of a live collection', () => {
  it('follows the connection, and the rows stay', async () => {
    const { server, collection, commits } = await open();
    expect(collection.state).toBe('loading');
    server.load([row(1, 1)]);
    await collection.ready;
    expect(collection.state).toBe('live');
    server.wire.latest?.drop();
    expect([collection.state, collection.size, commits.at(-1)]).toEqual(['reconnecting', 1, []]);
    server.time.advance(60_000);
    await server.accept();
    expect(collection.state).toBe('reconnecting');
    server.load([]);
    server.answerBarrier();
    expect(collection.state).toBe('live');
    await server.client.shutdown();
    expect([collection.state, collection.size]).toEqual(['closed', 1]);
  });

  it('waits for a server that is away for as long as it takes', async () => {
    const server = new ScriptedServer({ subscribeTimeoutMs: 1_000 });
    const collection = liveCollection(server.client, SQL);
    for (let attempt = 0; attempt < 20; attempt++) {
      await settled();
      server.wire.latest?.drop();
      server.time.advance(60_000);
    }
    expect(collection.state).toBe('loading');
    await server.accept();
    server.load([row(1, 1)]);
    expect(collection.state).toBe('live');
    await server.client.shutdown();
  });

  it('ends with the refusal of the server', async () => {
    const { server, collection } = await open();
    server.refuse('SQL_EXECUTION_ERROR');
    expect(collection).toMatchObject({ state: 'error', error: { code: 'SQL_EXECUTION_ERROR' } });
    await expect(collection.ready).rejects.toMatchObject({ code: 'SQL_EXECUTION_ERROR' });
    expect(server.client.getSubscriptionCount()).toBe(0);
    await server.client.shutdown();
    expect(collection.state).toBe('error');
  });

  it('ends with a selection that has no key', async () => {
    const { server, collection } = await open({ keyColumns: ['tenant'] });
    server.load([]);
    expect(collection).toMatchObject({ state: 'error', error: { code: 'KEY_MISSING' } });
    await server.client.shutdown();
  });

  it('is offline when nothing is tried any more, and live again after connect', async () => {
    const server = new ScriptedServer();
    server.token = 'wrong';
    const { collection } = await open({}, server);
    await server.accept();
    expect(collection).toMatchObject({ state: 'offline', error: { code: 'CREDENTIALS_REFUSED' } });
    server.token = 'first';
    const connected = server.client.connect();
    await server.accept();
    await connected;
    server.load([row(1, 1)]);
    server.answerBarrier();
    expect(collection).toMatchObject({ state: 'live', error: undefined, size: 1 });
    await server.client.shutdown();
  });

  it('is closed by its signal, by unsubscribeAll and by itself, and says nothing more', async () => {
    const server = new ScriptedServer();
    const abort = new AbortController();
    const { collection: bySignal } = await open({ signal: abort.signal }, server);
    server.load([]);
    const byAll = liveCollection(server.client, `${SQL} WHERE id = 1`);
    abort.abort();
    expect(bySignal.state).toBe('closed');
    await server.client.unsubscribeAll();
    expect(byAll.state).toBe('closed');
    await expect(byAll.ready).rejects.toMatchObject({ code: 'UNSUBSCRIBED' });
    await expect(byAll.caughtUp()).rejects.toMatchObject({ code: 'UNSUBSCRIBED' });
    bySignal.close();
    const left = liveCollection(server.client, SQL);
    await server.client.shutdown();
    await expect(left.ready).rejects.toMatchObject({ code: 'CLIENT_CLOSED' });
    expect(() => liveCollection(server.client, SQL)).toThrow(expect.objectContaining({ code: 'CLIENT_CLOSED' }));
  });

  it('tells whoever waits for it why it ended, although others have the same rows', async () => {
    const server = new ScriptedServer();
    const abort = new AbortController();
    const { collection: other } = await open({}, server);
    const { collection } = await open({ signal: abort.signal }, server);
    const waiting = expect(collection.caughtUp()).rejects.toThrow('enough');
    abort.abort(new Error('enough'));
    await expect(collection.ready).rejects.toThrow('enough');
    await waiting;
    await expect(collection.caughtUp()).rejects.toThrow('enough');
    expect(other.state).toBe('loading');
    await server.client.shutdown();
  });

  it('leaves no attempt to connect behind when it is closed before there was a connection', async () => {
    const server = new ScriptedServer();
    const collection = liveCollection(server.client, SQL);
    await settled();
    server.wire.latest?.drop();
    expect(server.client.isReconnecting()).toBe(true);
    collection.close();
    await settled();
    expect([server.client.isReconnecting(), server.time.pendingTimers]).toEqual([false, 0]);
  });

  it('is tried again, with those that have the same rows, when another one is opened', async () => {
    const server = new ScriptedServer();
    server.client.setAutoReconnect(false);
    const { collection } = await open({}, server);
    server.load([row(1, 1)]);
    server.wire.latest?.drop();
    expect(collection.state).toBe('offline');
    const { collection: other } = await open({}, server);
    expect(other.size).toBe(1);
    server.load([row(2, 2)]);
    server.answerBarrier();
    expect([collection, other]).toMatchObject([
      { state: 'live', size: 2 },
      { state: 'live', size: 2 },
    ]);
    await server.client.shutdown();
  });

  it('goes on with a new token when the old one has expired in the middle of a session', async () => {
    const { server, collection } = await open();
    server.load([row(1, 1)]);
    const seen = seqs;
    server.tokens = new Set(['second']);
    server.token = 'second';
    server.wire.latest?.drop();
    server.time.advance(60_000);
    await server.accept();
    await server.accept();
    expect(server.asked('authenticate')).toMatchObject([{ token: 'second' }]);
    expect(server.subscribed['options']).toMatchObject({ from: seen });
    server.load([row(2, 2)]);
    server.answerBarrier();
    expect(collection).toMatchObject({ state: 'live', size: 2 });
    await server.client.shutdown();
  });

  it('notices after a sleep of minutes that nobody is there, and comes back', async () => {
    const { server, collection } = await open();
    server.load([]);
    const asleep = server.wire.latest;
    server.time.jump(600_000);
    server.time.advance(5_000);
    expect(server.asked('next_batch').at(-1)).toMatchObject({ subscription_id: 'kalam-client-probe' });
    server.time.advance(3_000);
    expect([collection.state, asleep?.closed]).toEqual(['reconnecting', true]);
    server.client.wake();
    await server.accept();
    server.load([row(1, 1)]);
    server.answerBarrier();
    expect(collection).toMatchObject({ state: 'live', size: 1 });
    await server.client.shutdown();
  });

  it('asks for the commit that it shall hold until it is there, and then no more', async () => {
    const { server, collection } = await open({ subscriptionOptions: { atLeast: '77' } });
    expect(server.subscribed['options']).toEqual({ at_least: '77' });
    server.refuse('COMMIT_NOT_REACHED');
    server.time.advance(10_000);
    expect(server.asked('subscribe')).toHaveLength(2);
    expect(server.subscribed['options']).toEqual({ at_least: '77' });
    server.refuse('RESYNC_REQUIRED');
    server.time.advance(10_000);
    expect(server.subscribed['options']).toEqual({});
    server.load([]);
    expect(collection.state).toBe('live');
    await server.client.shutdown();
  });
});
