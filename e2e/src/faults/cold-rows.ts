import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Database, openDatabase, type Principal, type StatementResult } from '@kalamdb/engine';

/** Cheap: the passwords of a test protect nothing. */
const PASSWORD_COST = { memoryKib: 1_024, iterations: 1 };
const OWNER: Principal = { userId: 'root', role: 'system' };
/** Small, so that few rows make several segments. */
const SEGMENT_ROWS = 8;
const LOG_FILE_BYTES = 65_536;
const JOB_LOOKS_MAX = 4_000;
const LOOK_MILLIS = 5;
/** Rows of {@link ColdRows.prepare}: ids from 1. Every fifth is deleted, every third updated. */
export const PREPARED_ROWS = 24;

/** Something that works on segments, by the name that a child is told. Whoever writes a further one adds it here. */
export const coldOperations: Readonly<Record<string, (rows: ColdRows, outside: string) => Promise<void>>> = {
  flush: (rows) => rows.flush(),
  compaction: (rows) => rows.compact(),
  backup: (rows, outside) => rows.job(`BACKUP DATABASE TO '${outside}'`),
};

/** A table with rows in segments and others that are not, and what belongs into it. */
export class ColdRows {
  readonly database: Database;

  private constructor(database: Database) {
    this.database = database;
  }

  static async open(directory: string): Promise<ColdRows> {
    return new ColdRows(
      await openDatabase({
        directory,
        durability: 'sync',
        logFileBytes: LOG_FILE_BYTES,
        passwordCost: PASSWORD_COST,
        cold: { segmentRowsMax: SEGMENT_ROWS },
        jobs: { retriesMax: 0 },
        onWarning: () => undefined, // what is warned of while the disk fails is expected
      }),
    );
  }

  /** Three segments, masked rows and tombstones in them, and hot rows. */
  async prepare(): Promise<void> {
    await this.run('CREATE NAMESPACE faults');
    await this.run('CREATE TABLE faults.rows (id BIGINT PRIMARY KEY, body TEXT NOT NULL)');
    for (let id = 1; id <= PREPARED_ROWS; id += 1) {
      await this.insert(id);
      if (id === 12) await this.flush();
    }
    for (let id = 3; id <= PREPARED_ROWS; id += 3) await this.run(`UPDATE faults.rows SET body = '${bodyOf(id)}' WHERE id = ${id}`);
    for (let id = 5; id <= PREPARED_ROWS; id += 5) await this.run(`DELETE FROM faults.rows WHERE id = ${id}`);
  }

  async insert(id: number): Promise<void> {
    await this.run(`INSERT INTO faults.rows (id, body) VALUES (${id}, '${bodyOf(id)}')`);
  }

  async flush(): Promise<void> {
    const { cold } = this.database;
    const table = cold?.catalog.table('faults', 'rows');
    if (cold !== undefined && table !== undefined) await cold.flusher.flushPartition(table.partitionFor(''));
  }

  async compact(): Promise<void> {
    const { cold } = this.database;
    const table = cold?.catalog.table('faults', 'rows');
    if (cold !== undefined && table !== undefined) await cold.compactor.compactPartition(table.partitionFor(''), { extent: 'all' });
  }

  /** Runs a statement that begins a job, and waits for the end of that. */
  async job(sql: string): Promise<void> {
    const [result] = await this.run(sql);
    const text = result !== undefined && 'message' in result ? String(result.message) : '';
    const id = /Job ID: (\w\w-[0-9a-f]{12})/.exec(text)?.[1];
    for (let look = 0; look < JOB_LOOKS_MAX; look += 1) {
      const [[status, trace] = []] = await this.#rows(`SELECT status, exception_trace FROM system.jobs WHERE job_id = '${id}'`);
      if (status === 'completed') return;
      if (status === 'failed') throw Object.assign(new Error(`the job failed: ${trace}`), { code: 'job failed' });
      await sleep(LOOK_MILLIS);
    }
    throw new Error(`the job does not end: ${text}`);
  }

  /** The ids that are there; throws when a row is not the one that was written, is there twice, or is not found by its key. */
  async ids(): Promise<readonly number[]> {
    const rows = await this.#rows('SELECT id, body FROM faults.rows ORDER BY id');
    const ids = rows.map(([id]) => Number(id));
    for (const [id, body] of rows) if (body !== bodyOf(Number(id))) throw new Error(`row ${id} is ${body}`);
    if (new Set(ids).size !== ids.length) throw new Error(`a row is there twice: ${ids}`);
    const [[count] = []] = await this.#rows('SELECT COUNT(*) FROM faults.rows');
    if (Number(count) !== ids.length) throw new Error(`COUNT(*) is ${count}, there are ${ids}`);
    for (let id = 1; id <= PREPARED_ROWS; id += 1) {
      const found = await this.#rows(`SELECT body FROM faults.rows WHERE id = ${id}`);
      if (found.length !== (ids.includes(id) ? 1 : 0)) throw new Error(`row ${id} is found by a scan or by its key, not by both`);
    }
    return ids;
  }

  /** Waits until nothing lies below the data directory but what the manifest names; throws when that does not happen. */
  async checkNoOrphans(directory: string): Promise<void> {
    const [[text] = []] = await this.#rows('SELECT manifest_json FROM system.manifest');
    const { segments } = JSON.parse(String(text)) as { segments: { path: string }[] };
    const expected = segments.flatMap(({ path }) => [path, path.replace('.parquet', '.bloom')]).sort();
    for (let look = 0; ; look += 1) {
      const left = ['storage', 'flush', 'compaction'].flatMap((folder) => filesBelow(join(directory, folder))).sort();
      if (left.join() === expected.join()) return;
      if (look === JOB_LOOKS_MAX) throw new Error(`there are ${left} instead of ${expected}`);
      await sleep(LOOK_MILLIS);
    }
  }

  async run(sql: string): Promise<readonly StatementResult[]> {
    return this.database.session(OWNER).execute(sql);
  }

  async #rows(sql: string): Promise<readonly (readonly unknown[])[]> {
    const [result] = await this.run(sql);
    return result !== undefined && 'rows' in result ? result.rows : [];
  }
}

/** The ids that {@link ColdRows.prepare} leaves. */
export const preparedIds: readonly number[] = Array.from({ length: PREPARED_ROWS }, (_, at) => at + 1).filter((id) => id % 5 !== 0);

function filesBelow(folder: string): readonly string[] {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true });
  return found.flatMap((entry) => (entry.isFile() && entry.name !== 'manifest.json' ? [entry.name] : []));
}

function bodyOf(id: number): string {
  return `row ${id} `.repeat(20);
}
