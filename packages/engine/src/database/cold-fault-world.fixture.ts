import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KalamError } from '@kalamdb/protocol';
import { systemFiles } from '@kalamdb/storage';
import type { SeededRandom } from '@kalamdb/testing';
import { StatementError } from '../session/statement-error.ts';
import { type DiskFault, FaultDisk } from './cold-disk.fixture.ts';
import type { Database } from './database.ts';
import { openDatabase } from './open-database.ts';
import { ROOT } from './statement-world.fixture.ts';

/** Jobs are looked at so often, and so many times at most. */
const JOB_MILLIS = 5;
const JOB_LOOKS_MAX = 4000;
/** Kept small: a power cut is made by copying files. */
const LOG_FILE_BYTES = 65_536;

/** Something that works on segments, cut off at every operation of its own. */
export interface ColdOperation {
  readonly name: string;
  /** Does it; rejects when it fails. */
  run(world: ColdFaultWorld): Promise<void>;
  /** Whether it removes the table `app.t`. */
  readonly drops?: boolean;
}

/** What came of one run. */
export interface ColdFaultOutcome {
  /** Whether the operation came to the fault. */
  readonly hit: boolean;
  /** `undefined`: it was done. */
  readonly error: string | undefined;
}

/** Operations of the disk, counted from 0, at which something may go wrong. */
export interface FaultPoints {
  readonly kinds: Readonly<Record<DiskFault, readonly number[]>>;
  /** The writes of the log among them. */
  readonly logWrites: readonly number[];
}

type Rows = Map<number, string>;

/** Rows that {@link ColdFaultWorld.prepare} leaves; 3 is deleted. */
const PREPARED: readonly (readonly [number, string])[] = [
  [1, 'one'],
  [2, 'two again'],
  [4, 'four'],
  [5, 'five'],
  [6, 'six'],
];

/** A data directory whose table has segments, masks and hot rows, as a template that is copied for each run. */
export class ColdFaultWorld {
  readonly #folder: string = mkdtempSync(join(tmpdir(), 'kalamdb-cold-fault-'));
  #disk: FaultDisk | undefined;
  #database: Database | undefined;
  #runs = 0;
  /** What was acknowledged, and what may or may not be there. */
  #rows: Rows = new Map();
  #unknown: Rows = new Map();

