import type { HotStore, PartitionId } from '@kalamdb/storage';
import type { ColdTier } from '../cold/cold-tier.ts';
import { RowCounts } from '../cold/row-counts.ts';
import type { DdlContext } from '../ddl/ddl-context.ts';
import { type PartitionCounter, someRow, tableSize } from '../partition/table-rows.ts';
import type { QueryRunner } from '../read/query-runner.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';

/** How SHOW STATS counts: streams in memory, everything else in the hot tier and in segments. */
export function tableFigures(parts: {
  readonly hot: HotStore;
  readonly sequencer: Sequencer;
  readonly queries: Pick<QueryRunner, 'run'>;
  readonly cold: ColdTier | undefined;
}): DdlContext['tableFigures'] {
  const { hot, sequencer, queries, cold } = parts;
  return async (table, owner) => {
    if (table.kind === 'stream') {
      const { partitions, events, bytes } = sequencer.streams.tableFigures(table.id, owner);
      return { rows: events, bytes, streams: partitions };
    }
    const owners = (): Iterable<string> => {
      const hotOwners = sequencer.snapshots.read((snapshot) => [...snapshot.owners(table.id)]);
      return [...hotOwners, ...(cold?.manifests.owners(table.id) ?? [])];
    };
    const counter = (partition: PartitionId): PartitionCounter => counterOf(cold, partition);
    const { rows, bytes } = await queries.run(tableSize(hot, table.id, { owners: owner === undefined ? owners() : [owner], counter }));
    return { rows, bytes, streams: 0 };
  };
}

/** How ALTER TABLE looks for rows that it would spoil, in the hot tier and in segments. */
export function rowFinder(parts: {
  readonly hot: HotStore;
  readonly queries: Pick<QueryRunner, 'run'>;
  readonly cold: ColdTier | undefined;
}): DdlContext['someRow'] {
  const { hot, queries, cold } = parts;
  return async (table, test) => (await queries.run(someRow(hot, table, test))) || ((await cold?.tables.someRow(table, test)) ?? false);
}

function counterOf(cold: ColdTier | undefined, partition: PartitionId): PartitionCounter {
  const manifest = cold?.flusher.read(partition).manifest;
  if (manifest !== undefined) {
    const counts = new RowCounts(manifest);
    const bytes = manifest.segments.reduce((sum, segment) => sum + segment.bytes, 0);
    return { flushedSeq: manifest.flushedSeq, add: (row) => counts.add(row), total: () => ({ rows: counts.rows, bytes }) };
  }
  let rows = 0;
  const add: PartitionCounter['add'] = ({ deleted }) => {
    if (!deleted) rows += 1;
  };
  return { flushedSeq: 0n, add, total: () => ({ rows, bytes: 0 }) };
}
