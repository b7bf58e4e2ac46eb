import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom, ServerProcess } from '@kalamdb/testing';
import { UNHURRIED_SETTINGS } from '../server-settings.ts';
import { Api } from '../sql-api.ts';
import { Backups } from './backups.ts';
import { Definer } from './definer.ts';
import { Ledger, type Place, type ReadRow, type RowName } from './ledger.ts';
import { liveRow, Subscriber } from './subscriber.ts';
import { blockWriter, type Plan, singleWriter, textOf, transactionWriter, type Writer, writerOf } from './writers.ts';

const ROOT_PASSWORD = 'kill-root-password';
const USER_PASSWORD = 'kill-user-password';
const USERS: readonly string[] = ['ann', 'ben', 'cleo'];
/** Below the ports that the system gives to outgoing connections, so that a killed server's port is still free for the next. */
const PORTS = { first: 20_000, count: 12_000 };
/** The longest time that writers are left alone. */
const WRITING_MILLIS_MAX = 300;
/** Kills before a server is let up are none, then one and so on up to this, round by round. */
const START_KILLS_MAX = 2;
/** Of so many rounds one waits until the subscriber has caught up before writers go on; in the others it catches up beside them. */
const CATCH_UP_EVERY = 3;

/** Milliseconds between two tries to begin a flush and a compaction. */
const MOVE_PAUSE_MILLIS = 20;

/** How much is played. */
export interface KillRunOptions {
  readonly seed: number;
  readonly rounds: number;
  readonly durability: 'sync' | 'relaxed';
  /** Size of each file of the log: with small ones they turn over all the time. */
  readonly logFileBytes?: number | undefined;
  /** Rows stay where they were written: nothing is flushed or merged beside the writers. */
  readonly hotOnly?: boolean | undefined;
}

/** What happened, by name. */
export type KillRunCounts = Readonly<Record<string, number>>;

/**
 * Kills a server again and again under concurrent writers and during its start, and looks after each restart whether what was
 * acknowledged is there and nothing is half there. A subscriber follows through all of it. Throws at the first difference.
 */
