import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Manifest } from '@kalamdb/storage';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ROOT, SetClock, StatementWorld } from './statement-world.fixture.ts';

const HOUR_MILLIS = 3_600_000;

let directory: string;
let clock: SetClock;
let world: StatementWorld;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'kalamdb-compaction-'));
  clock = new SetClock();
  world = await StatementWorld.open({ directory, clock });
  await world.run('CREATE SHARED TABLE app.t (id INT PRIMARY KEY, name TEXT, n BIGINT)');
});

afterEach(async () => {
  await world.close();
  rmSync(directory, { recursive: true, force: true });
});

async function reopen(options: Parameters<typeof StatementWorld.open>[0] = {}): Promise<void> {
  await world.close();
  world = await StatementWorld.open({ directory, clock, ...options });
}

/** The files of segments. */
function files(): readonly string[] {
  const found = readdirSync(join(directory, 'storage'), { recursive: true, withFileTypes: true });
  return found.flatMap((entry) => (entry.name.endsWith('.parquet') ? [entry.name] : [])).sort();
}

function manifest(): Manifest {
  const table = world.database.cold?.catalog.table('app', 't');
  const found = table === undefined ? undefined : world.database.cold?.flusher.read(table.partitionFor('')).manifest;
  if (found === undefined) throw new Error('there is no manifest');
  return found;
}

async function insertAndFlush(from: number, to: number): Promise<void> {
  const rows = Array.from({ length: to - from }, (_, n) => `(${from + n}, 'r${from + n}', ${from + n})`);
  await world.run(`INSERT INTO t VALUES ${rows.join(', ')}`);
  await world.flush('t');
}

describe('a compaction', () => {
  it('makes one segment of several, without what was replaced, and deletes their files', async () => {
    for (let part = 0; part < 4; part++) await insertAndFlush(part * 100, part * 100 + 100);
    await world.run('UPDATE t SET n = -1 WHERE id < 50');
    await world.run('DELETE FROM t WHERE id >= 390');
    await world.flush('t');
    // Of these the hot tier alone knows.
    await world.run('UPDATE t SET n = -2 WHERE id = 100');
    await world.run('DELETE FROM t WHERE id = 101');
    const rows = await world.run('SELECT id, name, n, _seq FROM t');
    const deleted = await world.run('SELECT id, _seq FROM t WHERE _deleted = true');
    expect(manifest().segments).toHaveLength(5);
    await world.compact('t');
    const [segment, ...others] = manifest().segments;
    expect(others).toEqual([]);
    expect(segment).toMatchObject({ number: 5, rows: 398, tombstones: 10 });
    expect(segment?.masked.size).toBe(0);
    expect(await world.run('SELECT id, name, n, _seq FROM t')).toEqual(rows);
    expect(await world.run('SELECT id, _seq FROM t WHERE _deleted = true')).toEqual(deleted);
    expect(await world.run('SELECT COUNT(*) FROM t')).toEqual([[389n]]);
    expect(await world.outcome("INSERT INTO t VALUES (7, 'x', 0)")).toContain('DUPLICATE_KEY');
    await expect.poll(files).toEqual(['batch-5.parquet']);
    await world.flush('t');
    await reopen();
    expect(await world.run('SELECT id, name, n, _seq FROM t')).toEqual(rows);
    expect(await world.run('SELECT COUNT(*) FROM t')).toEqual([[389n]]);
    expect(files()).toEqual(['batch-5.parquet', 'batch-6.parquet']);
  });
});

