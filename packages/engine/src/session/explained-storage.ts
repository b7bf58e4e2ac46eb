import type { Compiled, EvalContext, GeneralPlan, GeneralWritePlan, TableInfo } from '@kalamdb/sql';
import { type Grant, grantFor } from '../access/grant.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Table } from '../catalog/table.ts';
import type { ColdReader } from '../cold/cold-reader.ts';
import type { Principal } from '../contract.ts';
import type { PartitionView } from '../partition/partition-view.ts';
import { chosenSegments, type SegmentFigures, segmentsAt } from '../read/general/chosen-segments.ts';
import { type RowAccess, rowAccess } from '../read/granted-rows.ts';
import type { QueryRunner } from '../read/query-runner.ts';
import type { OpenSource } from '../read/select-steps.ts';
import { STEP_ROWS, type Steps } from '../slices/steps.ts';

/** Rows of the hot tier that EXPLAIN counts of a table. */
const COUNTED_ROWS_MAX = 100_000;

/** What a statement reads of a table's partition. */
export interface ExplainedPartition {
  /** Versions that no segment holds; `undefined`: more than are counted. */
  readonly hotRows: number | undefined;
  /** `undefined`: there are no segments. */
  readonly segments: SegmentFigures | undefined;
}

/** What {@link explainedPartition} works with. */
export interface ExplainedReading {
  readonly catalog: Catalog;
  readonly cold: ColdReader | undefined;
  readonly queries: Pick<QueryRunner, 'run'>;
  readonly principal: Principal;
  readonly compiled: Compiled | GeneralPlan | GeneralWritePlan;
  evaluation(): EvalContext;
  open(): OpenSource;
}

/** How a statement looks at a partition. */
type Access = RowAccess | { readonly kind: 'count' } | { readonly kind: 'checks'; readonly plan: GeneralPlan };

/** What lies where of the partitions that a statement reads, before it runs; nothing of what has no partition that could be looked at. */
export async function explainedPartitions(
  tables: readonly TableInfo[],
  reading: ExplainedReading,
): Promise<ReadonlyMap<TableInfo, ExplainedPartition>> {
  const found = new Map<TableInfo, ExplainedPartition>();
  for (const table of tables) {
    const partition = await explainedPartition(table, reading);
    if (partition !== undefined) found.set(table, partition);
  }
  return found;
}

async function explainedPartition({ id }: TableInfo, reading: ExplainedReading): Promise<ExplainedPartition | undefined> {
  const { catalog, queries, principal } = reading;
  const table = catalog.tableById(id);
  if (table === undefined || (table.kind !== 'user' && table.kind !== 'shared')) return undefined;
  const grant = grantFor(principal, table, 'select');
  const source = reading.open();
  try {
    const view = source.view(table, grant.partition);
    const hotRows = await queries.run(countedRows(view));
    const access = accessOf(table, reading);
    return { hotRows, segments: await segmentFigures(view, { access, grant, table, cold: reading.cold }) };
  } finally {
    source.close();
  }
}

function accessOf(table: Table, { compiled, evaluation }: ExplainedReading): Access {
  if (compiled.kind === 'general') return { kind: 'checks', plan: compiled };
  const plan = compiled.kind === 'plan' ? compiled.plan : undefined;
  const read = plan?.kind === 'insert' ? plan.source : plan;
  if (read === undefined) return { kind: 'scan', range: {} };
  return read.kind === 'select' && read.countsTable ? { kind: 'count' } : rowAccess(table, read, evaluation());
}

interface Figuring {
  readonly access: Access;
  readonly grant: Grant;
  readonly table: Table;
  readonly cold: ColdReader | undefined;
}

async function segmentFigures({ manifest }: PartitionView, { access, grant, table, cold }: Figuring): Promise<SegmentFigures | undefined> {
  if (manifest === undefined || cold === undefined) return undefined;
  switch (access.kind) {
    case 'count':
      return { considered: manifest.segments.length, skippedByKey: 0, skippedByBloom: 0, skippedByStatistics: 0, read: 0 };
    case 'checks': {
      const checks = access.plan.sources.find((source) => source.table === table)?.checks;
      return (await chosenSegments(cold, table, manifest, { checks, maskedCells: grant.maskedCells })).figures;
    }
    case 'keys':
    case 'scan':
      return (await segmentsAt(cold, manifest, access)).figures;
    default:
      return access satisfies never;
  }
}

function* countedRows(view: PartitionView): Steps<number | undefined> {
  let rows = 0;
  for (const _ of view.scan({ cellsUnused: true })) {
    rows += 1;
    if (rows > COUNTED_ROWS_MAX) return undefined;
    if (rows % STEP_ROWS === 0) yield;
  }
  return rows;
}
