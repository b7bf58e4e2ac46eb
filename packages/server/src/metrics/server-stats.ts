import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import type { Metric } from '@kalamdb/engine';
import type { Clock } from '@kalamdb/protocol';
import type { ServerConfig } from '../config/settings.ts';
import { buildDate, VERSION } from '../version.ts';
import { humanDuration } from './human-duration.ts';
import { OpenFiles } from './open-files.ts';
import type { Traffic } from './traffic.ts';

const MEGABYTE = 1_048_576;

/** Where the rows of `system.stats` come from that the database does not know. */
export interface StatSources {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly traffic: Traffic;
}

/** The figures of the process and its connections, under the names that programs written for the original look for. */
export class ServerStats {
  readonly #sources: StatSources;
  readonly #files = new OpenFiles();
  readonly #startedAt: number;

  constructor(sources: StatSources) {
    this.#sources = sources;
    this.#startedAt = sources.clock.elapsed();
  }

  /** Whole seconds since the start. */
  get uptimeSeconds(): number {
    return Math.floor((this.#sources.clock.elapsed() - this.#startedAt) / 1000);
  }

  /** The same in words. */
  get uptime(): string {
    return humanDuration(this.uptimeSeconds);
  }

  /** The processor time of the process since its start, in per cent of one core. */
  get cpuPercent(): number {
    const { user, system } = process.cpuUsage();
    return Number(((user + system) / 1e4 / Math.max(process.uptime(), 0.001)).toFixed(2));
  }

  rows(): readonly Metric[] {
    return [...this.#server(), ...this.#process(), ...this.#traffic()];
  }

  #server(): readonly Metric[] {
    const { config } = this.#sources;
    const connectionsMax = config['performance.max_connections'];
    return [
      ['server_version', VERSION],
      ['server_build_date', buildDate()],
      ['server_uptime_seconds', this.uptimeSeconds],
      ['server_uptime_human', this.uptime],
      ['pid', process.pid],
      ['node_id', 1],
      ['cluster_mode', 'false'],
      ['cluster_id', 'standalone'],
      ['cpu_logical_cores', cpus().length],
      ['cpu_usable_cores', availableParallelism()],
      ['server_workers_configured', 1],
      ['server_workers_effective', 1],
      ['max_connections', connectionsMax],
      ['max_connections_configured', connectionsMax],
      ['connection_backlog', config['performance.backlog']],
      ['topic_cache_topic_count', 0],
    ];
  }

  #process(): readonly Metric[] {
    const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
    // What is mapped counts as external memory without being resident.
    const used = Math.min(heapUsed + external, rss);
    const megabytes = (bytes: number): number => Math.round(bytes / MEGABYTE);
    return [
      ['cpu_usage_percent', this.cpuPercent],
      ['system_total_memory_mb', megabytes(totalmem())],
      ['system_used_memory_mb', megabytes(totalmem() - freemem())],
      ['memory_usage_mb', megabytes(used)],
      ['memory_usage_bytes', used],
      ['memory_usage_source', 'heap and external memory'],
      ['memory_rss_mb', megabytes(rss)],
      ['memory_rss_bytes', rss],
      ['memory_virtual_mb', megabytes(heapTotal + external)],
      ['memory_rss_gap_mb', megabytes(rss - used)],
      ['memory_rss_gap_bytes', rss - used],
      ['allocator_name', 'V8'],
      ['open_files_total', this.#files.count],
    ];
  }

  #traffic(): readonly Metric[] {
    const { traffic } = this.#sources;
    const { count, outboxBytes } = traffic.sockets;
    return [
      ['active_connections', traffic.connections],
      ['active_connections_peak', traffic.connectionsPeak],
      ['websocket_sessions', count],
      ['websocket_sessions_peak', traffic.webSocketsPeak],
      ['outbox_bytes', outboxBytes],
      ['slow_statements', traffic.slowStatements],
    ];
  }
}
