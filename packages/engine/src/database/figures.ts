import { snowflakeMillis } from '@kalamdb/protocol';
import type { HotStore } from '@kalamdb/storage';
import type { Catalog } from '../catalog/catalog.ts';
import type { Metric } from '../catalog/views/stats-view.ts';
import type { JobCounts } from '../jobs/job-index.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { LiveCounters } from '../live/counters.ts';
import type { Live } from '../live/live.ts';
import type { RowCacheStatus } from '../partition/row-cache.ts';
import type { SequencerFigures } from '../sequencer/group.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import type { RaceCounts } from '../write/write-target.ts';
import type { EventLoopFigures, EventLoopMonitor } from './event-loop-monitor.ts';

/** What a running database does and holds, read when it is asked for. Counters only rise. */
export interface DatabaseFigures extends SequencerFigures, EventLoopFigures {
  /** Name of the newest commit that readers see, and of the newest one in the hot tier. */
  readonly watermark: bigint;
  readonly appliedSeq: bigint;
  /** How far the hot tier is behind the watermark, in milliseconds between those two commits. */
  readonly lagMillis: number;
  readonly rowCache: RowCacheStatus;
  readonly live: Readonly<LiveCounters>;
  readonly subscriptions: number;
  readonly subscriptionPeak: number;
  /** Distinct queries, on distinct partitions, that the subscriptions come to. */
  readonly subscriptionGroups: number;
  readonly transactions: number;
  readonly plans: number;
  /** What UPDATE … FROM and its kin have met. */
  readonly races: Readonly<RaceCounts>;
  readonly users: number;
  readonly namespaces: number;
  readonly tables: number;
  readonly storages: number;
  readonly jobs: JobCounts;
}

/** Where the figures are. */
export interface FigureSources {
  readonly sequencer: Sequencer;
  readonly hot: Pick<HotStore, 'appliedSeq'>;
  readonly monitor: EventLoopMonitor;
  readonly live: Live;
  readonly catalog: Catalog;
  readonly jobs: Pick<Jobs, 'counts'>;
  readonly transactions: { readonly size: number };
  readonly compiler: { readonly size: number };
  readonly races: Readonly<RaceCounts>;
}

/** The figures as they are now. */
export function databaseFigures(sources: FigureSources): DatabaseFigures {
  const { sequencer, hot, monitor, live, catalog, jobs, transactions, compiler, races } = sources;
  const { watermark } = sequencer;
  const { appliedSeq } = hot;
  return {
    ...sequencer.figures,
    ...monitor.figures,
    ...catalog.counts(),
    jobs: jobs.counts(),
    watermark,
    appliedSeq,
    lagMillis: watermark > appliedSeq && appliedSeq > 0n ? Math.max(0, snowflakeMillis(watermark) - snowflakeMillis(appliedSeq)) : 0,
    rowCache: sequencer.rowCache.status,
    live: live.counters,
    subscriptions: live.subscriptionCount,
    subscriptionPeak: live.subscriptionPeak,
    subscriptionGroups: live.router.groupCount,
    transactions: transactions.size,
    plans: compiler.size,
    races: { ...races },
  };
}

/** The figures that `system.stats` shows, whoever opened the database. */
export function figureMetrics(figures: DatabaseFigures): readonly Metric[] {
  const { rowCache, live, jobs } = figures;
  return [
    ['watermark', figures.watermark],
    ['applied_seq', figures.appliedSeq],
    ['hot_tier_lag_ms', figures.lagMillis],
    ['commits', figures.commits],
    ['commit_groups', figures.groups],
    ['overlay_bytes', figures.overlayBytes],
    ['tail_bytes', figures.tailBytes],
    ['row_cache_bytes', rowCache.bytes],
    ['row_cache_hits', rowCache.hits],
    ['row_cache_misses', rowCache.misses],
    ['plan_cache_size', figures.plans],
    ['open_transactions', figures.transactions],
    ['write_races_lost', figures.races.lost],
    ['write_races_latched', figures.races.latched],
    ['total_jobs', jobs.total],
    ['jobs_running', jobs.running],
    ['jobs_queued', jobs.queued],
    ['jobs_failed', jobs.failed],
    ['total_live_queries', figures.subscriptions],
    ['active_subscriptions', figures.subscriptions],
    ['active_subscriptions_peak', figures.subscriptionPeak],
    ['catch_ups_exact', live.exactCatchUps],
    ['catch_ups_coalesced', live.coalescedCatchUps],
    ['event_loop_max_block_ms', figures.longestBlockMillis.toFixed(1)],
    ['event_loop_p99_block_ms', figures.blockP99Millis.toFixed(1)],
  ];
}
