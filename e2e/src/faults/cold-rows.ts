import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Database, openDatabase, type Principal, type StatementResult } from '@kalamdb/engine';

/** Cheap: the passwords of a test protect nothing. */
const PASSWORD_COST = { memoryKib: 1_024, iterations: 1 };
const OWNER: Principal = { userId: 'root', role: 'system' };
/** Small, so that few rows make several segments. */
const SEGMENT_ROWS = 8;
const LOG_FILE_BYTES = 65_536;
/** Folders of a data directory where segments lie or are made. */
const SCRATCH = ['storage', 'flush', 'compaction', 'restore', 'restore-copies'] as const;
const JOB_LOOKS_MAX = 4_000;
const LOOK_MILLIS = 5;
/** The namespace of the rows, where no other is named. */
const NAMESPACE = 'faults';
/** Rows of {@link ColdRows.prepare}: ids from 1. Every fifth is deleted, every third updated. */
export const PREPARED_ROWS = 24;

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
  async prepare(namespace: string = NAMESPACE): Promise<void> {
    const table = `${namespace}.rows`;
    await this.run(`CREATE NAMESPACE ${namespace}`);
    await this.run(`CREATE TABLE ${table} (id BIGINT PRIMARY KEY, body TEXT NOT NULL)`);
    for (let id = 1; id <= PREPARED_ROWS; id += 1) {
      await this.insert(id, namespace);
      if (id === 12) await this.flush(namespace);
    }
    for (let id = 3; id <= PREPARED_ROWS; id += 3) await this.run(`UPDATE ${table} SET body = '${bodyOf(id)}' WHERE id = ${id}`);
    for (let id = 5; id <= PREPARED_ROWS; id += 5) await this.run(`DELETE FROM ${table} WHERE id = ${id}`);
  }

  async insert(id: number, namespace: string = NAMESPACE): Promise<void> {
    await this.run(`INSERT INTO ${namespace}.rows (id, body) VALUES (${id}, '${bodyOf(id)}')`);
  }

  async flush(namespace: string = NAMESPACE): Promise<void> {
    const { cold } = this.database;
    const table = cold?.catalog.table(namespace, 'rows');
    if (cold !== undefined && table !== undefined) await cold.flusher.flushPartition(table.partitionFor(''));
  }

  async compact(): Promise<void> {
    const { cold } = this.database;
    const table = cold?.catalog.table(NAMESPACE, 'rows');
    if (cold !== undefined && table !== undefined) await cold.compactor.compactPartition(table.partitionFor(''), { extent: 'all' });
  }

  async has(namespace: string): Promise<boolean> {
    return (await this.#rows(`SELECT namespace_id FROM system.namespaces WHERE namespace_id = '${namespace}'`)).length > 0;
  }

  /** Waits until no job is left to do. */
  async jobsEnded(): Promise<void> {
    for (let look = 0; look < JOB_LOOKS_MAX; look += 1) {
      const states = await this.#rows('SELECT status FROM system.jobs');
      if (states.every(([status]) => status === 'completed' || status === 'failed')) return;
      await sleep(LOOK_MILLIS);
    }
    throw new Error('the jobs do not end');
  }

  /** Runs a statement that begins a job, and waits for the end of that. */
  async job(sql: string): Promise<void> {
    const [result] = await this.run(sql);
    const text = result !== undefined && 'message' in result ? String(result.message) : '';
    const id = /Job ID: (\w\w-[0-9a-f]{12})/.exec(text)?.[1];
    for (let look = 0; look < JOB_LOOKS_MAX; look += 1) {
      const [[status, trace] = []] = await this.#rows(`SELECT status, exception_trace FROM system.jobs WHERE job_id = '${id}'`);
      if (status === 'completed') return;
      if (status === 'failed')
        throw Object.assign(new Error(`the job failed: ${trace}`), { code: `job failed: ${withoutPaths(String(trace))}` });
      await sleep(LOOK_MILLIS);
    }
    throw new Error(`the job does not end: ${text}`);
  }

  /** The ids that one scan finds; throws when a row is not the one that was written, or is there twice. */
  async scanned(namespace: string = NAMESPACE): Promise<readonly number[]> {
    const rows = await this.#rows(`SELECT id, body FROM ${namespace}.rows ORDER BY id`);
    const ids = rows.map(([id]) => Number(id));
    for (const [id, body] of rows) if (body !== bodyOf(Number(id))) throw new Error(`row ${id} is ${body}`);
    if (new Set(ids).size !== ids.length) throw new Error(`a row is there twice: ${ids}`);
    return ids;
  }

  /** The ids that are there; throws when a scan, a count and look-ups by key do not agree. Nobody may write meanwhile. */
  async ids(namespace: string = NAMESPACE): Promise<readonly number[]> {
    const table = `${namespace}.rows`;
    const ids = await this.scanned(namespace);
    const [[count] = []] = await this.#rows(`SELECT COUNT(*) FROM ${table}`);
    if (Number(count) !== ids.length) throw new Error(`COUNT(*) is ${count}, there are ${ids}`);
    for (let id = 1; id <= PREPARED_ROWS; id += 1) {
      const found = await this.#rows(`SELECT body FROM ${table} WHERE id = ${id}`);
      if (found.length !== (ids.includes(id) ? 1 : 0)) throw new Error(`row ${id} is found by a scan or by its key, not by both`);
    }
    return ids;
  }

  /** Waits until nothing lies below the data directory but what the manifests name; throws when that does not happen. */
  async checkNoOrphans(directory: string): Promise<void> {
    for (let look = 0; ; look += 1) {
      const expected = await this.#named();
      const left = SCRATCH.flatMap((folder) => filesBelow(join(directory, folder))).sort();
      if (left.join() === expected.join()) return;
      if (look === JOB_LOOKS_MAX) throw new Error(`there are ${left} instead of ${expected}`);
      await sleep(LOOK_MILLIS);
    }
  }

  /** The files that manifests name. */
  async #named(): Promise<readonly string[]> {
    const texts = await this.#rows('SELECT manifest_json FROM system.manifest');
    const segments = texts.flatMap(([text]) => (JSON.parse(String(text)) as { segments: { path: string }[] }).segments);
    return segments.flatMap(({ path }) => [path, path.replace('.parquet', '.bloom')]).sort();
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
  if (!existsSync(folder)) return [];
  const found = readdirSync(folder, { recursive: true, withFileTypes: true });
  return found.flatMap((entry) => (entry.isFile() && entry.name !== 'manifest.json' ? [entry.name] : []));
}

/** What went wrong in one line, but not with which file of this run. */
export function withoutPaths(text: string): string {
  return text.replace(/\/\S*/g, '…').replace(/\s+/g, ' ');
}

function bodyOf(id: number): string {
  return `row ${id} `.repeat(20);
}