export async function runKills(options: KillRunOptions): Promise<KillRunCounts> {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-kill-'));
  const loop = new KillLoop(folder, options, await freePort(new SeededRandom(options.seed)));
  try {
    await loop.prepare();
    for (let round = 0; round < options.rounds; round++) await loop.round(round);
    await loop.finish();
    return loop.counts;
  } finally {
    await loop.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function freePort(random: SeededRandom): Promise<number> {
  for (;;) {
    const port = PORTS.first + random.integer(PORTS.count);
    const server = createServer().listen(port, '127.0.0.1');
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** Why writers stop. */
class Killed extends Error {}

class KillLoop {
  readonly counts: Record<string, number> = {};
  readonly #folder: string;
  readonly #options: KillRunOptions;
  readonly #port: number;
  readonly #random: SeededRandom;
  readonly #api = new Api();
  readonly #ledger = new Ledger();
  readonly #writers: readonly Writer[];
  readonly #backups: Backups;
  readonly #definers: readonly Definer[] = [new Definer(1), new Definer(2)];
  #server: ServerProcess | undefined;
  #subscriber: Subscriber | undefined;
  #commits = 0;
  /** How long the last undisturbed start took. */
  #startMillis = 500;
  /** The server was told to die: what is not answered any more is unanswered. */
  #dying = false;
  #acknowledgedInRound = 0;
  #onAcknowledged: (() => void) | undefined;

  constructor(folder: string, options: KillRunOptions, port: number) {
    this.#folder = folder;
    this.#options = options;
    this.#port = port;
    this.#random = new SeededRandom(options.seed);
    this.#backups = new Backups(this.#api, folder, (what) => this.#note(what));
    const kinds = [singleWriter, singleWriter, blockWriter, blockWriter, transactionWriter, transactionWriter];
    this.#writers = Array.from({ length: 2 * kinds.length }, (_, index) => {
      const kind = kinds[Math.floor(index / 2)] ?? singleWriter;
      return kind(index + 1, USERS[index % USERS.length] ?? '');
    });
  }

  async prepare(): Promise<void> {
    await this.#start();
    await this.#api.login('root', ROOT_PASSWORD);
    const columns = 'id INT PRIMARY KEY, c INT NOT NULL, n INT NOT NULL, block INT NOT NULL, v TEXT';
    const statements = [
      'CREATE NAMESPACE kill',
      `CREATE SHARED TABLE kill.items (${columns})`,
      `CREATE USER TABLE kill.notes (${columns})`,
      ...USERS.map((user) => `CREATE USER '${user}' WITH PASSWORD '${USER_PASSWORD}' ROLE service`),
      `INSERT INTO kill.items VALUES (0, 0, 0, 1, '')`,
    ];
    for (const sql of statements) await this.#api.rows('root', sql);
    this.#ledger.acknowledged({ id: 0, changes: new Map(), bumps: false });
    for (const user of USERS) await this.#api.login(user, USER_PASSWORD);
    const [user = ''] = USERS;
    this.#subscriber = new Subscriber(
      { url: this.#api.url, token: this.#api.token(user) },
      {
        delivered: (commit, seq) => {
          this.#ledger.saw(commit);
          this.#ledger.sawSeq(seq);
        },
      },
    );
    await this.#subscriber.follow('kill.items');
    await this.#subscriber.follow('kill.notes');
  }

  async round(number: number): Promise<void> {
    this.#note('rounds');
    await this.#writeUntilKilled(number);
    await this.#killStarts(number);
    await this.#start();
    const actual = await this.#readAll();
    try {
      const { present, absent } = this.#ledger.settle(actual);
      this.#note('unanswered and there', present);
      this.#note('unanswered and not there', absent);
      await this.#checkDefinitions();
      if (number % CATCH_UP_EVERY === 0) await this.#catchUp(actual);
      if (number % CATCH_UP_EVERY === 1) await this.#backups.verify();
    } catch (error) {
      throw new Error(`seed ${this.#options.seed}, ${this.#options.durability}, round ${number}: ${String(error)}`, { cause: error });
    }
  }

  /** A last look after an orderly restart. */
  async finish(): Promise<void> {
    await this.#server?.stop();
    await this.#start();
    const actual = await this.#readAll();
    this.#ledger.settle(actual);
    await this.#checkDefinitions();
    await this.#checkJobs();
    await this.#catchUp(actual);
    this.#note('subscriber connected', this.#subscriber?.counts.resumes);
    this.#note('row versions delivered', this.#subscriber?.counts.versions);
    this.#note('segments', this.#segments());
    const [jobs = []] = await this.#api.rows(
      'root',
      "SELECT job_type FROM system.jobs WHERE status = 'completed' AND job_type <> 'cleanup'",
    );
    for (const [type] of jobs) this.#note(`${String(type)} completed`);
    const logs = readdirSync(join(this.#folder, 'data', 'log')).filter((name) => name.endsWith('.log'));
    this.#note('log files begun', Math.max(...logs.map((name) => Number.parseInt(name, 10))));
    await this.#checkRestore(actual);
  }

  /** Files of segments; the first flush makes their folder, and a kill may have come before it. */
  #segments(): number {
    const folder = join(this.#folder, 'data', 'storage');
    if (!existsSync(folder)) return 0;
    return readdirSync(folder, { recursive: true }).filter((name) => String(name).endsWith('.parquet')).length;
  }

  /** A backup of what is there, restored: every row with its `_seq`. */
  async #checkRestore(actual: ReadonlyMap<RowName, ReadRow>): Promise<void> {
    await this.#subscriber?.close();
    await this.#backups.finish();
    await this.#server?.stop();
    await this.#start();
    const restored = await this.#readAll();
    this.#ledger.settle(restored);
    const [before, after] = [actual, restored].map((rows) => [...rows].map(([name, { seq }]) => `${name} ${seq}`).sort());
    if (before?.join() !== after?.join()) throw new Error('a restored row has another _seq');
    const left = readdirSync(join(this.#folder, 'data')).filter((name) => name.startsWith('restore'));
    if (left.length > 0) throw new Error(`restores have left ${left.join(', ')}`);
    this.#note('restores');
  }

  /** What every DROP TABLE that was carried out has left behind is removed in the end, however often its job was interrupted. */
  async #checkJobs(): Promise<void> {
    const jobs = async (): Promise<readonly (readonly unknown[])[]> =>
      (await this.#api.rows('root', "SELECT job_id, status FROM system.jobs WHERE job_type = 'cleanup'"))[0] ?? [];
    for (;;) {
      const states = (await jobs()).map(([, status]) => String(status));
      const wrong = states.filter((status) => !['queued', 'running', 'retrying', 'completed'].includes(status));
      if (wrong.length > 0) throw new Error(`cleanup jobs have ${wrong.join(', ')}`);
      if (states.every((status) => status === 'completed')) {
        this.#note('cleanup jobs completed', states.length);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async close(): Promise<void> {
    await this.#subscriber?.close();
    await this.#server?.kill();
  }

  async #start(signal?: AbortSignal): Promise<void> {
    const began = performance.now();
    const { durability, logFileBytes } = this.#options;
    const environment = logFileBytes === undefined ? {} : { KALAMDB_STORAGE_LOG_FILE_BYTES: String(logFileBytes) };
    const options = { folder: this.#folder, durability, rootPassword: ROOT_PASSWORD, settings: UNHURRIED_SETTINGS, port: this.#port };
    this.#server = await ServerProcess.start({ ...options, environment, signal });
    this.#api.url = this.#server.url;
    this.#startMillis = performance.now() - began;
    this.#dying = false;
  }

  /** Kills servers that are on their way up: while they recover, most of the time. */
  async #killStarts(round: number): Promise<void> {
    for (let kill = round % (START_KILLS_MAX + 1); kill > 0; kill--) {
      const signal = AbortSignal.timeout(Math.ceil(this.#random.uniform() * this.#startMillis));
      const started = await this.#start(signal).then(
        () => true,
        (error: unknown) => {
          if (!signal.aborted) throw error;
          return false;
        },
      );
      if (started) await this.#server?.kill();
      this.#note('kills in recovery');
      this.#note(started ? 'of them when it served again' : 'of them before it served');
    }
  }

  /** Runs all writers and a reader, and kills the server after some time or right after an acknowledgement. */
  async #writeUntilKilled(round: number): Promise<void> {
    this.#acknowledgedInRound = 0;
    const running = [
      ...this.#writers.map((writer) => this.#run(writer)),
      ...this.#definers.map((definer) => this.#define(definer)),
      ...USERS.map((user) => this.#readWhileWriting(user)),
      ...(this.#options.hotOnly === true ? [] : [this.#moveWhileWriting()]),
      this.#backups.runUntil(() => this.#dying),
    ];
    const all = Promise.all(running);
    // Whoever finds something wrong before the kill ends the round at once.
    await Promise.race([this.#momentToKill(round), all]);
    this.#dying = true;
    await this.#server?.kill();
    this.#note('kills during writes');
    await all;
    this.#backups.checkFiles();
  }

  async #momentToKill(round: number): Promise<void> {
    if (round % 2 === 0) {
      await new Promise((resolve) => setTimeout(resolve, this.#random.integer(WRITING_MILLIS_MAX)));
      return;
    }
    const target = 1 + this.#random.integer(150);
    await new Promise<void>((resolve) => {
      this.#onAcknowledged = () => this.#acknowledgedInRound >= target && resolve();
    });
    this.#note('kills right after an acknowledgement');
  }

  async #run(writer: Writer): Promise<void> {
    while (!this.#dying) {
      const commit = ++this.#commits;
      const plan = writer.plan({ random: this.#random, ledger: this.#ledger, commit });
      try {
        await this.#send(writer, plan);
      } catch (error) {
        if (error instanceof Killed) return;
        throw error;
      }
    }
  }

  async #define(definer: Definer): Promise<void> {
    while (!this.#dying) {
      const step = definer.next(this.#random);
      const answer = await this.#api.sql('root', step.sql).catch((error: unknown) => {
        if (!this.#dying) throw error;
        return undefined;
      });
      if (answer === undefined) {
        this.#note('definitions unanswered');
        return definer.unanswered(step);
      }
      if (answer.error !== undefined) throw new Error(`${step.sql}: ${answer.error}`);
      definer.answered(step);
      this.#note(`definition: ${step.label}`);
    }
  }

  /** Moves rows into segments and merges those all the time; as soon as one job of a table has ended, the next one begins. */
  async #moveWhileWriting(): Promise<void> {
    while (!this.#dying) {
      for (const table of ['kill.items', 'kill.notes']) {
        for (const verb of ['FLUSH', 'COMPACT'] as const) {
          const answer = await this.#api.sql('root', `STORAGE ${verb} TABLE ${table}`).catch((error: unknown) => {
            if (!this.#dying) throw error;
            return undefined;
          });
          if (answer === undefined) return;
          const isUnderWay = answer.error?.includes('Idempotent conflict') === true;
          if (answer.error !== undefined && !isUnderWay) throw new Error(`STORAGE ${verb} TABLE ${table}: ${answer.error}`);
          this.#note(`${verb.toLowerCase()} ${isUnderWay ? 'under way' : 'begun or nothing to do'}`);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, MOVE_PAUSE_MILLIS));
    }
  }

  async #checkDefinitions(): Promise<void> {
    const [namespaces = [], tables = []] = await this.#api.rows(
      'root',
      'SELECT namespace_id FROM system.namespaces; SELECT namespace_id, table_name FROM system.tables',
    );
    const found = new Map<string, readonly number[]>();
    for (const [namespace, name] of tables.map((row) => row.map(String))) {
      if (!this.#definers.some((definer) => definer.owns(namespace ?? ''))) continue;
      const [rows = []] = await this.#api.rows('root', `SELECT id FROM ${namespace}.${name} ORDER BY id`);
      found.set(
        `${namespace}.${name}`,
        rows.map(([id]) => Number(id)),
      );
    }
    const ids = namespaces.map(([id]) => String(id));
    for (const definer of this.#definers) {
      const own = new Set(ids.filter((id) => definer.owns(id)));
      const done = definer.settle({ namespaces: own, tables: new Map([...found].filter(([name]) => definer.owns(name))) });
      if (done) this.#note('definitions unanswered and there');
    }
  }

  async #send({ name, user }: Writer, plan: Plan): Promise<void> {
    const { outcome, commit, label, sql } = plan;
    const answer = await this.#api.sql(user, sql).catch((error: unknown) => {
      if (!this.#dying) throw error;
      this.#note('unanswered');
      if (outcome === 'done' || outcome === 'lost race') this.#ledger.unanswered(commit);
      throw new Killed();
    });
    const what = `${name}: ${label}`;
    if (answer.error === undefined) {
      if (outcome === 'rolled back') return this.#note(what);
      if (typeof outcome === 'object') throw new Error(`${sql} must be refused`);
      this.#ledger.acknowledged(commit);
      this.#note('acknowledged');
      this.#note(what);
      this.#acknowledgedInRound += 1;
      this.#onAcknowledged?.();
      return;
    }
    const wanted = typeof outcome === 'object' ? outcome.refused : outcome === 'lost race' ? 'conflict' : undefined;
    if (wanted === undefined || !answer.error.toLowerCase().includes(wanted)) throw new Error(`${sql.slice(0, 500)}: ${answer.error}`);
    this.#note(outcome === 'lost race' ? 'transaction: conflict' : what);
  }

  /** One snapshot after another over both tables: blocks are whole, and those of a transaction are of the same commit. */
  async #readWhileWriting(user: string): Promise<void> {
    while (!this.#dying) {
      const sql = 'BEGIN; SELECT id, c, block FROM kill.items; SELECT id, c, block FROM kill.notes; COMMIT';
      const answer = await this.#api.rows(user, sql).catch((error: unknown) => {
        if (!this.#dying) throw error;
        return undefined;
      });
      if (answer === undefined) return;
      const [items = [], notes = []] = answer;
      const [inItems, inNotes] = [this.#blocksOf(items), this.#blocksOf(notes)];
      for (const [index, writer] of this.#writers.entries()) {
        if (writer.name !== 'transaction' || writer.user !== user) continue;
        const [item, note] = [inItems.get(index + 1), inNotes.get(index + 1)];
        if (item !== note) throw new Error(`a fractured read: ${item} in items, ${note} in notes`);
      }
      this.#note('reads beside the writers');
    }
  }

  /** The commit that wrote each writer's block; throws when there are several, or rows are missing. */
  #blocksOf(rows: readonly (readonly unknown[])[]): ReadonlyMap<number, number> {
    const found = new Map<number, { commit: number; rows: number; block: number }>();
    for (const row of rows) {
      const [id = 0, commit = 0, block = 0] = row.map(Number);
      this.#ledger.saw(commit);
      const number = writerOf(id);
      if (this.#writers[number - 1]?.name.startsWith('single') !== false) continue;
      const before = found.get(number);
      if (before !== undefined && before.commit !== commit) throw new Error(`rows of ${before.commit} and ${commit} in one block`);
      found.set(number, { commit, rows: (before?.rows ?? 0) + 1, block });
    }
    for (const { commit, rows: count, block } of found.values()) {
      if (count !== block) throw new Error(`${count} of ${block} rows of commit ${commit}`);
    }
    return new Map([...found].map(([number, { commit }]) => [number, commit]));
  }

  /** Every row of every partition. */
  async #readAll(): Promise<ReadonlyMap<RowName, ReadRow>> {
    const found = new Map<RowName, ReadRow>();
    const read = async (user: string, table: string, place: Place): Promise<void> => {
      const [rows = []] = await this.#api.rows(user, `SELECT id, c, n, block, _seq, v FROM ${table}`);
      for (const [id, c, n, block, seq, v] of rows) {
        if (id !== 0 && v !== textOf(Number(c))) throw new Error(`${place}/${id} of commit ${c} holds '${v}'`);
        found.set(`${place}/${Number(id)}`, { commit: Number(c), count: Number(n), block: Number(block), seq: BigInt(String(seq)) });
      }
    };
    await read('root', 'kill.items', 'items');
    for (const user of USERS) await read(user, 'kill.notes', `notes of ${user}`);
    return found;
  }

  async #catchUp(actual: ReadonlyMap<RowName, ReadRow>): Promise<void> {
    const [user = ''] = USERS;
    const places: readonly (readonly [string, Place])[] = [
      ['kill.items', 'items'],
      ['kill.notes', `notes of ${user}`],
    ];
    for (const [table, place] of places) {
      const own = [...actual].filter(([name]) => name.startsWith(`${place}/`));
      const expected = own.map(([name, { commit, count, block, seq }]): [number, string] => [
        Number(name.slice(place.length + 1)),
        liveRow(commit, count, block, seq),
      ]);
      await this.#subscriber?.catchUp(table, new Map(expected));
    }
    this.#note('subscriber caught up');
  }

  #note(what: string, count: number = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + count;
  }
}
