import { arch, hostname, platform, totalmem } from 'node:os';
import { type Database, type DatabaseOptions, openDatabase, type ServerNode } from '@kalamdb/engine';
import { describeSettings } from './config/describe-settings.ts';
import { passwordCost } from './config/password-cost.ts';
import type { ServerConfig } from './config/settings.ts';
import type { Edge } from './edge.ts';
import type { ServerLog } from './log/log.ts';
import type { ServerStats } from './metrics/server-stats.ts';
import { watchStatements } from './metrics/statement-watch.ts';
import { VERSION } from './version.ts';

/** The value of `storage.data_path` that keeps everything in memory. */
const IN_MEMORY = ':memory:';
const MEGABYTE = 1_048_576;

/** What the database of a server is opened with beside its settings. */
export interface DatabaseParts extends Pick<Edge, 'config' | 'clock' | 'random' | 'timers' | 'log' | 'traffic'> {
  readonly recentLines: ServerLog['recent'];
  readonly stats: ServerStats;
  /** Where clients reach the server; empty until it listens. */
  readonly address: () => string;
  readonly onFailed: (error: Error) => void;
}

/** Opens the database as the settings say. Throws what `openDatabase` throws. */
export function openConfigured(parts: DatabaseParts): Promise<Database> {
  const { config, clock, random, timers, log, traffic, stats, recentLines, address, onFailed } = parts;
  return openDatabase({
    ...configured(config),
    clock,
    random,
    timers,
    settings: () => describeSettings(config),
    metrics: () => stats.rows(),
    serverLogs: recentLines,
    server: () => serverNode(stats, address()),
    onStatement: watchStatements({ traffic, log, slowMillis: config['logging.slow_query_threshold_ms'] }),
    onWarning: (text, detail) => log.warn(detail, text),
    onFailed,
  });
}

function configured(config: ServerConfig): DatabaseOptions {
  const path = config['storage.data_path'];
  const rootPassword = config['auth.root_password'];
  return {
    directory: path === IN_MEMORY ? undefined : path,
    durability: config['storage.durability'],
    logFileBytes: config['storage.log_file_bytes'],
    segmentCacheBytesMax: config['storage.segment_cache_bytes'],
    rootPassword: rootPassword === '' ? undefined : rootPassword,
    passwordCost: passwordCost(config['auth.bcrypt_cost']),
    passwordRules: {
      bytesMin: config['auth.min_password_length'],
      bytesMax: config['auth.max_password_length'],
      complexity: config['auth.enforce_password_complexity'],
    },
    userApiTokensMax: config['auth.api_tokens_max_per_user'],
    userSubscriptionsMax: config['rate_limit.max_subscriptions_per_user'],
    statementTimeoutMillis: config['execution.handler_timeout_seconds'] * 1000,
    generalMemoryBytesMax: config['execution.query_memory_bytes'],
    transactionLimits: {
      idleMillisMax: config['transaction_timeout_secs'] * 1000,
      bufferBytesMax: config['max_transaction_buffer_bytes'],
    },
    jobs: {
      runningMax: config['jobs.max_concurrent'],
      flushCheckMillis: config['flush.check_interval_seconds'] * 1000,
      flushBytesMax: config['flush.partition_bytes'],
      compactionCheckMillis: config['compaction.check_interval_seconds'] * 1000,
      retriesMax: config['jobs.max_retries'],
      retentionDays: config['jobs.retention_days'],
    },
    cold: { deletedRetentionHours: config['retention.default_deleted_retention_hours'] },
    rowLimits: { defaultRows: config['limits.default_query_limit'], rowsMax: config['limits.max_query_limit'] },
    requestLimits: {
      sqlBytesMax: config['execution.max_sql_bytes'],
      parametersMax: config['execution.max_parameters'],
      parameterBytesMax: config['execution.max_parameter_size_bytes'],
    },
  };
}

function serverNode(stats: ServerStats, apiAddress: string): ServerNode {
  return {
    apiAddress,
    hostname: hostname(),
    version: VERSION,
    machineMemoryMb: totalmem() / MEGABYTE,
    memoryUsageMb: process.memoryUsage.rss() / MEGABYTE,
    cpuPercent: stats.cpuPercent,
    uptimeSeconds: stats.uptimeSeconds,
    uptime: stats.uptime,
    platform: platform(),
    arch: arch(),
  };
}
