import { type HotStore, type MemoryLogImage, memoryLogImage, openMemoryLog, openMemoryStore } from '@kalamdb/storage';
import { SeededRandom } from '@kalamdb/testing';
import { describe, expect, it } from 'vitest';
import { PURGE_ROWS_MAX } from '../jobs/cleanup.ts';
import type { Database } from './database.ts';
import { databaseOn } from './open-database.ts';

const ROOT = { userId: 'root', role: 'system' } as const;
const ALICE = { userId: 'alice', role: 'user' } as const;
/** So many that their removal takes two steps. */
const ROWS = PURGE_ROWS_MAX + 10;
const FIRST_TABLE_ID = 1000;
const TABLE_IDS_MAX = 20;

type Rows = readonly (readonly unknown[])[];

async function run(database: Database, sql: string, principal: typeof ROOT | typeof ALICE = ROOT): Promise<Rows | string> {
  const last = (await database.session(principal).execute(sql)).at(-1);
  return last?.kind === 'rows' ? last.rows : (last?.message ?? '');
}

/** What outlives a process, and a process that ends before or after one of its writes: from then on nothing is answered. */
class Machine {
  readonly hot: HotStore = openMemoryStore();
  readonly #random = new SeededRandom(1);
  readonly #image: MemoryLogImage = memoryLogImage(this.#random);

