import { kalamError, plainType } from '@kalamdb/protocol';
import type { Compiled, GeneralPlan, Statement, TableInfo } from '@kalamdb/sql';
import type { Principal, ResultColumn, StatementResult } from '../contract.ts';

/** `EXPLAIN`. */
export type ExplainStatement = Extract<Statement, { kind: 'explain' }>;

/** What EXPLAIN tells of a query. */
export interface ExplainedQuery {
  readonly executor: 'compiled' | 'general';
  readonly columns: readonly string[];
  readonly tables: readonly TableInfo[];
}

/** What EXPLAIN ANALYZE tells of its run. */
export interface ExplainedRun {
  readonly rows: number;
  readonly millis: number;
}

const TEXT = plainType('text');
const COLUMNS: readonly ResultColumn[] = ['plan_type', 'plan'].map((name) => ({ name, type: TEXT, flags: [] }));

/** Which executor runs a query, and what it reads. Throws NOT_IMPLEMENTED for anything but a query. */
export function explainedQuery(compiled: Compiled | GeneralPlan): ExplainedQuery {
  if (compiled.kind === 'general') {
    const columns = (compiled.outputs ?? []).map(({ name }) => name);
    return { executor: 'general', columns, tables: compiled.sources.map(({ table }) => table) };
  }
  if (compiled.kind !== 'plan' || compiled.plan.kind !== 'select')
    throw kalamError('NOT_IMPLEMENTED', { what: 'EXPLAIN of anything but a query' });
  const { table, columns } = compiled.plan;
  return { executor: 'compiled', columns: columns.map(({ name }) => name), tables: table === undefined ? [] : [table] };
}

/** The rows of EXPLAIN (sql-dialect B17): one for what is asked, one for how it is done. */
export function explanation(
  { executor, columns, tables }: ExplainedQuery,
  { userId }: Principal,
  run: ExplainedRun | undefined,
): StatementResult {
  const logical = [`Query: columns=[${columns.join(', ')}]`, ...tables.map((table) => `  TableScan: ${nameOf(table)}`)];
  const figures = run === undefined ? '' : `, rows=${run.rows}, elapsed_ms=${run.millis.toFixed(3)}`;
  const physical = [
    `CooperativeExec: executor=${executor}${figures}`,
    ...tables.map(
      (table) => `  DeferredBatchExec: source=${sourceOf(table)}, table=${nameOf(table)}, partition=${partitionOf(table, userId)}`,
    ),
  ];
  const rows = [
    ['logical_plan', logical.join('\n')],
    ['physical_plan', physical.join('\n')],
  ];
  return { kind: 'rows', columns: COLUMNS, rows, asUser: userId };
}

function nameOf({ namespace, name }: TableInfo): string {
  return `${namespace}.${name}`;
}

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
