import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemRandom, systemTimers } from '@kalamdb/protocol';
import { type FileSystem, type OpenFile, openLmdbReader, systemFiles } from '@kalamdb/storage';
import { SeededRandom } from '@kalamdb/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openPlace } from '../backup/backup-place.ts';
import { BackupThread } from '../backup/backup-thread.ts';
import { BackupSource } from '../backup/read-backup.ts';
import { verifyBackup } from '../backup/verify-backup.ts';
import { BackupWorld } from './backup-world.fixture.ts';
import { longRun } from './long-run.fixture.ts';

/** A machine that does much else may take long. */
vi.setConfig({ testTimeout: longRun() === undefined ? 120_000 : 3_600_000 });

/** To the next place where something fails: every one in long runs, else ever larger steps. */
const step = (first: number): number => (longRun() === undefined ? 4 + 5 * first : 1);

/** Tables of users have ids from here on. */
const FIRST_TABLE_ID = 1002;

const RUN = { signal: new AbortController().signal, progress: () => undefined };

/** A file system whose changes below some folders fail, from one on or only that one. */
class FailingBelow {
  /** Changes so far. */
  changes = 0;
  first = Number.POSITIVE_INFINITY;
  count = Number.POSITIVE_INFINITY;
  code = 'EIO';
  readonly #below: (path: string) => boolean;

  constructor(below: (path: string) => boolean) {
    this.#below = below;
  }

  get files(): FileSystem {
    const inner = systemFiles;
    const change = <T>(path: string, call: () => Promise<T>): Promise<T> => this.#change(path, call);
    return {
      ...inner,
      open: async (path, mode) =>
        mode === 'read' ? inner.open(path, mode) : this.#file(path, await change(path, () => inner.open(path, mode))),
      rename: (from, to) => change(to, () => inner.rename(from, to)),
      link: (from, to) => change(to, () => inner.link(from, to)),
      remove: (path) => change(path, () => inner.remove(path)),
      removeDirectory: (path) => change(path, () => inner.removeDirectory(path)),
      makeDirectory: (path) => change(path, () => inner.makeDirectory(path)),
      syncDirectory: (path) => change(path, () => inner.syncDirectory(path)),
    };
  }

  #file(path: string, file: OpenFile): OpenFile {
    return {
      read: (target, position) => file.read(target, position),
      write: (source, position) => this.#change(path, () => file.write(source, position)),
      sync: () => this.#change(path, () => file.sync()),
      close: () => file.close(),
    };
  }

  async #change<T>(path: string, call: () => Promise<T>): Promise<T> {
    if (!this.#below(path)) return call();
    const at = this.changes++;
    if (at >= this.first && at < this.first + this.count) throw Object.assign(new Error(`${this.code}: refused`), { code: this.code });
    return call();
  }
}

let world: BackupWorld;
let thread: BackupThread;
beforeEach(async () => {
  world = await BackupWorld.make();
  thread = new BackupThread(undefined, systemTimers);
});
afterEach(async () => {
  await thread.close();
  await world.remove();
});

/** Everything in a backup read and held against its checksums; `undefined` when there is none. */
const verified = async (place: string): Promise<unknown> => {
  const files = systemFiles;
  const sources = { stores: undefined, directory: world.path('x'), owner: 'test', files, random: systemRandom };
  const opened = await openPlace(place, { namespace: undefined, mustExist: false }, sources);
  try {
    const source = await BackupSource.find(opened);
    return source === undefined ? undefined : await verifyBackup(source, { thread, files, run: RUN });
  } finally {
    await opened.close();
  }
};

