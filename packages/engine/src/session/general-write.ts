import type { GeneralPlan, GeneralWritePlan, TableInfo } from '@kalamdb/sql';
import type { Catalog } from '../catalog/catalog.ts';
import type { Table } from '../catalog/table.ts';
import type { Principal } from '../contract.ts';
import type { GeneralExecutor } from '../read/general/general-executor.ts';
import type { GrantedSource } from '../read/general/general-request.ts';
import type { OpenSource } from '../read/select-steps.ts';
import { changeRows } from '../write/general-change.ts';
import { insertGeneralRows } from '../write/general-insert.ts';
import type { GeneralQueryRun } from '../write/general-query-run.ts';
import type { Written } from '../write/returned-rows.ts';
import type { WriteContext } from '../write/write-context.ts';
import { withParameters } from './evaluation.ts';
import { grantedSources } from './general-select.ts';

/** What a statement runs with that writes and needs the general executor. */
export interface GeneralWriting {
  readonly principal: Principal;
  /** With the grant to write its table. */
  readonly context: WriteContext;
  /** It is a commit of its own. */
  readonly isCommit: boolean;
  readonly signal: AbortSignal | undefined;
  /** Throws StalePlan when the table is no longer the one of the plan. */
  assertCurrent(table: Table): void;
}

/**
 * Runs the statement. What it reads is granted for reading before anything runs, each table by itself, as what it writes was for writing; it
 * reads at the watermark, or in its transaction. Throws ACCESS_DENIED, and what the statement throws.
 */
export function runGeneralWrite(
  { catalog, general }: { readonly catalog: Catalog; readonly general: GeneralExecutor },
  plan: GeneralWritePlan,
  { principal, context, isCommit, signal, assertCurrent }: GeneralWriting,
): Promise<Written> {
  const granted = new Map<GeneralPlan, readonly GrantedSource[]>();
  for (const query of queriesOf(plan)) granted.set(query, grantedSources(catalog, catalogSources(query, plan), principal));
  const run: GeneralQueryRun = {
    query: (query, { rows, rowsMax, sources: checked = query.sources } = {}) => {
      const known = granted.get(query) ?? [];
      const own = rows === undefined ? [] : [{ name: rows.source, grant: { ...context.grant, maskedCells: [] }, computed: rows.rows }];
      const assertAll = (): void => {
        for (const { grant } of known) assertCurrent(grant.table);
      };
      const open = (): OpenSource => {
        assertAll();
        return context.target.open();
      };
      const sources = [...known, ...own];
      const request = {
        plan: { ...query, sources: checked },
        sources,
        principal,
        open,
        assertCurrent: isCommit ? assertAll : undefined,
        rowsMax,
      };
      return general.run(request, signal);
    },
    withParameters: (cells) => withParameters(context.evaluation, [...context.evaluation.parameters, ...cells]),
  };
  return plan.kind === 'general-change' ? changeRows(context, plan, run) : insertGeneralRows(context, plan, { run, isCommit });
}

/** The tables of the catalog that a statement reads, each once. */
export function readTables(plan: GeneralWritePlan): readonly TableInfo[] {
  return [...new Set(queriesOf(plan).flatMap((query) => catalogSources(query, plan).sources.map(({ table }) => table)))];
}

function queriesOf(plan: GeneralWritePlan): readonly GeneralPlan[] {
  if (plan.kind === 'general-change') return [plan.rows];
  const { source, conflict } = plan;
  return [...(source.query === undefined ? [] : [source.query]), ...(conflict === undefined ? [] : [conflict.query])];
}

/** The query without the source that holds the statement's own rows. */
function catalogSources(query: GeneralPlan, plan: GeneralWritePlan): GeneralPlan {
  const excluded = plan.kind === 'general-insert' ? plan.conflict : undefined;
  if (excluded?.query !== query) return query;
  return { ...query, sources: query.sources.filter(({ name }) => name !== excluded.excluded) };
}
