import { columnFlags, type GeneralPlan, type InputRow } from '@kalamdb/sql';
import type { Grant } from '../../access/grant.ts';
import type { Principal } from '../../contract.ts';
import type { OpenSource } from '../select-steps.ts';
import type { TableCopies } from '../table-copies.ts';
import type { QueryReport, SentOutput, SentQuery, SentSource, SourceColumn } from './query-messages.ts';

/** A table of a general query with what its reader may see of it. */
export interface GrantedSource {
  /** What the query calls it. */
  readonly name: string;
  readonly grant: Grant;
  /** The rows of a computed table; `undefined`: they are read from the partition. */
  readonly computed: (() => Iterable<InputRow>) | undefined;
}

/** One execution of a general query. */
export interface GeneralRequest {
  readonly plan: GeneralPlan;
  readonly sources: readonly GrantedSource[];
  readonly principal: Principal;
  /**
   * Opens what all tables are read at, when the query's turn has come; throws when a table is no longer the one of the plan.
   * `undefined`: nothing is read, the answer has its columns and no rows.
   */
  readonly open: (() => OpenSource) | undefined;
  /**
   * Given when {@link open} opens the present watermark, so that the query thread may read partitions by itself; throws when a
   * table is no longer the one of the plan. Absent: the main thread reads everything, as it has to in a transaction.
   */
  readonly assertCurrent?: (() => void) | undefined;
  /** Rows of the answer at most: it ends there. `undefined`: all of them, or QUERY_TOO_LARGE. */
  readonly rowsMax: number | undefined;
  /** Told what it took, when it has ended; then the answer has no columns and no rows. */
  readonly report?: ((report: QueryReport) => void) | undefined;
}

/** What the query thread reads by itself. */
export interface ThreadReading {
  readonly copies: TableCopies;
  readonly readsPartitions: boolean;
}

/** The query as its thread gets it. */
export function sentQuery(request: GeneralRequest, reading: ThreadReading): SentQuery {
  const { plan, sources, open, assertCurrent, rowsMax } = request;
  const byItself = open !== undefined && assertCurrent !== undefined ? reading : undefined;
  return {
    text: plan.text,
    parameters: plan.parameters,
    sources: sources.map((source) => sentSource(source, plan, byItself)),
    outputs: plan.outputs?.map(sentOutput),
    columnsOnly: open === undefined,
    rowsMax,
    profiled: request.report !== undefined,
  };
}

function sentSource({ name, grant, computed }: GrantedSource, plan: GeneralPlan, reading: ThreadReading | undefined): SentSource {
  const { table, partition, maskedCells } = grant;
  const hot =
    reading?.readsPartitions !== true || computed !== undefined || table.kind === 'stream'
      ? undefined
      : { table: reading.copies.of(table), partition, maskedCells, checks: plan.sources.find((source) => source.name === name)?.checks };
  return { name, table: `${table.namespace}.${table.name}`, columns: usedColumns(grant, plan.text), hot };
}

/**
 * The columns that the text of a query names; it writes every column as `"alias"."column"`. A query that names none (a count) gets
 * one, so that there are rows to count.
 */
function usedColumns({ table: { columns }, maskedCells }: Grant, text: string): readonly SourceColumn[] {
  const all = columns.map(
    ({ name, type, system }, index): SourceColumn => ({
      name,
      type,
      place: system ?? index,
      masked: system === undefined && maskedCells.includes(index),
    }),
  );
  const used = all.filter(({ name }) => text.includes(`."${name.replaceAll('"', '""')}"`));
  return used.length > 0 ? used : all.slice(-1);
}

function sentOutput({ name, column, type = column?.type, shownAs }: NonNullable<GeneralPlan['outputs']>[number]): SentOutput {
  return { name, type, shownAs, flags: column === undefined ? [] : columnFlags(column) };
}
