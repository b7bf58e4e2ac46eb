import type { HotStore } from '@kalamdb/storage';
import type { DdlContext } from '../ddl/ddl-context.ts';
import { tableSize } from '../partition/table-rows.ts';
import type { QueryRunner } from '../read/query-runner.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';

/** How SHOW STATS counts: streams in memory, everything else in the hot tier. */
export function tableFigures(parts: {
  readonly hot: HotStore;
  readonly sequencer: Sequencer;
  readonly queries: Pick<QueryRunner, 'run'>;
}): DdlContext['tableFigures'] {
  const { hot, sequencer, queries } = parts;
  return async (table, owner) => {
    if (table.kind === 'stream') {
      const { partitions, events, bytes } = sequencer.streams.tableFigures(table.id, owner);
      return { rows: events, bytes, streams: partitions };
    }
    const { rows, bytes } = await queries.run(tableSize(hot, table.id, owner));
    return { rows, bytes, streams: 0 };
  };
}
