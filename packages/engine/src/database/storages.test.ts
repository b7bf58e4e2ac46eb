import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3Server } from '@kalamdb/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Principal } from '../contract.ts';
import { StatementWorld } from './statement-world.fixture.ts';

const ALICE: Principal = { userId: 'alice', role: 'user' };
const SECRET = 'zqm-secret-key-that-nobody-sees';
const CREDENTIALS = `{"access_key_id":"zqm-key","secret_access_key":"${SECRET}"}`;

let folder: string;
let world: StatementWorld;
const open = async (): Promise<void> => {
  world = await StatementWorld.open({ directory: join(folder, 'data') });
};

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kalamdb-storages-'));
  await open();
});

afterEach(async () => {
  await world.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Everything that can be read of storages, on every road. */
const shown = async (): Promise<string> => {
  const roads = [
    'SELECT * FROM system.storages',
    'SELECT credentials FROM system.storages',
    "SELECT credentials || '', CAST(credentials AS TEXT), UPPER(CAST(credentials AS TEXT)) FROM system.storages",
    'SELECT s.* FROM system.storages s JOIN system.storages t ON s.storage_id = t.storage_id',
    "SELECT storage_id FROM system.storages WHERE CAST(credentials AS TEXT) LIKE '%secret%'",
    'SELECT secret_credentials FROM system.storages',
    'SHOW STORAGES',
    'SELECT * FROM system.audit_log',
    'SELECT * FROM system.jobs',
    'SELECT * FROM system.schemas',
    'EXPLAIN SELECT * FROM system.storages',
    'DESCRIBE system.storages',
    'STORAGE CHECK far',
  ];
  const answers: unknown[] = [];
  for (const road of roads) for (const principal of [undefined, ALICE]) answers.push(await world.outcome(road, principal));
  return JSON.stringify(answers, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
};

describe('storages', () => {
  it('are made, altered and dropped, and survive a restart', async () => {
    expect(await world.run("CREATE STORAGE Cold TYPE filesystem NAME 'Cold one' DESCRIPTION 'd' PATH './cold'")).toBe(
      "Storage 'cold' created successfully",
    );
    expect(readdirSync(folder).sort()).toEqual(['cold', 'data']);
    expect(await world.run("CREATE STORAGE IF NOT EXISTS cold TYPE filesystem PATH 'x'")).toBe("Storage 'cold' already exists");
    expect(await world.run("ALTER STORAGE cold SET NAME 'Other' SET SHARED_TABLES_TEMPLATE 's/{namespace}/{tableName}'")).toBe(
      "Storage 'cold' altered successfully",
    );
    await world.close();
    await open();
    const columns = 'storage_name, description, storage_type, base_directory, credentials, shared_tables_template, user_tables_template';
    expect(await world.run(`SELECT ${columns} FROM system.storages WHERE storage_id = 'cold'`)).toEqual([
      ['Other', 'd', 'filesystem', './cold', null, 's/{namespace}/{tableName}', '{namespace}/{tableName}/{userId}'],
    ]);
    await world.run("CREATE TABLE app.t (id INT PRIMARY KEY) WITH (STORAGE_ID = 'COLD')");
    expect(await world.outcome('DROP STORAGE cold')).toBe(
      "INVALID_OPERATION: Invalid operation: Cannot drop storage 'cold': 1 table(s) still using it",
    );
    await world.run('DROP TABLE app.t');
    expect(await world.run('DROP STORAGE cold')).toBe("Storage 'cold' dropped successfully");
    expect(await world.run('DROP STORAGE IF EXISTS cold')).toBe("Storage 'cold' does not exist (skipped)");
    const audited = await world.run("SELECT action, target FROM system.audit_log WHERE target = 'storage:cold' ORDER BY timestamp");
    expect(audited).toEqual(['CREATE_STORAGE', 'ALTER_STORAGE', 'DROP_STORAGE'].map((action) => [action, 'storage:cold']));
  });

  it('are refused with the reason', async () => {
    const path = "TYPE filesystem PATH './x'";
    const refused: readonly (readonly [string, string])[] = [
      [`CREATE STORAGE local ${path}`, "Storage 'local' already exists"],
      ['DROP STORAGE local', "Cannot drop storage 'local'"],
      ['DROP STORAGE nowhere', "Invalid operation: Storage 'nowhere' not found"],
      ["ALTER STORAGE nowhere SET NAME 'x'", "Invalid operation: Storage 'nowhere' not found"],
      ['STORAGE CHECK nowhere', "Not found: Storage 'nowhere' not found"],
      ["CREATE STORAGE s TYPE floppy PATH './x'", "Invalid storage type 'floppy'. Must be 'filesystem', 's3', 'gcs', or 'azure'"],
      ["CREATE STORAGE s TYPE filesystem NAME 'n'", 'BASE_DIRECTORY keyword not found'],
      ["CREATE STORAGE s TYPE filesystem PATH ''", 'Filesystem storage requires a non-empty base directory'],
      ["CREATE STORAGE s TYPE filesystem PATH './data/inside'", 'must neither lie in the data directory nor hold it'],
      ["CREATE STORAGE s TYPE filesystem PATH './data/storage'", 'must neither lie in the data directory nor hold it'],
      ["CREATE STORAGE s TYPE filesystem PATH '.'", 'must neither lie in the data directory nor hold it'],
      ["CREATE STORAGE s TYPE filesystem PATH '/'", 'must neither lie in the data directory nor hold it'],
      ["CREATE STORAGE s TYPE filesystem PATH '/proc/nothing'", 'Storage connectivity check failed'],
      [`CREATE STORAGE s ${path} CREDENTIALS '[1]'`, 'Credentials must be a JSON object'],
      [`CREATE STORAGE s ${path} CONFIG '[1]'`, 'CONFIG must be a JSON object'],
      [`CREATE STORAGE s ${path} NAME ''`, 'NAME of a storage cannot be empty'],
      [`CREATE STORAGE s ${path} NAME 'a' NAME 'b'`, 'NAME is given twice'],
      [`CREATE STORAGE "a/b" ${path}`, "Invalid storage name 'a/b'"],
      [`CREATE STORAGE s ${path} SHARED_TABLES_TEMPLATE '{namespace}'`, 'Shared table template: {tableName} is required'],
      ["ALTER STORAGE local SET USER_TABLES_TEMPLATE '{namespace}'", 'User table template: {tableName} is required'],
      ['ALTER STORAGE local', 'Expected: SET'],
      ["CREATE STORAGE s TYPE s3 BUCKET 'bucket'", 'requires CREDENTIALS'],
      ["CREATE TABLE app.t (id INT PRIMARY KEY) WITH (STORAGE_ID = 'nowhere')", "Storage 'nowhere' does not exist"],
    ];
    for (const [sql, text] of refused) expect([sql, await world.outcome(sql)]).toEqual([sql, expect.stringContaining(text)]);
    for (const sql of [`CREATE STORAGE s ${path}`, "ALTER STORAGE local SET NAME 'x'", 'DROP STORAGE local', 'STORAGE CHECK local']) {
      expect(await world.outcome(sql, ALICE)).toContain('Admin privileges (DBA or System role) required for storage operations');
    }
    expect(await world.run('SELECT storage_id FROM system.storages')).toEqual([['local']]);
    expect(readdirSync(folder)).toEqual(['data']);
  });

  it('of other kinds are known by name only', async () => {
    await world.run("CREATE STORAGE far TYPE gcs BUCKET 'b'");
    expect(await world.outcome('STORAGE CHECK far')).toContain('NOT_IMPLEMENTED');
  });

  it('are tried out', async () => {
    const check = async (sql: string): Promise<unknown> => ((await world.run(sql)) as readonly unknown[][])[0];
    const works = ['healthy', true, true, true, true, expect.any(BigInt)];
    expect(await check('STORAGE CHECK local')).toEqual(['local', ...works, null, null, null, expect.any(BigInt)]);
    expect(await check('STORAGE CHECK local EXTENDED')).toEqual(['local', ...works, expect.any(BigInt), 0n, null, expect.any(BigInt)]);
    expect(existsSync(join(folder, 'data', 'storage', 'storage-check'))).toBe(false);
    await world.run("CREATE STORAGE s TYPE filesystem PATH './s'");
    rmSync(join(folder, 's'), { recursive: true });
    writeFileSync(join(folder, 's'), 'a file');
    expect(await check('STORAGE CHECK s')).toEqual([
      ...['s', 'unreachable', false, false, false, false, 0n, null, null],
      ...[expect.stringContaining("Storage 's'"), expect.any(BigInt)],
    ]);
    rmSync(join(folder, 's'));
    expect(await check('STORAGE CHECK s')).toEqual(['s', ...works, null, null, null, expect.any(BigInt)]);
    rmSync(join(folder, 's'), { recursive: true });
    expect(await check('STORAGE CHECK s')).toEqual(['s', ...works, null, null, null, expect.any(BigInt)]);
  });

  it('never show their credentials', async () => {
    await world.run(`CREATE STORAGE far TYPE gcs BUCKET 'b' CREDENTIALS '${CREDENTIALS}'`);
    expect(await world.run("SELECT credentials FROM system.storages WHERE storage_id = 'far'")).toEqual([['"***"']]);
    const ear = await world.follow('SELECT * FROM system.storages');
    await world.run(`ALTER STORAGE far SET NAME 'Far' SET CREDENTIALS '${CREDENTIALS}'`);
    await vi.waitFor(() => expect(ear.changes).toHaveLength(1));
    expect(JSON.stringify(ear.changes)).toContain('Far');
    expect(JSON.stringify(ear.changes)).not.toContain('zqm');
    ear.close();
    const errors = [
      `CREATE STORAGE bad TYPE s3 BUCKET 'bucket' CREDENTIALS '${CREDENTIALS}' CONFIG '{"endpoint":"http://127.0.0.1:1"}'`,
      `CREATE STORAGE bad TYPE s3 BUCKET 'bucket' CREDENTIALS '${SECRET}'`,
      `CREATE STORAGE bad TYPE s3 BUCKET 'bucket' CREDENTIALS '{"secret_access_key":"${SECRET}'`,
      `CREATE STORAGE bad TYPE s3 BUCKET 'bucket' CONFIG '{"secret_access_key":"${SECRET}"}'`,
      `ALTER STORAGE far SET CREDENTIALS '"${SECRET}"'`,
    ];
    for (const sql of errors) {
      const outcome = String(await world.outcome(sql));
      expect(outcome).toMatch(/^INVALID_OPERATION/);
      expect(outcome).not.toContain('zqm');
    }
    expect(await shown()).not.toContain('zqm');
    await world.close();
    await open();
    expect(await shown()).not.toContain('zqm');
  });
});

const isMissing = S3Server.program() === undefined;

describe.skipIf(isMissing)(`storages in a bucket${isMissing ? ': left out, KALAMDB_TEST_S3_SERVER names none' : ''}`, () => {
  it('are made when the bucket answers, and tried out', async () => {
    const server = await S3Server.start(['cold']);
    try {
      const s3 = (rest: string): string => `CREATE STORAGE far TYPE s3 ${rest} REGION '${server.region}' CONFIG '${server.config}'`;
      const credentials = `CREDENTIALS '${server.credentials}'`;
      expect(await world.outcome(s3(`BUCKET 'missing' ${credentials}`))).toContain(
        "Storage connectivity check failed: The bucket or folder of storage 'far' does not exist: NoSuchBucket",
      );
      const wrong = `CREDENTIALS '{"access_key_id":"${server.accessKeyId}","secret_access_key":"${SECRET}"}'`;
      expect(await world.outcome(s3(`BUCKET 'cold' ${wrong}`))).toContain("Storage 'far' does not accept the credentials");
      expect(await world.run(s3(`PATH 's3://cold/one/two' ${credentials}`))).toBe("Storage 'far' created successfully");
      const status = async (): Promise<unknown> =>
        ((await world.run('STORAGE CHECK far EXTENDED')) as readonly unknown[][])[0]?.slice(0, 6);
      expect(await status()).toEqual(['far', 'healthy', true, true, true, true]);
      expect(readdirSync(server.bucketPath('cold')).filter((name) => !name.startsWith('.'))).toEqual([]);
      await world.run('ALTER STORAGE far SET CREDENTIALS \'{"access_key_id":"nobody","secret_access_key":"nothing"}\'');
      expect(await status()).toEqual(['far', 'unreachable', false, false, false, false]);
      await world.run(`ALTER STORAGE far SET ${credentials}`);
      expect(await status()).toEqual(['far', 'healthy', true, true, true, true]);
      expect(await shown()).not.toContain(server.secretAccessKey);
    } finally {
      await server.stop();
    }
  });
});