  get database(): Database {
    if (this.#database === undefined) throw new Error('no database is open');
    return this.#database;
  }

  /** Where an operation may leave what is not the database's. */
  get outside(): string {
    return join(this.#folder, `outside-${this.#runs}`);
  }

  /** Makes the template: two segments, rows of them that are masked, hot rows and a tombstone. */
  async prepare(): Promise<void> {
    const directory = join(this.#folder, 'template');
    this.#database = await open(directory, systemFiles);
    await this.sql('CREATE NAMESPACE app');
    await this.sql('CREATE SHARED TABLE app.t (id INT PRIMARY KEY, v TEXT)');
    await this.sql("INSERT INTO app.t VALUES (1, 'one'), (2, 'two')");
    await this.flush();
    await this.sql("INSERT INTO app.t VALUES (3, 'three'), (4, 'four')");
    await this.flush();
    await this.sql("UPDATE app.t SET v = 'two again' WHERE id = 2");
    await this.sql('DELETE FROM app.t WHERE id = 3');
    await this.sql("INSERT INTO app.t VALUES (5, 'five'), (6, 'six')");
    await this.#database.close();
    this.#database = undefined;
  }

  async sql(sql: string): Promise<unknown> {
    const result = (await this.database.session(ROOT, { namespace: 'app' }).execute(sql)).at(-1);
    return result?.kind === 'rows' ? result.rows : result?.message;
  }

  async flush(): Promise<void> {
    const { cold } = this.database;
    const table = cold?.catalog.table('app', 't');
    if (cold !== undefined && table !== undefined) await cold.flusher.flushPartition(table.partitionFor(''));
  }

  async compact(): Promise<void> {
    const { cold } = this.database;
    const table = cold?.catalog.table('app', 't');
    if (cold !== undefined && table !== undefined) await cold.compactor.compactPartition(table.partitionFor(''), { extent: 'all' });
  }

  /** Runs a statement that begins a job, and waits for the end of that; rejects with its error, or when the process is gone. */
  async job(sql: string): Promise<void> {
    const id = /Job ID: (\w\w-[0-9a-f]{12})/.exec(String(await this.sql(sql)))?.[1];
    for (let look = 0; look < JOB_LOOKS_MAX; look += 1) {
      const where = id === undefined ? "job_type = 'cleanup'" : `job_id = '${id}'`;
      const jobs = (await this.sql(`SELECT status, exception_trace FROM system.jobs WHERE ${where}`)) as [string, string | null][];
      const [status, trace] = jobs[0] ?? [];
      if (status === 'completed' || status === 'skipped') return;
      if (status === 'failed' || status === 'cancelled') throw new Error(`the job ${status}: ${trace}`);
      if (this.#disk?.isGone === true) throw new Error('the process is gone');
      await new Promise((resolve) => setTimeout(resolve, JOB_MILLIS));
    }
    throw new Error('the job does not end');
  }

  /** How many operations a fault of each kind may happen at. */
  async points(operation: ColdOperation): Promise<FaultPoints> {
    await this.#begin();
    const disk = this.#disk;
    if (disk === undefined) throw new Error('there is no disk');
    disk.record();
    await this.#during(operation);
    const found = (kind: DiskFault): readonly number[] => disk.recorded(kind);
    const kinds = {
      kill: found('kill'),
      'power cut': found('power cut'),
      tear: found('tear'),
      ENOSPC: found('ENOSPC'),
      EIO: found('EIO'),
    };
    const points = { kinds, logWrites: disk.logWrites };
    await this.#end();
    return points;
  }

  /** Runs the operation with a fault, opens what is left, and throws unless all is there and goes on working. */
  async try(
    operation: ColdOperation,
    fault: { readonly kind: DiskFault; readonly at: number },
    random: SeededRandom,
  ): Promise<ColdFaultOutcome> {
    try {
      await this.#begin();
      const disk = this.#disk;
      disk?.arm(fault.at, fault.kind);
      const error = await this.#during(operation);
      disk?.disarm();
      if (disk?.isGone === false) await this.#goOn(operation, error);
      disk?.end();
      await this.#close();
      if (fault.kind === 'power cut') disk?.cutPower((below) => random.integer(below));
      await this.#reopen(operation);
      return { hit: disk?.hasFailed === true, error };
    } catch (error) {
      throw new Error(`${operation.name}, ${fault.kind} at operation ${fault.at}: ${error instanceof Error ? error.stack : error}`, {
        cause: error,
      });
    } finally {
      await this.#end();
    }
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #directory(): string {
    return join(this.#folder, `data-${this.#runs}`);
  }

  async #begin(): Promise<void> {
    this.#runs += 1;
    cpSync(join(this.#folder, 'template'), this.#directory, { recursive: true });
    mkdirSync(this.outside);
    this.#rows = new Map(PREPARED);
    this.#unknown = new Map();
    this.#disk = new FaultDisk(join(this.#folder, `spare-${this.#runs}`));
    this.#database = await open(this.#directory, this.#disk.files);
    await this.#tidy();
  }

  /** The operation, and beside it a write whose answer is noted. */
  async #during(operation: ColdOperation): Promise<string | undefined> {
    const [error] = await Promise.all([
      operation.run(this).then(
        () => undefined,
        (failure: unknown) => named(failure),
      ),
      operation.drops === true ? undefined : this.#write(7, 'seven'),
    ]);
    return error;
  }

  async #write(id: number, text: string): Promise<void> {
    try {
      await this.sql(`INSERT INTO app.t VALUES (${id}, '${text}')`);
      this.#rows.set(id, text);
    } catch (error) {
      if (named(error).startsWith('COMMIT_OUTCOME_UNKNOWN')) this.#unknown.set(id, text);
    }
  }

  /** The fault is over: what failed left the rows, and everything works again by itself. */
  async #goOn(operation: ColdOperation, error: string | undefined): Promise<void> {
    // A log that lost a write whose outcome nobody knows is opened again first, as the server does by ending.
    if (error?.startsWith('COMMIT_OUTCOME_UNKNOWN') === true || this.#unknown.size > 0) return;
    if (operation.drops === true) return;
    await this.#check();
    await this.#write(8, 'eight');
    if (this.#rows.get(8) === undefined) throw new Error('a write does not succeed when the fault is over');
    // The oldest hot rows are others now than those of the attempt that failed.
    await this.sql("UPDATE app.t SET v = 'two, later' WHERE id = 2");
    this.#rows.set(2, 'two, later');
    if (error !== undefined) await operation.run(this);
    await this.#checkKeys();
  }

  async #reopen(operation: ColdOperation): Promise<void> {
    this.#disk = undefined;
    this.#database = await open(this.#directory, systemFiles);
    const isThere =
      operation.drops !== true || ((await this.sql("SELECT table_name FROM system.tables WHERE table_name = 't'")) as []).length > 0;
    if (!isThere) {
      await until(() => (this.#left('storage').length === 0 ? undefined : `${this.#left('storage')} of a dropped table are left`));
      return;
    }
    await this.#check();
    await this.#tidy();
    await this.flush();
    await this.#checkKeys();
    await this.#check();
    await this.#tidy();
  }

  /** Every row that was acknowledged, once, along each road there is. */
  async #check(): Promise<void> {
    const scanned = (await this.sql('SELECT id, v FROM app.t ORDER BY id')) as [number, string][];
    for (const [id, text] of scanned) if (this.#unknown.get(id) === text) this.#rows.set(id, text);
    this.#unknown.clear();
    const expected = [...this.#rows].sort(([a], [b]) => a - b);
    same('the rows', scanned, expected);
    same('their number', await this.sql('SELECT COUNT(*) FROM app.t'), [[BigInt(expected.length)]]);
    same('the sum', await this.sql('SELECT SUM(id) FROM app.t'), [[BigInt(expected.reduce((sum, [id]) => sum + id, 0))]]);
    for (const [id, text] of expected) same(`row ${id}`, await this.sql(`SELECT v FROM app.t WHERE id = ${id}`), [[text]]);
    same('what is deleted', await this.sql('SELECT id FROM app.t WHERE _deleted = true'), [[3]]);
  }

  /** No key of a row that is there can be inserted. */
  async #checkKeys(): Promise<void> {
    for (const id of this.#rows.keys()) {
      const again = await this.sql(`INSERT INTO app.t VALUES (${id}, 'twice')`).then(() => 'done', named);
      if (!again.startsWith('DUPLICATE_KEY')) throw new Error(`key ${id} was inserted again: ${again}`);
    }
  }

  /** Waits until nothing lies there but what the manifest names. */
  async #tidy(): Promise<void> {
    const [[text] = ['{}']] = (await this.sql('SELECT manifest_json FROM system.manifest')) as [string][];
    const { segments = [] } = JSON.parse(text) as { segments?: { path: string }[] };
    const expected = segments.flatMap(({ path }) => [path, path.replace('.parquet', '.bloom')]).sort();
    const unfinished = (): readonly string[] => [...this.#left('flush'), ...this.#left('compaction')];
    await until(() => {
      const left = this.#left('storage').filter((name) => name !== 'manifest.json');
      const holds = unfinished().length === 0 && left.join() === expected.join();
      return holds ? undefined : `there are ${left} and ${unfinished()} instead of ${expected}`;
    });
  }

  #left(folder: 'storage' | 'flush' | 'compaction'): readonly string[] {
    const found = readdirSync(join(this.#directory, folder), { recursive: true, withFileTypes: true });
    return found.flatMap((entry) => (entry.isFile() ? [entry.name] : [])).sort();
  }

  async #close(): Promise<void> {
    const database = this.#database;
    this.#database = undefined;
    await database?.close().catch(() => undefined); // what is gone cannot be closed
  }

  async #end(): Promise<void> {
    await this.#close();
    this.#disk = undefined;
    for (const path of [this.#directory, this.outside, join(this.#folder, `spare-${this.#runs}`)])
      rmSync(path, { recursive: true, force: true });
  }
}

function open(directory: string, files: typeof systemFiles): Promise<Database> {
  return openDatabase({
    directory,
    files,
    durability: 'sync',
    logFileBytes: LOG_FILE_BYTES,
    passwordCost: { memoryKib: 1024, iterations: 1 },
    cold: { segmentRowsMax: 2 },
    jobs: { retriesMax: 0 },
    onWarning: () => undefined,
  });
}

/** The code and the text of an error; throws it when it has none. */
function named(error: unknown): string {
  const found = error instanceof StatementError ? error.failure.error : error;
  if (found instanceof KalamError && found.code !== 'INTERNAL_ERROR') return `${found.code}: ${found.message}`;
  if (found instanceof Error && /^the (?:job|process) /.test(found.message) && !found.message.includes('INTERNAL')) return found.message;
  throw new Error(`an error without a name: ${found}`, { cause: error });
}

function same(what: string, found: unknown, expected: unknown): void {
  const text = (value: unknown): string => JSON.stringify(value, (_, cell) => (typeof cell === 'bigint' ? Number(cell) : cell));
  if (text(found) !== text(expected)) throw new Error(`${what}: ${text(found)} instead of ${text(expected)}`);
}

/** Waits until `fails` answers that nothing does. */
async function until(fails: () => string | undefined): Promise<void> {
  for (let look = 0; ; look += 1) {
    const failure = fails();
    if (failure === undefined) return;
    if (look === JOB_LOOKS_MAX) throw new Error(failure);
    await new Promise((resolve) => setTimeout(resolve, JOB_MILLIS));
  }
}
