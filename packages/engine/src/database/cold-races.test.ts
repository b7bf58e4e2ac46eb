import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KalamError, systemRandom, systemTimers } from '@kalamdb/protocol';
import { type CommitLog, emptyManifest, encodeManifest, type FileSystem, systemFiles } from '@kalamdb/storage';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { StatementError } from '../session/statement-error.ts';
import type { Database } from './database.ts';
import { databaseOn } from './open-database.ts';
import { openStorage } from './open-storage.ts';
import { ROOT } from './statement-world.fixture.ts';

let directory: string;
const databases: Database[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kalamdb-cold-races-'));
});
afterEach(async () => {
  for (const database of databases.splice(0)) await database.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Something that a test stops for a while. */
class Gate {
  #opened: Promise<void> = Promise.resolve();
  #open: () => void = () => undefined;
  #arrived: () => void = () => undefined;

  /** Whoever comes from now on waits; resolves when the first one does. */
  shut(): Promise<void> {
    this.#opened = new Promise((resolve) => {
      this.#open = resolve;
    });
    return new Promise((resolve) => {
      this.#arrived = resolve;
    });
  }

  open(): void {
    this.#open();
  }

  pass(): Promise<void> {
    this.#arrived();
    return this.#opened;
  }
}

interface Gates {
  /** The log takes a group. */
  readonly log: Gate;
  /** A segment gets its name in its storage. */
  readonly store: Gate;
  /** A segment is looked at for the first time. */
  readonly read: Gate;
}

async function open(gates: Gates): Promise<Database> {
  const files: FileSystem = {
    ...systemFiles,
    open: async (path, mode) => {
      if (mode === 'read' && path.includes('storage') && path.endsWith('.parquet')) await gates.read.pass();
      return systemFiles.open(path, mode);
    },
    rename: async (from, to) => {
      if (from.endsWith('.parquet') || to.endsWith('.parquet')) await gates.store.pass();
      return systemFiles.rename(from, to);
    },
    link: async (from, to) => {
      if (from.endsWith('.parquet') || to.endsWith('.parquet')) await gates.store.pass();
      return systemFiles.link(from, to);
    },
  };
  const environment = { files: systemFiles, timers: systemTimers, random: systemRandom };
  const storage = await openStorage({ directory, ...environment });
  const log: CommitLog = {
    get lastSeq() {
      return storage.log.lastSeq;
    },
    get syncedSeq() {
      return storage.log.syncedSeq;
    },
    incarnation: storage.log.incarnation,
    append: async (entries, durability) => {
      await gates.log.pass();
      return storage.log.append(entries, durability);
    },
    sync: () => storage.log.sync(),
    replay: (afterSeq) => storage.log.replay(afterSeq),
    release: (seq) => storage.log.release(seq),
    close: () => storage.log.close(),
  };
  const database = await databaseOn({ ...storage, log }, { directory, durability: 'sync', files });
  databases.push(database);
  return database;
}

const gatesOf = (): Gates => ({ log: new Gate(), store: new Gate(), read: new Gate() });

async function run(database: Database, sql: string): Promise<unknown> {
  const result = (await database.session(ROOT, { namespace: 'app' }).execute(sql)).at(-1);
  return result?.kind === 'rows' ? result.rows : result?.message;
}

function codeOf(error: unknown): unknown {
  const found = error instanceof StatementError ? error.failure.error : error;
  return found instanceof KalamError ? found.code : found;
}

async function flush(database: Database): Promise<void> {
  const table = database.cold?.catalog.table('app', 't');
  if (database.cold === undefined || table === undefined) throw new Error('nothing to flush');
  await database.cold.flusher.flushPartition(table.partitionFor(''));
}

async function prepare(database: Database): Promise<void> {
  await run(database, 'CREATE NAMESPACE app');
  await run(database, 'CREATE SHARED TABLE app.t (id INT PRIMARY KEY, v TEXT)');
  await run(database, "INSERT INTO t VALUES (1, 'one'), (2, 'two'), (9, 'nine')");
}

it('a row that changes while it is flushed is one row, also when that commit is still on its way to the log', async () => {
  const gates = gatesOf();
  const database = await open(gates);
  await prepare(database);
  const storing = gates.store.shut();
  const flushed = flush(database);
  await storing;
  await run(database, "UPDATE t SET v = 'before' WHERE id = 1");
  const writing = gates.log.shut();
  const pending = run(database, "UPDATE t SET v = 'pending' WHERE id = 2");
  await writing;
  gates.store.open();
  // The turn of the publication comes behind the update, which nobody else sees yet.
  await expect.poll(() => database.cold?.flusher.counts.turns).toBe(1);
  gates.log.open();
  await Promise.all([flushed, pending]);
  expect(database.cold?.flusher.counts).toMatchObject({ segments: 1, rows: 3, overtaken: 2 });
  for (let round = 0; round < 2; round++) {
    expect(await run(database, 'SELECT COUNT(*) FROM t')).toEqual([[3n]]);
    expect(await run(database, 'SELECT id, v FROM t')).toEqual([
      [1, 'before'],
      [2, 'pending'],
      [9, 'nine'],
    ]);
    await flush(database);
  }
});

