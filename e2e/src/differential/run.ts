import { type Database, openDatabase, type Principal, type Session } from '@kalamdb/engine';
import { initParser } from '@kalamdb/sql';
import { SeededRandom } from '@kalamdb/testing';
import { isOnlyOrder, type RunBoth } from './evaluation-order.ts';
import { ExpressionGenerator } from './expressions.ts';
import { difference, outcomeOf } from './outcome.ts';
import { type GeneratedQuery, generateQuery, queryText } from './query.ts';
import { shrink } from './shrink.ts';
import { generateColumns, tableStatements } from './table-schema.ts';

const ROOT: Principal = { userId: 'root', role: 'system' };
const NAMESPACE = 'd';
/** Queries over one table. */
const TABLE_QUERIES = 50;

/** What is played. */
export interface DifferentialRun {
  /** Of the first table; each further one has the next. */
  readonly seed: number;
  readonly queries: number;
  /** Differences after which it ends. */
  readonly differencesMax: number;
  readonly onTable?: ((seed: number, report: DifferentialReport) => void) | undefined;
}

/** A query that the two executors answer differently. */
export interface QueryDifference {
  readonly seed: number;
  /** What they differ in. */
  readonly what: string;
  /** The smallest query found that shows it, over the table `t`. */
  readonly sql: string;
  /** Statements that make the table. */
  readonly table: readonly string[];
}

/** What was played and found. */
export interface DifferentialReport {
  queries: number;
  /** Queries that both refused, by code. */
  readonly refused: Map<string, number>;
  /** Queries whose errors differ only as the order of evaluation allows, see {@link isOnlyOrder}. */
  orderDependent: number;
  readonly differences: QueryDifference[];
}

/**
 * Plays queries that both executors run: as they are, which the compiled one does, and over `WITH q AS (SELECT * FROM t)`,
 * which only the general one does.
 */
export async function runDifferential({ seed, queries, differencesMax, onTable }: DifferentialRun): Promise<DifferentialReport> {
  await initParser();
  const database = await openDatabase({ directory: undefined, durability: 'relaxed', rootPassword: 'differential-root' });
  const report: DifferentialReport = { queries: 0, refused: new Map(), orderDependent: 0, differences: [] };
  try {
    await database.session(ROOT).execute(`CREATE NAMESPACE ${NAMESPACE}`);
    for (let table = 0; report.queries < queries && report.differences.length < differencesMax; table++) {
      await playTable(database, seed + table, Math.min(TABLE_QUERIES, queries - report.queries), report);
      onTable?.(seed + table, report);
    }
  } finally {
    await database.close();
  }
  return report;
}

async function playTable(database: Database, seed: number, queries: number, report: DifferentialReport): Promise<void> {
  const random = new SeededRandom(seed);
  const session = database.session(ROOT, { namespace: NAMESPACE });
  const columns = generateColumns(random);
  const statements = tableStatements(random, `${NAMESPACE}.t`, columns);
  for (const sql of statements) await session.execute(sql);
  const expressions = new ExpressionGenerator(random, columns);
  for (let index = 0; index < queries; index++) {
    const query = generateQuery(random, expressions);
    report.queries += 1;
    const what = await compare(session, query, report);
    if (what === undefined) continue;
    const least = await shrink({ query, what }, (smaller) => compare(session, smaller));
    report.differences.push({ seed, what: least.what, sql: queryText(least.query, 't'), table: statements });
  }
  await session.execute(`DROP TABLE ${NAMESPACE}.t`);
}

async function compare(session: Session, query: GeneratedQuery, report?: DifferentialReport): Promise<string | undefined> {
  const run: RunBoth = async (select) => {
    const compiled = await outcomeOf(session, select('t'));
    return [compiled, await outcomeOf(session, `WITH q AS (SELECT * FROM t) ${select('q')}`)];
  };
  const [compiled, general] = await run((table) => queryText(query, table));
  if (compiled.kind === 'error' && general.kind === 'error') count(report?.refused, compiled.code);
  const what = difference(compiled, general, query.sort !== undefined);
  if (what === undefined || !(await isOnlyOrder(query, [compiled, general], run))) return what;
  if (report !== undefined) report.orderDependent += 1;
  return undefined;
}

function count(counts: Map<string, number> | undefined, key: string): void {
  counts?.set(key, (counts.get(key) ?? 0) + 1);
}
