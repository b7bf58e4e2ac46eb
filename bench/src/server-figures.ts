import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { at, run, type Target, withConnections } from './target.ts';

/** Microseconds of one tick in which Linux counts the time of a process. */
const TICK_MICROS = 10_000;
/** Milliseconds between two looks at the memory of a process. */
const LOOK_MILLIS = 100;

/** Resident memory of a process in MiB; NaN where the system does not tell. */
export function residentMiB(pid: number): number {
  if (process.platform !== 'linux') return Number.NaN;
  const kib = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kib) / 1024);
}

/** Runs `work` and answers the most memory that a process had meanwhile, in MiB, as far as a look every 100 ms sees it. */
export async function mostResidentMiB(pid: number, work: () => Promise<void>): Promise<number> {
  let most = residentMiB(pid);
  const timer = setInterval(() => {
    most = Math.max(most, residentMiB(pid));
  }, LOOK_MILLIS);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return most;
}

/** Percent of a core that a process takes over some seconds; NaN where the system does not tell. */
export async function corePercent(pid: number, seconds: number): Promise<number> {
  const before = cpuMicros(pid);
  await sleep(seconds * 1000);
  return (cpuMicros(pid) - before) / (seconds * 10_000);
}

/** Longest time in milliseconds for which the server's event loop was busy since it started. */
export function longestBlockMillis(target: Target): Promise<number> {
  return withConnections(target.url, 1, async (connections) => {
    const sql = "SELECT metric_value FROM system.stats WHERE metric_name = 'event_loop_max_block_ms'";
    return Number(/"rows":\[\["([\d.]+)"\]\]/.exec(await run(at(connections, 0), target, sql))?.[1]);
  });
}

/** Processor time of a process since it began, in microseconds; NaN where the system does not tell. */
export function cpuMicros(pid: number): number {
  if (process.platform !== 'linux') return Number.NaN;
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_MICROS;
}

/**
 * Percent of the time that `work` took in which the main thread of a process was ready to run and had no core: what other programs did to
 * the figures. NaN where the system does not tell.
 */
export async function waitPercent(pid: number, work: () => Promise<void>): Promise<number> {
  const before = waitedMillis(pid);
  const start = performance.now();
  await work();
  return (100 * (waitedMillis(pid) - before)) / (performance.now() - start);
}

function waitedMillis(pid: number): number {
  if (process.platform !== 'linux') return Number.NaN;
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'latin1').split(' ')[1]) / 1e6;
}
