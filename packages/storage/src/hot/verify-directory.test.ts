import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom, systemTimers } from '@kalamdb/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogEntry, PartitionId, RowKey } from '../contract.ts';
import { openDataDirectory } from '../files/data-directory.ts';
import { systemFiles } from '../files/file-system.ts';
import { openFileLog } from '../log/file-log.ts';
import { logHeaderBytes } from '../log/log-format.ts';
import { HotModel } from './hot-model.fake.ts';
import { openLmdbStore } from './lmdb-store.ts';
import { checkedAtOpenBytesMax } from './store-check.ts';
import { verifyDirectory } from './verify-directory.ts';

const fileBytes = 64 * 1024;
const alice: PartitionId = { tableId: 1_000, owner: 'alice' };

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kalamdb-verify-'));
  path = join(folder, 'data');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A directory whose hot tier holds `applied`; what follows is in the log only. */
async function write(applied: readonly LogEntry[], behind: readonly LogEntry[]): Promise<void> {
  const directory = await openDataDirectory(path, systemFiles);
  const hot = await openLmdbStore({ path: directory.hotPath });
  const { incarnation, appliedSeq: startSeq } = hot;
  const options = { directory: directory.logPath, files: systemFiles, timers: systemTimers, random: systemRandom };
  const log = await openFileLog({ ...options, incarnation, startSeq, fileBytes });
  for (const entry of behind) await log.append([entry], 'sync');
  await hot.apply(applied);
  await hot.close();
  await log.close();
  await directory.close();
}

const flip = async (file: string, at: number): Promise<void> => {
  const content = await readFile(file);
  content.writeUInt8(content.readUInt8(at) ^ 1, at);
  await writeFile(file, content);
};

const small = (model: HotModel): LogEntry =>
  model.commit(['a', 'b', 'c'].map((key) => ({ partition: alice, key, deleted: false, bytes: 50 })));

describe('verifying a data directory', () => {
  it('says what each part holds when all is well, and changes nothing', async () => {
    const model = new HotModel();
    const entries = [small(model), small(model), small(model)];
    await write(entries.slice(0, 1), entries);
    const before = await readFile(join(path, 'log', '000000000001.log'));
    for (let time = 0; time < 2; time += 1) {
      expect(await verifyDirectory(path, systemFiles)).toEqual([
        { part: 'hot tier', text: 'every page and row is as it was written, up to commit 9', failure: undefined },
        { part: 'commit log', text: '2 commits with 6 rows that the hot tier does not hold yet, up to commit 27', failure: undefined },
      ]);
    }
    expect((await readFile(join(path, 'log', '000000000001.log'))).equals(before)).toBe(true);
  });

  it('finds the damaged key that hides a row of a hot tier too large to be read in full at opening', async () => {
    const model = new HotModel();
    const rows = Array.from({ length: 72 }, (_, at) => ({ partition: alice, key: `row ${at + 100}`, deleted: false, bytes: 1024 * 1024 }));
    // Enough of them that the leaves lie below a branch.
    const more = Array.from({ length: 1_000 }, (_, at) => ({ partition: alice, key: `small ${at}`, deleted: false, bytes: 50 }));
    const commits = [model.commit(rows.slice(0, 24)), model.commit(rows.slice(24, 48)), model.commit([...rows.slice(48), ...more])];
    await write(commits, commits);
    const file = join(path, 'hot', 'data.mdb');
    expect((await stat(file)).size).toBeGreaterThan(checkedAtOpenBytesMax);
    const content = await readFile(file);
    for (let at = content.indexOf('row 150'); at !== -1; at = content.indexOf('row 150', at + 1)) content.write('row 15!', at);
    await writeFile(file, content);
    const store = await openLmdbStore({ path: join(path, 'hot') });
    const view = store.snapshot();
    expect(view.get(alice, 'row 150' as RowKey)).toBeUndefined();
    view.close();
    await store.close();
    const [hot, log] = await verifyDirectory(path, systemFiles);
    expect(hot?.failure).toMatchObject({ code: 'DAMAGED_DATA', message: expect.stringMatching(/data\.mdb: page \d+/) });
    expect(log).toBeUndefined();
  });

  it('finds a record of the log that is wrong', async () => {
    const model = new HotModel();
    const entries = [small(model), small(model), small(model)];
    await write([], entries);
    await flip(join(path, 'log', '000000000001.log'), logHeaderBytes + 40);
    const [hot, log] = await verifyDirectory(path, systemFiles);
    expect(hot?.failure).toBeUndefined();
    expect(log?.failure).toMatchObject({ code: 'DAMAGED_DATA', message: expect.stringContaining('000000000001.log') });
  });

  it('keeps away from a directory that somebody has open, and makes none', async () => {
    await expect(verifyDirectory(path, systemFiles)).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    expect(await systemFiles.stat(path)).toBeUndefined();
    const directory = await openDataDirectory(path, systemFiles);
    await expect(verifyDirectory(path, systemFiles)).rejects.toMatchObject({ code: 'DIRECTORY_LOCKED' });
    await directory.close();
  });
});