describe('a compaction of a table', () => {
  it('that was altered writes its newest columns', async () => {
    await insertAndFlush(0, 3);
    await world.run('ALTER TABLE t ADD COLUMN c INT NOT NULL DEFAULT 5');
    await world.run('ALTER TABLE t RENAME COLUMN name TO title');
    await world.run("INSERT INTO t VALUES (3, 'r3', 3, 6)");
    await world.flush('t');
    await world.run('ALTER TABLE t DROP COLUMN n');
    const rows = await world.run('SELECT id, title, c, _seq FROM t');
    await world.compact('t');
    expect(manifest().segments).toMatchObject([{ schemaVersion: 4, rows: 4 }]);
    expect(await world.run('SELECT id, title, c, _seq FROM t')).toEqual(rows);
    await reopen();
    expect(await world.run('SELECT id, title, c, _seq FROM t')).toEqual(rows);
  });

  it('that loses all its rows leaves no segment', async () => {
    await world.run('CREATE SHARED TABLE app.none (id INT PRIMARY KEY) WITH (DELETED_RETENTION_HOURS = 0)');
    await world.run('INSERT INTO none VALUES (1), (2)');
    await world.flush('none');
    await world.run('DELETE FROM none WHERE true');
    await world.flush('none');
    clock.millis += 1;
    await world.compact('none');
    await expect.poll(files).toEqual([]);
    expect(await world.run('SELECT COUNT(*) FROM none')).toEqual([[0n]]);
    expect(await world.run('INSERT INTO none VALUES (1)')).toBe('Inserted 1 row(s)');
    await world.flush('none');
    expect(await world.run('SELECT id FROM none')).toEqual([[1]]);
  });

  it('that is dropped, altered, written and flushed meanwhile comes to nothing or to the same rows', async () => {
    for (let round = 0; round < 4; round++) {
      await insertAndFlush(0, 50);
      await insertAndFlush(50, 100);
      const writes = Array.from({ length: 20 }, (_, n) => world.run(`UPDATE t SET n = -1 WHERE id = ${n * 5}`));
      const ddl = round % 2 === 0 ? world.run(`ALTER TABLE t ADD COLUMN c${round} INT`) : world.run('DELETE FROM t WHERE id = 99');
      await Promise.all([world.compact('t'), world.flush('t'), ddl, ...writes]);
      expect(await world.run('SELECT COUNT(*), SUM(n) FROM t WHERE id < 99')).toEqual([[99n, 3881n]]);
      await Promise.all([world.compact('t'), world.run('DROP TABLE t')]);
      await expect.poll(files, { timeout: 10_000 }).toEqual([]);
      await world.run('CREATE SHARED TABLE app.t (id INT PRIMARY KEY, name TEXT, n BIGINT)');
    }
  });

  it('is a job that statements begin', async () => {
    const started = /^Storage compaction started for table 'app.t'. Job ID: (CO-[0-9a-f]{12})$/;
    await insertAndFlush(0, 3);
    await insertAndFlush(3, 6);
    const [, jobId] = started.exec(String(await world.run('STORAGE COMPACT TABLE app.t'))) ?? [];
    const job = `SELECT status, message, parameters FROM system.jobs WHERE job_id = '${jobId}'`;
    const parameters = '{"table_id":"app.t","table_type":"Shared","target_file_size_mb":128}';
    await expect.poll(() => world.run(job)).toEqual([['completed', '{"message":"Compaction completed for app:t"}', parameters]]);
    expect(manifest().segments).toHaveLength(1);
    expect(await world.run('STORAGE COMPACT ALL IN app')).toMatch(
      /^Storage compaction started for 1 table\(s\) in namespace 'app'. Job IDs: \[CO-/,
    );
    await world.run('CREATE NAMESPACE empty');
    expect(await world.outcome('STORAGE COMPACT ALL IN empty')).toContain('No compactable tables found in namespace empty');
    await world.run('CREATE STREAM TABLE app.s (id INT) WITH (TTL_SECONDS = 9)');
    expect(await world.outcome('STORAGE COMPACT TABLE app.s')).toContain('STORAGE COMPACT TABLE is not supported for STREAM tables');
    const outcomes = await Promise.all([1, 2].map(() => world.outcome('STORAGE COMPACT TABLE app.t')));
    expect(outcomes.map((outcome) => (started.test(String(outcome)) ? 'started' : outcome)).sort()).toEqual([
      expect.stringMatching(/^JOB_CONFLICT: .*compact-app-t/),
      'started',
    ]);
    const memory = await StatementWorld.open();
    await memory.run('CREATE SHARED TABLE app.t (id INT PRIMARY KEY)');
    expect(await memory.outcome('STORAGE COMPACT TABLE app.t')).toContain('INVALID_OPERATION');
    await memory.close();
  });

  it('begins by itself when it pays, for each owner', async () => {
    await reopen({ jobs: { compactionCheckMillis: 50 } });
    await world.run('CREATE USER TABLE app.notes (id INT PRIMARY KEY)');
    const counts = (): readonly (number | undefined)[] =>
      ['ann', 'bob'].map((owner) => {
        const table = world.database.cold?.catalog.table('app', 'notes');
        return table && world.database.cold?.flusher.read(table.partitionFor(owner)).manifest?.segments.length;
      });
    for (let part = 0; part < 4; part++) {
      for (const [userId, parts] of [
        ['ann', 4],
        ['bob', 2],
      ] as const) {
        if (part >= parts) continue;
        await world.run(`INSERT INTO notes VALUES (${part})`, { userId, role: 'user' });
        await world.flush('notes', userId);
      }
    }
    await expect.poll(counts, { timeout: 10_000 }).toEqual([1, 2]);
    const jobs = "SELECT message, parameters FROM system.jobs WHERE job_type = 'compact' AND status = 'completed'";
    await expect
      .poll(() => world.run(jobs), { timeout: 10_000 })
      .toEqual([
        [
          '{"message":"Compaction completed for app:notes"}',
          '{"table_id":"app.notes","table_type":"User","target_file_size_mb":128,"scheduled":true}',
        ],
      ]);
    expect(await world.run('SELECT id FROM notes', { userId: 'ann', role: 'user' })).toEqual([[0], [1], [2], [3]]);
  });
});

describe('tombstones', () => {
  it('are left out of segments when they have been kept long enough, and older cursors begin anew', async () => {
    await insertAndFlush(0, 10);
    await world.run('DELETE FROM t WHERE id < 5');
    await world.flush('t');
    const cursor = world.database.status().watermark;
    await world.run('DELETE FROM t WHERE id = 5');
    await world.flush('t');
    clock.millis += 167 * HOUR_MILLIS;
    await world.run('DELETE FROM t WHERE id = 6');
    await world.flush('t');
    clock.millis += HOUR_MILLIS;
    await world.compact('t');
    expect(manifest().segments).toMatchObject([{ rows: 4, tombstones: 1 }]);
    expect(await world.run('SELECT id FROM t WHERE _deleted = true')).toEqual([[6]]);
    expect(await world.run('SELECT id FROM t')).toEqual([[7], [8], [9]]);
    expect(await world.run('SELECT COUNT(*) FROM t')).toEqual([[3n]]);
    expect(await world.outcome('INSERT INTO t VALUES (5, NULL, 0)')).toBe('Inserted 1 row(s)');
    for (let life = 0; life < 2; life++) {
      await expect(resume(cursor)).rejects.toMatchObject({ code: 'RESYNC_REQUIRED' });
      await expect(resume(manifest().expiredSeq)).resolves.toBe(undefined);
      await reopen();
    }
  });

  it('are removed from the hot tier too, of tables with and without segments, by a job', async () => {
    await world.run('CREATE SHARED TABLE app.h (id INT PRIMARY KEY) WITH (DELETED_RETENTION_HOURS = 2)');
    await world.run('CREATE SHARED TABLE app.k (id INT PRIMARY KEY)');
    await world.run("CREATE USER TABLE app.off (id INT PRIMARY KEY) WITH (deleted_retention = 'off')");
    await insertAndFlush(0, 4);
    for (const name of ['h', 'k', 'off']) await world.run(`INSERT INTO ${name} VALUES (1), (2), (3)`);
    const first = world.database.status().watermark;
    for (const name of ['h', 'k', 'off', 't']) await world.run(`DELETE FROM ${name} WHERE id = 1`);
    const cursor = world.database.status().watermark;
    await world.run('DELETE FROM h WHERE id = 2');
    const hours = (count: number): number => (clock.millis += count * HOUR_MILLIS);
    hours(1.5);
    await world.run('DELETE FROM h WHERE id = 3');
    hours(1);
    await reopen({ jobs: { compactionCheckMillis: 100 } });
    const deleted = async (name: string): Promise<unknown> => world.run(`SELECT id FROM ${name} WHERE _deleted = true`);
    await expect.poll(() => deleted('h'), { timeout: 10_000 }).toEqual([[3]]);
    const jobs = (): Promise<unknown> => world.run("SELECT job_id, message, parameters FROM system.jobs WHERE job_type = 'retention'");
    // The job ends behind its last removal.
    await expect
      .poll(jobs, { timeout: 10_000 })
      .toEqual([
        [
          expect.stringMatching(/^RT-/),
          '{"message":"Removed 2 expired tombstones from app:h (retention: 2 hours)"}',
          '{"table_id":"app.h","table_type":"Shared","retention_hours":2}',
        ],
      ]);
    expect(await deleted('k')).toEqual([[1]]);
    await expect(resume(cursor, 'h')).rejects.toMatchObject({ code: 'RESYNC_REQUIRED' });
    await expect(resume(first, 'k')).resolves.toBe(undefined);

    hours(168);
    // The row of the segment that it had taken the place of stays deleted.
    for (const name of ['k', 't']) await expect.poll(() => deleted(name), { timeout: 10_000 }).toEqual([]);
    expect(await world.run('SELECT id FROM t')).toEqual([[0], [2], [3]]);
    expect(await world.run('SELECT COUNT(*) FROM t')).toEqual([[3n]]);
    expect(manifest().segments[0]?.masked.size).toBe(1);
    expect(await deleted('off')).toEqual([[1]]);
    expect(await world.run('SELECT id FROM k')).toEqual([[2], [3]]);
    for (const name of ['k', 't']) await expect(resume(first, name)).rejects.toMatchObject({ code: 'RESYNC_REQUIRED' });
    await world.run('DROP TABLE k');
  });

  it('leave no deleted row in what queries have kept of the hot tier', async () => {
    await world.run('CREATE SHARED TABLE app.h (id INT PRIMARY KEY)');
    await insertAndFlush(0, 1);
    for (const name of ['h', 't']) await world.run(`INSERT INTO ${name} (id) VALUES (1), (2), (3)`);
    const joined = async (name: string): Promise<unknown> =>
      world.run(`SELECT a.id FROM ${name} a JOIN ${name} b ON a.id = b.id ORDER BY 1`);
    expect([await joined('h'), await joined('t')]).toEqual([
      [[1], [2], [3]],
      [[0], [1], [2], [3]],
    ]);
    for (const name of ['h', 't']) await world.run(`DELETE FROM ${name} WHERE id = 2`);
    clock.millis += 169 * HOUR_MILLIS;
    for (const name of ['h', 't']) {
      const table = world.database.cold?.catalog.table('app', name);
      expect(table && (await world.database.cold?.hotTombstones.remove(table, table.partitionFor('')))).toBe(1);
    }
    expect([await joined('h'), await joined('t')]).toEqual([
      [[1], [3]],
      [[0], [1], [3]],
    ]);
  });
});

/** Resumes a live query; rejects when its cursor cannot be served. */
async function resume(from: bigint, name = 't'): Promise<void> {
  const connection = world.database.live.connect(ROOT, { connectionId: 'c', sink: { deliver: () => undefined } });
  try {
    await connection.subscribe({ id: 's', sql: `SELECT * FROM app.${name}`, options: { from } });
  } finally {
    connection.close();
  }
}

describe('readers', () => {
  const ROWS = 24_000;

  beforeEach(async () => {
    for (let from = 0; from < ROWS; from += ROWS / 4) await insertAndFlush(from, from + ROWS / 4);
  });

  it('read the segments that they began with to the end, and then these go', async () => {
    const { cold } = world.database;
    const table = cold?.catalog.table('app', 't');
    if (cold === undefined || table === undefined) throw new Error('there is no cold tier');
    const partition = table.partitionFor('');
    const request = world.database.session(ROOT, { namespace: 'app' }).open();
    await request.execute('BEGIN; SELECT id FROM t WHERE id = 1');
    const before = manifest();
    const scan = cold.reader.scan({ table, partition, manifest: before }, {})[Symbol.asyncIterator]();
    let rows = (await scan.next()).value?.length ?? 0;
    await world.compact('t');
    // The transaction has the manifest of its snapshot.
    const [counted] = await request.execute('SELECT COUNT(name) FROM t');
    expect(counted).toMatchObject({ rows: [[BigInt(ROWS)]] });
    expect(files()).toHaveLength(5);
    await request.execute('COMMIT');
    request.end();
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(files()).toContain('batch-0.parquet');
    for (let step = await scan.next(); step.done !== true; step = await scan.next()) rows += step.value.length;
    expect(rows).toBe(ROWS);
    await expect.poll(files, { timeout: 10_000 }).toEqual(['batch-4.parquet']);
  });

  it('of a long answer get all of it while segments are merged again and again', async () => {
    const [answer] = await world.database.session(ROOT, { namespace: 'app' }).answer('SELECT id, name FROM t');
    if (answer?.kind !== 'stream') throw new Error('a short answer');
    let rows = 0;
    for (let batch = await answer.stream.next(); batch !== undefined; batch = await answer.stream.next()) {
      rows += batch.length;
      await world.run(`UPDATE t SET n = 0 WHERE id = ${rows % ROWS}`);
      await world.flush('t');
      await world.compact('t');
    }
    await answer.stream.close();
    expect(rows).toBe(ROWS);
    expect(await world.run('SELECT COUNT(*) FROM t')).toEqual([[BigInt(ROWS)]]);
  });
});
