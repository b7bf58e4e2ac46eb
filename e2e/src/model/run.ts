import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom, ServerProcess } from '@kalamdb/testing';
import { UNHURRIED_SETTINGS } from '../server-settings.ts';
import { Api, type SqlAnswer } from '../sql-api.ts';
import { type Expected, nextStep } from './program.ts';
import { TableModel } from './table-model.ts';
import { nextTransaction } from './transaction.ts';

const ROOT_PASSWORD = 'model-root-password';
const USER_PASSWORD = 'model-user-password';
const USERS: readonly string[] = ['alice', 'bob', 'carol'];

/** How much is played. */
export interface ModelRunOptions {
  readonly seed: number;
  readonly statements: number;
  /** Statements between two kills, on average. */
  readonly killEvery: number;
  readonly durability: 'sync' | 'relaxed';
  /** Statements between two flushes or compactions, on average, which go on beside those that follow; absent: all rows stay hot. */
  readonly moveEvery?: number | undefined;
}

/** What happened: how often each kind of step, kill and outcome occurred. */
export type ModelRunCounts = Readonly<Record<string, number>>;

/** One partition as a user sees it, beside the model's idea of it. */
interface Place {
  readonly user: string;
  readonly table: string;
  model: TableModel;
}

/** One request: a statement or a transaction. */
interface Action {
  readonly label: string;
  readonly user: string;
  readonly sql: string;
  /** The places that it is about, and their models after it. */
  readonly after: ReadonlyMap<Place, TableModel>;
  /** What an answer is when it is the right one, for the counts. */
  readonly outcome: string;
  difference(answer: SqlAnswer): string | undefined;
}

/** One request in so many is a transaction. */
const TRANSACTION_EVERY = 5;

/**
 * Plays random statements of several users against the model through HTTP, killing and restarting the server in between.
 * A statement that was on its way when the server was killed may have happened or not, but whole. Throws at the first
 * difference, naming seed, step and statement.
 */
