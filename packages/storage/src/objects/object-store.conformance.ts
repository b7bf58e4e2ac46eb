import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listAll, type ObjectStore } from './contract.ts';

/** A store to be tested; empty when it is opened. */
export interface StoreUnderTest {
  readonly name: string;
  /** Whether the store reads local files in place. */
  readonly isLocal: boolean;
  /** A size that the store has to put in several steps, where it knows such. */
  readonly largeBytes: number;
  /** Runs of each property. */
  readonly runs: number;
  open(): Promise<ObjectStore>;
}

const code = (expected: string): { readonly code: string } => expect.objectContaining({ code: expected });

const REFUSED_KEYS: readonly string[] = [
  '',
  '/a',
  'a/',
  'a//b',
  '..',
  '../a',
  'a/../b',
  'a/./b',
  '.hidden',
  'a/.hidden',
  'a\\b',
  'a\u0000b',
  'a\nb',
  'a\u007f',
  'a\ud800b',
  'x'.repeat(256),
  Array.from({ length: 10 }, () => 'y'.repeat(100)).join('/'),
];

const bytesOf = (size: number, seed: number): Uint8Array => {
  const bytes = new Uint8Array(size);
  let state = seed + 1;
  for (let at = 0; at < size; at += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
};

const keysOf = async (store: ObjectStore, prefix: string): Promise<readonly string[]> => {
  const keys: string[] = [];
  for await (const { key } of listAll(store, prefix)) keys.push(key);
  return keys;
};

/** What the tests of one store work with. */
class StoreWorld {
  readonly subject: StoreUnderTest;
  readonly #folder = mkdtempSync(join(tmpdir(), 'kalamdb-objects-'));
  #store: ObjectStore | undefined;

  constructor(subject: StoreUnderTest) {
    this.subject = subject;
  }

  async open(): Promise<void> {
    this.#store = await this.subject.open();
    await this.#store.put('one/a.bin', { bytes: bytesOf(10_000, 1) });
  }

  get store(): ObjectStore {
    if (this.#store === undefined) throw new Error('the store is not open yet');
    return this.#store;
  }

  /** A path in a folder of the test's. */
  inFolder(name: string): string {
    return join(this.#folder, name);
  }

  async close(): Promise<void> {
    await this.#store?.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** What every object store has to do. */
export function describeObjectStore(subject: StoreUnderTest): void {
  describe(`object store: ${subject.name}`, () => {
    const world = new StoreWorld(subject);
    beforeAll(() => world.open());
    afterAll(() => world.close());
    describeContents(world);
    describeFiles(world);
    describeNames(world);
  });
}

function describeContents(world: StoreWorld): void {
  describe('holding and giving back', () => {
    it('gives back what was put, whole and in parts', async () => {
      const content = bytesOf(10_000, 1);
      await world.store.put('one/a.bin', { bytes: content });
      expect(Buffer.compare(await world.store.get('one/a.bin', { bytesMax: 10_000 }), content)).toBe(0);
      expect(Buffer.compare(await world.store.readRange('one/a.bin', { start: 9_000, bytes: 500 }), content.subarray(9_000, 9_500))).toBe(
        0,
      );
      expect(await world.store.readRange('one/a.bin', { start: 9_900, bytes: 500 })).toHaveLength(100);
      expect(await world.store.readRange('one/a.bin', { start: 10_000, bytes: 5 })).toHaveLength(0);
      expect(await world.store.stat('one/a.bin')).toEqual({ key: 'one/a.bin', bytes: 10_000 });
    });

    it('holds empty objects', async () => {
      await world.store.put('one/empty', { bytes: new Uint8Array(0) });
      expect(await world.store.get('one/empty', { bytesMax: 1 })).toHaveLength(0);
      expect(await world.store.readRange('one/empty', { start: 0, bytes: 5 })).toHaveLength(0);
      expect(await world.store.download('one/empty', world.inFolder('empty'))).toBe(0);
    });

    it('replaces an object', async () => {
      await world.store.put('one/again', { bytes: bytesOf(100, 1) });
      await world.store.put('one/again', { bytes: bytesOf(50, 2) });
      expect(Buffer.compare(await world.store.get('one/again', { bytesMax: 50 }), bytesOf(50, 2))).toBe(0);
    });

    it('puts an object if there is none, and one of many at once wins', async () => {
      const put = (seed: number): Promise<void> => world.store.put('one/once', { bytes: bytesOf(1_000, seed) }, { ifAbsent: true });
      const outcomes = await Promise.allSettled([put(1), put(2), put(3), put(4)]);
      const won = outcomes.findIndex(({ status }) => status === 'fulfilled') + 1;
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const outcome of outcomes) if (outcome.status === 'rejected') expect(outcome.reason).toEqual(code('OBJECT_EXISTS'));
      expect(Buffer.compare(await world.store.get('one/once', { bytesMax: 1_000 }), bytesOf(1_000, won))).toBe(0);
    });

    it('refuses to hold more than it is told', async () => {
      await expect(world.store.get('one/a.bin', { bytesMax: 9_999 })).rejects.toEqual(code('OBJECT_TOO_LARGE'));
    });
  });
}

function describeFiles(world: StoreWorld): void {
  describe('files, absence, ends', () => {
    it('puts files and downloads them; a file that is given away is gone', async () => {
      const content = bytesOf(world.subject.largeBytes, 7);
      writeFileSync(world.inFolder('source'), content);
      await world.store.put('large/one', { file: world.inFolder('source') });
      expect(statSync(world.inFolder('source')).size).toBe(content.length);
      await world.store.put('large/two', { file: world.inFolder('source'), take: true }, { ifAbsent: true });
      expect(statSync(world.inFolder('source'), { throwIfNoEntry: false })).toBeUndefined();
      for (const key of ['large/one', 'large/two']) {
        writeFileSync(world.inFolder('target'), 'something older');
        expect(await world.store.download(key, world.inFolder('target'))).toBe(content.length);
        expect(Buffer.compare(readFileSync(world.inFolder('target')), content)).toBe(0);
      }
      writeFileSync(world.inFolder('source'), content);
      await expect(world.store.put('large/two', { file: world.inFolder('source'), take: true }, { ifAbsent: true })).rejects.toEqual(
        code('OBJECT_EXISTS'),
      );
    });

    it('names what is not there, and leaves no file behind', async () => {
      const absent = code('OBJECT_NOT_FOUND');
      for (const key of ['one/none', 'one', 'one/a.bin/below']) {
        await expect(world.store.get(key, { bytesMax: 1 })).rejects.toEqual(absent);
        await expect(world.store.readRange(key, { start: 0, bytes: 1 })).rejects.toEqual(absent);
        await expect(world.store.download(key, world.inFolder('absent'))).rejects.toEqual(absent);
        expect(await world.store.stat(key)).toBeUndefined();
        await world.store.delete([key]);
      }
      expect(statSync(world.inFolder('absent'), { throwIfNoEntry: false })).toBeUndefined();
      expect(await world.store.stat('one/a.bin')).toBeDefined();
    });

    it('ends when it is told to', async () => {
      const reason = new Error('enough');
      const signal = AbortSignal.abort(reason);
      await expect(world.store.put('one/aborted', { bytes: bytesOf(1, 1) }, { signal })).rejects.toBe(reason);
      await expect(world.store.get('one/a.bin', { bytesMax: 1e6, signal })).rejects.toBe(reason);
      await expect(world.store.list('one/', { signal })).rejects.toBe(reason);
      expect(await world.store.stat('one/aborted')).toBeUndefined();
    });

    it('says whether its objects are files of this machine', async () => {
      const path = world.store.localPath('one/a.bin');
      expect(path === undefined ? undefined : readFileSync(path).length).toBe(world.subject.isLocal ? 10_000 : undefined);
    });
  });
}

function describeNames(world: StoreWorld): void {
  describe('names and listings', () => {
    it('refuses names that are none, before it looks anywhere', async () => {
      for (const key of REFUSED_KEYS) {
        const refused = code('OBJECT_KEY_REFUSED');
        await expect((async () => world.store.put(key, { bytes: bytesOf(1, 1) }))()).rejects.toEqual(refused);
        await expect((async () => world.store.get(key, { bytesMax: 1 }))()).rejects.toEqual(refused);
        await expect((async () => world.store.download(key, world.inFolder('refused')))()).rejects.toEqual(refused);
        await expect((async () => world.store.delete([key]))()).rejects.toEqual(refused);
        await expect((async () => world.store.stat(key))()).rejects.toEqual(refused);
        expect(() => world.store.localPath(key)).toThrow(refused);
      }
      for (const prefix of ['../', '/', 'a//', '.', 'a/..']) {
        await expect((async () => world.store.list(prefix))()).rejects.toEqual(code('OBJECT_KEY_REFUSED'));
      }
    });

    it('takes names with any other characters', async () => {
      const keys = ['names/a b+c&d=e', "names/(f)!*'", 'names/%41', 'names/Ünïcödé/日本', 'names/#?;:@$,~', 'names/x.y..z'];
      for (const key of keys) await world.store.put(key, { bytes: Buffer.from(key) });
      expect(await keysOf(world.store, 'names/')).toEqual([...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
      for (const key of keys) expect(Buffer.from(await world.store.get(key, { bytesMax: 100 })).toString()).toBe(key);
      await world.store.delete(keys);
      expect(await keysOf(world.store, 'names/')).toEqual([]);
    });

    it('lists page by page what begins with a prefix, in the order of the bytes', async () => {
      const keys = ['list/a', 'list/a.b', 'list/a0', 'list/ab/c', 'list/ab/d', 'list/ab-c', 'list/b/c/d', 'list/é'];
      for (const key of keys) await world.store.put(key, { bytes: bytesOf(key.length, 1) });
      const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(await keysOf(world.store, 'list/')).toEqual(sorted);
      expect(await keysOf(world.store, 'list/ab')).toEqual(sorted.filter((key) => key.startsWith('list/ab')));
      expect(await keysOf(world.store, 'list/ab/')).toEqual(['list/ab/c', 'list/ab/d']);
      expect(await keysOf(world.store, 'list/nothing/')).toEqual([]);
      const first = await world.store.list('list/', { max: 3 });
      expect(first.objects.map(({ key }) => key)).toEqual(sorted.slice(0, 3));
      expect(first.objects[0]?.bytes).toBe(6);
      const second = await world.store.list('list/', { max: 100, after: first.next });
      expect(second.objects.map(({ key }) => key)).toEqual(sorted.slice(3));
      expect(second.next).toBeUndefined();
      expect((await world.store.list('list/', { after: 'list/ab/c', max: 1 })).objects.map(({ key }) => key)).toEqual(['list/ab/d']);
    });

    it('does what a map does', async () => {
      const key = fc.constantFrom('m/a', 'm/b', 'm/c/a', 'm/c/b', 'm/c/d/e');
      const step = fc.oneof(
        fc.record({ do: fc.constant('put' as const), key, size: fc.nat(2_000), ifAbsent: fc.boolean() }),
        fc.record({ do: fc.constant('delete' as const), keys: fc.array(key, { maxLength: 3 }) }),
        fc.record({ do: fc.constant('get' as const), key }),
        fc.record({
          do: fc.constant('list' as const),
          prefix: fc.constantFrom('m/', 'm/c', 'm/c/', 'm/a'),
          max: fc.integer({ min: 1, max: 4 }),
        }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
          await world.store.delete(['m/a', 'm/b', 'm/c/a', 'm/c/b', 'm/c/d/e']);
          const model = new Map<string, Uint8Array>();
          for (const [at, it] of steps.entries()) await playStep(world.store, model, { ...it, at });
        }),
        { numRuns: world.subject.runs },
      );
    });
  });
}

type Step =
  | { readonly do: 'put'; readonly key: string; readonly size: number; readonly ifAbsent: boolean; readonly at: number }
  | { readonly do: 'delete'; readonly keys: readonly string[]; readonly at: number }
  | { readonly do: 'get'; readonly key: string; readonly at: number }
  | { readonly do: 'list'; readonly prefix: string; readonly max: number; readonly at: number };

async function playStep(store: ObjectStore, model: Map<string, Uint8Array>, step: Step): Promise<void> {
  if (step.do === 'put') {
    const bytes = bytesOf(step.size, step.at);
    const put = store.put(step.key, { bytes }, { ifAbsent: step.ifAbsent });
    if (step.ifAbsent && model.has(step.key)) await expect(put).rejects.toEqual(code('OBJECT_EXISTS'));
    else {
      await put;
      model.set(step.key, bytes);
    }
  } else if (step.do === 'delete') {
    await store.delete(step.keys);
    for (const key of step.keys) model.delete(key);
  } else if (step.do === 'get') {
    const expected = model.get(step.key);
    expect((await store.stat(step.key))?.bytes).toBe(expected?.length);
    if (expected !== undefined) expect(Buffer.compare(await store.get(step.key, { bytesMax: 2_000 }), expected)).toBe(0);
  } else {
    const expected = [...model.keys()].filter((key) => key.startsWith(step.prefix)).sort();
    const page = await store.list(step.prefix, { max: step.max });
    expect(page.objects.map(({ key }) => key)).toEqual(expected.slice(0, step.max));
    expect(page.next !== undefined).toBe(expected.length > step.max);
  }
}
