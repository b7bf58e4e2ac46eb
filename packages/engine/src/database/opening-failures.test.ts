import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom, systemTimers } from '@kalamdb/protocol';
import { type FileSystem, type OpenFile, systemFiles } from '@kalamdb/storage';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openStorage, type Storage } from './open-storage.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kalamdb-opening-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = (files: FileSystem, directory = join(folder, 'data')): Promise<Storage> =>
  openStorage({ directory, files, timers: systemTimers, random: systemRandom, logFileBytes: 32_768 });

/** A file system the n-th call of which (from 0) and all after it fail with `code`. */
class FailingFiles {
  calls = 0;
  failing = true;
  readonly #first: number;
  readonly #code: string;

  constructor(first: number, code: string) {
    this.#first = first;
    this.#code = code;
  }

  get files(): FileSystem {
    const { open: openFile, readSync, ...rest } = systemFiles;
    return {
      readSync,
      open: async (path, mode) => this.#file(await this.#call(() => openFile(path, mode))),
      rename: (from, to) => this.#call(() => rest.rename(from, to)),
      link: (from, to) => this.#call(() => rest.link(from, to)),
      remove: (path) => this.#call(() => rest.remove(path)),
      removeDirectory: (path) => this.#call(() => rest.removeDirectory(path)),
      list: (directory) => this.#call(() => rest.list(directory)),
      stat: (path) => this.#call(() => rest.stat(path)),
      makeDirectory: (path) => this.#call(() => rest.makeDirectory(path)),
      syncDirectory: (path) => this.#call(() => rest.syncDirectory(path)),
      space: (path) => this.#call(() => rest.space(path)),
    };
  }

  #file(file: OpenFile): OpenFile {
    return {
      read: (target, position) => this.#call(() => file.read(target, position)),
      write: (source, position) => this.#call(() => file.write(source, position)),
      sync: () => this.#call(() => file.sync()),
      close: () => file.close(),
    };
  }

  async #call<T>(call: () => Promise<T>): Promise<T> {
    if (this.calls++ >= this.#first && this.failing) throw Object.assign(new Error(`${this.#code}: refused`), { code: this.#code });
    return call();
  }
}

const CODES: readonly (readonly [string, RegExp])[] = [
  ['EIO', /disk fails/],
  ['EMFILE', /limit of open files/],
  ['ENOSPC', /Make space/],
  ['EACCES', /right to read and write/],
];

describe('a data directory that the system does not let us open', () => {
  it('is refused with what to do next, wherever it happens, and opens when the cause is gone', async () => {
    const codes = new Set<string>();
    let opened = false;
    for (let first = 0; !opened; first += 1 + (first >> 3)) {
      const [code, advice] = CODES[first % CODES.length] ?? ['EIO', /disk fails/];
      const failing = new FailingFiles(first, code);
      const outcome = await open(failing.files).then(
        (storage) => storage,
        (error: unknown) => error,
      );
      opened = !(outcome instanceof Error);
      if (outcome instanceof Error) {
        codes.add(code);
        expect(outcome).toMatchObject({ code: 'STORAGE_UNAVAILABLE', message: expect.stringMatching(advice) });
        expect(outcome.message).toContain(code);
        // The lock could not be removed, and it is one of this process, which is alive.
        await rm(join(folder, 'data'), { recursive: true, force: true });
      } else {
        // What failed was done behind the back of opening.
        failing.failing = false;
        await (outcome as Storage).close();
      }
    }
    await (await open(systemFiles)).close();
    expect([...codes].sort()).toEqual(CODES.map(([code]) => code).sort());
  });

  it('is refused when a file lies in its place', async () => {
    await writeFile(join(folder, 'data'), '');
    await expect(open(systemFiles)).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
      message: expect.stringContaining('choose another directory'),
    });
    await rm(join(folder, 'data'));
    await (await open(systemFiles)).close();
    await rm(join(folder, 'data', 'hot'), { recursive: true });
    await writeFile(join(folder, 'data', 'hot'), '');
    await expect(open(systemFiles)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  });
});
