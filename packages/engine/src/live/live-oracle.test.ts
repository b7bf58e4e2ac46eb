import type { Row } from '@kalamdb/protocol';
import type { RowKey } from '@kalamdb/storage';
import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Table } from '../catalog/table.ts';
import type { Principal, RowVersion } from '../contract.ts';
import type { LiveConnection } from './connection.ts';
import type { LiveCounters } from './counters.ts';
import { LiveWorld, TABLES } from './live-world.fixture.ts';
import type { SubscribeOptions } from './load-mode.ts';
import { SimulatedClient } from './simulated-client.fixture.ts';

const USERS: readonly Principal[] = ['alice', 'bob'].map((userId) => ({ userId, role: 'user' }));
const NAMES = ['x', 'y', 'z', null] as const;
const num = (row: { cells: Row }): bigint => (row.cells[2] as bigint | null) ?? -1n;

function defineQueries(world: LiveWorld): readonly { readonly name: string; readonly table: Table; readonly columns: readonly string[] }[] {
  const all = ['id', 'name', 'n'];
  const queries: { name: string; table: Table; columns: readonly string[] }[] = [];
  for (const table of [TABLES.user, TABLES.shared]) {
    const t = table.name;
    const add = (name: string, spec: Omit<Parameters<LiveWorld['query']>[1], 'table'>): void => {
      queries.push({ name: world.query(`${t} ${name}`, { table, ...spec }), table, columns: spec.columns ?? all });
    };
    add('all', {});
    add('n > 3', {
      filter: (row) => num(row) > 3n,
      routing: [{ columnIndex: 2, points: [], ranges: [{ from: { cell: 3n, inclusive: false }, to: undefined }] }],
    });
    add('id in (1, 3)', { filter: ({ cells: [id] }) => id === 1 || id === 3, routing: [{ columnIndex: 0, points: [1, 3], ranges: [] }] });
    add("name = 'x'", { filter: (row) => row.cells[1] === 'x', routing: [{ columnIndex: 1, points: ['x'], ranges: [] }] });
    add('id = 2', { filter: (row) => row.cells[0] === 2, routing: [{ columnIndex: 0, points: [2], ranges: [] }] });
    add("id, name where name = 'y' and n < 6", {
      columns: ['id', 'name'],
      filter: (row) => row.cells[1] === 'y' && num(row) < 6n,
      routing: [{ columnIndex: 1, points: ['y'], ranges: [] }],
    });
    add('id, n', { columns: ['id', 'n'] });
    add('deleted or n = 1', { filter: (row) => row.deleted || num(row) === 1n, mentionsDeleted: true });
    add('name = current_user', { filter: (row, { userId }) => userId === 'alice' || num(row) > 5n, mentionsUser: true });
  }
  const events = { table: TABLES.stream, columns: all };
  queries.push({ name: world.query('events', { table: TABLES.stream }), ...events });
  queries.push({ name: world.query('events again', { table: TABLES.stream }), ...events });
  queries.push({ name: world.query('events n > 3', { table: TABLES.stream, filter: (row) => num(row) > 3n }), ...events });
  return queries;
}

/** One simulated client: its subscription comes and goes, what it has put together stays. */
interface Subscriber {
  readonly principal: Principal;
  readonly client: SimulatedClient;
  readonly query: ReturnType<typeof defineQueries>[number];
  /** Whether its answer is meant to be whole, or begins at `since`. */
  readonly mode: 'whole' | 'changes' | 'last';
  readonly options: SubscribeOptions | undefined;
  since: bigint;
  connection: LiveConnection | undefined;
}