it('a write notices that the segments have changed since it looked into them', async () => {
  let database = await open(gatesOf());
  await prepare(database);
  await flush(database);
  await database.close();

  const gates = gatesOf();
  database = await open(gates);
  const reading = gates.read.shut();
  const late = run(database, "INSERT INTO t VALUES (1, 'late'), (50, 'late') ON CONFLICT DO NOTHING");
  await reading;
  await run(database, "INSERT INTO t VALUES (50, 'early')");
  await flush(database);
  gates.read.open();
  expect(await late).toBe('Inserted 0 row(s)');
  expect(database.cold?.lookUps.counts.lost).toBeGreaterThan(0);
  expect(await run(database, 'SELECT v FROM t WHERE id = 50')).toEqual([['early']]);
  expect(await run(database, 'SELECT COUNT(*) FROM t')).toEqual([[4n]]);
});

it('a segment whose publication is on its way to the log stays when the database is closed meanwhile', async () => {
  const gates = gatesOf();
  let database = await open(gates);
  await prepare(database);
  const storing = gates.store.shut();
  const flushed = flush(database).catch((error: unknown) => error);
  await storing;
  const writing = gates.log.shut();
  gates.store.open();
  await writing;
  const closed = database.close();
  gates.log.open();
  await Promise.all([closed, flushed]);
  database = await open(gatesOf());
  expect(await run(database, 'SELECT id, v FROM t')).toEqual([
    [1, 'one'],
    [2, 'two'],
    [9, 'nine'],
  ]);
});

it('a scan whose thread has ended between two of its answers fails instead of ending early', async () => {
  const database = await open(gatesOf());
  await run(database, 'CREATE NAMESPACE app');
  await run(database, 'CREATE SHARED TABLE app.t (id INT PRIMARY KEY, v TEXT)');
  const rows = Array.from({ length: 5000 }, (_, id) => `(${id}, 'v')`);
  await run(database, `INSERT INTO t VALUES ${rows.join(', ')}`);
  await flush(database);
  const { cold } = database;
  const table = cold?.catalog.table('app', 't');
  if (cold === undefined || table === undefined) throw new Error('nothing to scan');
  const partition = table.partitionFor('');
  const { manifest } = cold.flusher.read(partition);
  if (manifest === undefined) throw new Error('no segment');
  const scan = async (): Promise<number> => {
    let found = 0;
    for await (const piece of cold.reader.scan({ table, partition, manifest }, {})) {
      if (found === 0) await cold.letGo();
      found += piece.length;
    }
    return found;
  };
  await expect(scan()).rejects.toMatchObject({ code: 'QUERY_INTERRUPTED' });
  expect(await run(database, 'SELECT COUNT(id) FROM t')).toEqual([[5000n]]);
});

it('a transaction notices that a row it changes was deleted even when the tombstone has expired since', async () => {
  let database = await open(gatesOf());
  await prepare(database);
  await flush(database);
  await run(database, 'CREATE SHARED TABLE app.h (id INT PRIMARY KEY, v TEXT) WITH (DELETED_RETENTION_HOURS = 0)');
  await run(database, "INSERT INTO h VALUES (1, 'one'), (2, 'two')");
  await database.close();

  const gates = gatesOf();
  database = await open(gates);
  const reading = gates.read.shut();
  const late = run(database, "BEGIN; UPDATE h SET v = 'late' WHERE id = 1; SELECT v FROM t WHERE id = 1; COMMIT").catch(codeOf);
  await reading;
  await run(database, 'DELETE FROM h WHERE id = 1');
  const { cold } = database;
  const table = cold?.catalog.table('app', 'h');
  if (cold === undefined || table === undefined) throw new Error('no cold tier');
  await expect.poll(() => cold.hotTombstones.remove(table, table.partitionFor(''))).toBe(1);
  gates.read.open();
  expect(await late).toBe('CONFLICT');
  expect(await run(database, 'SELECT id FROM h')).toEqual([[2]]);
});

it('what the last run left of a table that was dropped keeps nothing else from being taken up', async () => {
  const gates = gatesOf();
  let database = await open(gates);
  await prepare(database);
  await run(database, 'CREATE SHARED TABLE app.other (id INT PRIMARY KEY)');
  await run(database, 'INSERT INTO other VALUES (1)');
  const { cold } = database;
  const partition = cold?.catalog.table('app', 't')?.partitionFor('');
  const other = cold?.catalog.table('app', 'other')?.partitionFor('');
  if (cold === undefined || partition === undefined || other === undefined) throw new Error('no cold tier');
  // As a kill leaves them: announced, and never published.
  for (const of of [partition, other]) {
    const record = { ...of, storageId: 'local', folder: `app/x${of.tableId}/`, text: encodeManifest(emptyManifest), pending: undefined };
    const times = { dropped: [], createdAtMicros: 0n, updatedAtMicros: 0n };
    await cold.flusher.announce(of, { record: { ...record, ...times }, manifest: undefined, number: 0 });
  }
  // Its rows are not removed at once while somebody else reads.
  await run(database, 'DROP TABLE t');
  await cold.flusher.recover();
  expect(cold.flusher.read(other).record?.pending).toBeUndefined();
  await database.close();
  database = await open(gatesOf());
  expect(await run(database, 'SELECT id FROM other')).toEqual([[1]]);
});
