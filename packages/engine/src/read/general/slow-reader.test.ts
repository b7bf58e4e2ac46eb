import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KalamError, systemTimers } from '@kalamdb/protocol';
import { systemFiles } from '@kalamdb/storage';
import { expect, test } from 'vitest';
import { SpoolFolder } from '../answer-spool.ts';
import { PartitionWorld } from './partition-world.fixture.ts';

const settle = async (done: () => boolean): Promise<void> => {
  while (!done()) await new Promise<void>((resolve) => systemTimers.after(5, resolve, { keepAlive: true }));
};

async function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'none',
    (error: unknown) => (error instanceof KalamError ? error.code : String(error)),
  );
}

test('the answer of a slow reader is put aside: its slot is free, its rows and their order are what they were', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-aside-'));
  const spool = new SpoolFolder(systemFiles, folder);
  const patient = await PartitionWorld.open({ spool });
  try {
    const stream = await patient.executor.stream(patient.request("SELECT range, repeat('x', 50) FROM range(200000)"));
    let rows = (await stream.next())?.length ?? 0;
    await settle(() => patient.executor.load.running === 0);
    expect(spool.bytes).toBeGreaterThan(4 * 1024 * 1024);
    for (let batch = await stream.next(); batch !== undefined; batch = await stream.next()) {
      expect(batch[0]).toEqual([BigInt(rows), 'x'.repeat(50)]);
      rows += batch.length;
    }
    expect([rows, await stream.next()]).toEqual([200_000, undefined]);
    const left = await patient.executor.stream(patient.request("SELECT range, repeat('x', 50) FROM range(200000)"));
    await settle(() => patient.executor.load.running === 0);
    await left.close();
    await settle(() => spool.bytes === 0);
  } finally {
    await patient.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

test('where there is no room for it, the answer of a slow reader fails', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-aside-'));
  const patient = await PartitionWorld.open({ spool: new SpoolFolder(systemFiles, folder, { answersBytesMax: 1024 * 1024 }) });
  try {
    const stream = await patient.executor.stream(patient.request("SELECT repeat('x', 100) FROM range(200000)"));
    await settle(() => patient.executor.load.running === 0);
    await stream.next();
    expect(await failure(stream.next())).toBe('ANSWERS_NOT_READ');
    await stream.close();
  } finally {
    await patient.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
