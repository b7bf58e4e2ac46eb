import { type Database, openDatabase, type Principal, StatementError } from '@kalamdb/engine';
import { type ErrorCode, KalamError, systemTimers, type Timers } from '@kalamdb/protocol';
import { parseStatement, splitStatements } from '@kalamdb/sql';
import { type FileSystem, systemFiles } from '@kalamdb/storage';
import { type GrammarStatement, nextGrammarStatement, SCENE_STATEMENTS, SCENE_USERS, SeededRandom } from '@kalamdb/testing';
import { type DatabaseDump, differences, dumpCatalog, dumpRows } from './database-dump.ts';

/** Milliseconds in which every statement has its answer. */
const ANSWER_MILLIS_MAX = 1000;
/** Characters of a statement that a report shows. */
const SHOWN_CHARS_MAX = 400;

/** What a transaction may hold, so that one request can hold more. */
const TRANSACTION_BYTES_MAX = 1024 * 1024;
/** Refusals between two looks at every row while nothing was committed. */
const ROWS_COMPARED_EVERY = 16;
/** Characters of a user's name that a partition can have. */
const OWNER_CHARS_MAX = 128;

/** On whose behalf statements run. */
export const GRAMMAR_PRINCIPALS: readonly Principal[] = [
  { userId: 'anonymous', role: 'anonymous' },
  { userId: 'alice', role: 'user' },
  { userId: 'sam', role: 'service' },
  { userId: 'dora', role: 'dba' },
  { userId: 'root', role: 'system' },
];

/** Administrators come more often: the others are refused before much has happened. */
const OFTEN: readonly Principal[] = GRAMMAR_PRINCIPALS.flatMap((principal, index) => Array.from({ length: 1 + index }, () => principal));

/** What was met, and what was wrong with it. */
export class GrammarReport {
  /** Statements by kind, as the parser calls them. */
  readonly kinds: Map<string, number> = new Map();
  /** Refusals by code. */
  readonly codes: Map<ErrorCode, number> = new Map();
  readonly problems: string[] = [];
  statements = 0;
  refused = 0;
  slowestMillis = 0;
  slowest = '';

  noteKind(sql: string): void {
    try {
      for (const { text } of splitStatements(sql)) count(this.kinds, kindOf(text));
    } catch {
      return;
    }
  }

  noteCode(code: ErrorCode): void {
    count(this.codes, code);
  }
}

