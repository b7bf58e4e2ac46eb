import { type Database, openDatabase, type Principal } from '@kalamdb/engine';
import { initParser } from '@kalamdb/sql';
import { SeededRandom } from '@kalamdb/testing';
import { ExpressionGenerator } from './expressions.ts';
import { judgeDifference, postgresText } from './judge-outcome.ts';
import { outcomeOf } from './outcome.ts';
import { PostgresServer } from './postgres-server.ts';
import { type GeneratedQuery, generateQuery, queryText } from './query.ts';
import { differenceKind, shrink } from './shrink.ts';
import { type Family, generateColumns, tableStatements } from './table-schema.ts';

const ROOT: Principal = { userId: 'root', role: 'system' };
/** Queries over one table. */
const TABLE_QUERIES = 50;
/** Differences of one kind that are made smaller and shown. */
const SHOWN_MAX = 10;
/** SQLSTATEs that only say that PostgreSQL lacks a function or a conversion that KalamDB has: counted, not shown. */
const LACKS = /42883|42846|42725|42804/;

/** PostgreSQL's documents are no texts: what is done with them is judged by the statements of users. */
const NOT_JUDGED: readonly Family[] = ['json'];

/** What is played. */
export interface JudgeRun {
  readonly seed: number;
  readonly queries: number;
  /** Folder of PostgreSQL's programs. */
  readonly binaries: string;
  /** Asks the general executor instead of the compiled one. */
  readonly general: boolean;
}

/** Differences by kind: how often, and some as text. */
export type JudgeReport = ReadonlyMap<string, { count: number; readonly shown: string[] }>;

/** Plays the queries of the differential test against a PostgreSQL server of this machine. */
export async function runJudge({ seed, queries, binaries, general }: JudgeRun): Promise<JudgeReport> {
  await initParser();
  const postgres = PostgresServer.start(binaries);
  const database = await openDatabase({ directory: undefined, durability: 'relaxed', rootPassword: 'differential-root' });
  const trial = new Trial(database, postgres, general);
  try {
    await database.session(ROOT).execute('CREATE NAMESPACE d');
    for (let table = 0; table * TABLE_QUERIES < queries; table++) await trial.playTable(seed + table);
  } finally {
    postgres.stop();
    await database.close();
  }
  return trial.report;
}

class Trial {
  readonly report = new Map<string, { count: number; readonly shown: string[] }>();
  readonly #database: Database;
  readonly #postgres: PostgresServer;
  readonly #general: boolean;

  constructor(database: Database, postgres: PostgresServer, general: boolean) {
    this.#database = database;
    this.#postgres = postgres;
    this.#general = general;
  }

  async playTable(seed: number): Promise<void> {
    const random = new SeededRandom(seed);
    const columns = generateColumns(random, NOT_JUDGED);
    const statements = tableStatements(random, 't', columns);
    const session = this.#database.session(ROOT, { namespace: 'd' });
    for (const sql of statements) await session.execute(sql);
    this.#postgres.run(['DROP TABLE IF EXISTS t', ...statements.map(postgresText)]);
    const expressions = new ExpressionGenerator(random, columns, NOT_JUDGED);
    const queries = Array.from({ length: TABLE_QUERIES }, () => generateQuery(random, expressions));
    const judged = this.#postgres.run(queries.map((query) => postgresText(queryText(query, 't'))));
    for (const [index, query] of queries.entries()) {
      const what = await this.#compare(query, judged[index]);
      if (what !== undefined) await this.#note(seed, query, what);
    }
    await session.execute('DROP TABLE t');
  }

  async #note(seed: number, query: GeneratedQuery, what: string): Promise<void> {
    const kind = differenceKind(what);
    const group = this.report.get(kind) ?? { count: 0, shown: [] };
    this.report.set(kind, group);
    group.count += 1;
    if (LACKS.test(kind) || group.shown.length >= SHOWN_MAX) return;
    const least = await shrink({ query, what }, (smaller) => this.#compare(smaller));
    group.shown.push(`seed ${seed}: ${least.what}\n    ${queryText(least.query, 't')}`);
  }

  async #compare(query: GeneratedQuery, known?: ReturnType<PostgresServer['run']>[number]): Promise<string | undefined> {
    const text = this.#general ? `WITH q AS (SELECT * FROM t) ${queryText(query, 'q')}` : queryText(query, 't');
    const own = await outcomeOf(this.#database.session(ROOT, { namespace: 'd' }), text);
    const judge = known ?? this.#postgres.run([postgresText(queryText(query, 't'))])[0];
    return judge === undefined ? undefined : judgeDifference(own, judge, query.sort !== undefined);
  }
}