/** Waits until what restores and DROP have left is removed. */
const cleanedUp = async (): Promise<void> => {
  for (;;) {
    const left = (await world.run("SELECT status FROM system.jobs WHERE job_type = 'cleanup'")) as string[][];
    if (left.length > 0 && left.every(([state]) => state === 'completed')) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

const names = async (folder: string): Promise<string[]> => (await readdir(folder).catch(() => [])).sort();

describe('a backup that is cut short', () => {
  it('leaves the one that was there as it was, wherever it happens, and nothing once the next is whole', async () => {
    const place = world.path('b');
    const failing = new FailingBelow((path) => path.startsWith(place));
    await world.open('data', failing.files);
    await world.fill();
    let isThere = false;
    let outcomes = 0;
    for (let first = 0, done = false; !done; first += step(first)) {
      failing.changes = 0;
      failing.first = first;
      failing.code = first % 2 === 0 ? 'ENOSPC' : 'EIO';
      const { status, trace } = await world.job(`BACKUP DATABASE TO '${place}'`);
      failing.first = Number.POSITIVE_INFINITY;
      done = failing.changes <= first;
      // What fails behind the manifest is made good by the next backup.
      if (status === 'failed') expect(String(trace)).toMatch(/No space is left for|cannot be reached|refused access|Storage '/);
      const found = await verified(place);
      if (isThere || status === 'completed') expect(found).toBeDefined();
      isThere ||= found !== undefined;
      outcomes += status === 'failed' ? 1 : 0;
      // Half of the rounds begin with a place that has none.
      if (first % 3 === 0 && !done) {
        await rm(place, { recursive: true, force: true });
        isThere = false;
      }
    }
    expect(outcomes).toBeGreaterThan(2);
    expect(await names(place)).toEqual(['cold-segments', 'hot-rows', 'manifest.json']);
    expect(await names(join(place, 'hot-rows'))).toHaveLength(1);
  });
});

describe('a restore that is cut short', () => {
  it('has replaced nothing or everything', async () => {
    const place = world.path('b');
    await world.open();
    await world.fill();
    await world.job(`BACKUP DATABASE TO '${place}'`);
    const old = await world.contents();
    await world.run("UPDATE app.shared SET txt = 'newer' WHERE true");
    await world.flush('shared');
    const newer = await world.contents();
    await world.close();
    await cp(world.path('data'), world.path('template'), { recursive: true });
    const seen = new Set<string>();
    const failing = new FailingBelow((path) => path.startsWith(world.path('data/restore')));
    await world.open('data', failing.files);
    for (let first = 0, done = false; !done; first += step(first)) {
      failing.changes = 0;
      failing.first = first;
      const { status } = await world.job(`RESTORE DATABASE FROM '${place}'`);
      done = failing.changes <= first;
      failing.first = Number.POSITIVE_INFINITY;
      const isPublished = (await names(world.path('data'))).includes('restore.json');
      await world.open('data', failing.files);
      expect(await world.contents()).toEqual(isPublished ? old : newer);
      if (status === 'completed') expect(isPublished).toBe(true);
      seen.add(`${status} ${isPublished}`);
      expect((await names(world.path('data'))).filter((name) => name.startsWith('restore'))).toEqual([]);
      if (!isPublished || done) continue;
      await world.close();
      await rm(world.path('data'), { recursive: true });
      await cp(world.path('template'), world.path('data'), { recursive: true });
      await world.open('data', failing.files);
    }
    expect([...seen].sort()).toEqual(['completed true', 'failed false']);
  });

  it('has replaced nothing when it failed because it could not be published', async () => {
    const place = world.path('b');
    const data = world.path('data');
    const failing = new FailingBelow((path) => path === data);
    failing.count = 1;
    await world.open('data', failing.files);
    await world.fill();
    await world.job(`BACKUP DATABASE TO '${place}'`);
    await world.run("UPDATE app.shared SET txt = 'newer' WHERE true");
    const newer = await world.contents();
    let failed = 0;
    for (;;) {
      failing.changes = 0;
      failing.first = failed;
      const { status } = await world.job(`RESTORE DATABASE FROM '${place}'`);
      failing.first = Number.POSITIVE_INFINITY;
      if (status === 'completed') break;
      failed++;
      expect((await names(data)).filter((name) => name.startsWith('restore'))).toEqual([]);
    }
    expect(failed).toBeGreaterThan(2);
    expect(await world.contents()).toEqual(newer);
  });

  it('takes over in the end, wherever the taking over is cut short', async () => {
    const place = world.path('b');
    await world.open();
    await world.fill();
    await world.job(`BACKUP DATABASE TO '${place}'`);
    const old = await world.contents();
    await world.run('DELETE FROM app.shared WHERE true');
    expect(await world.job(`RESTORE DATABASE FROM '${place}'`)).toMatchObject({ status: 'completed' });
    await world.close();
    await cp(world.path('data'), world.path('template'), { recursive: true });
    let rounds = 0;
    for (let first = 0, done = false; !done; first += step(first)) {
      await rm(world.path('data'), { recursive: true });
      await cp(world.path('template'), world.path('data'), { recursive: true });
      // All that the taking over does lies between the lock and the first look at the hot tier.
      const failing = new FailingBelow((path) => !/LOCK|\.log$|\.spare$/.test(path));
      failing.first = first;
      const outcome = await world.open('data', failing.files).then(
        () => 'open',
        () => 'refused',
      );
      done = outcome === 'open' || !(await names(world.path('data'))).some((name) => name.startsWith('restore'));
      await world.open();
      expect(await world.contents()).toEqual(old);
      const left = await names(world.path('data'));
      expect(left.filter((name) => name.startsWith('restore'))).toEqual([]);
      expect(left.filter((name) => name.startsWith('replaced-'))).toHaveLength(1);
      rounds++;
    }
    expect(rounds).toBeGreaterThan(2);
  });

  it('of a namespace leaves no row and no file behind', async () => {
    const place = world.path('b');
    await world.open();
    await world.fill();
    await world.job(`BACKUP DATABASE app TO '${place}'`);
    const before = await world.contents();
    await world.close();
    let failed = 0;
    const data = world.path('other');
    const failing = new FailingBelow((path) => path.startsWith(join(data, 'storage')));
    await world.open('other', failing.files);
    for (let first = 0, done = false; !done; first += step(first)) {
      failing.changes = 0;
      failing.first = first;
      const { status } = await world.job(`RESTORE DATABASE app FROM '${place}'`);
      done = failing.changes <= first;
      failing.first = Number.POSITIVE_INFINITY;
      expect(status).toBe(done ? 'completed' : 'failed');
      await world.open('other', failing.files);
      if (done) {
        expect(await world.contents()).toEqual(before);
        continue;
      }
      failed++;
      expect(await world.run("SELECT namespace_id FROM system.namespaces WHERE namespace_id = 'app'")).toEqual([]);
      await cleanedUp();
      const stored = await readdir(join(data, 'storage'), { recursive: true, withFileTypes: true }).catch(() => []);
      expect(stored.filter((entry) => entry.isFile() && !entry.parentPath.includes('.incoming'))).toEqual([]);
    }
    await world.run('DROP NAMESPACE app CASCADE');
    await cleanedUp();
    await world.close();
    // Of all that these restores have begun no row is left.
    const reader = openLmdbReader(join(data, 'hot'));
    const snapshot = reader.snapshot();
    for (let id = FIRST_TABLE_ID; id < FIRST_TABLE_ID + 8 * (failed + 1); id++) expect([...snapshot.owners(id)]).toEqual([]);
    snapshot.close();
    await reader.close();
    expect(failed).toBeGreaterThan(1);
  });
});

describe('a backup with a byte that is wrong', () => {
  it('is named, or the byte does no harm', async () => {
    const place = world.path('b');
    await world.open();
    await world.fill();
    await world.job(`BACKUP DATABASE TO '${place}'`);
    await world.close();
    const whole = await verified(place);
    const random = new SeededRandom(7);
    const entries = await readdir(place, { recursive: true, withFileTypes: true });
    for (const entry of entries.filter((found) => found.isFile())) {
      const path = join(entry.parentPath, entry.name);
      const content = await readFile(path);
      for (let times = 0; times < 5; times++) {
        const at = random.integer(content.length);
        const flipped = Buffer.from(content);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << random.integer(8));
        await writeFile(path, flipped);
        const outcome = await verified(place).catch((error: unknown) => error);
        if (!isDamage(outcome)) expect([entry.name, at, outcome]).toEqual([entry.name, at, whole]);
      }
      await rm(path);
      const gone = await verified(place).catch((error: unknown) => error);
      expect(entry.name === 'manifest.json' ? gone === undefined : isDamage(gone)).toBe(true);
      await writeFile(path, content);
    }
    expect(await verified(place)).toEqual(whole);
  });
});

function isDamage(outcome: unknown): boolean {
  return outcome instanceof Error && 'code' in outcome && ['BACKUP_DAMAGED', 'BACKUP_UNKNOWN_FORMAT'].includes(String(outcome.code));
}
