import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EngineRows } from './engine-rows.ts';
import { type CallFault, type FailingCalls, type FaultedRun, FaultFolder, runLimited } from './failing-calls.ts';
import { expectedRows, openStore, storedRows } from './small-store.ts';

const STORE_COMMITS = 45;
const ENGINE_ROWS = 24;
/** Blocks of 1 KiB that no file may pass in the child under `ulimit -f`: its log files fit, its hot tier comes to the limit. */
const LIMIT_BLOCKS = 96;

/** What drives the disk: log and hot tier alone, or the engine above them. */
export type Driver = 'storage' | 'engine';

/** What a sweep saw; everything held, or there would have been an error. */
export interface SweepReport {
  readonly runs: number;
  readonly faults: number;
  readonly acknowledged: number;
  /** Codes that writers were answered, and what else was reported, each once. */
  readonly errors: readonly string[];
}

const KINDS: readonly CallFault[] = ['ENOSPC', 'EIO', 'SHORT'];
const MODULES: Readonly<Record<Driver, string>> = { storage: 'write-child', engine: 'engine-child' };

/** Opens what a child left, with a disk that works, and throws unless every acknowledged commit is there and nothing else is wrong. */
async function checkLeft(driver: Driver, directory: string, run: Omit<FaultedRun, 'faults'>): Promise<void> {
  if (!run.done) throw new Error(`the child did not come to its end: ${run.output.slice(-2_000)}`);
  if (driver === 'engine') return checkRows(directory, run.acknowledged);
  const store = await openStore(directory);
  try {
    const last = Number(store.log.lastSeq / 10n);
    if (last < Math.max(0, ...run.acknowledged)) throw new Error(`commit ${run.acknowledged.at(-1)} is lost, the last one is ${last}`);
    if (storedRows(store.hot).join() !== expectedRows(last).join()) throw new Error('the rows are not those that were written');
  } finally {
    await store.close();
  }
}

async function checkRows(directory: string, acknowledged: readonly number[]): Promise<void> {
  const table = await EngineRows.open(directory, 'sync');
  try {
    const ids = await table.ids();
    const missing = acknowledged.filter((id) => !ids.includes(id));
    if (missing.length > 0 || new Set(ids).size !== ids.length) throw new Error(`rows ${missing} are missing among ${ids}`);
  } finally {
    await table.database.close();
  }
}

/** Each of `firsts` with each kind of fault, one call or several, in alternating durability modes. */
export async function sweepFaults(options: {
  readonly cc: string;
  readonly driver: Driver;
  readonly firsts: readonly number[];
  readonly counts: readonly number[];
}): Promise<SweepReport> {
  const { cc, driver, firsts, counts } = options;
  const folder = new FaultFolder(cc);
  const total = { runs: 0, faults: 0, acknowledged: 0, errors: new Set<string>() };
  const tries = firsts.flatMap((first) => counts.map((count) => ({ first, count })));
  try {
    for (const [index, { first, count }] of tries.entries()) {
      const kind = KINDS[index % KINDS.length] ?? 'EIO';
      const run = await faultedRun(folder, driver, { first, count, kind });
      total.runs += 1;
      total.faults += run.faults;
      total.acknowledged += run.acknowledged.length;
      for (const error of run.errors) total.errors.add(error);
    }
    return { ...total, errors: [...total.errors].sort() };
  } finally {
    folder.dispose();
  }
}

async function faultedRun(folder: FaultFolder, driver: Driver, calls: FailingCalls): Promise<FaultedRun> {
  const directory = join(folder.path, 'data');
  mkdirSync(directory);
  const durability = calls.first % 2 === 0 ? 'sync' : 'relaxed';
  const amount = String(driver === 'storage' ? STORE_COMMITS : ENGINE_ROWS);
  try {
    const run = await folder.run(MODULES[driver], [directory, durability, amount], { ...calls, directory });
    await checkLeft(driver, directory, run);
    return run;
  } catch (error) {
    const what = `${driver}, ${durability}: ${calls.count} calls from ${calls.first} on with ${calls.kind}`;
    throw new Error(`${what}: ${error instanceof Error ? error.message : error}`, { cause: error });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A child whose files may not grow beyond a limit that its hot tier reaches, and what can be read of it when there is no limit. */
export async function reachFileLimit(
  directory: string,
): Promise<{ readonly limited: Omit<FaultedRun, 'faults'>; readonly lastBefore: number; readonly lastAfter: number }> {
  const limited = await runLimited('limit-child', [directory], LIMIT_BLOCKS);
  const store = await openStore(directory);
  try {
    const lastAfter = Number(store.log.lastSeq / 10n);
    if (storedRows(store.hot).join() !== expectedRows(lastAfter).join()) throw new Error('the rows are not those that were written');
    return { limited, lastBefore: Math.max(0, ...limited.acknowledged), lastAfter };
  } finally {
    await store.close();
  }
}
