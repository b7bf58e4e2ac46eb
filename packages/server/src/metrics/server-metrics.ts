import type { Database } from '@kalamdb/engine';
import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from 'prom-client';
import { VERSION } from '../version.ts';
import type { BucketCounts } from './bucket-counts.ts';
import type { Traffic } from './traffic.ts';

/** Milliseconds between two looks of the library at the event loop; the database measures blocks by itself. */
const LOOP_PRECISION_MILLIS = 1000;

/** Where the figures of a server are. */
export interface MetricSources {
  readonly database: Pick<Database, 'figures'>;
  readonly traffic: Traffic;
}

/** Labels with a number. */
type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** One family of metrics: samples are read when somebody asks. */
interface Family {
  readonly name: string;
  readonly help: string;
  samples(): readonly Sample[];
}

/**
 * The registry behind `/metrics`. Nothing is counted for it: each family reads plain numbers when it is asked for. Labels have few
 * values: routes, statuses, limits, outcomes.
 */
export function serverMetrics(sources: MetricSources): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_PRECISION_MILLIS });
  for (const { name, help, samples } of counters(sources)) {
    const counter: Counter = new Counter({
      name,
      help,
      labelNames: [...labelsOf(name)],
      registers: [registry],
      collect: () => {
        counter.reset();
        for (const [labels, value] of samples()) counter.inc({ ...labels }, value);
      },
    });
  }
  for (const { name, help, samples } of gauges(sources)) {
    const gauge: Gauge = new Gauge({
      name,
      help,
      labelNames: [...labelsOf(name)],
      registers: [registry],
      collect: () => {
        gauge.reset();
        for (const [labels, value] of samples()) gauge.set({ ...labels }, value);
      },
    });
  }
  for (const histogram of histograms(sources)) registry.registerMetric(histogram as unknown as Metric<string>);
  return registry;
}

const LABELS: Readonly<Record<string, readonly string[]>> = {
  kalamdb_http_requests_total: ['route', 'status'],
  kalamdb_rate_limit_refusals_total: ['limit'],
  kalamdb_catch_ups_total: ['kind'],
  kalamdb_info: ['version'],
  kalamdb_jobs: ['state'],
};

function labelsOf(name: string): readonly string[] {
  return LABELS[name] ?? [];
}

function counters({ database, traffic }: MetricSources): readonly Family[] {
  const one = (name: string, help: string, value: () => number): Family => ({ name, help, samples: () => [[{}, value()]] });
  const live = (): ReturnType<Database['figures']>['live'] => database.figures().live;
  return [
    {
      name: 'kalamdb_http_requests_total',
      help: 'Answered HTTP requests by route and status',
      samples: () =>
        [...traffic.routes].flatMap(([route, { byStatus }]) =>
          [...byStatus].map(([status, count]): Sample => [{ route, status: String(status) }, count]),
        ),
    },
    {
      name: 'kalamdb_rate_limit_refusals_total',
      help: 'What was refused because it came too often, by limit',
      samples: () => [...traffic.refusals].map(([limit, count]): Sample => [{ limit }, count]),
    },
    {
      name: 'kalamdb_catch_ups_total',
      help: 'Subscriptions that were brought up to date: by replaying commits (exact) or from the index (coalesced)',
      samples: () => [
        [{ kind: 'exact' }, live().exactCatchUps],
        [{ kind: 'coalesced' }, live().coalescedCatchUps],
      ],
    },
    one('kalamdb_slow_statements_total', 'Statements above logging.slow_query_threshold_ms', () => traffic.slowStatements),
    one('kalamdb_commits_total', 'Commits that readers see', () => database.figures().commits),
    one('kalamdb_live_frames_total', 'Change frames delivered to subscriptions', () => live().frames),
    one('kalamdb_resumes_total', 'Subscriptions that began with a cursor', () => live().resumes),
    one('kalamdb_resyncs_total', 'Cursors that could not be served', () => live().resyncs),
    one('kalamdb_row_cache_hits_total', 'Reads that found their row decoded', () => database.figures().rowCache.hits),
    one('kalamdb_row_cache_misses_total', 'Reads that had to decode their row', () => database.figures().rowCache.misses),
  ];
}

