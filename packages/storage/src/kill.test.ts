import { Buffer } from 'node:buffer';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemRandom, systemTimers } from '@kalamdb/protocol';
import { describe, expect, it } from 'vitest';
import type { Durability, PartitionId } from './contract.ts';
import { openDataDirectory } from './files/data-directory.ts';
import { systemFiles } from './files/file-system.ts';
import { openLmdbStore } from './hot/lmdb-store.ts';
import { openFileLog } from './log/file-log.ts';

const writer = fileURLToPath(new URL('./kill-writer.fake.mjs', import.meta.url));
const rounds = 3;
const acknowledgementsPerRound = 100;

/** Runs the writer until it has acknowledged some commits, kills it in the middle, and answers what it had found and acknowledged. */
const writeAndKill = async (path: string, durability: Durability): Promise<{ found: number; acknowledged: number }> => {
  const child = spawn(process.execPath, [writer, path, durability], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  const wanted = 5 + Math.floor(systemRandom.uniform() * acknowledgementsPerRound);
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (text.split('\nack ').length > wanted) child.kill('SIGKILL');
  });
  await once(child, 'close');
  const numbers = (word: string): number[] => [...text.matchAll(new RegExp(`^${word} (\\d+)\\n`, 'gm'))].map(([, n]) => Number(n));
  return { found: numbers('open')[0] ?? -1, acknowledged: numbers('ack').at(-1) ?? -1 };
};

/** Recovers in this process and checks that exactly the commits 1 to n are there, whole; answers n. */
const recoverAndCheck = async (path: string): Promise<number> => {
  const directory = await openDataDirectory(path, systemFiles);
  const hot = await openLmdbStore({ path: directory.hotPath });
  const log = await openFileLog({
    directory: directory.logPath,
    files: systemFiles,
    timers: systemTimers,
    random: systemRandom,
    startSeq: hot.appliedSeq,
    incarnation: hot.incarnation,
    fileBytes: 131_072,
  });
  for await (const entry of log.replay(hot.appliedSeq)) await hot.apply([entry]);
  const last = Number(log.lastSeq / 3n);
  const expected = Array.from({ length: Math.min(40, last) }, (_, back) => String(last - back)).reverse();
  const view = hot.snapshot();
  expect(view.appliedSeq).toBe(log.lastSeq);
  const partitions: readonly PartitionId[] = [
    { tableId: 1_000, owner: 'alice' },
    { tableId: 1_001, owner: '' },
  ];
  for (const partition of partitions) {
    const texts = [...view.scanBySeq(partition, 0n)].map(({ bytes }) => Buffer.from(bytes).toString().trim());
    expect(texts).toEqual(expected);
    expect([...view.scan(partition)].length).toBe(expected.length);
  }
  view.close();
  await log.close();
  await hot.close();
  await directory.close();
  return last;
};

describe.each<Durability>(['sync', 'relaxed'])('a process killed while it commits in %s mode', (durability) => {
  it('leaves every acknowledged commit, each whole, and none out of order', async () => {
    const path = await mkdtemp(join(tmpdir(), 'kalamdb-kill-'));
    let acknowledged = 0;
    for (let round = 0; round < rounds; round += 1) {
      const result = await writeAndKill(path, durability);
      expect(result.found).toBeGreaterThanOrEqual(acknowledged);
      expect(result.acknowledged).toBeGreaterThan(result.found);
      acknowledged = result.acknowledged;
    }
    expect(await recoverAndCheck(path)).toBeGreaterThanOrEqual(acknowledged);
    await rm(path, { recursive: true, force: true });
  });
});
