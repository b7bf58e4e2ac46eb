import { readdirSync, readFileSync } from 'node:fs';
import type { ServerProcess } from '@kalamdb/testing';
import { type Allowance, type Flatness, flatness, floors, quantile } from './series.ts';

const MIB = 1024 * 1024;

/** A quantity that is judged. */
export type Quantity = 'resident MiB' | 'heap less caches MiB' | 'open files' | 'threads' | 'p50 ms' | 'p99 ms';

/** What each may do. */
const ALLOWANCES: Readonly<Record<Quantity, Allowance>> = {
  'resident MiB': { sharePerHour: 0.1, least: 24 },
  'heap less caches MiB': { sharePerHour: 0.1, least: 12 },
  'open files': { sharePerHour: 0.05, least: 6 },
  threads: { sharePerHour: 0, least: 2 },
  'p50 ms': { sharePerHour: 0.3, least: 0.5 },
  'p99 ms': { sharePerHour: 0.5, least: 10 },
};

const QUANTITIES = Object.keys(ALLOWANCES) as readonly Quantity[];
/** Points that are left of the heap's. */
const FLOORS = 12;

/** What is shown beside them, to understand them by. */
export type Beside = 'sockets' | 'subscriptions' | 'groups' | 'tail MiB' | 'row cache MiB' | 'commits/s';

/** One sample of everything. */
export type Sample = Readonly<Record<Quantity | Beside | 'seconds', number>>;

/** Samples a server while it works, and judges what was sampled. */
export class Sampler {
  readonly samples: Sample[] = [];
  readonly #server: ServerProcess;
  readonly #beganAt = performance.now();
  #latencies: number[] = [];
  #commits = 0;
  #sampledAt = this.#beganAt;

  constructor(server: ServerProcess) {
    this.#server = server;
  }

  /** Milliseconds from a statement's sending to its frame. */
  latency(millis: number): void {
    this.#latencies.push(millis);
  }

  async take(): Promise<Sample> {
    const now = performance.now();
    const figures = await metricsOf(this.#server.url);
    const of = (name: string): number => figures.get(name) ?? 0;
    const caches = of('kalamdb_tail_bytes') + of('kalamdb_row_cache_bytes') + of('kalamdb_overlay_bytes');
    const latencies = this.#latencies;
    const commits = of('kalamdb_commits_total');
    const sample: Sample = {
      seconds: Math.round((now - this.#beganAt) / 1000),
      'resident MiB': of('process_resident_memory_bytes') / MIB,
      'heap less caches MiB': (of('nodejs_heap_size_used_bytes') - caches) / MIB,
      'open files': readdirSync(`/proc/${this.#server.pid}/fd`).length,
      threads: Number(/^Threads:\s+(\d+)$/m.exec(readFileSync(`/proc/${this.#server.pid}/status`, 'utf8'))?.[1]),
      'p50 ms': quantile(latencies, 0.5),
      'p99 ms': quantile(latencies, 0.99),
      sockets: of('kalamdb_websocket_connections'),
      subscriptions: of('kalamdb_subscriptions'),
      groups: of('kalamdb_subscription_groups'),
      'tail MiB': of('kalamdb_tail_bytes') / MIB,
      'row cache MiB': of('kalamdb_row_cache_bytes') / MIB,
      'commits/s': ((commits - this.#commits) / (now - this.#sampledAt)) * 1000,
    };
    this.#latencies = [];
    this.#commits = commits;
    this.#sampledAt = now;
    this.samples.push(sample);
    return sample;
  }

  /**
   * Judges each quantity over the samples after the first third, in which caches fill and code is compiled. Of the heap, which grows until it
   * is collected, the least of several samples counts.
   */
  verdicts(): readonly (readonly [Quantity, Flatness])[] {
    const warm = this.samples.slice(Math.floor(this.samples.length / 3));
    const width = Math.max(1, Math.floor(warm.length / FLOORS));
    return QUANTITIES.map((name) => {
      const points = warm.map((sample) => ({ at: sample.seconds * 1000, value: sample[name] }));
      return [name, flatness(name === 'heap less caches MiB' ? floors(points, width) : points, ALLOWANCES[name])];
    });
  }
}

/** What `/metrics` says, by the name with which a line begins. */
export async function metricsOf(url: string): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return new Map([...text.matchAll(/^(\w+(?:\{[^}]*\})?) (\S+)$/gm)].map(([, name = '', value]) => [name, Number(value)]));
}
