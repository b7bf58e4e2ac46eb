import { kalamError, plainType } from '@kalamdb/protocol';
import type {
  Compiled,
  GeneralCheck,
  GeneralPlan,
  GeneralSource,
  GeneralWritePlan,
  Plan,
  SelectPlan,
  Statement,
  TableInfo,
} from '@kalamdb/sql';
import type { Principal, ResultColumn, StatementResult } from '../contract.ts';
import type { QueryReport, SourceReport } from '../read/general/query-messages.ts';
import type { ExplainedPartition } from './explained-storage.ts';
import { readTables } from './general-write.ts';

/** `EXPLAIN`. */
export type ExplainStatement = Extract<Statement, { kind: 'explain' }>;

/** What EXPLAIN tells of a query, or of a statement that writes. */
export interface ExplainedQuery {
  readonly executor: 'compiled' | 'general';
  /** What is written, and how; `undefined`: a query. */
  readonly writes: { readonly verb: 'insert' | 'update' | 'delete'; readonly table: TableInfo } | undefined;
  readonly columns: readonly string[];
  /** What is read. */
  readonly tables: readonly TableInfo[];
  /** What the general executor calls a table; `undefined`: it has nothing to say of it. */
  sourceName(table: TableInfo): string | undefined;
  /** How a table is read. */
  access(table: TableInfo): string;
}

/** What EXPLAIN ANALYZE tells of its run: rows of the answer, or written, and the time of each step in milliseconds. */
export interface ExplainedRun {
  readonly rows: number;
  readonly planMillis: number;
  readonly runMillis: number;
  /** What the general executor has said of it; it knows the rows then. */
  readonly report: QueryReport | undefined;
}

/** Conditions and their values that are shown of a table at most, and characters of each text. */
const CHECKS_MAX = 8;
const TEXT_CHARACTERS_MAX = 40;

const ALL_ROWS = 'access=rows';

const TEXT = plainType('text');
const COLUMNS: readonly ResultColumn[] = ['plan_type', 'plan'].map((name) => ({ name, type: TEXT, flags: [] }));

/** Which executor runs a statement, and what it reads. Throws NOT_IMPLEMENTED for anything but queries and statements that write rows. */
export function explainedQuery(compiled: Compiled | GeneralPlan | GeneralWritePlan): ExplainedQuery {
  switch (compiled.kind) {
    case 'general': {
      const columns = (compiled.outputs ?? []).map(({ name }) => name);
      const { sources } = compiled;
      return {
        executor: 'general',
        writes: undefined,
        columns,
        tables: sources.map(({ table }) => table),
        sourceName: (table) => sources.find((source) => source.table === table)?.name,
        access: checkedAccess(sources),
      };
    }
    case 'general-change':
    case 'general-insert':
      return explainedGeneralWrite(compiled);
    case 'plan':
      return explainedPlan(compiled.plan);
    case 'statement':
      throw kalamError('NOT_IMPLEMENTED', { what: 'EXPLAIN of anything but a query' });
    default:
      return compiled satisfies never;
  }
}

function explainedGeneralWrite(plan: GeneralWritePlan): ExplainedQuery {
  const { table, returning } = plan;
  const columns = (returning?.select.columns ?? []).map(({ name }) => name);
  const verb = plan.kind === 'general-insert' ? 'insert' : plan.verb;
  return { executor: 'general', writes: { verb, table }, columns, tables: readTables(plan), sourceName: noName, access: () => ALL_ROWS };
}

function explainedPlan(plan: Plan): ExplainedQuery {
  if (plan.kind === 'select') {
    const { table, columns } = plan;
    return {
      executor: 'compiled',
      writes: undefined,
      columns: columns.map(({ name }) => name),
      tables: table === undefined ? [] : [table],
      sourceName: noName,
      access: () => selectAccess(plan),
    };
  }
  const { kind: verb, table, returning } = plan;
  const columns = (returning?.select.columns ?? []).map(({ name }) => name);
  const source = plan.kind === 'insert' ? plan.source?.table : table;
  const read = plan.kind === 'insert' ? plan.source : plan;
  const access = (): string => (read === undefined ? ALL_ROWS : selectAccess(read));
  const tables = source === undefined ? [] : [source];
  return { executor: 'compiled', writes: { verb, table }, columns, tables, sourceName: noName, access };
}

const noName = (): undefined => undefined;

/** What of a partition the compiled executor looks at. */
function selectAccess({ keys, keyRange, countsTable }: Partial<Pick<SelectPlan, 'keys' | 'keyRange' | 'countsTable'>>): string {
  if (countsTable === true) return 'access=count';
  if (keys !== undefined) return 'access=keys';
  return keyRange === undefined ? ALL_ROWS : 'access=key range';
}

