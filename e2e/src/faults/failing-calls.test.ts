import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '@kalamdb/testing';
import { describe, expect, it } from 'vitest';
import { coldOperations } from './cold-operations.ts';
import { sweepCold } from './cold-sweep.ts';
import { compiler } from './failing-calls.ts';
import { reachFileLimit, sweepFaults } from './fault-sweep.ts';

/** Fewer calls than any operation makes that works on segments. */
const CALLS = 40;

const cc = compiler();

describe.runIf(cc !== undefined)('system calls that fail', () => {
  it('lose no acknowledged commit of log and hot tier, and commits go on when they are over', async () => {
    const report = await sweepFaults({ cc: cc ?? '', driver: 'storage', firsts: [0, 16, 19, 23, 42], counts: [2] });
    expect(report.faults).toBeGreaterThanOrEqual(report.runs);
    expect(report.errors).toContain('LOG_WRITE_FAILED');
  });

  it('lose no acknowledged row of the engine, and writes go on when they are over', async () => {
    const report = await sweepFaults({ cc: cc ?? '', driver: 'engine', firsts: [0, 9], counts: [2] });
    expect(report.faults).toBeGreaterThanOrEqual(report.runs);
  });
});

const seed = Date.now() % 1_000_000;

describe.runIf(cc !== undefined)(`system calls that fail, or are the last, while segments are written (seed ${seed})`, () => {
  const random = new SeededRandom(seed);
  it.each(Object.keys(coldOperations))(
    'lose no row and leave no file: %s',
    async (operation) => {
      const kinds = [random.pick(['KILL', 'KILL', 'ENOSPC', 'EIO', 'SHORT'] as const)];
      const report = await sweepCold({ cc: cc ?? '', operation, first: random.integer(CALLS), stride: 1, runsMax: 1, kinds });
      expect(report.wrong).toEqual([]);
      expect(report.faults).toBeGreaterThan(0);
    },
    60_000,
  );
});

describe.runIf(cc === undefined)('system calls that fail', () => {
  it('are left out: there is no C compiler here, or no preloading', () => {
    expect(cc).toBeUndefined();
  });
});

describe.runIf(process.platform === 'linux')('a hot tier that comes to the limit of its file (ulimit -f)', () => {
  it('refuses batches and goes on reading; the log keeps what it could not take', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kalamdb-limit-'));
    try {
      const { limited, lastBefore, lastAfter } = await reachFileLimit(directory);
      expect(limited.output).toMatch(/error applying/);
      expect(limited.done).toBe(true);
      expect(lastAfter).toBe(lastBefore);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
