import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Durability } from '../contract.ts';
import { FaultyFiles } from '../files/faulty-files.fake.ts';
import { MemoryFiles } from '../files/memory-files.fake.ts';
import { attempt, entriesOf, entryText, openTestLog, recovered, testDirectory } from './crashed-log.fake.ts';
import { recordOverheadBytes, runTagBytes } from './log-format.ts';

const pathOf = (number: number): string => join(testDirectory, `${String(number).padStart(12, '0')}.log`);

type Entries = readonly ReturnType<typeof attempt>[];

/** A log of one file that holds these groups, each written when the one before was on the disk. */
const written = async (groups: readonly Entries[]): Promise<MemoryFiles> => {
  const files = new MemoryFiles();
  const log = await openTestLog(files);
  for (const group of groups) await log.append(group, 'sync');
  await log.close();
  return files;
};

const expectPrefix = (found: readonly string[], all: readonly string[], atLeast: number): void => {
  expect(found.length).toBeGreaterThanOrEqual(atLeast);
  expect(found).toEqual(all.slice(0, found.length));
};

describe('a torn end', () => {
  const before = attempt(1n, 'a', 30);
  const group = [2n, 3n, 4n, 5n].map((seq) => attempt(seq, 'a', 30));
  const texts = [before, ...group].map(entryText);
  const recordBytes = 30 + recordOverheadBytes;
  const groupStart = 4_096 + recordBytes + runTagBytes;
  const groupEnd = groupStart + group.length * recordBytes + runTagBytes;
  /** Records that end at or before a byte of the file. */
  const recordsBefore = (at: number): number => 1 + Math.max(0, Math.floor((at - groupStart - runTagBytes) / recordBytes));

  it('leaves a prefix with all records before it, wherever the last group is cut', async () => {
    const files = await written([[before], group]);
    for (let at = groupStart; at < groupEnd; at += 1) {
      const cut = files.copy();
      cut.truncate(pathOf(1), at);
      expectPrefix(await recovered(cut), texts, recordsBefore(at));
    }
  });

  it('leaves a prefix with all records before it, whichever byte of the last group is wrong', async () => {
    const files = await written([[before], group]);
    for (let at = groupStart; at < groupEnd; at += 1) {
      const wrong = files.copy();
      const content = wrong.content(pathOf(1));
      content.writeUInt8((content.readUInt8(at) + 1) & 0xff, at);
      expect(await recovered(wrong)).toEqual(texts.slice(0, recordsBefore(at)));
    }
  });

  it('cannot come back: what is appended after it follows the prefix', async () => {
    const files = await written([[before], group]);
    files.content(pathOf(1)).writeUInt8(0, groupStart + runTagBytes + 2 * recordBytes + 20);
    const log = await openTestLog(files);
    expect(log.lastSeq).toBe(3n);
    await log.append([attempt(4n, 'second', 30)], 'sync');
    await log.close();
    expect(await recovered(files)).toEqual([...texts.slice(0, 3), entryText(attempt(4n, 'second', 30))]);
  });
});

describe('a record that was on the disk when later ones were written', () => {
  it('is not taken for a torn end when it is damaged: the log is refused by name, whichever byte it is', async () => {
    const groups = [1n, 3n, 5n].map((seq) => [attempt(seq, 'a', 30), attempt(seq + 1n, 'a', 200)]);
    const files = await written(groups);
    const lastGroup = 4_096 + 2 * (230 + 2 * recordOverheadBytes + runTagBytes);
    for (let at = 4_096; at < lastGroup; at += 1) {
      const wrong = files.copy();
      const content = wrong.content(pathOf(1));
      content.writeUInt8(content.readUInt8(at) ^ (1 << (at & 7)), at);
      await expect(openTestLog(wrong), `byte ${at}`).rejects.toMatchObject({
        code: 'DAMAGED_DATA',
        message: expect.stringMatching(/\.log: its chain breaks after commit \d, but what follows/),
      });
    }
  });

  it('is told from what a file that was used before still holds', async () => {
    const files = new MemoryFiles();
    let log = await openTestLog(files);
    for (let seq = 1n; seq <= 60n; seq += 1n) {
      await log.append([attempt(seq, 'a', 500)], 'sync');
      log.release(seq - 1n);
    }
    await log.close();
    for (let seq = 61n; seq <= 90n; seq += 1n) {
      log = await openTestLog(files, seq - 2n);
      expect(log.lastSeq).toBe(seq - 1n);
      await log.append([attempt(seq, 'b', 100)], 'sync');
      log.release(seq - 1n);
      await log.close();
    }
  });
});