function kindOf(text: string): string {
  try {
    return parseStatement(text).kind;
  } catch {
    return 'does not parse';
  }
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** Timers that do not repeat: housekeeping must not change anything between two dumps. */
const UNREPEATED: Timers = { ...systemTimers, every: () => ({ cancel: () => undefined }) };

/** Statements may name any folder of the machine: nothing is made in it. */
const UNWRITABLE: FileSystem = {
  ...systemFiles,
  makeDirectory: (path) => Promise.reject(Object.assign(new Error(`EACCES: ${path}`), { code: 'EACCES' })),
};

/** A database in memory with the scene of the grammar, against which statements are played one after another. */
export class GrammarWorld {
  readonly #database: Database;
  readonly #report: GrammarReport;
  readonly #owners = new Set([...SCENE_USERS, ...GRAMMAR_PRINCIPALS.map(({ userId }) => userId)]);
  #catalog: DatabaseDump = new Map();
  #rows: DatabaseDump = new Map();
  #watermark = -1n;

  private constructor(database: Database, report: GrammarReport) {
    this.#database = database;
    this.#report = report;
  }

  static async open(seed: number, report: GrammarReport): Promise<GrammarWorld> {
    const database = await openDatabase({
      directory: undefined,
      durability: 'relaxed',
      rootPassword: 'grammar-root-password',
      passwordCost: { memoryKib: 64, iterations: 1 },
      random: new SeededRandom(seed),
      timers: UNREPEATED,
      files: UNWRITABLE,
      transactionLimits: { bufferBytesMax: TRANSACTION_BYTES_MAX },
    });
    for (const sql of SCENE_STATEMENTS) await database.session({ userId: 'root', role: 'system' }).execute(sql);
    const world = new GrammarWorld(database, report);
    await world.#read();
    return world;
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  /** Plays statements that the seed determines; stops at the first that is answered wrongly. */
  async playRandom(seed: number, statements: number): Promise<void> {
    const random = new SeededRandom(seed);
    for (let index = 0; index < statements; index++) {
      const principal = random.pick(OFTEN);
      const problem = await this.play(principal, nextGrammarStatement(random));
      if (problem === undefined) continue;
      this.#report.problems.push(`seed ${seed}, statement ${index}, ${problem}`);
      await this.#read();
    }
  }

  /** Plays one request and returns what is wrong with its outcome. */
  async play(principal: Principal, { sql, parameters }: Pick<GrammarStatement, 'sql' | 'parameters'>): Promise<string | undefined> {
    const report = this.#report;
    report.statements += 1;
    report.noteKind(sql);
    for (const [, user = ''] of sql.matchAll(/EXECUTE AS USER '((?:[^']|'')*)'/gi)) await this.#noteOwner(user.replaceAll("''", "'"));
    const cpu = process.cpuUsage();
    const start = performance.now();
    const outcome = await outcomeOf(this.#database, principal, { sql, parameters });
    const millis = performance.now() - start;
    const { user, system } = process.cpuUsage(cpu);
    const busyMillis = Math.min(millis, (user + system) / 1000);
    if (busyMillis > report.slowestMillis) {
      report.slowestMillis = busyMillis;
      report.slowest = sql.slice(0, SHOWN_CHARS_MAX);
    }
    const told = (problem: string): string => `${principal.role}: ${problem}: ${JSON.stringify(sql.slice(0, SHOWN_CHARS_MAX))}`;
    // The machine may be busy with other things; the statement itself must not keep it busy.
    if (busyMillis > ANSWER_MILLIS_MAX) return told(`took ${Math.round(busyMillis)} ms`);
    if (outcome.kind === 'answered') {
      if (this.#database.status().watermark !== this.#watermark) await this.#read();
      return undefined;
    }
    if (outcome.kind === 'crashed') return told(`failed with what is no error of the table: ${outcome.error}`);
    report.refused += 1;
    report.noteCode(outcome.code);
    if (outcome.code === 'INTERNAL_ERROR') return told(`failed with an internal error: ${outcome.message}`);
    // A batch outside of a transaction keeps what was done before the statement that failed.
    if (outcome.statement > 1 && !/^\s*BEGIN/i.test(sql)) {
      await this.#read();
      return undefined;
    }
    const changed = await this.#changes();
    return changed.length === 0 ? undefined : told(`failed with ${outcome.code} and changed ${changed.join(', ')}`);
  }

  /** The parts that are not as they were. Rows are compared when anything was committed, and else now and then. */
  async #changes(): Promise<readonly string[]> {
    const [catalog, rows] = [this.#catalog, this.#rows];
    const moved = this.#database.status().watermark !== this.#watermark;
    if (moved || this.#report.refused % ROWS_COMPARED_EVERY === 0) await this.#read();
    else this.#catalog = await dumpCatalog(this.#database);
    return [...differences(catalog, this.#catalog), ...differences(rows, this.#rows)];
  }

  /** The rows of a user who is heard of for the first time are read before the statement: there may be some already. */
  async #noteOwner(user: string): Promise<void> {
    if (user.length > OWNER_CHARS_MAX || this.#owners.has(user)) return;
    this.#owners.add(user);
    await this.#read();
  }

  async #read(): Promise<void> {
    this.#watermark = this.#database.status().watermark;
    this.#catalog = await dumpCatalog(this.#database);
    this.#rows = await dumpRows(this.#database, this.#owners);
  }
}

type Outcome =
  | { readonly kind: 'answered' }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string /** 1-based. */; readonly statement: number }
  | { readonly kind: 'crashed'; readonly error: string };

async function outcomeOf(
  database: Database,
  principal: Principal,
  { sql, parameters }: Pick<GrammarStatement, 'sql' | 'parameters'>,
): Promise<Outcome> {
  try {
    await database.session(principal, { namespace: 'g', requestId: 'grammar' }).execute(sql, parameters);
    return { kind: 'answered' };
  } catch (error) {
    if (error instanceof StatementError) {
      const { statement, error: cause } = error.failure;
      return {
        kind: 'refused',
        code: cause.code,
        message: `${cause.message} ${String(cause.cause ?? '')} ${cause.stack ?? ''}`,
        statement,
      };
    }
    if (error instanceof KalamError) return { kind: 'refused', code: error.code, message: error.stack ?? error.message, statement: 1 };
    return { kind: 'crashed', error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
