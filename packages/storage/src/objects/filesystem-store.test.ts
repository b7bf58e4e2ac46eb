import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { KalamError, systemRandom } from '@kalamdb/protocol';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type FaultKind, FaultyFiles } from '../files/faulty-files.fake.ts';
import { type FileSystem, systemFiles } from '../files/file-system.ts';
import { MemoryFiles } from '../files/memory-files.fake.ts';
import { listAll, type ObjectStore } from './contract.ts';
import { openFilesystemStore } from './filesystem-store.ts';

let folder: string;
const open = (files: FileSystem = systemFiles, owner = 'one'): Promise<ObjectStore> =>
  openFilesystemStore({ storage: 'disk', root: join(folder, 'store'), files, random: systemRandom, owner });
const filesBelow = (path: string): readonly string[] =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kalamdb-folder-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('shows an object whole or not at all, whichever operation fails', async () => {
  const content = Buffer.alloc(3_000_000, 'content');
  for (const kind of ['refused', 'short', 'done but reported failed'] satisfies readonly FaultKind[]) {
    for (const take of [false, true]) {
      for (let first = 0, isOver = false; !isOver; first += 1) {
        const source = join(folder, 'source');
        writeFileSync(source, content);
        const faulty = new FaultyFiles(systemFiles);
        const store = await open(faulty.files);
        await store.put('a/b/old', { bytes: Buffer.from('old') });
        faulty.operations = 0;
        faulty.fault = { first, count: 1, kind };
        const failure = await store.put('a/b/old', { file: source, take }).then(
          () => undefined,
          (error: unknown) => error,
        );
        isOver = faulty.operations <= first;
        faulty.fault = undefined;
        // A short write is no failure: the rest follows.
        expect(failure instanceof KalamError || failure === undefined).toBe(true);
        const found = await store.get('a/b/old', { bytesMax: content.length });
        expect([3, content.length]).toContain(found.length);
        if (failure === undefined) expect(found.length).toBe(content.length);
        // What could not be removed is gone with the next opening.
        const again = await open();
        expect(filesBelow(join(folder, 'store'))).toEqual([join(folder, 'store', 'a/b/old')]);
        await again.delete(['a/b/old']);
        expect(readdirSync(join(folder, 'store'))).toEqual(['.incoming']);
      }
    }
  }
});

it('keeps what was put over a power cut', async () => {
  for (let seed = 0; seed < 20; seed += 1) {
    let state = seed;
    const choose = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state % below;
    };
    const files = new MemoryFiles();
    const store = await openFilesystemStore({ storage: 'disk', root: '/root', files, random: systemRandom, owner: 'one' });
    await store.put('a/b', { bytes: Buffer.alloc(10_000, 'b') });
    await store.put('a/c', { bytes: Buffer.alloc(20_000, 'c') }, { ifAbsent: true });
    const left = files.afterPowerCut(choose);
    const again = await openFilesystemStore({ storage: 'disk', root: '/root', files: left, random: systemRandom, owner: 'one' });
    expect(Buffer.from(await again.get('a/b', { bytesMax: 10_000 })).equals(Buffer.alloc(10_000, 'b'))).toBe(true);
    expect(Buffer.from(await again.get('a/c', { bytesMax: 20_000 })).equals(Buffer.alloc(20_000, 'c'))).toBe(true);
  }
});

it('removes what the same owner left half written, and nothing of others', async () => {
  await open(systemFiles, 'one');
  await open(systemFiles, 'two');
  for (const owner of ['one', 'two']) writeFileSync(join(folder, 'store', '.incoming', owner, 'half'), 'half');
  const store = await open(systemFiles, 'one');
  expect(filesBelow(join(folder, 'store'))).toEqual([join(folder, 'store', '.incoming/two/half')]);
  for await (const object of listAll(store, '')) expect(object).toBeUndefined();
});

it('removes empty folders up to its root, also while others put objects into them', async () => {
  const store = await open();
  const cycle = async (name: string): Promise<void> => {
    for (let round = 0; round < 30; round += 1) {
      await store.put(`x/y/z/${name}`, { bytes: Buffer.from(name) });
      expect(await store.stat(`x/y/z/${name}`)).toBeDefined();
      await store.delete([`x/y/z/${name}`]);
    }
  };
  await Promise.all(['a', 'b', 'c'].map(cycle));
  expect(readdirSync(join(folder, 'store'))).toEqual(['.incoming']);
});

it('copies a file that lies on another disk, and looks first where files have one name only', async () => {
  const failing = (code: string) => (): Promise<never> => Promise.reject(Object.assign(new Error(code), { code }));
  const source = join(folder, 'source');
  const elsewhere: FileSystem = {
    ...systemFiles,
    rename: (from, to) => (from === source ? failing('EXDEV')() : systemFiles.rename(from, to)),
    link: failing('ENOTSUP'),
  };
  const store = await open(elsewhere);
  writeFileSync(source, 'content');
  await store.put('a', { file: source, take: true }, { ifAbsent: false });
  expect(existsSync(source)).toBe(false);
  await store.put('b', { bytes: Buffer.from('b') }, { ifAbsent: true });
  await expect(store.put('b', { bytes: Buffer.from('c') }, { ifAbsent: true })).rejects.toMatchObject({ code: 'OBJECT_EXISTS' });
});

it('says what the system refuses', async () => {
  const cases: readonly (readonly [string, string])[] = [
    ['ENOSPC', 'STORE_FULL'],
    ['EDQUOT', 'STORE_FULL'],
    ['EACCES', 'STORE_ACCESS_DENIED'],
    ['EROFS', 'STORE_ACCESS_DENIED'],
    ['EIO', 'STORE_UNREACHABLE'],
    ['EMFILE', 'STORE_UNREACHABLE'],
    ['ENAMETOOLONG', 'STORE_REQUEST_REFUSED'],
  ];
  const store = await open();
  await store.close();
  await expect(store.list('')).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
  for (const [system, code] of cases) {
    const files: FileSystem = { ...systemFiles, rename: () => Promise.reject(Object.assign(new Error(system), { code: system })) };
    const failing = await open(files);
    await expect(failing.put('a', { bytes: Buffer.from('a') })).rejects.toMatchObject({
      code,
      spec: { retryable: /FULL|UNREACHABLE/.test(code) },
    });
  }
  mkdirSync(join(folder, 'store', 'is', 'folder'), { recursive: true });
  await expect((await open()).put('is', { bytes: Buffer.from('a') })).rejects.toMatchObject({ code: 'STORE_REQUEST_REFUSED' });
  expect(dirname(join(folder, 'store'))).toBe(folder);
});
