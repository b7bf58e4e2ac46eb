import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom, systemTimers } from '@kalamdb/protocol';
import { type FileSystem, systemFiles } from '@kalamdb/storage';
import { restoreDirectory } from '../backup/restore-directory.ts';
import type { Principal } from '../contract.ts';
import type { Database } from './database.ts';
import { openDatabase } from './open-database.ts';
import { ROOT } from './statement-world.fixture.ts';

/** How a job ended. */
export interface EndedJob {
  readonly status: unknown;
  readonly message: string;
  readonly trace: unknown;
}

export const ALICE: Principal = { userId: 'alice', role: 'user' };

/** A folder with data directories and backups, and the database that is open on one of them. */
export class BackupWorld {
  readonly folder: string;
  #open: Database | undefined;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(): Promise<BackupWorld> {
    return new BackupWorld(await mkdtemp(join(tmpdir(), 'kalamdb-backup-')));
  }

  /** Closes what is open and opens the data directory of this name. */
  async open(name = 'data', files: FileSystem = systemFiles): Promise<Database> {
    await this.#open?.close();
    this.#open = undefined;
    this.#open = await openDatabase({
      directory: join(this.folder, name),
      durability: 'relaxed',
      logFileBytes: 1024 * 1024,
      passwordCost: { memoryKib: 64, iterations: 1 },
      rootPassword: 'Root-Secret-1',
      files,
      jobs: { retriesMax: 0 },
      onWarning: () => undefined,
    });
    return this.#open;
  }

  get database(): Database {
    if (this.#open === undefined) throw new Error('no database is open');
    return this.#open;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** The rows or the message of the last statement. */
  async run(sql: string, principal: Principal = ROOT): Promise<unknown> {
    const result = (await this.database.session(principal, { namespace: 'app' }).execute(sql, [])).at(-1);
    return result?.kind === 'rows' ? result.rows : result?.message;
  }

  /** Runs a statement that begins a job, and waits for the end of that. */
  async job(sql: string): Promise<EndedJob> {
    const message = String(await this.run(sql));
    const [, id] = /Job ID: (\w\w-[0-9a-f]{12})/.exec(message) ?? [];
    if (id === undefined) throw new Error(`no job: ${message}`);
    return this.ended(id);
  }

  async ended(id: string): Promise<EndedJob> {
    for (;;) {
      const rows = (await this.run(`SELECT status, message, exception_trace FROM system.jobs WHERE job_id = '${id}'`)) as unknown[][];
      const [status, message, trace] = rows[0] ?? [];
      if (['completed', 'failed', 'cancelled', 'skipped'].includes(String(status))) {
        const text = String(message ?? '');
        return { status, message: text.startsWith('{') ? String(JSON.parse(text).message) : text, trace };
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Moves all rows of a table in `app` into segments. */
  async flush(name: string, owner = ''): Promise<void> {
    const { cold } = this.database;
    const table = cold?.catalog.table('app', name);
    if (cold === undefined || table === undefined) throw new Error('there is no cold tier, or no such table');
    await cold.flusher.flushPartition(table.partitionFor(owner));
  }

  /** Restores on the command line's way into a new data directory. */
  restore(from: string, name: string, files: FileSystem = systemFiles): Promise<unknown> {
    return restoreDirectory({ from, directory: this.path(name), files, random: systemRandom, timers: systemTimers });
  }

  /** Tables of all kinds in the namespace `app`, in several versions, rows in both tiers, changed and deleted cold rows. */
  async fill(): Promise<void> {
    await this.run("CREATE NAMESPACE app; CREATE USER 'alice' WITH PASSWORD 'Alice-Secret-1' ROLE user");
    await this.run("CREATE TABLE app.shared (id INT PRIMARY KEY, txt TEXT) WITH (TYPE='SHARED', ACCESS_LEVEL='public')");
    await this.run("CREATE TABLE app.notes (id INT PRIMARY KEY, txt TEXT) WITH (TYPE='USER')");
    await this.run("CREATE TABLE app.events (id INT PRIMARY KEY, txt TEXT) WITH (TYPE='STREAM', TTL_SECONDS=3600)");
    await this.run('CREATE VIEW app.few AS SELECT id, txt FROM app.shared WHERE id < 4');
    const rows = (letter: string): string => Array.from({ length: 10 }, (_, id) => `(${id}, '${letter}${id}')`).join(', ');
    await this.run(`INSERT INTO app.shared (id, txt) VALUES ${rows('s')}`);
    await this.run(`INSERT INTO app.notes (id, txt) VALUES ${rows('n')}`, ALICE);
    await this.flush('shared');
    await this.flush('notes', 'alice');
    await this.run('ALTER TABLE app.shared ADD COLUMN more INT DEFAULT 7');
    await this.run("UPDATE app.shared SET txt = 'changed' WHERE id = 3; DELETE FROM app.shared WHERE id = 4");
    await this.run("INSERT INTO app.shared (id, txt, more) VALUES (20, 'hot', 1)");
    await this.run('DELETE FROM app.notes WHERE id = 5', ALICE);
    await this.run("INSERT INTO app.events (id, txt) VALUES (1, 'gone')", ALICE);
  }

  /** All that can be read of `app`, tombstones and versions included. */
  async contents(): Promise<readonly unknown[]> {
    const shared = 'SELECT *, _seq, _deleted FROM app.shared';
    const notes = 'SELECT *, _seq, _deleted FROM app.notes';
    return [
      await this.run(`${shared} ORDER BY id`),
      await this.run(`${shared} WHERE _deleted = true ORDER BY id`),
      await this.run(`${notes} ORDER BY id`, ALICE),
      await this.run(`${notes} WHERE _deleted = true ORDER BY id`, ALICE),
      await this.run('SELECT * FROM app.few ORDER BY id'),
      await this.run(
        "SELECT table_name, schema_version, is_latest FROM system.schemas WHERE namespace_id = 'app' ORDER BY table_name, schema_version",
      ),
    ];
  }

  /** Ends the open database without removing anything. */
  async close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.close();
  }

  async remove(): Promise<void> {
    await this.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
