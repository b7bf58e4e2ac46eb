import { readdirSync } from 'node:fs';
import { readFile, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { S3Server } from '@kalamdb/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BackupWorld } from './backup-world.fixture.ts';

const isMissing = S3Server.program() === undefined;
const PLACE = 'storage://vault/daily/monday';

describe.skipIf(isMissing)(`a backup in a bucket${isMissing ? ': left out, KALAMDB_TEST_S3_SERVER names none' : ''}`, () => {
  let world: BackupWorld;
  let server: S3Server;

  beforeEach(async () => {
    server = await S3Server.start(['cold', 'vault']);
    world = await BackupWorld.make();
    await world.open();
    await world.fill();
    for (const [name, bucket] of [
      ['far', 'cold'],
      ['vault', 'vault'],
    ] as const) {
      const rest = `REGION '${server.region}' CONFIG '${server.config}' CREDENTIALS '${server.credentials}'`;
      await world.run(`CREATE STORAGE ${name} TYPE s3 PATH 's3://${bucket}/kalamdb' ${rest}`);
    }
    await world.run("CREATE TABLE app.distant (id INT PRIMARY KEY, txt TEXT) WITH (TYPE='SHARED', STORAGE_ID='far')");
    const rows = Array.from({ length: 500 }, (_, id) => `(${id}, 'a rather long text of ${id}')`).join(', ');
    await world.run(`INSERT INTO app.distant (id, txt) VALUES ${rows}`);
    await world.flush('distant');
    await world.run("UPDATE app.distant SET txt = 'hot' WHERE id = 7; DELETE FROM app.distant WHERE id = 8");
    expect(filesOf('cold').filter((name) => name.endsWith('.parquet'))).toHaveLength(1);
  });

  afterEach(async () => {
    await world.remove();
    await server.stop();
  });

  const filesOf = (bucket: string): readonly string[] =>
    readdirSync(server.bucketPath(bucket), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));

  const contents = async (): Promise<readonly unknown[]> => [
    ...(await world.contents()),
    await world.run('SELECT *, _seq FROM app.distant ORDER BY id'),
    await world.run('SELECT id, _seq FROM app.distant WHERE _deleted = true'),
  ];

  it('holds what lies in another bucket, and comes back as the whole database', async () => {
    const before = await contents();
    expect(await world.job(`BACKUP DATABASE TO '${PLACE}'`)).toMatchObject({ status: 'completed' });
    expect(filesOf('vault').some((path) => path.endsWith('/kalamdb/daily/monday/manifest.json'))).toBe(true);
    for (const path of filesOf('vault')) expect((await readFile(path, 'latin1')).includes(server.secretAccessKey)).toBe(false);
    const verified = await world.job(`BACKUP VERIFY '${PLACE}'`);
    expect(verified).toMatchObject({ status: 'completed', message: expect.stringMatching(/is as it was written/) });
    await world.run('DELETE FROM app.distant WHERE id > 100; DELETE FROM app.shared WHERE true');
    await world.flush('distant');
    // Nothing is read of where the segments lay.
    for (const path of filesOf('cold')) await rm(path);
    expect(await world.job(`RESTORE DATABASE FROM '${PLACE}'`)).toMatchObject({ status: 'completed' });
    await world.open();
    expect(await contents()).toEqual(before);
    await world.run("INSERT INTO app.distant (id, txt) VALUES (8, 'again')");
    await world.flush('distant');
    await world.open();
    expect(await world.run('SELECT count(*) FROM app.distant')).toEqual([[500n]]);
  }, 120_000);

  it('gives a namespace back into the bucket that its table is kept in', async () => {
    const before = await contents();
    expect(await world.job(`BACKUP DATABASE app TO '${PLACE}'`)).toMatchObject({ status: 'completed' });
    expect(await world.job(`BACKUP DATABASE app TO '${PLACE}' MODE INCREMENTAL`)).toMatchObject({ status: 'completed' });
    await world.run('DROP NAMESPACE app CASCADE');
    await expect.poll(() => filesOf('cold').filter((name) => name.endsWith('.parquet')), { timeout: 60_000 }).toEqual([]);
    expect(await world.job(`RESTORE DATABASE app FROM '${PLACE}'`)).toMatchObject({ status: 'completed' });
    expect(filesOf('cold').filter((name) => name.endsWith('.parquet'))).toHaveLength(1);
    expect(await contents()).toEqual(before);
    await world.open();
    expect(await contents()).toEqual(before);
  }, 120_000);

  it('is named as damaged when an object is shorter or gone, and leaves nothing when the bucket does not answer', async () => {
    await world.job(`BACKUP DATABASE TO '${PLACE}'`);
    const segments = filesOf('vault').filter((path) => path.endsWith('.parquet'));
    for (const path of segments) await truncate(path, 100);
    const { status, trace } = await world.job(`BACKUP VERIFY '${PLACE}'`);
    expect([status, String(trace)]).toEqual(['failed', expect.stringContaining('is missing or has another size')]);
    await expect(world.job(`RESTORE DATABASE FROM '${PLACE}'`)).resolves.toMatchObject({ status: 'failed' });
    expect(readdirSync(world.path('data')).filter((name) => name.startsWith('restore'))).toEqual([]);
    await server.stop();
    await expect(world.run(`RESTORE DATABASE FROM '${PLACE}'`)).rejects.toThrow(/'vault' cannot be reached/);
    await world.run("INSERT INTO app.shared (id, txt) VALUES (77, 'goes on')");
  }, 120_000);
});
