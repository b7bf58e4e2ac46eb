import { type Database, openDatabase, type Principal, type Session } from '@kalamdb/engine';
import { initParser } from '@kalamdb/sql';
import { SeededRandom } from '@kalamdb/testing';
import { isOnlyOrder, type RunBoth } from './evaluation-order.ts';
import { ExpressionGenerator } from './expressions.ts';
import { difference, outcomeOf } from './outcome.ts';
import { flushEnded, type Placement } from './placement.ts';
import { type GeneratedQuery, generateQuery, queryText } from './query.ts';
import { shrink } from './shrink.ts';
import { generateColumns, tableStatements } from './table-schema.ts';

const ROOT: Principal = { userId: 'root', role: 'system' };
const NAMESPACE = 'd';
/** Queries over one table. */
export const TABLE_QUERIES = 50;

/** What is played. */
export interface DifferentialRun {
  /** Of the first table; each further one has the next. */
  readonly seed: number;
  readonly queries: number;
  /** Differences after which it ends. */
  readonly differencesMax: number;
  /** A new folder for the database, so that the general executor's thread reads the tables itself; in memory without. */
  readonly directory?: string | undefined;
  /**
   * Holds a table whose rows lie like this against one that is hot, instead of one executor against the other; needs {@link directory}.
   */
  readonly placement?: Placement | undefined;
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
export async function runDifferential(run: DifferentialRun): Promise<DifferentialReport> {
  const { seed, queries, differencesMax, directory, placement, onTable } = run;
  await initParser();
  const database = await openDatabase({ directory, durability: 'relaxed', rootPassword: 'differential-root' });
  const report: DifferentialReport = { queries: 0, refused: new Map(), orderDependent: 0, differences: [] };
  try {
    await database.session(ROOT).execute(`CREATE NAMESPACE ${NAMESPACE}`);
    for (let table = 0; report.queries < queries && report.differences.length < differencesMax; table++) {
      const played = { seed: seed + table, queries: Math.min(TABLE_QUERIES, queries - report.queries), placement };
      await playTable(database, played, report);
      onTable?.(seed + table, report);
    }
  } finally {
    await database.close();
  }
  return report;
}

type PlayedTable = Pick<DifferentialRun, 'seed' | 'queries' | 'placement'>;

async function playTable(database: Database, { seed, queries, placement }: PlayedTable, report: DifferentialReport): Promise<void> {
  const random = new SeededRandom(seed);
  const session = database.session(ROOT, { namespace: NAMESPACE });
  const columns = generateColumns(random);
  const statements = tableStatements(random, `${NAMESPACE}.t`, columns);
  for (const sql of statements) await session.execute(sql);
  if (placement !== undefined) await placeCopy(session, { statements, changed: columns[1]?.name }, placement);
  const expressions = new ExpressionGenerator(random, columns);
  for (let index = 0; index < queries; index++) {
    const query = generateQuery(random, expressions);
    report.queries += 1;
    const what = await compare(session, { query, placement }, report);
    if (what === undefined) continue;
    const least = await shrink({ query, what }, (smaller) => compare(session, { query: smaller, placement }));
    report.differences.push({ seed, what: least.what, sql: queryText(least.query, 't'), table: statements });
  }
  await session.execute(`DROP TABLE ${NAMESPACE}.t`);
  if (placement !== undefined) await session.execute(`DROP TABLE ${NAMESPACE}.p`);
}

/** Makes the table `p`, which has the rows of `t` but lies elsewhere. */
async function placeCopy(session: Session, { statements, changed }: CopiedTable, placement: Placement): Promise<void> {
  const flush = async (): Promise<void> => {
    await session.execute(`STORAGE FLUSH TABLE ${NAMESPACE}.p`);
    await flushEnded(session);
  };
  const [create = '', ...rest] = statements;
  await session.execute(create.replace(`${NAMESPACE}.t`, `${NAMESPACE}.p`));
  for (const sql of rest) {
    await session.execute(sql.replace(`${NAMESPACE}.t`, `${NAMESPACE}.p`));
    await flush();
  }
  if (placement === 'cold' || changed === undefined) return;
  await session.execute(`UPDATE ${NAMESPACE}.p SET ${changed} = ${changed} WHERE id % 3 = 0`);
  await flush();
  await session.execute(`UPDATE ${NAMESPACE}.p SET ${changed} = ${changed} WHERE id % 5 = 1 OR id % 9 = 0`);
}

interface CopiedTable {
  /** That make the table. */
  readonly statements: readonly string[];
  /** The column that is assigned to itself. */
  readonly changed: string | undefined;
}

interface ComparedQuery {
  readonly query: GeneratedQuery;
  readonly placement: Placement | undefined;
}

async function compare(session: Session, { query, placement }: ComparedQuery, report?: DifferentialReport): Promise<string | undefined> {
  const run: RunBoth = async (select) => {
    const compiled = await outcomeOf(session, select('t'));
    if (placement !== undefined) return [compiled, await outcomeOf(session, select('p'))];
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