  /** Opens what is there; `writes` are let through after {@link Life.arm}, the next one dies. */
  async open(): Promise<Life> {
    const { hot } = this;
    const log = openMemoryLog({ random: this.#random, startSeq: hot.appliedSeq, image: this.#image });
    for await (const entry of log.replay(hot.appliedSeq)) await hot.apply([entry]);
    const life = new Life();
    const storage = {
      log: {
        get lastSeq() {
          return log.lastSeq;
        },
        get syncedSeq() {
          return log.syncedSeq;
        },
        incarnation: log.incarnation,
        append: (...call: Parameters<typeof log.append>) => life.write(() => log.append(...call)),
        sync: () => log.sync(),
        replay: (afterSeq: bigint) => log.replay(afterSeq),
        release: (seq: bigint) => log.release(seq),
        close: () => log.close(),
      },
      hot: {
        get appliedSeq() {
          return hot.appliedSeq;
        },
        snapshot: () => hot.snapshot(),
        apply: (...call: Parameters<typeof hot.apply>) => life.write(() => hot.apply(...call)),
        purge: (...call: Parameters<typeof hot.purge>) => life.write(() => hot.purge(...call)),
        purgeFlushed: (...call: Parameters<typeof hot.purgeFlushed>) => life.write(() => hot.purgeFlushed(...call)),
        purgeTombstones: (...call: Parameters<typeof hot.purgeTombstones>) => life.write(() => hot.purgeTombstones(...call)),
        load: (...call: Parameters<typeof hot.load>) => life.write(() => hot.load(...call)),
        close: async () => undefined,
      },
      directory: undefined,
      onReopen: () => undefined,
      close: async () => undefined,
    };
    life.opening = databaseOn(storage, { directory: undefined, durability: 'sync', onWarning: () => undefined });
    return life;
  }

  /** Tables of users that the hot tier holds rows of, by number. */
  tablesWithRows(): readonly number[] {
    const snapshot = this.hot.snapshot();
    const ids = Array.from({ length: TABLE_IDS_MAX }, (_, n) => FIRST_TABLE_ID + n);
    const found = ids.filter((id) => [...snapshot.owners(id)].length > 0);
    snapshot.close();
    return found;
  }
}

class Life {
  opening: Promise<Database> = Promise.reject(new Error('not open'));
  readonly died: Promise<'died'>;
  #left = Number.POSITIVE_INFINITY;
  #when: 'before' | 'after' = 'before';
  #dead = false;
  #die: () => void = () => undefined;

  constructor() {
    // Replaced before anybody looks.
    this.opening.catch(() => undefined);
    this.died = new Promise((resolve) => {
      this.#die = () => resolve('died');
    });
  }

  arm(writes: number, when: 'before' | 'after'): void {
    [this.#left, this.#when] = [writes, when];
  }

  async write<T>(write: () => Promise<T>): Promise<T> {
    const isLast = this.#left-- === 0;
    if (isLast && this.#when === 'after') await write();
    if (isLast || this.#dead) {
      this.#dead = true;
      this.#die();
      return new Promise(() => undefined);
    }
    return write();
  }
}

async function jobDone(database: Database): Promise<string> {
  for (;;) {
    const jobs = await run(database, "SELECT status, message FROM system.jobs WHERE job_type = 'cleanup'");
    if (typeof jobs === 'string') throw new Error(jobs);
    if (jobs.length === 0) return 'none';
    if (jobs.every(([status]) => status === 'completed')) return String(jobs.at(-1)?.[1]);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Drops a table, dying at a write, and once more at the next start; answers whether the first life came through. */
async function dropAndDie(writes: number, when: 'before' | 'after'): Promise<boolean> {
  const machine = new Machine();
  const life = await machine.open();
  const database = await life.opening;
  await run(
    database,
    'CREATE NAMESPACE app; CREATE USER TABLE app.t (id INT PRIMARY KEY); CREATE SHARED TABLE app.other (id INT PRIMARY KEY)',
  );
  await run(database, 'INSERT INTO app.other VALUES (1)');
  await run(database, `INSERT INTO app.t VALUES ${Array.from({ length: ROWS }, (_, id) => `(${id})`).join(',')}`);
  await run(database, 'INSERT INTO app.t VALUES (1)', ALICE);
  life.arm(writes, when);
  let answer: Rows | string | undefined;
  const dropping = run(database, 'DROP TABLE app.t').then(async (message) => {
    answer = message;
    return jobDone(database);
  });
  const outcome = await Promise.race([dropping, life.died]);
  void database.close();
  // The second process dies during its start or its cleanup, the third one lives.
  const second = await machine.open();
  second.arm(writes % 4, when);
  const reached = await Promise.race([second.opening.then(jobDone), second.died]);
  if (reached !== 'died') void second.opening.then((other) => other.close());
  const third = await (await machine.open()).opening;
  const message = await jobDone(third);
  const jobs = await run(third, "SELECT job_id, parameters, idempotency_key FROM system.jobs WHERE job_type = 'cleanup'");
  if (message === 'none') {
    expect(answer).toBeUndefined();
    expect(await run(third, 'SELECT COUNT(*) FROM app.t')).toEqual([[BigInt(ROWS)]]);
  } else {
    expect(jobs).toHaveLength(1);
    const [[jobId, parameters, key] = []] = jobs as Rows;
    expect(answer ?? `Table app.t dropped successfully. Cleanup job: ${jobId}`).toBe(
      `Table app.t dropped successfully. Cleanup job: ${jobId}`,
    );
    expect(JSON.parse(String(parameters))).toMatchObject({ table_id: 'app.t', table_type: 'user', operation: 'drop_table' });
    expect(key).toBe('drop-app-t');
    expect(message).toMatch(/Cleaned up table app:t successfully - \d+ rows deleted, \d+ bytes freed, \d+ cache entries invalidated/);
    await run(third, 'CREATE USER TABLE app.t (id INT PRIMARY KEY)');
    expect(await run(third, 'SELECT COUNT(*) FROM app.t')).toEqual([[0n]]);
    expect(machine.tablesWithRows()).toEqual([FIRST_TABLE_ID + 3]);
  }
  expect(await run(third, 'SELECT COUNT(*) FROM app.other')).toEqual([[1n]]);
  await third.close();
  return outcome !== 'died';
}

describe('DROP TABLE and its cleanup', () => {
  it('count what they remove', async () => {
    const database = await (await new Machine().open()).opening;
    await run(database, 'CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id INT PRIMARY KEY)');
    await run(database, 'INSERT INTO app.t VALUES (1), (2), (3)');
    await run(database, 'DELETE FROM app.t WHERE id = 2');
    await run(database, 'DROP TABLE app.t');
    expect(await jobDone(database)).toMatch(
      /^\{"message":"Cleaned up table app:t successfully - 2 rows deleted, [1-9]\d* bytes freed, 0 cache/,
    );
    await run(database, 'CREATE USER TABLE app.a (id INT PRIMARY KEY); CREATE USER TABLE app.b (id INT PRIMARY KEY)');
    await run(database, 'INSERT INTO app.a VALUES (1); INSERT INTO app.b VALUES (1)');
    await run(database, 'DROP NAMESPACE app CASCADE');
    await jobDone(database);
    const jobs = await run(database, "SELECT message, parameters FROM system.jobs WHERE idempotency_key IS NULL AND job_type = 'cleanup'");
    expect(jobs).toEqual([
      [
        expect.stringContaining('Cleaned up 2 tables of namespace app successfully - 2 rows deleted'),
        '{"namespace_id":"app","table_count":2,"operation":"drop_namespace"}',
      ],
    ]);
    await database.close();
  });

  it.each(['before', 'after'] as const)('leave the old or the new state when the process ends %s any write', async (when) => {
    let writes = 0;
    while (!(await dropAndDie(writes, when))) writes += 1;
    // The DROP, two steps of the purge, three states of the job, and what the hot tier takes.
    expect(writes).toBeGreaterThanOrEqual(5);
  });
});
