import { describe, expect, it } from 'vitest';
import type { Durability } from '../contract.ts';
import { type FaultKind, FaultyFiles } from '../files/faulty-files.fake.ts';
import { ManualTimers } from '../files/manual-timers.fake.ts';
import { MemoryFiles } from '../files/memory-files.fake.ts';
import { attempt, entryText, openTestLog, recovered } from './crashed-log.fake.ts';

const kinds: readonly FaultKind[] = ['refused', 'short', 'done but reported failed'];

interface Outcome {
  readonly acknowledged: string[];
  readonly failed: string[];
  readonly codes: Set<string>;
  /** The hot tier's point. */
  released: bigint;
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : String(error));

/** Appends groups, a fresh attempt at the same names after each failure, while the files fail as they were told to. */
const appendThrough = async (faulty: FaultyFiles, durabilities: readonly Durability[]): Promise<Outcome> => {
  const outcome: Outcome = { acknowledged: [], failed: [], codes: new Set(), released: 0n };
  const timers = new ManualTimers();
  const log = await openTestLog(faulty.files, 0n, { timers });
  for (const [step, durability] of durabilities.entries()) {
    const entries = [1n, 2n].map((offset) => attempt(log.lastSeq + offset, `${step}`, 300));
    const texts = entries.map(entryText);
    try {
      await log.append(entries, durability);
      outcome.acknowledged.push(...texts);
    } catch (error) {
      outcome.codes.add(codeOf(error));
      if (codeOf(error) === 'LOG_WRITE_FAILED') outcome.failed.push(...texts);
      else expect(codeOf(error)).toBe('COMMIT_OUTCOME_UNKNOWN');
    }
    if (step % 5 === 4) timers.fire();
    if (step % 7 === 6 && log.syncedSeq - 4n > outcome.released) {
      outcome.released = log.syncedSeq - 4n;
      log.release(outcome.released);
    }
  }
  await log.close().catch((error: unknown) => outcome.codes.add(codeOf(error)));
  return outcome;
};

const expectKept = (found: readonly string[], { acknowledged, failed, released }: Outcome): void => {
  const present = new Set(found);
  const due = acknowledged.filter((text) => BigInt(text.split(' ')[0] ?? 0) > released);
  expect(due.filter((text) => !present.has(text))).toEqual([]);
  expect(failed.filter((text) => present.has(text))).toEqual([]);
};

const modes: Readonly<Record<string, readonly Durability[]>> = {
  sync: Array.from({ length: 30 }, () => 'sync'),
  relaxed: Array.from({ length: 30 }, () => 'relaxed'),
  mixed: Array.from({ length: 30 }, (_, at) => (at % 3 === 0 ? 'sync' : 'relaxed')),
};

describe.each(Object.entries(modes))('an operation that fails, in %s mode', (_, durabilities) => {
  it.each(kinds)('(%s) loses nothing acknowledged and brings nothing failed back', async (kind) => {
    const codes = new Set<string>();
    for (const count of [1, 2, 5, Number.POSITIVE_INFINITY]) {
      for (let first = 12; first < 130; first += count === 1 ? 1 : 3) {
        const files = new MemoryFiles();
        const faulty = new FaultyFiles(files);
        faulty.fault = { first, count, kind };
        const outcome = await appendThrough(faulty, durabilities);
        for (const code of outcome.codes) codes.add(code);
        expectKept(await recovered(files.copy(), outcome.released), outcome);
        if (durabilities.every((durability) => durability === 'sync')) {
          const cut = files.afterPowerCut(() => 0);
          expectKept(await recovered(cut, outcome.released), outcome);
        }
      }
    }
    expect([...codes].sort()).toEqual(expect.arrayContaining(['COMMIT_OUTCOME_UNKNOWN', 'LOG_WRITE_FAILED']));
  });
});

