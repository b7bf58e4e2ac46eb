import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ALICE, BackupWorld } from './backup-world.fixture.ts';

let world: BackupWorld;
beforeEach(async () => {
  world = await BackupWorld.make();
  await world.open();
});
afterEach(() => world.remove());

describe('a backup of the whole database', () => {
  it('comes back at the next start, and what was there is kept', async () => {
    await world.fill();
    const before = await world.contents();
    const backedUp = String(await world.run(`BACKUP DATABASE TO '${world.path('b')}'`));
    expect(backedUp).toMatch(/^Database backup started to '.*'\. Job ID: BK-[0-9a-f]{12}$/);
    expect(await world.ended(/BK-\w+/.exec(backedUp)?.[0] ?? '')).toMatchObject({ status: 'completed' });
    expect(await world.job(`BACKUP VERIFY '${world.path('b')}'`)).toMatchObject({
      status: 'completed',
      message: expect.stringMatching(/is as it was written/),
    });
    await world.run("UPDATE app.shared SET txt = 'later' WHERE true; INSERT INTO app.shared (id, txt) VALUES (99, 'later')");
    await world.flush('shared');
    const { incarnation } = world.database.status();
    const started = String(await world.run(`RESTORE DATABASE FROM '${world.path('b')}'`));
    expect(started).toMatch(/^Database restore started from '.*'\. Job ID: RS-[0-9a-f]{12}\. Server restart required after completion\.$/);
    expect(await world.ended(/RS-\w+/.exec(started)?.[0] ?? '')).toMatchObject({ status: 'completed' });
    // Nothing has changed yet.
    expect(await world.run('SELECT count(*) FROM app.shared WHERE id = 99')).toEqual([[1n]]);
    await world.open();
    expect(await world.contents()).toEqual(before);
    expect(world.database.status().incarnation).not.toBe(incarnation);
    expect(await world.run('SELECT count(*) FROM app.events', ALICE)).toEqual([[0n]]);
    await expect(world.database.accounts.login('alice', 'Alice-Secret-1', { address: '127.0.0.1' })).resolves.toBeDefined();
    const names = await readdir(world.path('data'));
    expect(names.filter((name) => name.startsWith('replaced-'))).toHaveLength(1);
    expect(names).not.toContain('restore');
    expect(names).not.toContain('restore.json');
    await world.run("INSERT INTO app.shared (id, txt) VALUES (30, 'new')");
    await world.open();
    expect(await world.run('SELECT count(*) FROM app.shared')).toEqual([[11n]]);
  });

  it('comes back in a new directory', async () => {
    await world.fill();
    const before = await world.contents();
    await world.job(`BACKUP DATABASE TO '${world.path('b')}'`);
    await world.close();
    await world.restore(world.path('b'), 'other');
    await expect(world.restore(world.path('b'), 'other')).rejects.toMatchObject({ code: 'RESTORE_REFUSED' });
    await world.open('other');
    expect(await world.contents()).toEqual(before);
  });
});

describe('a backup of one namespace', () => {
  it('comes back into a running database, and into another one', async () => {
    await world.fill();
    const before = await world.contents();
    await world.run(
      "CREATE NAMESPACE rest; CREATE TABLE rest.t (id INT PRIMARY KEY) WITH (TYPE='SHARED'); INSERT INTO rest.t (id) VALUES (1)",
    );
    expect(await world.job(`BACKUP DATABASE app TO '${world.path('b')}'`)).toMatchObject({ status: 'completed' });
    await expect(world.run(`RESTORE DATABASE app FROM '${world.path('b')}'`)).rejects.toThrow(/already exists/);
    expect(await world.run(`RESTORE DATABASE IF NOT EXISTS app FROM '${world.path('b')}'`)).toBe("Namespace 'app' already exists");
    await world.run('DROP NAMESPACE app CASCADE');
    expect(await world.job(`RESTORE DATABASE app FROM '${world.path('b')}'`)).toMatchObject({ status: 'completed' });
    expect(await world.contents()).toEqual(before);
    expect(await world.run('SELECT count(*) FROM rest.t')).toEqual([[1n]]);
    await world.run("UPDATE app.shared SET txt = 'again' WHERE id = 6; INSERT INTO app.shared (id, txt) VALUES (4, 'back')");
    await world.flush('shared');
    expect(await world.run('SELECT txt FROM app.shared WHERE id IN (4, 6) ORDER BY id')).toEqual([['back'], ['again']]);
    await world.open();
    expect(await world.run('SELECT count(*) FROM app.shared')).toEqual([[11n]]);
    await world.open('other');
    expect(await world.job(`RESTORE DATABASE app FROM '${world.path('b')}'`)).toMatchObject({ status: 'completed' });
    expect(await world.contents()).toEqual(before);
    await world.open('other');
    expect(await world.contents()).toEqual(before);
  });

  it('is found in a backup of everything', async () => {
    await world.fill();
    const before = await world.contents();
    await world.job(`BACKUP DATABASE TO '${world.path('b')}'`);
    await world.run('DROP NAMESPACE app CASCADE');
    expect(await world.job(`RESTORE DATABASE app FROM '${world.path('b')}'`)).toMatchObject({ status: 'completed' });
    expect(await world.contents()).toEqual(before);
  });
});

const filesBelow = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();