export async function runModel(options: ModelRunOptions): Promise<ModelRunCounts> {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-model-'));
  const world = new World(folder, options);
  try {
    await world.start();
    await world.prepare();
    for (let step = 0; step < options.statements; step++) await world.step(step);
    await world.checkAll();
    await world.checkMoves();
    return world.counts;
  } finally {
    await world.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

class World {
  readonly counts: Record<string, number> = {};
  readonly #folder: string;
  readonly #options: ModelRunOptions;
  readonly #random: SeededRandom;
  readonly #api = new Api();
  /** One model for the shared table, and one for each user's partition of the USER table. */
  readonly #places: Place[];
  #server: ServerProcess | undefined;

  constructor(folder: string, options: ModelRunOptions) {
    this.#folder = folder;
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    const own = USERS.map((user) => ({ user, table: 'model.notes', model: new TableModel() }));
    this.#places = [
      ...own,
      { user: 'root', table: 'model.items', model: new TableModel() },
      { user: 'root', table: 'model.notes', model: new TableModel() },
    ];
  }

  async start(): Promise<void> {
    this.#server = await ServerProcess.start({
      folder: this.#folder,
      durability: this.#options.durability,
      rootPassword: ROOT_PASSWORD,
      settings: UNHURRIED_SETTINGS,
    });
    this.#api.url = this.#server.url;
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }

  async prepare(): Promise<void> {
    await this.#api.login('root', ROOT_PASSWORD);
    const columns = 'id INT PRIMARY KEY, txt TEXT, n BIGINT, flag BOOLEAN NOT NULL';
    const statements = [
      'CREATE NAMESPACE model',
      `CREATE USER TABLE model.notes (${columns})`,
      `CREATE SHARED TABLE model.items (${columns})`,
      ...USERS.map((user) => `CREATE USER '${user}' WITH PASSWORD '${USER_PASSWORD}' ROLE user`),
    ];
    for (const sql of statements) {
      const { error } = await this.#api.sql('root', sql);
      if (error !== undefined) throw new Error(`${sql}: ${error}`);
    }
    for (const user of USERS) await this.#api.login(user, USER_PASSWORD);
  }

  async step(number: number): Promise<void> {
    const { moveEvery } = this.#options;
    if (moveEvery !== undefined && this.#random.integer(moveEvery) === 0) await this.#move();
    const action = this.#random.integer(TRANSACTION_EVERY) === 0 ? this.#transaction() : this.#statement();
    if (this.#random.integer(this.#options.killEvery) === 0) return this.#killDuring(action, number);
    this.#note(action.label);
    this.#note(action.outcome);
    const difference = action.difference(await this.#api.sql(action.user, action.sql));
    if (difference !== undefined) throw this.#wrong(action, number, difference);
    for (const [place, model] of action.after) place.model = model;
  }

  /** Begins to move the rows of a table into segments, or to merge those. */
  async #move(): Promise<void> {
    const verb = this.#random.pick(['FLUSH', 'FLUSH', 'COMPACT']);
    const sql = `STORAGE ${verb} TABLE ${this.#random.pick(['model.notes', 'model.items'])}`;
    const { error } = await this.#api.sql('root', sql);
    if (error !== undefined && !error.includes('Idempotent conflict')) throw new Error(`seed ${this.#options.seed}: ${sql}: ${error}`);
    this.#note(error === undefined ? verb.toLowerCase() : 'move under way');
  }

  /** What came of the jobs that moved rows; a failed one is a difference. */
  async checkMoves(): Promise<void> {
    const [jobs = []] = await this.#api.rows(
      'root',
      "SELECT job_type, status, message FROM system.jobs WHERE job_type = 'flush' OR job_type = 'compact'",
    );
    for (const [type, status, message] of jobs) {
      if (status === 'failed') throw new Error(`seed ${this.#options.seed}: a ${String(type)} has failed: ${String(message)}`);
      this.#note(`${String(type)} ${String(status)}`);
    }
  }

  /** Every partition as its user reads it equals the model. */
  async checkAll(): Promise<void> {
    for (const place of this.#places) {
      const difference = await this.#differenceTo(place, place.model);
      if (difference !== undefined) throw new Error(`seed ${this.#options.seed}: ${place.user} reads ${place.table}: ${difference}`);
    }
  }

  #statement(): Action {
    const place = this.#random.pick(this.#places);
    const step = nextStep(this.#random);
    const model = place.model.clone();
    const expected = step.run(model);
    return {
      label: step.label,
      user: place.user,
      sql: step.sql(place.table),
      after: new Map([[place, model]]),
      outcome: expected.kind,
      difference: (answer) => compare(expected, answer),
    };
  }

  #transaction(): Action {
    const { user } = this.#random.pick(this.#places);
    const places = this.#places.filter((place) => place.user === user);
    const planned = nextTransaction(this.#random, places);
    return {
      label: planned.label,
      user,
      sql: planned.sql,
      after: new Map(places.map((place, index) => [place, planned.after[index] ?? place.model])),
      outcome: planned.error === undefined ? 'batch' : 'error',
      difference: (answer) =>
        planned.error === undefined
          ? compareBatch([...planned.results, ...planned.summaries], answer)
          : compare({ kind: 'error', contains: planned.error }, answer),
    };
  }

  async #killDuring(action: Action, number: number): Promise<void> {
    const onItsWay = this.#api.sql(action.user, action.sql).then(
      ({ status }) => (status === 200 ? 'acknowledged' : 'refused'),
      () => 'unanswered',
    );
    if (this.#random.integer(2) === 0) await new Promise((resolve) => setTimeout(resolve, this.#random.integer(4)));
    await this.#server?.kill();
    const outcome = await onItsWay;
    await this.start();
    this.#note('kill');
    this.#note(outcome);
    if (action.outcome === 'batch') this.#note('kill during a transaction');
    const places = [...action.after.keys()];
    const asAfter = await this.#firstDifference(places, (place) => action.after.get(place));
    const asBefore = await this.#firstDifference(places, ({ model }) => model);
    if (asAfter !== undefined && (outcome === 'acknowledged' || asBefore !== undefined)) {
      throw this.#wrong(action, number, `after a kill (${outcome}): ${asAfter}`);
    }
    if (asAfter === undefined) for (const [place, model] of action.after) place.model = model;
    await this.checkAll();
  }

  /** Where the tables differ from models of them, one model for each place. */
  async #firstDifference(places: readonly Place[], model: (place: Place) => TableModel | undefined): Promise<string | undefined> {
    for (const place of places) {
      const difference = await this.#differenceTo(place, model(place) ?? place.model);
      if (difference !== undefined) return `${place.table}: ${difference}`;
    }
    return undefined;
  }

  async #differenceTo(place: Place, model: TableModel): Promise<string | undefined> {
    const rows = model.rows().map(({ id, txt, n, flag }) => [id, txt, n === null ? null : String(n), flag]);
    return compare({ kind: 'rows', rows }, await this.#api.sql(place.user, `SELECT id, txt, n, flag FROM ${place.table}`));
  }

  #note(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  #wrong({ user, sql }: Action, number: number, difference: string): Error {
    return new Error(`seed ${this.#options.seed}, step ${number}, ${user}: ${sql}\n${difference}`);
  }
}

/** What is wrong with the answer to a batch: rows, or what the message contains, for each result. */
function compareBatch(expected: readonly (Expected | string)[], answer: SqlAnswer): string | undefined {
  const { results } = answer;
  const fits = (wanted: Expected | string, index: number): boolean => {
    const got = results[index];
    if (typeof wanted === 'string') return got?.message?.includes(wanted) === true;
    return wanted.kind === 'rows' && JSON.stringify(got?.rows) === JSON.stringify(wanted.rows);
  };
  if (answer.status === 200 && results.length === expected.length && expected.every(fits)) return undefined;
  return `expected ${JSON.stringify(expected)}, got ${JSON.stringify(answer)}`;
}

/** What is wrong with an answer; `undefined` when nothing is. */
function compare(expected: Expected, answer: SqlAnswer): string | undefined {
  const { status, results, error = '' } = answer;
  const got = JSON.stringify(answer);
  switch (expected.kind) {
    case 'error': {
      return status === 400 && error.toLowerCase().includes(expected.contains)
        ? undefined
        : `expected an error with '${expected.contains}', got ${got}`;
    }
    case 'count': {
      const message = `${expected.verb} ${expected.count} row(s)`;
      return status === 200 && results[0]?.message === message ? undefined : `expected '${message}', got ${got}`;
    }
    case 'rows': {
      const rows = JSON.stringify(expected.rows);
      return status === 200 && JSON.stringify(results[0]?.rows) === rows ? undefined : `expected rows ${rows}, got ${got}`;
    }
    default:
      return expected satisfies never;
  }
}
