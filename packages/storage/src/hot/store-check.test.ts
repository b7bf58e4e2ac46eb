import { Buffer } from 'node:buffer';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PartitionId } from '../contract.ts';
import { type FileSystem, systemFiles } from '../files/file-system.ts';
import { HotModel } from './hot-model.fake.ts';
import { LeafEntry, readHead, readLeafEntry, readMeta, readTreeRecord } from './lmdb-pages.ts';
import { openLmdbStore } from './lmdb-store.ts';
import { checkStoreFile } from './store-check.ts';

const pageBytes = 4_096;
const all = Number.MAX_SAFE_INTEGER;
const partition: PartitionId = { tableId: 1_000, owner: 'alice' };

let directory: string;
let content: Buffer;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kalamdb-check-'));
  const store = await openLmdbStore({ path: directory });
  const model = new HotModel();
  for (let commit = 0; commit < 30; commit += 1) {
    const changes = Array.from({ length: 12 }, (_, at) => ({
      partition,
      key: `k${(commit * 7 + at * 5) % 97}`,
      deleted: at === 3,
      bytes: at === 5 ? 9_000 : 200,
    }));
    await store.apply([model.commit(changes)]);
  }
  await store.close();
  content = await readFile(join(directory, 'data.mdb'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** A file system that holds one file. */
const holding = (bytes: Buffer): FileSystem => ({
  ...systemFiles,
  stat: async () => ({ bytes: bytes.length, isDirectory: false }),
  open: async () => ({
    read: async (target, position) => bytes.copy(target, 0, position),
    write: async () => 0,
    sync: async () => undefined,
    close: async () => undefined,
  }),
});

const codeOf = async (bytes: Buffer, bytesMax = all): Promise<string> =>
  checkStoreFile(holding(bytes), 'data.mdb', bytesMax).then(
    () => 'good',
    (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error)),
  );

const changed = (at: number, bit: number): Buffer => {
  const copy = Buffer.from(content);
  copy.writeUInt8(copy.readUInt8(at) ^ (1 << bit), at);
  return copy;
};

const named = expect.stringMatching(/^(DAMAGED_DATA|FORMAT_UNKNOWN)$/);

describe('the check of a store before it is opened', () => {
  it('accepts a store that is well, in full and by its branches', async () => {
    expect(await checkStoreFile(systemFiles, join(directory, 'data.mdb'), all)).toBe('leaves');
    expect(await checkStoreFile(systemFiles, join(directory, 'data.mdb'), 0)).toBe('branches');
    expect(await checkStoreFile(systemFiles, join(directory, 'none.mdb'), all)).toBe('nothing there');
  });

  it('refuses every bit of the heads and the entries of a tree that is wrong', async () => {
    const meta = readMeta(content, 'data.mdb');
    const pages = [meta.main.root, meta.free.root].map((page) => page ?? 0);
    const main = content.subarray((pages[0] ?? 0) * pageBytes, ((pages[0] ?? 0) + 1) * pageBytes);
    const head = readHead(main, pages[0] ?? 0, 'tree');
    // Rows and index; the state record, the first table, has its own check when it is read.
    for (let index = 1; index < head.count; index += 1) {
      const node = 24 + main.readUInt16LE(24 + 2 * index);
      pages.push(readTreeRecord(main, node + 8 + main.readUInt16LE(node + 6)).root ?? 0);
    }
    for (const page of pages.filter((_, index) => index !== 1)) {
      const start = page * pageBytes;
      const upper = content.readUInt16LE(start + 22);
      // Number, flags, ends of the free space, the first place, and the size or child of the last entry.
      for (const at of [0, 1, 18, 20, 22, 24, 24 + upper]) {
        for (let bit = 0; bit < 8; bit += 1) {
          expect([start + at, bit, await codeOf(changed(start + at, bit))]).toEqual([start + at, bit, named]);
        }
      }
    }
  });

  it('refuses a row and an index entry of which any bit is wrong', async () => {
    for (const text of ['k13', 'k50', 'k96']) {
      for (let at = content.indexOf(text); at !== -1; at = content.indexOf(text, at + 1)) {
        const codes = await Promise.all([0, 3, 7].map((bit) => codeOf(changed(at + 1, bit))));
        const page = Math.floor(at / pageBytes) * pageBytes;
        const isLive = codes.includes('DAMAGED_DATA');
        if (isLive) expect([page, codes]).toEqual([page, ['DAMAGED_DATA', 'DAMAGED_DATA', 'DAMAGED_DATA']]);
      }
    }
  });

  it('refuses a page number in the lists of free pages of which a high bit is wrong, however large it makes the number', async () => {
    const root = readMeta(content, 'data.mdb').free.root ?? 0;
    const page = content.subarray(root * pageBytes, (root + 1) * pageBytes);
    const head = readHead(page, root, 'tree');
    expect(head.isLeaf).toBe(true);
    let flips = 0;
    for (let index = 0; index < head.count; index += 1) {
      const entry = new LeafEntry();
      readLeafEntry(page, head, index, entry);
      for (let place = 1; place <= Number(page.readBigUInt64LE(entry.valueStart)); place += 1) {
        const at = entry.valueStart + 8 * place;
        if (page.readBigInt64LE(at) <= 0n) continue;
        for (const bit of [40, 53, 54, 58, 62]) {
          expect([place, bit, await codeOf(changed(root * pageBytes + at + (bit >> 3), bit & 7))]).toEqual([place, bit, named]);
          flips += 1;
        }
      }
    }
    expect(flips).toBeGreaterThan(0);
  });

  it('refuses a value that is said to have more pages than the file, before it makes room for them', async () => {
    const { lastPage } = readMeta(content, 'data.mdb');
    let refused = 0;
    for (let number = 2; number <= lastPage; number += 1) {
      const page = content.subarray(number * pageBytes, (number + 1) * pageBytes);
      if (page.length < pageBytes || page.readUInt16LE(18) !== 2) continue;
      const head = readHead(page, number, 'tree');
      for (let index = 0; index < head.count; index += 1) {
        const entry = new LeafEntry();
        readLeafEntry(page, head, index, entry);
        if (entry.overflow === undefined) continue;
        // The highest bits of the number of pages. A leaf that is not in use any more is not looked at.
        const code = await codeOf(changed(number * pageBytes + entry.keyEnd + 16 + 4, 6));
        if (code !== 'good') refused += 1;
        expect(['good', 'DAMAGED_DATA']).toContain(code);
      }
    }
    expect(refused).toBeGreaterThan(0);
  });

  it('refuses a file that is cut short, by its branches too', async () => {
    for (const bytes of [1, 100, pageBytes, 3 * pageBytes, Math.floor(content.length / 2)]) {
      expect(await codeOf(content.subarray(0, bytes))).toEqual(named);
      expect(await codeOf(content.subarray(0, bytes), 0)).toEqual(named);
    }
  });

  it('names a format of LMDB that it does not know', async () => {
    expect(await codeOf(changed(24 + 4, 0))).toBe('FORMAT_UNKNOWN');
  });
});
