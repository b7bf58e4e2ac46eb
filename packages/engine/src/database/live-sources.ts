import type { Clock, Timers } from '@kalamdb/protocol';
import { bindSubscription, type TableInfo } from '@kalamdb/sql';
import { grantFor } from '../access/grant.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Table } from '../catalog/table.ts';
import { ColdAhead } from '../cold/cold-ahead.ts';
import type { ColdReader } from '../cold/cold-reader.ts';
import type { Expirations } from '../cold/expirations.ts';
import type { RowVersion } from '../contract.ts';
import type { LiveAhead, LiveSources } from '../live/sources.ts';
import type { PartitionView } from '../partition/partition-view.ts';
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
  /** Absent: there is no cold tier. */
  readonly reader: ColdReader | undefined;
  /** Absent: no tombstone ever expires. */
  readonly expirations: Expirations | undefined;
}): LiveSources {
  const { catalog, sequencer, gaps, evaluation, clock, timers, reader, expirations } = parts;
  const tableOf = (info: TableInfo): Table | undefined => catalog.tableById(info.id);
  return {
    commits: sequencer,
    clock,
    timers,
    snapshot: () => {
      const snapshot = sequencer.snapshots.open();
      return {
        seq: snapshot.seq,
        view: (info, partition, ahead) => {
          const table = tableOf(info);
          return { scanBySeq: (afterSeq) => (table === undefined ? noRows() : rowsOf(snapshot.view(table, partition), ahead, afterSeq)) };
        },
        close: () => snapshot.close(),
      };
    },
    ahead: (info, partition) => {
      const table = tableOf(info);
      if (reader === undefined || table === undefined) return NOTHING_AHEAD;
      return new ColdAhead({ reader, snapshots: sequencer.snapshots, table, partition });
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
      if (table.kind === 'stream') return sequencer.streams.horizon(partition);
      const inSegments = sequencer.snapshots.read((snapshot) => snapshot.manifest(partition)?.expiredSeq) ?? 0n;
      const inHotTier = expirations?.of(partition) ?? 0n;
      return inSegments > inHotTier ? inSegments : inHotTier;
    },
    sinceSeq: (info) => tableOf(info)?.sinceSeq ?? 0n,
    restoredSeq: (info) => tableOf(info)?.restoredSeq ?? 0n,
    isLost: (seq) => gaps.contains(seq),
    context: (principal) => evaluationFor(evaluation, principal, []),
  };
}

const NOTHING_AHEAD: LiveAhead = { read: () => undefined, close: () => undefined };

// biome-ignore lint/correctness/useYield: a table that is gone has no rows
function* noRows(): Generator<RowVersion, undefined> {
  return undefined;
}

function rowsOf(view: PartitionView, ahead: LiveAhead, afterSeq: bigint): Generator<RowVersion, bigint | undefined> {
  return ahead instanceof ColdAhead ? ahead.rows(view, afterSeq) : hotRows(view, afterSeq);
}

function* hotRows(view: PartitionView, afterSeq: bigint): Generator<RowVersion, undefined> {
  yield* view.scanBySeq(afterSeq);
  return undefined;
}
