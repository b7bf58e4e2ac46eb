import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDataDirectory } from './data-directory.ts';
import { DirectoryLock } from './directory-lock.ts';
import { systemFiles } from './file-system.ts';
import { publishFile } from './whole-file.ts';

let path: string;
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'kalamdb-data-'));
});
afterEach(() => rm(path, { recursive: true, force: true }));

const locked = (pid: number): object => ({ code: 'DIRECTORY_LOCKED', message: expect.stringContaining(`(process ${pid})`) });

/** Another process that opens the directory and keeps it. */
const holder = async (): Promise<ChildProcess> => {
  const module = new URL('../../dist/index.js', import.meta.url).href;
  const code = `const s = await import(${JSON.stringify(module)}); await s.openDataDirectory(process.argv[1], s.systemFiles); console.log('open'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
};

describe('the lock of a directory', () => {
  it('refuses a second opening and names the process that has it', async () => {
    const first = await openDataDirectory(path, systemFiles);
    await expect(openDataDirectory(path, systemFiles)).rejects.toMatchObject(locked(process.pid));
    await first.close();
    await (await openDataDirectory(path, systemFiles)).close();
  });

  it('holds against another process and is taken over as soon as that one is killed', async () => {
    const child = await holder();
    try {
      await expect(openDataDirectory(path, systemFiles)).rejects.toMatchObject(locked(child.pid ?? 0));
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    const directory = await openDataDirectory(path, systemFiles);
    expect(await readdir(path)).toEqual([expect.stringMatching(`^LOCK-${process.pid}-`), 'format.json']);
    await directory.close();
  });

  it('is taken over when its process has ended or its process id is used by another one', async () => {
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    for (const name of [`LOCK-${dead}-12345-1`, `LOCK-${dead}-0-1`, `LOCK-${process.pid}-1-1`]) {
      await writeFile(join(path, name), '');
      const lock = await DirectoryLock.take(systemFiles, path);
      await expect(DirectoryLock.take(systemFiles, path)).rejects.toMatchObject(locked(process.pid));
      await lock.release();
      expect(await readdir(path)).toEqual([]);
    }
  });

  it('goes to one of many that ask at the same time, stale or not', async () => {
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    for (let round = 0; round < 50; round += 1) {
      if (round % 2 === 0) await writeFile(join(path, `LOCK-${dead}-12345-1`), '');
      const takes = await Promise.allSettled(Array.from({ length: 4 }, () => DirectoryLock.take(systemFiles, path)));
      const taken = takes.flatMap((take) => (take.status === 'fulfilled' ? [take.value] : []));
      expect(taken.length).toBe(1);
      await taken[0]?.release();
      expect(await readdir(path)).toEqual([]);
    }
  });
});

describe('the format of a directory', () => {
  it('is written once and accepted afterwards', async () => {
    await (await openDataDirectory(path, systemFiles)).close();
    expect(await readFile(join(path, 'format.json'), 'utf8')).toBe('{"format":2}\n');
    await (await openDataDirectory(path, systemFiles)).close();
  });

  it('of an older release is taken over', async () => {
    await writeFile(join(path, 'format.json'), '{"format":1}\n');
    await (await openDataDirectory(path, systemFiles)).close();
    expect(await readFile(join(path, 'format.json'), 'utf8')).toBe('{"format":2}\n');
  });

  it.each(['{"format":3}', '{"format":"x"}', '{}', 'torn'])('is refused when it is %s, and the lock is free again', async (content) => {
    await writeFile(join(path, 'format.json'), content);
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await expect(openDataDirectory(path, systemFiles)).rejects.toMatchObject({ code: 'FORMAT_UNKNOWN' });
    }
  });

  it('is refused when there is data without it', async () => {
    await mkdir(join(path, 'hot'));
    await expect(openDataDirectory(path, systemFiles)).rejects.toMatchObject({ code: 'DAMAGED_DATA' });
  });
});

describe('a published file', () => {
  it('replaces the old one as a whole and leaves nothing aside', async () => {
    const file = join(path, 'secret');
    await writeFile(`${file}.new`, 'left over from a crash');
    await publishFile(systemFiles, file, new TextEncoder().encode('one'));
    await publishFile(systemFiles, file, new TextEncoder().encode('two'));
    expect(await readFile(file, 'utf8')).toBe('two');
    expect(await readdir(path)).toEqual(['secret']);
  });
});
