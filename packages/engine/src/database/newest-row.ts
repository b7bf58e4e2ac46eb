import { type Cell, checkCell, kalamError } from '@kalamdb/protocol';
import type { BoundSubscription, EvalContext } from '@kalamdb/sql';
import type { PartitionId, RowKey } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import type { ColdReader } from '../cold/cold-reader.ts';
import type { RowVersion } from '../contract.ts';
import { ColdRows } from '../partition/cold-rows.ts';
import type { SnapshotSource } from '../partition/snapshot.ts';

/** What a row is looked up with. */
export interface NewestRowSources {
  readonly snapshots: Pick<SnapshotSource, 'open'>;
  /** Absent: there is no cold tier. */
  readonly reader: ColdReader | undefined;
  bind(sql: string): BoundSubscription;
  /** What the expressions of a bound query read. */
  context(values: BoundSubscription['values']): EvalContext;
}

/** Whose row it is. */
export interface RowPlace {
  readonly table: Table;
  readonly partition: PartitionId;
}

/**
 * The newest version of the row whose key columns equal these literals of SQL, in the hot tier or in a segment, tombstones included. Rejects with
 * INVALID_INPUT, VALUE_OUT_OF_RANGE and what binding rejects with when they are no key of the table, and with what reading segments rejects with.
 */
export async function newestRow(
  sources: NewestRowSources,
  { table, partition }: RowPlace,
  literals: readonly string[],
): Promise<RowVersion | undefined> {
  const key = rowKey(sources, table, literals);
  const { snapshots, reader } = sources;
  const snapshot = snapshots.open();
  try {
    const found = snapshot.view(table, partition).get(key);
    const manifest = snapshot.manifest(partition);
    if (found !== undefined || manifest === undefined || reader === undefined) return found;
    const into = new ColdRows(manifest.version);
    await reader.lookUp({ table, partition, manifest }, { keys: [key], skip: () => false }, into);
    return into.get(key);
  } finally {
    snapshot.close();
  }
}

/** The literals become cells as they would in a query that compares the key columns with them. */
function rowKey({ bind, context }: NewestRowSources, table: Table, literals: readonly string[]): RowKey {
  const { columns, namespace, name } = table;
  const keys = columns.flatMap((column, index) => (column.primaryKey ? [{ column, index }] : []));
  const names = keys.map(({ column }) => column.name).join(', ');
  if (keys.length === 0) throw kalamError('INVALID_INPUT', { reason: `table ${namespace}.${name} has no primary key` });
  if (keys.length !== literals.length) {
    throw kalamError('INVALID_INPUT', { reason: `FOR KEY takes a value for each key column of ${namespace}.${name}: ${names}` });
  }
  const conditions = keys.map(({ column }, index) => `${quoted(column.name)} = ${literals[index] ?? 'NULL'}`);
  const { plan, values } = bind(`SELECT * FROM ${quoted(namespace)}.${quoted(name)} WHERE ${conditions.join(' AND ')}`);
  const evaluation = context(values);
  const routing = plan.routing(evaluation);
  const cells: Cell[] = columns.map(() => null);
  for (const { index, column } of keys) {
    const cell = routing.find(({ columnIndex }) => columnIndex === index)?.points[0] ?? null;
    checkCell(cell, column.type);
    cells[index] = cell;
  }
  if (plan.filter?.({ cells, seq: 0n, deleted: false }, evaluation) !== true) {
    throw kalamError('INVALID_INPUT', { reason: `no row of ${namespace}.${name} can have that key: ${names}` });
  }
  return table.keyOf(cells, 0n);
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
