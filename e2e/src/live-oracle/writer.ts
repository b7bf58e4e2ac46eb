import type { SeededRandom } from '@kalamdb/testing';
import type { Api, SqlAnswer } from '../sql-api.ts';
import type { Version } from './history.ts';
import { told } from './judge.ts';
import { keyLiteral, longRows, nextStatement, rangeOf, type Target, type WriteStatement } from './statements.ts';

/** One request in so many is a transaction. */
const TRANSACTION_EVERY = 6;
/** Statements that a transaction has at most. */
const TRANSACTION_STATEMENTS_MAX = 4;

/** What writers share. */
export interface WritingParts {
  readonly api: Api;
  /** Resolves when there is a server. */
  readonly serving: () => Promise<void>;
  /** A number that no statement has had. */
  readonly nextNumber: () => number;
  readonly count: (what: string, by?: number) => void;
}

/** Errors that a statement may get: its key is there, or a column has just come or gone. */
const EXPECTED_ERRORS = /primary key|column|conflict|aborted/i;

/**
 * Sends one statement after another about rows that are its own, and reads back what has become of them, in the same request. What a
 * statement did that got no answer is read when the server is there again.
 */
export class Writer {
  readonly #user: string;
  readonly #targets: readonly Target[];
  readonly #random: SeededRandom;
  readonly #parts: WritingParts;
  /** Its last statement may have been carried out or not. */
  #unsure = false;

  constructor(of: { readonly user: string; readonly targets: readonly Target[]; readonly random: SeededRandom }, parts: WritingParts) {
    this.#user = of.user;
    this.#targets = of.targets;
    this.#random = of.random;
    this.#parts = parts;
  }

