import { copyFileSync, mkdtempSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { S3Server } from '@kalamdb/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LiveFrame } from '../live/frame.ts';
import type { SubscribeOptions } from '../live/load-mode.ts';
import { ROOT, StatementWorld } from './statement-world.fixture.ts';
import { verifyDatabase } from './verify-database.ts';

const NAMED = /^DAMAGED_DATA: Damaged data in /;
/** A job is looked at so often. */
const LOOK_MILLIS = 10;

let folder: string;
let world: StatementWorld;

const open = async (): Promise<void> => {
  world = await StatementWorld.open({ directory: join(folder, 'data'), jobs: { retriesMax: 0 } });
};

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kalamdb-missing-'));
  await open();
});
afterEach(async () => {
  await world.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A table with two segments and hot rows, and another one. */
async function fill(options = ''): Promise<void> {
  await world.run(`CREATE TABLE app.t (id INT PRIMARY KEY, v TEXT) WITH (TYPE = 'SHARED'${options})`);
  await world.run("CREATE TABLE app.other (id INT PRIMARY KEY, v TEXT) WITH (TYPE = 'SHARED')");
  await world.run("INSERT INTO app.t VALUES (10, 'ten'), (11, 'eleven')");
  await world.flush('t');
  await world.run("INSERT INTO app.t VALUES (20, 'twenty'), (21, 'twenty-one')");
  await world.flush('t');
  await world.run("INSERT INTO app.other VALUES (1, 'one')");
  await world.flush('other');
  await world.run("INSERT INTO app.t VALUES (30, 'thirty')");
}

/** The first segment of `app.t`, or its bloom filter. */
function objectPath(ending: string): string {
  const root = join(folder, 'data', 'storage');
  const found = readdirSync(root, { recursive: true, withFileTypes: true }).find(
    ({ name, parentPath }) => name === `batch-0.${ending}` && !parentPath.includes('other'),
  );
  if (found === undefined) throw new Error('there is no segment');
  return join(found.parentPath, found.name);
}

/** How the job of a statement ended, and why. */
async function jobOutcome(sql: string): Promise<string> {
  const id = /Job ID: (\w\w-[0-9a-f]{12})/.exec(String(await world.run(sql)))?.[1];
  for (;;) {
    const rows = (await world.run(`SELECT status, exception_trace FROM system.jobs WHERE job_id = '${id}'`)) as [string, string | null][];
    const [status, trace] = rows[0] ?? ['missing', null];
    if (['completed', 'failed', 'missing'].includes(status)) return `${status} ${trace ?? ''}`;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLIS));
  }
}

/** What a subscriber is told first: rows, or an error. */
function followed(sql: string, options: SubscribeOptions): Promise<string> {
  return new Promise((resolve) => {
    const deliver = (frame: LiveFrame): void => {
      if (frame.kind === 'error') resolve(frame.message);
      else if (frame.kind === 'batch') resolve('rows');
    };
    const connection = world.database.live.connect(ROOT, { connectionId: 'c', sink: { deliver } });
    connection.subscribe({ id: 's', sql, options }).catch((error: unknown) => resolve(String(error)));
  });
}

let updates = 0;

/** Everything that needs no row of the segment. */
async function expectRestWorks(): Promise<void> {
  expect(await world.run('SELECT v FROM app.other')).toEqual([['one']]);
  expect(await world.run('SELECT v FROM app.t WHERE id = 20')).toEqual([['twenty']]);
  expect(await world.outcome("INSERT INTO app.t VALUES (40, 'forty')")).toBe('Inserted 1 row(s)');
  updates += 1;
  expect(await world.outcome(`UPDATE app.t SET v = 'changed ${updates}' WHERE id = 30`)).toBe('Updated 1 row(s)');
  expect(await world.outcome('DELETE FROM app.t WHERE id = 40')).toBe('Deleted 1 row(s)');
}

describe('a segment file that is gone', () => {
  it.each(['while it was in use', 'before a start'])('is named on every road, and the rest works: %s', async (when) => {
    await fill();
    const path = objectPath('parquet');
    if (when === 'before a start') await world.close();
    else expect(await world.run('SELECT COUNT(*) FROM app.t WHERE v IS NOT NULL')).toEqual([[5n]]);
    renameSync(path, join(folder, 'kept'));
    if (when === 'before a start') await open();
    const statements = [
      'SELECT v FROM app.t',
      'SELECT v FROM app.t WHERE id = 10',
      'SELECT v, COUNT(*) FROM app.t GROUP BY v',
      'SELECT a.v FROM app.t a JOIN app.other b ON b.id = a.id',
      "UPDATE app.t SET v = 'x' WHERE id = 11",
      "DELETE FROM app.t WHERE v = 'ten'",
      "INSERT INTO app.t VALUES (10, 'again')",
      'INSERT INTO app.other SELECT id, v FROM app.t',
    ];
    for (const sql of statements) {
      const outcome = await world.outcome(sql);
      expect(outcome, sql).toMatch(NAMED);
      expect(outcome, sql).toContain(basename(path));
    }
    await expectRestWorks();
    for (const sql of ['STORAGE COMPACT TABLE app.t', `BACKUP DATABASE TO '${join(folder, 'backup')}'`]) {
      const outcome = await jobOutcome(sql);
      expect(outcome, sql).toMatch(/^failed /);
      expect(outcome, sql).toContain(basename(path));
    }
    const [[seq]] = (await world.run('SELECT _seq FROM app.t WHERE id = 20')) as [[bigint]];
    expect(await followed('SELECT * FROM app.t', {})).toContain(basename(path));
    expect(await followed('SELECT * FROM app.t', { from: 1n })).toContain(basename(path));
    expect(await followed('SELECT * FROM app.t', { from: seq })).toBe('rows');
    // A flush needs no older segment.
    await world.flush('t');
    await expectRestWorks();
    copyFileSync(join(folder, 'kept'), path);
    expect(await world.run('SELECT COUNT(*) FROM app.t WHERE v IS NOT NULL')).toEqual([[5n]]);
    expect(await jobOutcome('STORAGE COMPACT TABLE app.t')).toBe('completed ');
  });
});