describe('a log that does not fit', () => {
  const filled = async (): Promise<MemoryFiles> => {
    const files = new MemoryFiles();
    const log = await openTestLog(files);
    for (let seq = 1n; seq <= 30n; seq += 1n) await log.append([attempt(seq, 'a', 500)], 'sync');
    log.release(20n);
    await log.close();
    return files;
  };
  const damaged = (pattern: RegExp): object => ({ code: 'DAMAGED_DATA', message: expect.stringMatching(pattern) });

  it('is refused by name when it ends before the hot tier', async () => {
    await expect(openTestLog(await filled(), 31n)).rejects.toMatchObject(damaged(/\.log: the log ends at commit 30, the hot tier at 31/));
  });

  it('is refused by name when it starts after the hot tier', async () => {
    await expect(openTestLog(await filled(), 3n)).rejects.toMatchObject(
      damaged(/\.log: the log starts after commit \d+, the hot tier ends at 3/),
    );
  });

  it('is refused when it is missing and the hot tier is not empty', async () => {
    await expect(openTestLog(new MemoryFiles(), 1n)).rejects.toMatchObject(damaged(/log is missing/));
  });

  it('is refused when it belongs to another database', async () => {
    const files = await filled();
    await expect(openTestLog(files, 20n, { incarnation: '00'.repeat(16) })).rejects.toMatchObject(damaged(/belongs to database/));
  });

  it('is refused by name when a header or a record inside it is damaged', async () => {
    const files = await filled();
    const names = [...files.names.keys()].filter((path) => path.endsWith('.log'));
    for (const path of names) {
      const wrong = files.copy();
      wrong.content(path).writeUInt8(9, 30);
      await expect(openTestLog(wrong, 20n)).rejects.toMatchObject(damaged(new RegExp(path)));
    }
    const [, second = ''] = names;
    files.content(second).writeUInt8(1, 4_096 + 600);
    await expect(openTestLog(files, 20n)).rejects.toMatchObject(damaged(/its chain breaks after commit/));
  });

  it('is refused when its format is a newer one', async () => {
    const files = await filled();
    const path = [...files.names.keys()].find((name) => name.endsWith('.log')) ?? '';
    files.content(path).writeUInt32BE(2, 8);
    await expect(openTestLog(files, 20n)).rejects.toMatchObject({ code: 'FORMAT_UNKNOWN' });
  });
});

type Step =
  | { readonly kind: 'append'; readonly rows: number; readonly bytes: number; readonly durability: Durability }
  | { readonly kind: 'release'; readonly back: number }
  | { readonly kind: 'cut'; readonly inFlight: number; readonly seed: number }
  | { readonly kind: 'kill' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('append' as const),
        rows: fc.integer({ min: 1, max: 4 }),
        bytes: fc.integer({ min: 30, max: 1_500 }),
        durability: fc.constantFrom<Durability>('sync', 'sync', 'relaxed'),
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('release' as const), back: fc.nat(3) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const), inFlight: fc.nat(12), seed: fc.nat() }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('kill' as const) }) },
  ),
  { minLength: 10, maxLength: 60 },
);

/** A small generator of whole numbers, so that a failing program can be run again as it was. */
const chooser = (seed: number): ((below: number) => number) => {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
};

describe('power cuts and kills', () => {
  it('keep what was synced, in order, and never bring back what was cut off or recycled', async () => {
    let recycledReused = 0;
    const run = async (program: readonly Step[]): Promise<void> => {
      let files = new MemoryFiles();
      let running = new FaultyFiles(files);
      let log = await openTestLog(running.files);
      let model: ReturnType<typeof attempt>[] = [];
      let released = 0n;
      let tag = 0;
      const next = (step: { rows: number; bytes: number }): ReturnType<typeof attempt>[] => {
        tag += 1;
        return Array.from({ length: step.rows }, (_, at) => attempt(log.lastSeq + BigInt(at) + 1n, `${tag}`, step.bytes));
      };
      for (const step of program) {
        if (step.kind === 'append') {
          const entries = next(step);
          await log.append(entries, step.durability);
          model.push(...entries);
        } else if (step.kind === 'release') {
          // The hot tier is never ahead of the synced log.
          const point = log.syncedSeq - BigInt(step.back);
          if (point > released) released = point;
          log.release(released);
          recycledReused += 1;
        } else {
          const synced = log.syncedSeq;
          const inFlight = step.kind === 'cut' && step.inFlight > 0 ? next({ rows: 3, bytes: 700 }) : [];
          if (inFlight.length > 0) void log.append(inFlight, 'sync').catch(() => undefined);
          for (let turn = 0; step.kind === 'cut' && turn < step.inFlight; turn += 1) await Promise.resolve();
          // A killed process leaves what it wrote with the system: a power cut after the next start may still take it away.
          running.stop();
          if (step.kind === 'cut') files = files.afterPowerCut(chooser(step.seed));
          running = new FaultyFiles(files);
          log = await openTestLog(running.files, released);
          const possible = [...model, ...inFlight].filter(({ seq }) => seq > released);
          const kept = possible.filter(({ seq }) => seq <= (step.kind === 'kill' ? (model.at(-1)?.seq ?? 0n) : synced));
          const found = await entriesOf(log, released);
          expectPrefix(found, possible.map(entryText), kept.length);
          model = possible.slice(0, found.length);
          expect(log.lastSeq).toBe(model.at(-1)?.seq ?? released);
        }
      }
    };
    await fc.assert(fc.asyncProperty(steps, run), { numRuns: 300 });
    expect(recycledReused).toBeGreaterThan(100);
  });
});
