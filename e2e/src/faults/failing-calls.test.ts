import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compiler } from './failing-calls.ts';
import { reachFileLimit, sweepFaults } from './fault-sweep.ts';

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
