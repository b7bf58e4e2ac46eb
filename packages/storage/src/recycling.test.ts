import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom, systemTimers } from '@kalamdb/protocol';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogEntry, PartitionId } from './contract.ts';
import { systemFiles } from './files/file-system.ts';
import { CatchUp, catchUp } from './hot/catch-up.ts';
import { type Change, HotModel, rowText } from './hot/hot-model.fake.ts';
import { type LmdbStore, openLmdbStore } from './hot/lmdb-store.ts';
import { type FileCommitLog, openFileLog } from './log/file-log.ts';
import { sparesMax } from './log/log-directory.ts';

const fileBytes = 64 * 1024;
const partitions: readonly PartitionId[] = [
  { tableId: 1_000, owner: '' },
  { tableId: 1_001, owner: 'alice' },
  { tableId: 1_001, owner: 'bob' },
];

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kalamdb-recycling-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** Log and hot tier as they work together, with the applier as far behind as the test wants it. */
class Pair {
  readonly #hot: LmdbStore;
  readonly #log: FileCommitLog;
  readonly #waiting: LogEntry[] = [];

  private constructor(hot: LmdbStore, log: FileCommitLog) {
    this.#hot = hot;
    this.#log = log;
  }

  static async open(): Promise<Pair> {
    const hot = await openLmdbStore({ path: join(directory, 'hot') });
    const { incarnation, appliedSeq: startSeq } = hot;
    const options = { directory: join(directory, 'log'), files: systemFiles, timers: systemTimers, random: systemRandom };
    const follower = new CatchUp(hot);
    const log = await openFileLog({ ...options, incarnation, startSeq, fileBytes, follower });
    await catchUp(log, hot, follower);
    return new Pair(hot, log);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  async append(entries: readonly LogEntry[], durability: 'sync' | 'relaxed'): Promise<void> {
    await this.#log.append(entries, durability);
    this.#waiting.push(...entries);
  }

  async apply(count: number): Promise<void> {
    const batch = this.#waiting.splice(0, count);
    if (this.#log.syncedSeq < (batch.at(-1)?.seq ?? 0n)) await this.#log.sync();
    await this.#hot.apply(batch);
    this.#log.release(this.#hot.appliedSeq);
  }

  rows(): readonly string[] {
    const view = this.#hot.snapshot();
    const rows = partitions.flatMap((partition) => [...view.scan(partition)].map(rowText));
    view.close();
    return rows;
  }

  async close(): Promise<void> {
    await this.#hot.close();
    await this.#log.close();
  }
}

const textsOf = (model: HotModel): readonly string[] => partitions.flatMap((partition) => model.scan(partition, {}).map(rowText));

const filesOf = async (): Promise<{ readonly logs: readonly number[]; readonly spares: number }> => {
  const names = await readdir(join(directory, 'log'));
  const logs = names.filter((name) => name.endsWith('.log')).map((name) => Number.parseInt(name, 10));
  return { logs, spares: names.length - logs.length };
};

const step = fc.record({
  commits: fc.integer({ min: 1, max: 12 }),
  bytes: fc.constantFrom(100, 3_000, 12_000),
  durability: fc.constantFrom('sync' as const, 'relaxed' as const),
  apply: fc.integer({ min: 0, max: 40 }),
  reopen: fc.integer({ min: 0, max: 14 }),
});

describe('log files under load', () => {
  it('turn over and are used again while the applier is behind, and nothing is lost or comes back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 60, maxLength: 80 }), async (steps) => {
        await rm(directory, { recursive: true, force: true });
        const model = new HotModel();
        let pair = await Pair.open();
        for (const [index, { commits, bytes, durability, apply, reopen }] of steps.entries()) {
          const changes: Change[] = partitions.map((partition, at) => ({
            partition,
            key: `k${(index * 7 + at) % 23}`,
            deleted: index % 5 === 0,
            bytes,
          }));
          await pair.append(
            Array.from({ length: commits }, () => model.commit(changes)),
            durability,
          );
          await pair.apply(apply);
          if (reopen > 0) continue;
          await pair.close();
          pair = await Pair.open();
          expect(pair.rows()).toEqual(textsOf(model));
        }
        await pair.apply(pair.waiting);
        expect(pair.rows()).toEqual(textsOf(model));
        await pair.close();
        const { logs, spares } = await filesOf();
        expect(Math.max(...logs)).toBeGreaterThan(8);
        expect(logs.length).toBeLessThanOrEqual(2);
        expect(spares).toBeLessThanOrEqual(sparesMax);
      }),
      { numRuns: 4 },
    );
  });
});