describe('a further backup in the same place', () => {
  it('takes the place of the one that was there, and copies no segment again when it is incremental', async () => {
    await world.fill();
    const place = world.path('b');
    await world.job(`BACKUP DATABASE TO '${place}'`);
    const first = await filesBelow(place);
    const segments = first.filter((name) => name.startsWith('cold-segments/'));
    expect(segments).toHaveLength(4);
    const written = await Promise.all(segments.map(async (name) => (await stat(join(place, name))).ino));
    await world.run("INSERT INTO app.shared (id, txt) VALUES (50, 'more')");
    await world.flush('shared');
    expect(await world.job(`BACKUP DATABASE TO '${place}' MODE INCREMENTAL`)).toMatchObject({ status: 'completed' });
    const second = await filesBelow(place);
    expect(second.filter((name) => name.startsWith('cold-segments/'))).toHaveLength(6);
    expect(await Promise.all(segments.map(async (name) => (await stat(join(place, name))).ino))).toEqual(written);
    // Of the first one nothing is left but what the second one needs.
    expect(second.filter((name) => name.startsWith('hot-rows/') && first.includes(name))).toEqual([]);
    const before = await world.contents();
    await world.job(`BACKUP DATABASE TO '${place}'`);
    expect(await Promise.all(segments.map(async (name) => (await stat(join(place, name))).ino))).not.toEqual(written);
    expect(await readdir(place)).toEqual(['cold-segments', 'hot-rows', 'manifest.json']);
    await world.close();
    await world.restore(place, 'other');
    await world.open('other');
    expect(await world.contents()).toEqual(before);
  });

  it('does not touch those of namespaces beside it', async () => {
    await world.fill();
    const place = world.path('b');
    await world.job(`BACKUP DATABASE app TO '${place}'`);
    const own = await filesBelow(join(place, 'app'));
    await world.job(`BACKUP DATABASE TO '${place}'`);
    expect(await filesBelow(join(place, 'app'))).toEqual(own);
    expect(await world.run(`SHOW BACKUP '${place}' FOR DATABASE app`)).toEqual([[place, 'app', ...Array(7).fill(expect.anything())]]);
    expect(await world.run(`SHOW BACKUP '${place}'`)).toEqual([[place, null, ...Array(7).fill(expect.anything())]]);
    expect(await world.run('SHOW BACKUPS FOR DATABASE app')).toEqual([
      [expect.stringMatching(/^BK-/), place, 'app', 'full', 'completed', ...Array(3).fill(expect.anything())],
      [expect.stringMatching(/^BK-/), place, null, 'full', 'completed', ...Array(3).fill(expect.anything())],
    ]);
    expect(await world.run('SHOW BACKUP FOR DATABASE app')).toHaveLength(2);
  });
});

describe('what a backup holds', () => {
  it('is neither a password nor the credentials of a storage', async () => {
    await world.fill();
    const secret = 'VerySecretAccessKey';
    const described = `TYPE filesystem PATH '${world.path('far')}' CONFIG '{"region":"eu-west-1"}' CREDENTIALS '{"key":"${secret}"}'`;
    await world.run(`CREATE STORAGE gone ${described}; DROP STORAGE gone; CREATE STORAGE near ${described}`);
    await world.job(`BACKUP DATABASE TO '${world.path('b')}'`);
    const contents = await Promise.all((await filesBelow(world.path('b'))).map((name) => readFile(join(world.path('b'), name), 'latin1')));
    expect(contents.some((text) => text.includes('eu-west-1'))).toBe(true);
    for (const text of contents) expect(text.includes(secret) || text.includes('Alice-Secret-1')).toBe(false);
    // The database that is replaced knows them still.
    await world.job(`RESTORE DATABASE FROM '${world.path('b')}'`);
    await world.open();
    expect(await world.run("SELECT credentials FROM system.storages WHERE storage_id = 'near'")).toEqual([['"***"']]);
  });

  it('lies in a storage too', async () => {
    await world.fill();
    const before = await world.contents();
    await world.run(`CREATE STORAGE near TYPE filesystem PATH '${world.path('far')}'`);
    expect(await world.job("BACKUP DATABASE app TO 'storage://near/daily/monday'")).toMatchObject({ status: 'completed' });
    expect(await filesBelow(world.path('far/daily/monday'))).toContain('app/manifest.json');
    await world.run('DROP NAMESPACE app CASCADE');
    expect(await world.job("RESTORE DATABASE app FROM 'storage://near/daily/monday'")).toMatchObject({ status: 'completed' });
    expect(await world.contents()).toEqual(before);
  });
});

describe('a place for backups', () => {
  it.each([
    ['/etc/kalam', 'it is a folder of the system'],
    ['/tmp/../etc', "it must not contain '..'"],
    ['s3://bucket/x', "of URLs only 'storage://id/folder' is known, with the id of a storage"],
    ['storage://local/x', "the storage 'local' lies in the data directory"],
    ['storage://near', 'it names no folder of the storage'],
    ['', 'it is not a path'],
  ])('%s is refused', async (place, reason) => {
    await expect(world.run(`BACKUP DATABASE TO '${place}'`)).rejects.toThrow(`Invalid backup path '${place}': ${reason}`);
  });

  it('is not the data directory, nor what holds it', async () => {
    for (const place of [world.path('data/b'), world.folder]) {
      await expect(world.run(`BACKUP DATABASE TO '${place}'`)).rejects.toThrow('it must neither lie in the data directory nor hold it');
    }
    await expect(world.run(`RESTORE DATABASE FROM '${world.path('none')}'`)).rejects.toThrow(
      `Backup directory '${world.path('none')}' not found`,
    );
    await expect(world.run("BACKUP DATABASE nix TO '/tmp/x'")).rejects.toThrow(/nix/);
    expect(await world.run("BACKUP DATABASE IF EXISTS nix TO '/tmp/x'")).toBe("Namespace 'nix' does not exist");
    await expect(world.run("BACKUP DATABASE TO '/tmp/x'", ALICE)).rejects.toThrow(/Admin privileges/);
  });
});
