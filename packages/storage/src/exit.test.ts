import type { Buffer } from 'node:buffer';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openLmdbStore } from './hot/lmdb-store.ts';

const writer = fileURLToPath(new URL('./exit-writer.fake.mjs', import.meta.url));

let path = '';
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'kalamdb-exit-'));
});
afterEach(() => rm(path, { recursive: true, force: true }));

/** Runs the writer to its end; answers how it ended, what it printed, and the last point that it saw applied. */
const writeUntil = async (end: 'exit' | 'throw' | 'die') => {
  const child = spawn(process.execPath, [writer, path, end], { stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await once(child, 'close');
  const applied = [...text.matchAll(/applied (\d+)/g)].map(([, seq]) => BigInt(seq ?? 0));
  return { code: child.exitCode, signal: child.signalCode, text, applied: applied.at(-1) ?? 0n };
};

const appliedAfterwards = async (): Promise<bigint> => {
  const store = await openLmdbStore({ path });
  const { appliedSeq } = store;
  await store.close();
  return appliedSeq;
};

describe('a process that ends while the applier is inside a transaction', () => {
  it.each([
    ['exit', 70],
    ['throw', 1],
  ] as const)('comes to its end, and leaves whole batches (%s)', async (end, code) => {
    const ended = await writeUntil(end);
    expect(ended).toMatchObject({ code, signal: null });
    expect(ended.applied).toBeGreaterThan(0n);
    const applied = await appliedAfterwards();
    expect([ended.applied, ended.applied + 20_000n]).toContain(applied);
  });
});

describe('an applier that dies inside a transaction', () => {
  it('is given up, and the process comes to its end all the same', async () => {
    const ended = await writeUntil('die');
    expect(ended).toMatchObject({ code: null, signal: 'SIGKILL' });
    expect(ended.text).toContain('failed: the applier thread has died inside a transaction');
    expect(await appliedAfterwards()).toBe(ended.applied + 20_000n);
  });
});