function gauges({ database, traffic }: MetricSources): readonly Family[] {
  const one = (name: string, help: string, value: () => number): Family => ({ name, help, samples: () => [[{}, value()]] });
  return [
    {
      name: 'kalamdb_jobs',
      help: 'Background jobs by state',
      samples: () => {
        const { running, queued, failed } = database.figures().jobs;
        return [
          [{ state: 'running' }, running],
          [{ state: 'queued' }, queued],
          [{ state: 'failed' }, failed],
        ];
      },
    },
    { name: 'kalamdb_info', help: 'The release', samples: () => [[{ version: VERSION }, 1]] },
    one('kalamdb_hot_tier_lag_seconds', 'How far the hot tier is behind what readers see', () => database.figures().lagMillis / 1000),
    one('kalamdb_overlay_bytes', 'Memory of commits that the hot tier does not hold yet', () => database.figures().overlayBytes),
    one('kalamdb_tail_bytes', 'Memory of recent commits kept for clients that resume', () => database.figures().tailBytes),
    one('kalamdb_row_cache_bytes', 'Memory of decoded rows', () => database.figures().rowCache.bytes),
    one(
      'kalamdb_event_loop_longest_block_seconds',
      'Longest time since the start for which nobody else was served',
      () => database.figures().longestBlockMillis / 1000,
    ),
    one('kalamdb_connections', 'Open connections, WebSockets included', () => traffic.connections),
    one('kalamdb_websocket_connections', 'Open WebSocket connections', () => traffic.sockets.count),
    one('kalamdb_subscriptions', 'Open subscriptions', () => database.figures().subscriptions),
    one('kalamdb_subscription_groups', 'Distinct queries that they come to', () => database.figures().subscriptionGroups),
    one('kalamdb_outbox_bytes', 'Bytes that wait for slow subscribers', () => traffic.sockets.outboxBytes),
    one('kalamdb_open_transactions', 'Explicit transactions in progress', () => database.figures().transactions),
  ];
}

/** A histogram whose counting is done elsewhere, in the form that the registry asks for. */
interface HistogramReader {
  readonly name: string;
  get(): Promise<object>;
}

function histograms({ database, traffic }: MetricSources): readonly HistogramReader[] {
  return [
    histogram('kalamdb_statement_duration_seconds', 'Times of SQL statements by outcome', () => [
      { labels: { outcome: 'ok' }, ...traffic.succeeded },
      { labels: { outcome: 'failed' }, ...traffic.failed },
    ]),
    histogram('kalamdb_commit_group_size', 'Commits that one write of the log carried', () => {
      const { groupSizes, commits } = database.figures();
      const bounds = groupSizes.map((_count, index) => 2 ** index);
      return [{ labels: {}, bounds, counts: groupSizes, sum: commits }];
    }),
  ];
}

interface LabeledCounts extends Pick<BucketCounts, 'bounds' | 'sum'> {
  readonly labels: Readonly<Record<string, string>>;
  readonly counts: readonly number[];
}

function histogram(name: string, help: string, read: () => readonly LabeledCounts[]): HistogramReader {
  const get = (): object => ({
    name,
    help,
    type: 'histogram',
    aggregator: 'sum',
    values: read().flatMap(({ labels, bounds, counts, sum }) => {
      let count = 0;
      const buckets = [...bounds, '+Inf'].map((le, index) => {
        count += counts[index] ?? 0;
        return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count };
      });
      return [...buckets, { metricName: `${name}_sum`, labels, value: sum }, { metricName: `${name}_count`, labels, value: count }];
    }),
  });
  return { name, get: async () => get() };
}
