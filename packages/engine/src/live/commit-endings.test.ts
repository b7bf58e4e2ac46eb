import type { RowKey } from '@kalamdb/storage';
import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LiveConnection } from './connection.ts';
import type { LiveFrame } from './frame.ts';
import { LiveWorld, TABLES } from './live-world.fixture.ts';
import { ALICE } from './scene.fixture.ts';
import { SimulatedClient } from './simulated-client.fixture.ts';

const QUERIES = ['all', 'n > 3'] as const;

/** A subscriber that is told where commits end, and what its query has answered after each commit since it had the last of them whole. */
class Follower {
  readonly client = new SimulatedClient();
  readonly query: (typeof QUERIES)[number];
  history: string[] = [];
  wholes = 0;
  withins = 0;
  connection: LiveConnection | undefined;
  readonly #world: LiveWorld;

  constructor(world: LiveWorld, query: (typeof QUERIES)[number]) {
    this.#world = world;
    this.query = query;
    this.remember();
  }

  /** The query's answer now is one that it may come to. */
  remember(): void {
    this.history.push(JSON.stringify(this.#world.answer(this.query, ALICE).map(({ cells: [id], seq }) => [id, String(seq)])));
  }

  check(frame: LiveFrame): void {
    const { client } = this;
    if (frame.kind === 'ack' || frame.kind === 'error' || client.state !== 'ready') return;
    if ('more' in frame && frame.more === true) {
      this.withins += 1;
      return;
    }
    this.remember();
    const rows = [...client.rows].map(([id, row]) => ({ id, seq: BigInt(String(row['_seq'])) })).sort((a, b) => (a.seq < b.seq ? -1 : 1));
    const has = JSON.stringify(rows.map(({ id, seq }) => [id, String(seq)]));
    const index = this.history.indexOf(has);
    if (index < 0) client.problems.push(`${has} is none of ${this.history.join(' then ')}`);
    this.history.splice(0, index);
    this.wholes += 1;
  }
}

async function follow(seed: number): Promise<readonly Follower[]> {
  const time = new VirtualTime();
  const random = new SeededRandom(seed);
  const world = new LiveWorld({ time, random, tailBytesMax: random.pick([0, 2000, 1_000_000]), sliceRowsMax: random.pick([1, 3, 2000]) });
  world.query('all', { table: TABLES.shared });
  world.query('n > 3', { table: TABLES.shared, filter: ({ cells }) => ((cells[2] as bigint | null) ?? 0n) > 3n });
  const followers = [...QUERIES, ...QUERIES].map((query) => new Follower(world, query));
  const forget = world.sequencer.observe(() => {
    for (const follower of followers) follower.remember();
  });
  const connect = (follower: Follower): void => {
    follower.connection?.close();
    follower.client.reconnected();
    const connection = world.live.connect(ALICE, { connectionId: `c${random.integer(1e9)}`, sink: follower.client, tellsEndings: true });
    follower.connection = connection;
    follower.client.onFrame = (frame) => {
      follower.check(frame);
      if (random.integer(8) === 0) connection.pause();
      if (random.integer(8) === 0) random.pick(followers).connection?.resume();
    };
    const { highest } = follower.client;
    void connection.subscribe({
      id: 's',
      sql: follower.query,
      options: { from: highest, ...(random.integer(3) === 0 ? { batchSize: 3 } : {}) },
    });
  };
  const write = (): void => {
    const count = random.pick([1, 1, 2, 5, 30]);
    void world.sequencer.submit((draft) => {
      for (let i = 0; i < count; i++) {
        const id = random.integer(12);
        const key: RowKey = TABLES.shared.keyOf([id, null, null], 0n);
        const before = draft.latest(TABLES.shared, TABLES.shared.partitionFor(''), key);
        const deleted = before !== undefined && !before.deleted && random.integer(4) === 0;
        draft.put(TABLES.shared, TABLES.shared.partitionFor(''), { cells: [id, 'x', BigInt(random.integer(9))], deleted });
      }
    });
  };
  for (let step = 0; step < 150; step++) {
    const follower = random.pick(followers);
    const action = random.integer(10);
    if (action < 5) write();
    else if (action === 5 || follower.connection === undefined) connect(follower);
    else if (action < 8) follower.connection.resume();
    else if (follower.client.state === 'loading') follower.connection.nextBatch('s', follower.client.lastSeqId).catch(() => undefined);
    if (random.integer(2) === 0) await new Promise((resolve) => setImmediate(resolve));
    time.advance(random.integer(2));
  }
  for (const { connection } of followers) connection?.close();
  forget();
  await world.sequencer.close();
  return followers;
}

describe('a client that is told where commits end', () => {
  it('has what its query answered at one commit, and never an older one, whenever no more frames were announced', async () => {
    const all: Follower[] = [];
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const followers = await follow(seed);
        expect(followers.flatMap(({ client }) => client.problems)).toEqual([]);
        all.push(...followers);
      }),
      { numRuns: 15 },
    );
    const total = (name: 'wholes' | 'withins'): number => all.reduce((sum, follower) => sum + follower[name], 0);
    expect(total('wholes')).toBeGreaterThan(200);
    expect(total('withins')).toBeGreaterThan(200);
  });
});