describe('a bloom filter that is gone', () => {
  it('is named when it is asked for, and what needs none is read', async () => {
    await fill();
    await world.close();
    const path = objectPath('bloom');
    rmSync(path);
    await open();
    for (const sql of [
      "INSERT INTO app.t VALUES (10, 'again')",
      "UPDATE app.t SET v = 'x' WHERE id = 10",
      'SELECT v FROM app.t WHERE id = 10',
    ]) {
      const outcome = await world.outcome(sql);
      expect(outcome, sql).toMatch(NAMED);
      expect(outcome, sql).toContain(basename(path));
    }
    expect(await world.run('SELECT COUNT(*) FROM app.t WHERE v IS NOT NULL')).toEqual([[5n]]);
    expect(await world.run('SELECT v FROM app.other')).toEqual([['one']]);
  });

  it('of other rows is named too', async () => {
    await fill();
    await world.close();
    const path = objectPath('bloom');
    copyFileSync(path.replace('batch-0', 'batch-1'), path);
    await open();
    expect(await world.outcome("INSERT INTO app.t VALUES (10, 'again')")).toMatch(NAMED);
  });
});

describe('verifying a database', () => {
  const found = async (): Promise<readonly string[]> => {
    const parts = await verifyDatabase(join(folder, 'data'));
    return parts.flatMap(({ part, text, failure }) =>
      part === 'cold tier' ? [`${failure === undefined ? 'sound' : failure.code}: ${text}`] : [],
    );
  };

  it('says what the cold tier holds, and names every file that is missing, damaged or of no manifest', async () => {
    await fill();
    await world.close();
    expect(await found()).toEqual([expect.stringMatching(/^sound: 3 segments with \d+ bytes in 2 partitions are as they were written$/)]);
    const [segment, bloom] = [objectPath('parquet'), objectPath('bloom')];
    writeFileSync(join(segment, '..', 'batch-9.parquet'), 'stray');
    expect(await found()).toEqual([expect.stringMatching(/; 1 files that no manifest names$/)]);
    rmSync(segment);
    truncateSync(bloom, 20);
    writeFileSync(segment.replace('batch-0', 'batch-1'), 'no longer a segment');
    const failures = await found();
    expect(failures).toEqual([
      expect.stringMatching(/^DAMAGED_DATA: .*batch-0\.parquet' of storage 'local': it is missing$/),
      expect.stringMatching(/^DAMAGED_DATA: .*batch-0\.bloom' of storage 'local': it has 20 bytes instead of \d+$/),
      expect.stringMatching(/^DAMAGED_DATA: .*batch-1\.parquet' of storage 'local': it has 19 bytes instead of \d+$/),
    ]);
    await open();
  });

  it('leaves out what is being removed of a dropped table', async () => {
    await fill();
    await world.run('DROP TABLE app.t');
    await world.close();
    expect(await found()).toEqual([expect.stringMatching(/^sound: 1 segments/)]);
    await open();
  });
});

const isMissing = S3Server.program() === undefined;

describe.skipIf(isMissing)(`a bucket that cannot be reached${isMissing ? ': left out, KALAMDB_TEST_S3_SERVER names none' : ''}`, () => {
  it('fails what needs it in time, and nothing else', async () => {
    const server = await S3Server.start(['cold']);
    await world.run(
      `CREATE STORAGE far TYPE s3 PATH 's3://cold/x' REGION '${server.region}' CONFIG '${server.config}' CREDENTIALS '${server.credentials}'`,
    );
    await fill(", STORAGE_ID = 'far'");
    await world.close();
    rmSync(join(folder, 'data', 'segment-cache'), { recursive: true, force: true });
    await open();
    expect(await world.run('SELECT v FROM app.t WHERE id = 20')).toEqual([['twenty']]);
    await server.stop();
    expect(await world.outcome('SELECT v FROM app.t WHERE id = 10')).toMatch(/^STORE_UNREACHABLE: .*'far'/);
    expect(await world.outcome("INSERT INTO app.t VALUES (10, 'again')")).toMatch(/^STORE_UNREACHABLE: .*'far'/);
    await expectRestWorks();
    await expect(world.flush('t')).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
    await expectRestWorks();
    expect(await world.run('SELECT v FROM app.t WHERE id = 30')).toEqual([[`changed ${updates}`]]);
  }, 60_000);
});
