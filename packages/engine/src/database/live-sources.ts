import { type Clock, kalamError, type Timers } from '@kalamdb/protocol';
import { type BoundSubscription, type EvalContext, SubscriptionCompiler, type TableInfo } from '@kalamdb/sql';
import { grantFor } from '../access/grant.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Table } from '../catalog/table.ts';
import { ColdAhead } from '../cold/cold-ahead.ts';
import type { ColdReader } from '../cold/cold-reader.ts';
import type { Expirations } from '../cold/expirations.ts';
import { RecentStretches } from '../cold/recent-stretches.ts';
import type { RowVersion } from '../contract.ts';
import { FilterContext } from '../live/filter-context.ts';
import type { LiveAhead, LiveSources } from '../live/sources.ts';
import { Turns } from '../live/turns.ts';
import type { PartitionView } from '../partition/partition-view.ts';
import type { CommitWait } from '../sequencer/commit-wait.ts';
import type { SeqGaps } from '../sequencer/seq-gaps.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import { type EvaluationSources, evaluationFor } from '../session/evaluation.ts';
import { newestRow } from './newest-row.ts';

/** The newest `_seq` there can be: no cursor stands above it, so nothing below it can be served. */
const SEQ_MAX = (1n << 63n) - 1n;

/** Plans that are kept for subscriptions whose texts differ in their literals only. */
const PLANS_MAX = 1000;

/** What live queries read of the rest of the engine. */
export function liveSources(parts: {
  readonly catalog: Catalog;
  readonly sequencer: Sequencer;
  readonly gaps: SeqGaps;
  readonly commitWait: CommitWait;
  readonly evaluation: EvaluationSources;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Absent: there is no cold tier. */
  readonly reader: ColdReader | undefined;
  /** Absent: no tombstone ever expires. */
  readonly expirations: Expirations | undefined;
}): LiveSources {
  const { catalog, sequencer, gaps, commitWait, evaluation, clock, timers, reader, expirations } = parts;
  const compiler = new SubscriptionCompiler({ plansMax: PLANS_MAX });
  const recent = new RecentStretches();
  let loggedSeq = sequencer.watermark;
  sequencer.observe(({ seq, parts }) => {
    if (parts.some(({ partition }) => catalog.tableById(partition.tableId)?.kind !== 'stream')) loggedSeq = seq;
  });
  const tableOf = (info: TableInfo): Table | undefined => catalog.tableById(info.id);
  return {
    commits: sequencer,
    clock,
    timers,
    turns: new Turns(timers),
    loggedSeq: () => loggedSeq,
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
    newest: async ({ table: info, partition, key, principal }) => {
      const table = tableOf(info);
      if (table === undefined) throw kalamError('TABLE_NOT_FOUND', { table: `${info.namespace}.${info.name}` });
      const bind = (sql: string): BoundSubscription => compiler.compile(sql, { catalog: catalog.relations, windows: false });
      const context = (values: BoundSubscription['values']): EvalContext =>
        new FilterContext(evaluationFor(evaluation, principal, []), clock, values);
      return newestRow({ snapshots: sequencer.snapshots, reader, bind, context }, { table, partition }, key);
    },
    ahead: (info, partition) => {
      const table = tableOf(info);
      if (reader === undefined || table === undefined) return NOTHING_AHEAD;
      return new ColdAhead({ reader, snapshots: sequencer.snapshots, table, partition, recent });
    },
    bind: (sql, { windows }) => compiler.compile(sql, { catalog: catalog.relations, windows }),
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
    reached: (seq) => commitWait.reached(seq),
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
