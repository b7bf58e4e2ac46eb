import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FileSystem, systemFiles } from '@kalamdb/storage';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { AnswerSpool, type SpoolBounds, SpoolFolder } from './answer-spool.ts';

const path = mkdtempSync(join(tmpdir(), 'kalamdb-spool-'));
afterAll(() => rmSync(path, { recursive: true, force: true }));

const folderOf = (bounds: Partial<SpoolBounds>, files: FileSystem = systemFiles): SpoolFolder => new SpoolFolder(files, path, bounds);
const part = (...lengths: readonly number[]): Uint8Array[] => lengths.map((length, index) => new Uint8Array(length).fill(length + index));

async function rest(spool: AnswerSpool): Promise<unknown[]> {
  const parts: unknown[] = [];
  for (let next = await spool.next(); next !== undefined; next = await spool.next()) parts.push(next.map((chunk) => [...chunk]));
  return parts;
}

test('whatever the pace of writer and reader, every part comes once and in order', async () => {
  const lengths = fc.array(fc.array(fc.nat(40), { minLength: 1, maxLength: 4 }), { maxLength: 40 });
  const folder = folderOf({ memoryBytesMax: 60 });
  let filed = 0;
  await fc.assert(
    fc.asyncProperty(lengths, fc.scheduler(), fc.boolean(), async (parts, scheduler, waits) => {
      const spool = new AnswerSpool(folder);
      const write = async (): Promise<void> => {
        for (const each of parts) {
          await scheduler.schedule(Promise.resolve());
          const taken = spool.take(part(...each));
          if (taken !== undefined) filed += 1;
          if (waits) await taken;
        }
        spool.ended();
      };
      const read = async (): Promise<unknown[]> => {
        const found: unknown[] = [];
        for (;;) {
          await scheduler.schedule(Promise.resolve());
          const next = await spool.next();
          if (next === undefined) return found;
          found.push(next.map((chunk) => [...chunk]));
        }
      };
      const [, found] = await scheduler.waitFor(Promise.all([write(), read()]));
      expect(found).toEqual(parts.map((each) => part(...each).map((chunk) => [...chunk])));
      await spool.close();
      expect(folder.bytes).toBe(0);
    }),
    { numRuns: 100 },
  );
  expect(filed).toBeGreaterThan(20);
  expect(readdirSync(path)).toEqual([]);
});

test('the end is behind what is on its way to the disk', async () => {
  const spool = new AnswerSpool(folderOf({ memoryBytesMax: 10 }));
  for (let i = 1; i < 6; i++) void spool.take(part(i * 8));
  spool.ended();
  expect(await rest(spool)).toHaveLength(5);
  await spool.close();
});

test('more than an answer, or all of them, may put aside fails with an error that says so', async () => {
  const one = new AnswerSpool(folderOf({ memoryBytesMax: 1, answerBytesMax: 300 }));
  await one.take(part(10));
  await one.take(part(100));
  await expect(one.take(part(250))).rejects.toMatchObject({ code: 'ANSWERS_NOT_READ' });
  one.ended();
  await expect(one.next()).rejects.toMatchObject({ code: 'ANSWERS_NOT_READ' });
  await one.close();
  const folder = folderOf({ memoryBytesMax: 1, answersBytesMax: 300 });
  const [first, second] = [new AnswerSpool(folder), new AnswerSpool(folder)];
  for (const spool of [first, second]) await spool.take(part(10));
  await first.take(part(200));
  await expect(second.take(part(200))).rejects.toMatchObject({ code: 'ANSWERS_NOT_READ' });
  await first.close();
  await second.close();
  expect(folder.bytes).toBe(0);
});

test('a disk with little room left is not filled', async () => {
  const spool = new AnswerSpool(folderOf({ memoryBytesMax: 1, freeBytesMin: Number.MAX_SAFE_INTEGER }));
  await spool.take(part(10));
  await expect(spool.take(part(10))).rejects.toMatchObject({ code: 'ANSWERS_NOT_READ' });
  await spool.close();
});

test('a disk that fails ends the answer, before its end can be read', async () => {
  const files: FileSystem = {
    ...systemFiles,
    open: async (name, mode) => {
      const file = await systemFiles.open(name, mode);
      const write = async (bytes: Uint8Array, position: number): Promise<number> => {
        if (position > 0) throw new Error('the disk is gone');
        return file.write(bytes, position);
      };
      return { read: (target, at) => file.read(target, at), write, sync: () => file.sync(), close: () => file.close() };
    },
  };
  const spool = new AnswerSpool(folderOf({ memoryBytesMax: 1 }, files));
  void spool.take(part(5));
  void spool.take(part(6));
  const failing = spool.take(part(7));
  spool.ended();
  await expect(failing).rejects.toThrow('the disk is gone');
  await expect(rest(spool)).rejects.toThrow('the disk is gone');
  await spool.close();
});

test('what a process left behind is removed by the next one', async () => {
  const file = await systemFiles.open(join(path, '77'), 'create');
  await file.close();
  const spool = new AnswerSpool(folderOf({ memoryBytesMax: 1 }));
  await spool.take(part(5));
  await spool.take(part(5));
  expect(readdirSync(path)).toEqual([]);
  await spool.close();
});