  /** Sends the next statement, or transaction; answers how many statements that were. */
  async step(): Promise<number> {
    const random = this.#random;
    const number = this.#parts.nextNumber();
    const target = random.pick(this.#targets);
    const isTransaction = target.place.table.kind !== 'stream' && random.integer(TRANSACTION_EVERY) === 0;
    const count = isTransaction ? 2 + random.integer(TRANSACTION_STATEMENTS_MAX - 1) : 1;
    const statements = Array.from({ length: count }, () =>
      nextStatement(random, isTransaction ? random.pick(this.#targets) : target, number),
    );
    const rollsBack = isTransaction && random.integer(5) === 0;
    const texts = statements.map(({ sql }) => sql);
    if (isTransaction) {
      texts.unshift('BEGIN');
      texts.push(rollsBack ? 'ROLLBACK' : 'COMMIT');
    }
    await this.settle();
    await this.#send(texts.join('; '), { number, targets: isTransaction ? this.#targets : [target], statements });
    if (isTransaction) this.#parts.count(rollsBack ? 'rollbacks' : 'transactions');
    return count;
  }

  /** Writes long rows under each of its keys. */
  async flood(): Promise<void> {
    const number = this.#parts.nextNumber();
    await this.settle();
    for (const target of this.#targets) {
      const statement = longRows(this.#random, target, number);
      await this.#send(statement.sql, { number, targets: [target], statements: [statement] });
      for (const [key, body] of statement.bodies) await this.#checkBody(target, { key, number, body });
    }
  }

  /** What was read back right after it was written is what was written; if not, another look tells whether it is so in the table. */
  async #checkBody(
    { place }: Target,
    { key, number, body }: { readonly key: string; readonly number: number; readonly body: string },
  ): Promise<void> {
    const newest = place.history.newest(key);
    if (newest?.commit !== number || newest.cells['body'] === body) return;
    const sql = `SELECT body, _seq FROM ${place.table.name} WHERE id = ${keyLiteral(place, key)}`;
    const again = await this.#parts.api.rows(this.#user, sql);
    const texts = [newest.cells['body'], ...again.flat().map(([text]) => text)].map((text) => differenceOf(String(text), body));
    throw new Error(`${place.name}: ${key} at ${newest.seq} was read back with another body: ${texts.join('; then: ')}; ${told(again)}`);
  }

  /** Makes sure that what it has written is known. */
  async settle(): Promise<void> {
    while (this.#unsure) {
      await this.#parts.serving();
      const sentAt = performance.now();
      try {
        for (const target of this.#targets)
          this.#readBack([target], await this.#parts.api.sql(this.#user, readingOf(target)), { sentAt, commit: undefined });
        this.#unsure = false;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  async #send(
    sql: string,
    {
      number,
      targets,
      statements,
    }: { readonly number: number; readonly targets: readonly Target[]; readonly statements: readonly WriteStatement[] },
  ): Promise<void> {
    const { api, count } = this.#parts;
    const sentAt = performance.now();
    const note = (outcome: string): void => {
      for (const { place } of targets) place.note(`#${number} ${this.#user} at ${sentAt.toFixed()}: ${outcome} <- ${sql}`);
    };
    let answer: SqlAnswer;
    try {
      answer = await api.sql(this.#user, [sql, ...targets.map(readingOf)].join('; '));
    } catch {
      count('unanswered');
      note('no answer');
      for (const { place } of targets) if (place.table.kind === 'stream') place.lost.add(number);
      this.#unsure = true;
      return;
    }
    for (const { label } of statements) count(label);
    if (answer.error === undefined) {
      note(this.#readBack(targets, answer, { sentAt, commit: number }).join(', ') || 'nothing');
      return;
    }
    count('refused');
    note(answer.error);
    // The statements may have been carried out, and only reading them back refused.
    this.#unsure = true;
    if (answer.status !== 503 && !EXPECTED_ERRORS.test(answer.error)) throw new Error(`${this.#user}: ${sql}: ${answer.error}`);
  }

  /** Takes in the rows of a reading; answers what is new. */
  #readBack(targets: readonly Target[], { results, error }: SqlAnswer, by: Pick<Version, 'sentAt' | 'commit'>): readonly string[] {
    if (error !== undefined) throw new Error(error);
    const found: string[] = [];
    const readings = results.filter(({ rows }) => rows !== undefined && rows !== null);
    for (const { place, keys } of targets) {
      const [living, dead] = [readings.shift(), place.table.kind === 'stream' ? undefined : readings.shift()];
      const there = new Set<string>();
      for (const { schema = [], rows = [], deleted } of [
        { ...living, deleted: false },
        { ...dead, deleted: true },
      ]) {
        for (const row of rows) {
          const cells = Object.fromEntries(schema.map(({ name }, index) => [name, row[index]]));
          const [key, seq] = [String(cells['id']), BigInt(String(cells['_seq']))];
          there.add(key);
          if (place.history.add({ key, seq, deleted, cells: deleted ? {} : cells, ...by }))
            found.push(`${key}${deleted ? ' deleted' : ''} ${seq}`);
        }
      }
      if (place.table.kind === 'stream') for (const key of keys) if (!there.has(key)) place.history.forget(key);
    }
    return found;
  }
}

/** Where a text begins to be another one, and how it goes on there. */
function differenceOf(found: string, wanted: string): string {
  let at = 0;
  while (at < wanted.length && found[at] === wanted[at]) at += 1;
  if (found === wanted) return 'the same';
  let zeros = at;
  while (found[zeros] === '\0') zeros += 1;
  return `${found.length} characters instead of ${wanted.length}, other ones from ${at} on, zeros up to ${zeros}`;
}

/** Reads every row of a target, tombstones too, which are asked for by themselves. */
function readingOf(target: Target): string {
  const { table } = target.place;
  const living = `SELECT * FROM ${table.name} WHERE ${rangeOf(target)}`;
  return table.kind === 'stream' ? living : `${living}; SELECT id, _seq FROM ${table.name} WHERE ${rangeOf(target)} AND _deleted = true`;
}
