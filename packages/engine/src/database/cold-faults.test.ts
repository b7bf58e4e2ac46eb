import { SeededRandom } from '@kalamdb/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DiskFault } from './cold-disk.fixture.ts';
import { ColdFaultWorld, type ColdOperation, type FaultPoints } from './cold-fault-world.fixture.ts';
import { longRun } from './long-run.fixture.ts';

/** Faults of each operation that are tried; the long form tries every kind at every place. */
const TRIES = 2;
const FAULTS: readonly DiskFault[] = ['kill', 'power cut', 'tear', 'ENOSPC', 'EIO'];

/** Whoever writes a further one adds it here. Backups and restores have tests of their own: `backup-faults.test.ts`. */
const OPERATIONS: readonly ColdOperation[] = [
  { name: 'a flush', run: (world) => world.flush() },
  { name: 'a compaction', run: (world) => world.compact() },
  { name: 'a dropped table', drops: true, run: (world) => world.job('DROP TABLE app.t') },
];

const seed = Date.now() % 1_000_000;
const world = new ColdFaultWorld();
beforeAll(() => world.prepare(), 60_000);
afterAll(() => world.dispose());

interface Try {
  readonly kind: DiskFault;
  readonly at: number;
}

function tries(points: FaultPoints['kinds'], random: SeededRandom): readonly Try[] {
  const all = FAULTS.flatMap((kind) => points[kind].map((at) => ({ kind, at })));
  if (longRun() !== undefined) return all;
  const first = random.integer(FAULTS.length);
  const kinds = Array.from({ length: TRIES }, (_, index) => FAULTS[(first + index) % FAULTS.length] ?? 'kill');
  return kinds.map((kind) => ({ kind, at: random.pick(points[kind]) }));
}

describe(`the cold tier on a disk that fails (seed ${seed})`, () => {
  it('a flush that fails when it is published leaves nothing that the next one of other rows would be taken for', async () => {
    const random = new SeededRandom(seed);
    const [flush] = OPERATIONS;
    if (flush === undefined) throw new Error('there is no flush');
    const { logWrites } = await world.points(flush);
    const errors: unknown[] = [];
    // A row of somebody else's, the announcement of the first segment, its publication.
    for (const at of logWrites.slice(1, 4)) errors.push((await world.try(flush, { kind: 'EIO', at }, random)).error);
    expect(errors.some((error) => error !== undefined)).toBe(true);
  }, 120_000);

  for (const operation of OPERATIONS) {
    it(`${operation.name} loses no row, leaves no file and can be done again, whichever operation of the disk is the last or fails`, async () => {
      const random = new SeededRandom(seed);
      const { kinds: points } = await world.points(operation);
      expect(points.kill.length).toBeGreaterThan(10);
      const counts: Record<string, number> = {};
      let hits = 0;
      for (const fault of tries(points, random)) {
        const { hit, error } = await world.try(operation, fault, random);
        if (hit) hits += 1;
        const outcome = `${operation.name}, ${fault.kind}: ${error === undefined ? 'done' : 'failed'}`;
        counts[outcome] = (counts[outcome] ?? 0) + 1;
      }
      expect(hits).toBeGreaterThan(0);
      longRun()?.report(counts);
    }, 3_600_000);
  }
});
