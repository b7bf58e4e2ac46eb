import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom } from '@kalamdb/protocol';
import { crc32c } from '@node-rs/crc32';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LocalFile } from '../cold/contract.ts';
import { type FileSystem, systemFiles } from '../files/file-system.ts';
import type { ObjectStore } from './contract.ts';
import { openFilesystemStore } from './filesystem-store.ts';
import { openMemoryObjectStore } from './memory-object-store.ts';
import { SegmentCache } from './segment-cache.ts';

const code = (expected: string): { readonly code: string } => expect.objectContaining({ code: expected });
const contentOf = (key: string, size: number): Buffer => Buffer.alloc(size, `${key} `);
const expectedOf = (content: Uint8Array): { bytes: number; checksum: number } => ({ bytes: content.length, checksum: crc32c(content) });

/** A store elsewhere that counts its downloads and can be told to wait or to send something else. */
class DistantStore {
  readonly store: ObjectStore;
  downloads = 0;
  before: (signal: AbortSignal | undefined) => Promise<void> = async () => undefined;
  damaged = 0;

  constructor() {
    const inner = openMemoryObjectStore({ storage: 'far', files: systemFiles });
    this.store = {
      ...bound(inner),
      storage: 'far',
      download: async (key, path, options) => {
        this.downloads += 1;
        await this.before(options?.signal);
        const bytes = await inner.download(key, path, options);
        if (this.damaged > 0) {
          this.damaged -= 1;
          const content = readFileSync(path);
          content[0] = (content[0] ?? 0) ^ 1;
          writeFileSync(path, content);
        }
        return bytes;
      },
    };
  }

  async put(key: string, size: number): Promise<{ bytes: number; checksum: number }> {
    await this.store.put(key, { bytes: contentOf(key, size) });
    return expectedOf(contentOf(key, size));
  }
}

function bound(store: ObjectStore): Omit<ObjectStore, 'storage' | 'download'> {
  return {
    put: (...call) => store.put(...call),
    get: (...call) => store.get(...call),
    readRange: (...call) => store.readRange(...call),
    list: (...call) => store.list(...call),
    delete: (...call) => store.delete(...call),
    stat: (...call) => store.stat(...call),
    localPath: (key) => store.localPath(key),
    space: () => store.space(),
    close: () => store.close(),
  };
}