describe('a failed write', () => {
  it('fails its group only: the next one goes to a new file', async () => {
    const files = new MemoryFiles();
    const faulty = new FaultyFiles(files);
    const log = await openTestLog(faulty.files);
    await log.append([attempt(1n, 'a')], 'sync');
    // The spare is being made behind our back; let it be there before operations are counted.
    await new Promise((resolve) => setImmediate(resolve));
    faulty.fault = { first: faulty.operations, count: 1, kind: 'short' };
    await expect(log.append([attempt(2n, 'b')], 'sync')).rejects.toMatchObject({ code: 'LOG_WRITE_FAILED' });
    expect(log.lastSeq).toBe(1n);
    await log.append([attempt(2n, 'c')], 'sync');
    await log.close();
    expect(await recovered(files)).toEqual([attempt(1n, 'a'), attempt(2n, 'c')].map(entryText));
  });

  it('makes the log read-only when its group cannot be cut off', async () => {
    const files = new MemoryFiles();
    const faulty = new FaultyFiles(files);
    const log = await openTestLog(faulty.files);
    await log.append([attempt(1n, 'a')], 'sync');
    faulty.fault = { first: faulty.operations, count: Number.POSITIVE_INFINITY, kind: 'refused' };
    await expect(log.append([attempt(2n, 'b')], 'sync')).rejects.toMatchObject({ code: 'COMMIT_OUTCOME_UNKNOWN' });
    faulty.fault = undefined;
    await expect(log.append([attempt(2n, 'c')], 'sync')).rejects.toMatchObject({ code: 'COMMIT_OUTCOME_UNKNOWN' });
    await log.close();
    expect(await recovered(files)).toEqual([entryText(attempt(1n, 'a'))]);
  });
});

describe('a relaxed sync', () => {
  it('happens without another append', async () => {
    const timers = new ManualTimers();
    const log = await openTestLog(new MemoryFiles(), 0n, { timers });
    await log.append([attempt(1n, 'a')], 'relaxed');
    expect(log.syncedSeq).toBe(0n);
    timers.fire();
    await log.sync();
    expect(log.syncedSeq).toBe(1n);
    await log.close();
  });

  it('that fails rewrites the unsynced records in a new file', async () => {
    const files = new MemoryFiles();
    const faulty = new FaultyFiles(files);
    const timers = new ManualTimers();
    const log = await openTestLog(faulty.files, 0n, { timers });
    await log.append([attempt(1n, 'a')], 'sync');
    await log.append([attempt(2n, 'b')], 'relaxed');
    await log.append([attempt(3n, 'c')], 'relaxed');
    faulty.fault = { first: faulty.operations, count: 1, kind: 'refused' };
    timers.fire();
    await log.sync();
    expect(log.syncedSeq).toBe(3n);
    await log.append([attempt(4n, 'd')], 'sync');
    // Every unsynced byte is lost, those of the first file too.
    const cut = files.afterPowerCut(() => 0);
    expect(await recovered(cut)).toEqual(['a', 'b', 'c', 'd'].map((tag, at) => entryText(attempt(BigInt(at) + 1n, tag))));
    await log.close();
  });

  it('that failed is not believed when a later one succeeds', async () => {
    const files = new MemoryFiles();
    const faulty = new FaultyFiles(files);
    const timers = new ManualTimers();
    const log = await openTestLog(faulty.files, 0n, { timers });
    await log.append([attempt(1n, 'a')], 'relaxed');
    await new Promise((resolve) => setImmediate(resolve));
    // The sync fails, and so does the first try to rewrite its records.
    faulty.fault = { first: faulty.operations, count: 3, kind: 'refused' };
    timers.fire();
    await new Promise((resolve) => setImmediate(resolve));
    files.forgetUnsynced();
    expect(log.syncedSeq).toBe(0n);
    await log.sync();
    expect(log.syncedSeq).toBe(1n);
    await log.append([attempt(2n, 'b')], 'sync');
    expect(await recovered(files.afterPowerCut(() => 0))).toEqual([attempt(1n, 'a'), attempt(2n, 'b')].map(entryText));
    await log.close();
  });

  it('that failed together with its new file leaves nothing that comes back from there', async () => {
    const files = new MemoryFiles();
    const faulty = new FaultyFiles(files);
    const log = await openTestLog(faulty.files);
    await log.append([attempt(1n, 'a')], 'sync');
    await log.append([attempt(2n, 'b')], 'relaxed');
    await new Promise((resolve) => setImmediate(resolve));
    // The new file is filled with record 2 and synced, but does not get its name; then the power is cut.
    const syncFile = 1;
    const openWriteSyncOpen = 4;
    faulty.fault = { first: faulty.operations, count: syncFile, kind: 'refused' };
    const sync = log.sync();
    faulty.fault = { first: faulty.operations, count: syncFile, kind: 'refused' };
    const rename = faulty.operations + syncFile + openWriteSyncOpen;
    while (faulty.operations < rename) await Promise.resolve();
    faulty.stop();
    await expect(sync).rejects.toMatchObject({ code: 'COMMIT_OUTCOME_UNKNOWN' });
    let calls = 0;
    const cut = files.afterPowerCut((below) => {
      calls += 1;
      return calls === 1 ? below - 1 : 0;
    });
    for (let opening = 0; opening < 3; opening += 1) expect(await recovered(cut)).toEqual([entryText(attempt(1n, 'a'))]);
  });
});