/** What the general executor is given of a table: all rows, or those that meet a condition of the query. */
function checkedAccess(sources: readonly GeneralSource[]): ExplainedQuery['access'] {
  return (table) => {
    const checks = sources.find((source) => source.table === table)?.checks;
    if (checks === undefined || checks.length === 0) return ALL_ROWS;
    const places = checks.map((place) => place.slice(0, CHECKS_MAX).map(checkText).join(' AND '));
    return `access=checked rows, checks=[${places.slice(0, CHECKS_MAX).join(' OR ')}]`;
  };
}

function checkText(check: GeneralCheck): string {
  switch (check.test) {
    case 'null':
      return `${check.column} IS NULL`;
    case 'not null':
      return `${check.column} IS NOT NULL`;
    case 'in':
      return `${check.column} IN (${check.cells.slice(0, CHECKS_MAX).map(cellShown).join(', ')}${check.cells.length > CHECKS_MAX ? ', …' : ''})`;
    default:
      return `${check.column} ${check.test} ${cellShown(check.cell)}`;
  }
}

function cellShown(cell: unknown): string {
  const text = typeof cell === 'string' ? `'${cell}'` : String(cell);
  return text.length > TEXT_CHARACTERS_MAX ? `${text.slice(0, TEXT_CHARACTERS_MAX)}…` : text;
}

/** The rows of EXPLAIN (sql-dialect B17): one for what is asked, one for how it is done. */
export function explanation(
  { executor, writes, columns, tables, access, sourceName }: ExplainedQuery,
  { userId }: Principal,
  { run, partitions }: { readonly run: ExplainedRun | undefined; readonly partitions: ReadonlyMap<TableInfo, ExplainedPartition> },
): StatementResult {
  const write = writes === undefined ? [] : [`${WRITES[writes.verb]}: ${nameOf(writes.table)}`];
  const logical = [...write, `Query: columns=[${columns.join(', ')}]`, ...tables.map((table) => `  TableScan: ${nameOf(table)}`)];
  const figures = run === undefined ? '' : figuresOf(run);
  const physical = [
    `CooperativeExec: executor=${executor}${figures}`,
    ...tables.map((table) => {
      const place = `source=${sourceOf(table)}, table=${nameOf(table)}, partition=${partitionOf(table, userId)}`;
      const found = run?.report?.sources.find(({ name }) => name === sourceName(table));
      return `  DeferredBatchExec: ${[place, ...storedText(partitions.get(table)), access(table), ...filledText(found)].join(', ')}`;
    }),
  ];
  const rows = [
    ['logical_plan', logical.join('\n')],
    ['physical_plan', physical.join('\n')],
  ];
  return { kind: 'rows', columns: COLUMNS, rows, asUser: userId };
}

/** What lies where of a table. */
function storedText(partition: ExplainedPartition | undefined): readonly string[] {
  if (partition === undefined) return ['segments=0'];
  const { hotRows, segments } = partition;
  const hot = `hot_rows=${hotRows ?? 'many'}`;
  if (segments === undefined) return [hot, 'segments=0'];
  const { considered, skippedByKey, skippedByBloom, skippedByStatistics, read } = segments;
  const skipped = [`skipped_by_key=${skippedByKey}`, `skipped_by_bloom=${skippedByBloom}`, `skipped_by_statistics=${skippedByStatistics}`];
  return [hot, `segments=${considered}`, ...skipped, `segments_read=${read}`];
}

/** What the general executor has made of a table's hot rows. */
function filledText(report: SourceReport | undefined): readonly string[] {
  if (report === undefined) return [];
  return [`rows=${report.rows}`, `kept=${report.kept}`, `fill_ms=${report.millis.toFixed(3)}`];
}

function figuresOf({ rows, planMillis, runMillis, report }: ExplainedRun): string {
  const figures: readonly (readonly [string, number])[] = [
    ['plan', planMillis],
    ['run', runMillis],
    ...(report === undefined
      ? []
      : [['read', report.readMillis] as const, ['compute', report.computeMillis] as const, ...report.run.steps]),
    ['elapsed', planMillis + runMillis],
  ];
  return `, rows=${report?.run.rows ?? rows}${figures.map(([name, millis]) => `, ${name}_ms=${millis.toFixed(3)}`).join('')}`;
}

function nameOf({ namespace, name }: TableInfo): string {
  return `${namespace}.${name}`;
}

const WRITES = { insert: 'Insert', update: 'Update', delete: 'Delete' } as const;

/** The names under which the original tells of its scans. */
function sourceOf({ kind }: TableInfo): string {
  switch (kind) {
    case 'system':
      return 'indexed_system_scan';
    case 'view':
      return 'view_scan';
    case 'user':
    case 'shared':
    case 'stream':
      return `${kind}_table_scan`;
    default:
      return kind satisfies never;
  }
}

function partitionOf({ kind }: TableInfo, userId: string): string {
  return kind === 'user' || kind === 'stream' ? userId : 'all';
}