describe('segment cache', () => {
  let folder: string;
  let far: DistantStore;
  const openCache = (bytesMax = 10_000, files: FileSystem = systemFiles): Promise<SegmentCache> =>
    SegmentCache.open({ directory: join(folder, 'cache'), files, bytesMax });
  const copies = (): readonly string[] => readdirSync(join(folder, 'cache'));

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kalamdb-cache-'));
    far = new DistantStore();
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('gives everybody who asks at once the same copy, of one download', async () => {
    const cache = await openCache();
    const expected = await far.put('a', 1_000);
    const opened = await Promise.all(Array.from({ length: 10 }, () => cache.open(far.store, 'a', expected)));
    expect(far.downloads).toBe(1);
    expect(new Set(opened.map(({ path }) => path)).size).toBe(1);
    expect(readFileSync(opened[0]?.path ?? '').toString()).toBe(contentOf('a', 1_000).toString());
    expect(cache.figures).toEqual({ bytes: 1_000, copies: 1, openFiles: 10, downloads: 1 });
    for (const file of [...opened, ...opened]) file.close();
    expect(cache.figures.openFiles).toBe(0);
    (await cache.open(far.store, 'a', expected)).close();
    expect(far.downloads).toBe(1);
  });

  it('uses what lies on this machine in place, and checks it', async () => {
    const cache = await openCache();
    const store = await openFilesystemStore({
      ...{ storage: 'near', root: join(folder, 'near'), owner: 'test' },
      ...{ files: systemFiles, random: systemRandom },
    });
    await store.put('deep/a', { bytes: contentOf('a', 2_000_000) });
    const expected = expectedOf(contentOf('a', 2_000_000));
    const file = await cache.open(store, 'deep/a', expected);
    expect(file.path).toBe(store.localPath('deep/a'));
    expect(cache.figures).toEqual({ bytes: 0, copies: 0, openFiles: 1, downloads: 0 });
    file.close();
    await expect(cache.open(store, 'deep/a', { ...expected, checksum: expected.checksum + 1 })).rejects.toEqual(code('DAMAGED_DATA'));
    await expect(cache.open(store, 'deep/none', expected)).rejects.toThrow(
      "Damaged data in object 'deep/none' of storage 'near': it is missing",
    );
  });

  it('keeps its bytes below the bound, the most recently used longest, and what is open always', async () => {
    const cache = await openCache(3_500);
    const expected = new Map<string, { bytes: number; checksum: number }>();
    for (const key of ['a', 'b', 'c', 'd', 'e']) expected.set(key, await far.put(key, 1_000));
    const open = (key: string): Promise<LocalFile> => cache.open(far.store, key, expected.get(key) ?? { bytes: 0, checksum: 0 });
    const a = await open('a');
    for (const key of ['b', 'c', 'b', 'd']) (await open(key)).close();
    expect(cache.figures).toMatchObject({ bytes: 3_000, downloads: 4 });
    for (const key of ['a', 'b', 'd']) (await open(key)).close();
    expect(cache.figures.downloads).toBe(4);
    const held = [await open('b'), await open('d')];
    await expect(open('e')).rejects.toEqual(code('STORE_FULL'));
    await expect(open('e')).rejects.toMatchObject({ spec: { retryable: true } });
    a.close();
    (await open('e')).close();
    expect(existsSync(a.path)).toBe(false);
    for (const file of held) expect(existsSync(file.path)).toBe(true);
  });

  it('downloads once more what came damaged, then names it', async () => {
    const cache = await openCache();
    const expected = await far.put('ns/t/batch-0.parquet', 1_000);
    far.damaged = 1;
    (await cache.open(far.store, 'ns/t/batch-0.parquet', expected)).close();
    await cache.forget(far.store, 'ns/t/batch-0.parquet');
    far.damaged = 2;
    await expect(cache.open(far.store, 'ns/t/batch-0.parquet', expected)).rejects.toThrow(
      /Damaged data in object 'ns\/t\/batch-0\.parquet' of storage 'far': its checksum is \d+ instead of \d+/,
    );
    await expect(cache.open(far.store, 'gone', expected)).rejects.toThrow("Damaged data in object 'gone' of storage 'far': it is missing");
    expect(copies()).toEqual([]);
    expect(cache.figures).toMatchObject({ bytes: 0, copies: 0, openFiles: 0 });
  });

  it('takes its copies over a restart, checks each, and removes what a crash has left', async () => {
    const before = await openCache();
    const expected = [await far.put('a', 1_000), await far.put('b', 1_000), await far.put('c', 1_000)];
    const [a, b, c] = expected.map((found) => found ?? { bytes: 0, checksum: 0 });
    for (const [index, found] of expected.entries()) (await before.open(far.store, 'abc'.charAt(index), found)).close();
    const paths = new Map<string, string>();
    for (const name of copies())
      paths.set(
        readFileSync(join(folder, 'cache', name))
          .toString()
          .charAt(0),
        join(folder, 'cache', name),
      );
    writeFileSync(paths.get('b') ?? '', contentOf('x', 1_000));
    writeFileSync(paths.get('c') ?? '', contentOf('c', 999));
    writeFileSync(`${paths.get('a')}.part`, 'half');
    const after = await openCache();
    expect(copies().filter((name) => name.endsWith('.part'))).toEqual([]);
    expect(after.figures).toMatchObject({ bytes: 2_000, copies: 2 });
    far.downloads = 0;
    for (const [key, found] of [
      ['a', a],
      ['b', b],
      ['c', c],
    ] as const) {
      const file = await after.open(far.store, key, found ?? { bytes: 0, checksum: 0 });
      expect(readFileSync(file.path).toString()).toBe(contentOf(key, 1_000).toString());
      file.close();
    }
    expect(far.downloads).toBe(2);
    expect((await openCache(1_500)).figures.copies).toBe(1);
  });

  it('forgets an object when the last reader has closed it', async () => {
    const cache = await openCache();
    const expected = await far.put('a', 1_000);
    const [one, two] = [await cache.open(far.store, 'a', expected), await cache.open(far.store, 'a', expected)];
    let isForgotten = false;
    const forgotten = cache.forget(far.store, 'a').then(() => {
      isForgotten = true;
    });
    one.close();
    await Promise.resolve();
    expect(isForgotten).toBe(false);
    expect(existsSync(two.path)).toBe(true);
    two.close();
    await forgotten;
    expect(copies()).toEqual([]);
    expect(cache.figures.bytes).toBe(0);
    await cache.forget(far.store, 'never seen');
  });

  it('ends a download that nobody waits for any more, and only then', async () => {
    const cache = await openCache();
    const expected = await far.put('a', 1_000);
    let ended = 0;
    let tellStarted: () => void = () => undefined;
    const started = new Promise<void>((resolve) => {
      tellStarted = resolve;
    });
    far.before = (signal) =>
      new Promise((_, reject) => {
        tellStarted();
        signal?.addEventListener('abort', () => {
          ended += 1;
          reject(signal.reason);
        });
      });
    const controllers = [new AbortController(), new AbortController()];
    const waiting = controllers.map(({ signal }) => cache.open(far.store, 'a', expected, { signal }));
    await started;
    controllers[0]?.abort(new Error('first'));
    await expect(waiting[0]).rejects.toThrow('first');
    expect(ended).toBe(0);
    controllers[1]?.abort(new Error('second'));
    await expect(waiting[1]).rejects.toThrow('second');
    far.before = async () => undefined;
    (await cache.open(far.store, 'a', expected)).close();
    expect(ended).toBe(1);
    expect(copies()).toHaveLength(1);
  });

  it('says that the disk is full, and leaves nothing', async () => {
    const expected = await far.put('a', 1_000);
    const full = (): Promise<never> => Promise.reject(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }));
    const cache = await openCache(10_000, { ...systemFiles, rename: full });
    await expect(cache.open(far.store, 'a', expected)).rejects.toEqual(code('STORE_FULL'));
    expect(copies()).toEqual([]);
    expect(cache.figures).toMatchObject({ bytes: 0, copies: 0, openFiles: 0 });
    (await (await openCache()).open(far.store, 'a', expected)).close();
  });

  it('never gives a wrong file, loses an open one or passes its bound, whatever is done', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('open' as const), key: fc.nat(5) }),
      fc.record({ do: fc.constant('close' as const), which: fc.nat(10) }),
      fc.record({ do: fc.constant('forget' as const), key: fc.nat(5) }),
      fc.record({ do: fc.constant('damage' as const) }),
    );
    const expected = await Promise.all(Array.from({ length: 6 }, (_, key) => far.put(`k${key}`, 500 + key * 100)));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        rmSync(join(folder, 'cache'), { recursive: true, force: true });
        const cache = await openCache(2_000);
        const open: { key: number; file: LocalFile }[] = [];
        const forgetting: Promise<void>[] = [];
        for (const it of steps) {
          if (it.do === 'open') {
            const opening = cache.open(far.store, `k${it.key}`, expected[it.key] ?? { bytes: 0, checksum: 0 });
            const file = await opening.catch((error: unknown) => {
              expect(error).toEqual(code('STORE_FULL'));
              return undefined;
            });
            if (file !== undefined) open.push({ key: it.key, file });
          } else if (it.do === 'close') open.splice(it.which % Math.max(open.length, 1), 1)[0]?.file.close();
          else if (it.do === 'forget') forgetting.push(cache.forget(far.store, `k${it.key}`));
          else far.damaged = 1;
          expect(cache.figures.bytes).toBeLessThanOrEqual(2_000);
          for (const { key, file } of open) {
            expect(readFileSync(file.path).toString()).toBe(contentOf(`k${key}`, 500 + key * 100).toString());
          }
        }
        for (const { file } of open) file.close();
        await Promise.all(forgetting);
      }),
      { numRuns: 60 },
    );
  });
});