class Oracle {
  readonly world: LiveWorld;
  readonly time = new VirtualTime();
  readonly random: SeededRandom;
  readonly subscribers: Subscriber[] = [];
  checks = 0;
  resyncs = 0;
  readonly #queries: ReturnType<typeof defineQueries>;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    const tailBytesMax = this.random.pick([0, 500, 3000, 1_000_000]);
    this.world = new LiveWorld({ time: this.time, random: this.random, tailBytesMax, sliceRowsMax: this.random.pick([1, 3, 2000]) });
    this.#queries = defineQueries(this.world);
  }

  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      await this.#step();
      if (this.random.integer(3) > 0) this.time.advance(this.random.integer(3));
      this.checkLive();
    }
    await this.settle();
    for (const subscriber of this.subscribers) this.#check(subscriber, true);
    const { live } = this.world;
    for (const { connection } of this.subscribers) connection?.close();
    expect([live.list().length, live.router.groupCount]).toEqual([0, 0]);
  }

  /** Lets everything that can go on do so: pauses end, batches are asked for, writes and catch-up run. */
  async settle(): Promise<void> {
    for (const subscriber of this.subscribers) {
      if (subscriber.connection === undefined) this.#connect(subscriber);
    }
    for (let round = 0; round < 400; round++) {
      for (const { connection } of this.subscribers) connection?.resume();
      this.#askForBatches(1);
      await this.#hop();
      this.time.advance(1);
      if (this.#isHandedOn() && this.subscribers.every((subscriber) => this.#stateOf(subscriber) === 'live')) return;
      for (const subscriber of this.subscribers) if (subscriber.client.ended !== undefined) this.#startOver(subscriber);
    }
  }

  checkLive(): void {
    if (!this.#isHandedOn()) return;
    for (const subscriber of this.subscribers) if (this.#stateOf(subscriber) === 'live') this.#check(subscriber, false);
  }

  /** Whether no commit is still on its way to its subscribers. */
  #isHandedOn(): boolean {
    return this.world.live.dispatchedSeq === this.world.sequencer.watermark;
  }

  #stateOf({ connection }: Subscriber): string | undefined {
    return connection?.subscriptions()[0]?.state;
  }

  async #step(): Promise<void> {
    const { random } = this;
    const subscriber = this.subscribers.length === 0 ? undefined : random.pick(this.subscribers);
    switch (random.integer(12)) {
      case 0:
        if (this.subscribers.length < 8) this.#subscribe();
        break;
      case 1:
        subscriber?.connection?.pause();
        break;
      case 2:
      case 3:
        subscriber?.connection?.resume();
        break;
      case 4:
        if (subscriber?.connection === undefined) break;
        if (subscriber.mode === 'whole' && random.integer(2) === 0) this.#disconnect(subscriber);
        break;
      case 5:
        if (subscriber !== undefined && subscriber.connection === undefined) this.#connect(subscriber);
        break;
      case 6:
        this.#askForBatches(0.5);
        break;
      case 7:
        await this.#hop();
        break;
      case 8:
        await this.world.sequencer.flush();
        break;
      default:
        this.#write();
        if (random.integer(2) === 0) await this.#hop();
    }
  }

  #hop(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  #write(): void {
    const { random, world } = this;
    const table = random.pick([TABLES.user, TABLES.shared, TABLES.stream]);
    const owner = random.pick(USERS).userId;
    const count = 1 + random.integer(4);
    const partition = world.partition(table, owner);
    void world.sequencer.submit((draft) => {
      for (let i = 0; i < count; i++) {
        const id = random.integer(table.kind === 'stream' ? 30 : 10);
        const key: RowKey = table.keyOf([id, null, null], 0n);
        const before = draft.latest(table, partition, key);
        const gone = before === undefined || before.deleted;
        if (!gone && (table.kind === 'stream' || random.integer(3) === 0)) {
          draft.put(table, partition, { cells: before.cells, deleted: true });
        } else {
          draft.put(table, partition, { cells: [id, random.pick(NAMES), random.integer(4) === 0 ? null : BigInt(random.integer(9))] });
        }
      }
    });
  }

  #subscribe(): void {
    const { random } = this;
    const mode = random.pick(['whole', 'whole', 'whole', 'changes', 'last'] as const);
    const options = {
      whole: random.integer(2) === 0 ? {} : { batchSize: 1 + random.integer(4) },
      changes: undefined,
      last: { lastRows: random.integer(5) },
    }[mode];
    const subscriber: Subscriber = {
      principal: random.pick(USERS),
      client: new SimulatedClient(),
      query: random.pick(this.#queries),
      mode,
      options,
      since: 0n,
      connection: undefined,
    };
    subscriber.client.onFrame = () => {
      // The connection's buffer fills up in the middle of whatever is being delivered.
      if (random.integer(12) === 0) subscriber.connection?.pause();
      // Or it is drained, or another one is, before the delivery is over.
      if (random.integer(12) === 0) random.pick(this.subscribers).connection?.resume();
    };
    this.subscribers.push(subscriber);
    this.#connect(subscriber);
  }

  #connect(subscriber: Subscriber): void {
    const { client, principal, mode, options, query } = subscriber;
    const resumes = mode === 'whole' && client.highest > 0n;
    if (!resumes) client.reset();
    client.reconnected();
    subscriber.since = this.world.sequencer.watermark;
    subscriber.connection = this.world.live.connect(principal, { connectionId: `c${this.subscribers.indexOf(subscriber)}`, sink: client });
    const asked = resumes ? { ...options, from: client.highest } : options;
    subscriber.connection.subscribe({ id: 's', sql: query.name, options: asked }).catch((error: { code: string }) => {
      client.ended = error.code;
    });
  }

  #disconnect(subscriber: Subscriber): void {
    subscriber.connection?.close();
    subscriber.connection = undefined;
  }

  /** A client that was told to begin again does so. */
  #startOver(subscriber: Subscriber): void {
    expect(subscriber.client.ended).toBe('RESYNC_REQUIRED');
    expect(subscriber.query.table.kind).toBe('stream');
    this.resyncs += 1;
    this.#disconnect(subscriber);
    subscriber.client.reset();
    this.#connect(subscriber);
  }

  #askForBatches(share: number): void {
    for (const { client, connection } of this.subscribers) {
      if (client.state !== 'loading' || this.random.uniform() > share) continue;
      connection?.nextBatch('s', client.lastSeqId).catch((error: { code: string }) => {
        if (error.code !== 'BATCH_IN_PROGRESS') client.ended = error.code;
      });
    }
  }

  #check(subscriber: Subscriber, whole: boolean): void {
    const { client, query, principal, mode, since } = subscriber;
    expect(client.problems).toEqual([]);
    if (whole) expect([query.name, this.#stateOf(subscriber)]).toEqual([query.name, 'live']);
    const shown = (row: RowVersion): unknown[] => [
      row.cells[0],
      Object.fromEntries(
        query.columns.map((name) => {
          const cell = row.cells[['id', 'name', 'n'].indexOf(name)] ?? null;
          return [name, typeof cell === 'bigint' ? String(cell) : cell];
        }),
      ),
      row.seq,
    ];
    const had = [...client.rows].map(([key, row]) => [
      key,
      Object.fromEntries(query.columns.map((name) => [name, row[name] ?? null])),
      row['_seq'],
    ]);
    const answer = this.world.answer(query.name, principal);
    const expected = answer.filter(({ seq, cells }) => mode === 'whole' || seq > since || client.rows.has(cells[0])).map(shown);
    const bySeq = (a: unknown[], b: unknown[]): number => ((a[2] as bigint) < (b[2] as bigint) ? -1 : 1);
    expect({ query: query.name, rows: had.sort(bySeq) }).toEqual({ query: query.name, rows: expected.sort(bySeq) });
    this.checks += 1;
  }
}

describe('what a client puts together', () => {
  it('equals a fresh query whenever it is caught up, on every road', async () => {
    const seen: LiveCounters[] = [];
    let checks = 0;
    let resyncs = 0;
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const oracle = new Oracle(seed);
        await oracle.run(150);
        seen.push(oracle.world.live.counters);
        checks += oracle.checks;
        resyncs += oracle.resyncs;
        await oracle.world.sequencer.close();
      }),
      // An event that is deleted between two slices of a resume's batch leaves no trace in the stream's index.
      { numRuns: 80, examples: [[-59325012]] },
    );
    const total = (name: keyof LiveCounters): number => seen.reduce((sum, counters) => sum + counters[name], 0);
    const roads = (['frames', 'enters', 'leaves', 'resumes', 'exactCatchUps', 'coalescedCatchUps'] as const).filter(
      (name) => total(name) === 0,
    );
    expect(roads).toEqual([]);
    expect(total('bodies')).toBeLessThan(total('frames'));
    expect(resyncs).toBeGreaterThan(0);
    expect(checks).toBeGreaterThan(1000);
  });
});
