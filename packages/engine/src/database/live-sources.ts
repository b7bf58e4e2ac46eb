import type { Clock, Timers } from '@kalamdb/protocol';
import { bindSubscription, type TableInfo } from '@kalamdb/sql';
import { grantFor } from '../access/grant.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Table } from '../catalog/table.ts';
import type { LiveSources } from '../live/sources.ts';
import type { SeqGaps } from '../sequencer/seq-gaps.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import { type EvaluationSources, evaluationFor } from '../session/evaluation.ts';

/** The newest `_seq` there can be: no cursor stands above it, so nothing below it can be served. */
const SEQ_MAX = (1n << 63n) - 1n;

/** What live queries read of the rest of the engine. */
export function liveSources(parts: {
  readonly catalog: Catalog;
  readonly sequencer: Sequencer;
  readonly gaps: SeqGaps;
  readonly evaluation: EvaluationSources;
  readonly clock: Clock;
  readonly timers: Timers;
}): LiveSources {
  const { catalog, sequencer, gaps, evaluation, clock, timers } = parts;
  const tableOf = (info: TableInfo): Table | undefined => catalog.tableById(info.id);
  return {
    commits: sequencer,
    clock,
    timers,
    snapshot: () => {
      const snapshot = sequencer.snapshots.open();
      return {
        seq: snapshot.seq,
        view: (info, partition) => {
          const table = tableOf(info);
          return table === undefined ? { scanBySeq: () => [] } : snapshot.view(table, partition);
        },
        close: () => snapshot.close(),
      };
    },
    bind: (sql) => bindSubscription(sql, { catalog: catalog.relations }),
    grant: (principal, info) => {
      const table = tableOf(info);
      if (table === undefined) throw new Error(`the table ${info.namespace}.${info.name} is gone`);
      const { partition, maskedCells } = grantFor(principal, table, 'subscribe');
      return { partition, maskedCells };
    },
    horizon: (info, partition) => {
      const table = tableOf(info);
      if (table === undefined) return SEQ_MAX;
      return table.kind === 'stream' ? sequencer.streams.horizon(partition) : 0n;
    },
    sinceSeq: (info) => tableOf(info)?.sinceSeq ?? 0n,
    isLost: (seq) => gaps.contains(seq),
    context: (principal) => evaluationFor(evaluation, principal, []),
  };
}
