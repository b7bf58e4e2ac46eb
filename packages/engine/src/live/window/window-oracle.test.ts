import { compareCells, plainType } from '@kalamdb/protocol';
import type { RowOrder, WindowPlan } from '@kalamdb/sql';
import type { RowKey } from '@kalamdb/storage';
import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Table } from '../../catalog/table.ts';
import type { Principal, RowVersion } from '../../contract.ts';
import type { LiveConnection } from '../connection.ts';
import type { LiveCounters } from '../counters.ts';
import { LiveWorld, type QuerySpec, TABLES } from '../live-world.fixture.ts';
import type { SubscribeOptions } from '../load-mode.ts';
import { WindowClient } from './window-client.fixture.ts';

const USERS: readonly Principal[] = ['alice', 'bob'].map((userId) => ({ userId, role: 'user' }));
const NAMES = ['x', 'y', 'z', null] as const;
const COLUMNS = ['id', 'name', 'n'];

const by = (column: 1 | 2, descending = false, nullsFirst = descending): RowOrder => ({
  evaluate: ({ cells }) => cells[column] ?? null,
  descending,
  nullsFirst,
  compare: compareCells(plainType(column === 1 ? 'text' : 'bigint')),
});

const ORDERS: readonly (readonly RowOrder[])[] = [
  [],
  [by(2)],
  [by(2, true)],
  [by(1, false, true), by(2, true, false)],
  [{ ...by(2), evaluate: ({ cells: [id] }) => BigInt(Number(id) % 3) }],
];

interface WindowQuery {
  readonly name: string;
  readonly table: Table;
  readonly order: readonly RowOrder[];
  readonly offset: number;
  readonly limit: number;
}

/** The model: every row sorted anew. */
function answer(world: LiveWorld, { name, order, offset, limit }: WindowQuery, principal: Principal): readonly RowVersion[] {
  const compare = (a: RowVersion, b: RowVersion): number => {
    for (const { evaluate, descending, nullsFirst, compare: cells } of order) {
      const [x, y] = [a, b].map((row) => evaluate(row, {} as Parameters<typeof evaluate>[1]));
      if (x === y) continue;
      if (x === null || x === undefined) return nullsFirst ? -1 : 1;
      if (y === null || y === undefined) return nullsFirst ? 1 : -1;
      const found = cells(x, y);
      if (found !== 0) return descending ? -found : found;
    }
    return a.key < b.key ? -1 : 1;
  };
  return [...world.answer(name, principal)].sort(compare).slice(offset, offset + limit);
}

const shown = (rows: readonly RowVersion[]): string =>
  JSON.stringify(rows.map(({ cells, seq }) => [...cells.map((cell) => (cell === null ? null : String(cell))), String(seq)]));

interface Subscriber {
  readonly principal: Principal;
  readonly query: WindowQuery;
  readonly options: SubscribeOptions;
  client: WindowClient;
  connection: LiveConnection;
  /** What the query answered after each commit since the client came. */
  history: string[];
}

