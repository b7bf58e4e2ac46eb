import { Buffer } from 'node:buffer';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom, systemTimers } from '@kalamdb/protocol';
import { describe, expect, it } from 'vitest';
import type { LogEntry } from '../contract.ts';
import { systemFiles } from '../files/file-system.ts';
import { openFileLog } from './file-log.ts';

const commits = 50_000;
/** Ten times what a million may take for each commit: the machine may be doing other things. */
const millisMax = 1_000;

describe('a log of 50,000 commits', () => {
  it('is opened and replayed at once', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'kalamdb-speed-'));
    const options = { directory: join(directory, 'log'), files: systemFiles, timers: systemTimers, random: systemRandom, startSeq: 0n };
    const log = await openFileLog(options);
    const payload = Buffer.alloc(300, 7);
    const group: LogEntry[] = [];
    for (let seq = 1n; seq <= commits; seq += 1n) {
      group.push({ seq, payload });
      if (group.length === 1_000) await log.append(group.splice(0), 'relaxed');
    }
    await log.close();
    const begin = systemClock.elapsed();
    const again = await openFileLog(options);
    let count = 0;
    for await (const { payload: found } of again.replay(0n)) count += found.length === 300 ? 1 : 0;
    const millis = systemClock.elapsed() - begin;
    await again.close();
    await rm(directory, { recursive: true, force: true });
    expect(count).toBe(commits);
    expect(millis).toBeLessThan(millisMax);
  });
});