class WindowOracle {
  readonly world: LiveWorld;
  readonly time = new VirtualTime();
  readonly random: SeededRandom;
  readonly subscribers: Subscriber[] = [];
  readonly queries: readonly WindowQuery[];
  checks = 0;
  wholes = 0;
  begins = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    const { random, time } = this;
    this.world = new LiveWorld({
      time,
      random,
      tailBytesMax: random.pick([0, 500, 1_000_000]),
      sliceRowsMax: random.pick([1, 3, 2000]),
      limits: { windowsBytesMax: random.pick([30_000, 1_000_000]) },
    });
    this.queries = [TABLES.user, TABLES.shared, TABLES.stream].flatMap((table) => this.#queriesOf(table));
    this.world.sequencer.observe(() => {
      for (const subscriber of this.subscribers) subscriber.history.push(this.#answer(subscriber));
    });
  }

  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      await this.#step();
      if (this.random.integer(3) > 0) this.time.advance(this.random.integer(3));
      for (const subscriber of this.subscribers) this.#checkNow(subscriber);
    }
    await this.#settle();
    for (const subscriber of this.subscribers) {
      this.begins += subscriber.client.begins;
      subscriber.connection.close();
    }
    const { live } = this.world;
    expect([live.list().length, live.router.groupCount, live.windowBudget.bytes]).toEqual([0, 0, 0]);
  }

  #queriesOf(table: Table): readonly WindowQuery[] {
    const { random, world } = this;
    return Array.from({ length: 3 }, (_, index) => {
      const order = random.pick(ORDERS);
      const [offset, limit] = [random.pick([0, 0, 1, 3]), random.pick([0, 1, 3, 5, 50])];
      const window: WindowPlan = { order, offset: () => offset, limit: () => limit };
      const filter: Pick<QuerySpec, 'filter'> = random.integer(3) === 0 ? { filter: ({ cells }) => cells[1] !== 'y' } : {};
      return { name: world.query(`${table.name} ${index}`, { table, window, ...filter }), table, order, offset, limit };
    });
  }

  #answer({ query, principal }: Pick<Subscriber, 'query' | 'principal'>): string {
    return shown(answer(this.world, query, principal));
  }

  async #step(): Promise<void> {
    const { random } = this;
    const subscriber = this.subscribers.length === 0 ? undefined : random.pick(this.subscribers);
    switch (random.integer(10)) {
      case 0:
        if (this.subscribers.length < 8) this.#subscribe();
        break;
      case 1:
      case 2:
        subscriber?.connection.pause();
        break;
      case 3:
      case 4:
        subscriber?.connection.resume();
        break;
      case 5:
        if (subscriber !== undefined && random.integer(3) === 0) this.#connectAgain(subscriber);
        break;
      case 6:
        this.#askForBatches(0.5);
        break;
      default:
        this.#write();
        if (random.integer(2) === 0) await hop();
    }
  }

  #write(): void {
    const { random, world } = this;
    const table = random.pick([TABLES.user, TABLES.shared, TABLES.stream]);
    const count = random.integer(12) === 0 ? 100 : 1 + random.integer(4);
    const partition = world.partition(table, random.pick(USERS).userId);
    const keys = random.pick([10, 200]);
    const deletes = random.pick([0, 3, 1]);
    void world.sequencer.submit((draft) => {
      for (let i = 0; i < count; i++) {
        const id = random.integer(keys);
        const key: RowKey = table.keyOf([id, null, null], 0n);
        const before = draft.latest(table, partition, key);
        const gone = before === undefined || before.deleted;
        if (!gone && deletes > 0 && random.integer(deletes) === 0) draft.put(table, partition, { cells: before.cells, deleted: true });
        else if (gone || table.kind !== 'stream') {
          draft.put(table, partition, { cells: [id, random.pick(NAMES), random.integer(4) === 0 ? null : BigInt(random.integer(9))] });
        }
      }
    });
  }

  #subscribe(): void {
    const { random } = this;
    const options = random.pick([{}, {}, { from: 5n }, { batchSize: 2 }, { batchSize: 0 }]);
    const again = this.subscribers.length > 0 && random.integer(2) === 0 ? random.pick(this.subscribers) : undefined;
    const query = again?.query ?? random.pick(this.queries);
    const principal = again?.principal ?? random.pick(USERS);
    this.subscribers.push({ principal, query, options, ...this.#connected({ principal, query, options }) });
  }

  #connectAgain(subscriber: Subscriber): void {
    subscriber.connection.close();
    this.begins += subscriber.client.begins;
    Object.assign(subscriber, this.#connected(subscriber));
  }

  #connected(subscriber: Pick<Subscriber, 'principal' | 'query' | 'options'>): Pick<Subscriber, 'client' | 'connection' | 'history'> {
    const { random } = this;
    const { principal, query, options } = subscriber;
    const client = new WindowClient();
    const connectionId = `c${random.integer(1_000_000_000)}`;
    const connection = this.world.live.connect(principal, { connectionId, sink: client, takesWindows: true, tellsEndings: true });
    const history = [this.#answer(subscriber)];
    client.onFrame = () => {
      // The commit that is being handed on is not in the history yet.
      history.push(this.#answer(subscriber));
      this.#checkWhole(client, history);
      if (random.integer(12) === 0) connection.pause();
      if (random.integer(12) === 0) random.pick(this.subscribers)?.connection.resume();
    };
    connection.subscribe({ id: 's', sql: query.name, options }).catch((error: { code: string }) => {
      client.ended = error.code;
    });
    return { client, connection, history };
  }

  /** What a client has at the end of a commit is what the query answered after one, and not one before the last it had. */
  #checkWhole(client: WindowClient, history: string[]): void {
    if (client.isWithin || client.state !== 'ready') return;
    const index = history.indexOf(had(client));
    if (index < 0) client.problems.push(`${had(client)} is no answer among ${history.join(' then ')}`);
    history.splice(0, index);
    this.wholes += 1;
  }

  #askForBatches(share: number): void {
    for (const { client, connection } of this.subscribers) {
      if (client.state !== 'loading' || client.ended !== undefined || this.random.uniform() > share) continue;
      connection.nextBatch('s', client.lastSeqId).catch((error: { code: string }) => {
        if (error.code !== 'BATCH_IN_PROGRESS') client.ended = error.code;
      });
    }
  }

  async #settle(): Promise<void> {
    for (let round = 0; round < 600; round++) {
      for (const subscriber of [...this.subscribers]) {
        subscriber.connection.resume();
        if (subscriber.client.ended !== undefined) {
          expect(['SUBSCRIPTION_FAILED', 'WINDOWS_FULL']).toContain(subscriber.client.ended);
          this.#drop(subscriber);
        }
      }
      this.#askForBatches(1);
      await hop();
      this.time.advance(1);
      if (round > 20 && this.subscribers.every((subscriber) => this.#isCaughtUp(subscriber))) break;
    }
    for (const subscriber of this.subscribers) {
      expect([subscriber.query.name, subscriber.connection.subscriptions()[0]?.state]).toEqual([subscriber.query.name, 'live']);
      this.#checkNow(subscriber);
    }
  }

  /** There was no room for its rows. */
  #drop(subscriber: Subscriber): void {
    subscriber.connection.close();
    this.subscribers.splice(this.subscribers.indexOf(subscriber), 1);
  }

  #isCaughtUp({ connection }: Subscriber): boolean {
    const { live, sequencer } = this.world;
    const [subscription] = connection.subscriptions();
    if (subscription?.state !== 'live' || live.dispatchedSeq < sequencer.watermark) return false;
    return live.windows.of(subscription.group)?.image !== undefined;
  }

  #checkNow(subscriber: Subscriber): void {
    const { client, query, principal } = subscriber;
    expect(client.problems).toEqual([]);
    if (!this.#isCaughtUp(subscriber)) return;
    expect({ query: query.name, rows: had(client) }).toEqual({ query: query.name, rows: this.#answer({ query, principal }) });
    this.checks += 1;
  }
}

function had({ rows }: WindowClient): string {
  return JSON.stringify(
    rows.map((row) => [...COLUMNS.map((name) => (row[name] === null || row[name] === undefined ? null : String(row[name]))), row['_seq']]),
  );
}

function hop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('what a client has of a window', () => {
  it('equals a fresh query in order whenever it is caught up, and one commit whenever it is told so', async () => {
    const seen: LiveCounters[] = [];
    const totals = { checks: 0, wholes: 0, begins: 0 };
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const oracle = new WindowOracle(seed);
        await oracle.run(150);
        seen.push(oracle.world.live.counters);
        totals.checks += oracle.checks;
        totals.wholes += oracle.wholes;
        totals.begins += oracle.begins;
        await oracle.world.sequencer.close();
      }),
      { numRuns: 20 },
    );
    const total = (name: keyof LiveCounters): number => seen.reduce((sum, counters) => sum + counters[name], 0);
    expect((['frames', 'windowReads', 'windowCatchUps'] as const).filter((name) => total(name) === 0)).toEqual([]);
    expect(totals.checks).toBeGreaterThan(300);
    expect(totals.wholes).toBeGreaterThan(300);
  });
});
